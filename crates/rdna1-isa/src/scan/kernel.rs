// SPDX-License-Identifier: MIT OR Apache-2.0
//! One kernel in detail: each place, with the earlier instruction that it runs
//! into, and listings around both.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Options;
use crate::analyse::{Analyser, Question, Site, origin};
use crate::container::{CodeObject, Problem, Visit, walk};
use crate::decode::{self, Format, Inst, Wave, reg_names};
use crate::rules::Rule;
use crate::target::Target;

/// A kernel in detail.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KernelView {
    /// The file.
    pub path: String,
    /// The target that it was built for.
    pub target: Target,
    /// Its symbol.
    pub name: String,
    /// Its address in the code object, as `llvm-objdump` prints it.
    pub address: u64,
    /// Bytes of code.
    pub size: usize,
    /// 32 or 64.
    pub wavefront: u8,
    /// Whether work-groups run on two compute units.
    pub wgp_mode: Option<bool>,
    /// Instructions.
    pub instructions: u32,
    /// The places, by address; no more than asked for.
    pub hits: Vec<Hit>,
    /// How many there are.
    pub total: u32,
}

/// A place.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hit {
    /// The rule.
    pub rule: Rule,
    /// Its address.
    pub address: u64,
    /// The earlier instruction of the pair.
    pub origin: Option<u64>,
    /// Instructions between the two on the path that was followed.
    pub distance: Option<u32>,
    /// The instructions around both.
    pub listing: Vec<Line>,
}

/// A line of a listing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Line {
    /// Address.
    pub address: u64,
    /// Machine words.
    pub words: Vec<u32>,
    /// Name, or kind and opcode.
    pub mnemonic: String,
    /// Scalar registers that it reads, as far as rules look at them.
    pub reads: String,
    /// Scalar registers that it writes.
    pub writes: String,
    /// Whether it is the place (`!`), the earlier instruction (`>`) or around them.
    pub mark: char,
}

/// Instructions shown before and after each of the two.
const AROUND: usize = 2;

/// What was found of the kernels of a name.
#[derive(Debug)]
pub struct KernelViews {
    /// Each in detail.
    pub views: Vec<KernelView>,
    /// Further ones with the name in theirs.
    pub left_out: u32,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Finds the kernels of a name, or part of one, and looks at each in detail.
pub fn kernels<P: AsRef<Path>>(
    paths: &[P],
    options: &Options,
    name: &str,
    max_hits: usize,
    max_kernels: usize,
) -> KernelViews {
    let mut finder = Finder {
        options,
        name,
        max_hits,
        max_kernels,
        path: String::new(),
        left_out: 0,
        analyser: Analyser::default(),
        found: Vec::new(),
        problems: Vec::new(),
    };
    for path in paths {
        walk(path.as_ref(), &mut finder);
    }
    // Who gives a whole name wants that kernel only.
    if finder.found.iter().any(|view| view.name == name) {
        finder.found.retain(|view| view.name == name);
        finder.left_out = 0;
    }
    KernelViews { views: finder.found, left_out: finder.left_out, problems: finder.problems }
}

struct Finder<'a> {
    options: &'a Options,
    name: &'a str,
    max_hits: usize,
    max_kernels: usize,
    path: String,
    left_out: u32,
    analyser: Analyser,
    found: Vec<KernelView>,
    problems: Vec<Problem>,
}

impl Visit for Finder<'_> {
    fn wants(&self, target: Target) -> bool {
        self.options.code.contains(&target)
    }

    fn file(&mut self, path: &Path, member: Option<&str>) {
        self.path = member.map_or_else(|| path.to_owned(), |member| path.join(member)).display().to_string();
    }

    fn target(&mut self, _: &str) {}

    fn object(&mut self, bytes: &[u8]) {
        let object = match CodeObject::parse(bytes) {
            Ok(Some(object)) => object,
            Ok(None) => return,
            Err(error) => return self.problems.push(Problem { path: PathBuf::from(&self.path), error }),
        };
        for function in object.functions.iter().filter(|function| function.name.contains(self.name)) {
            if self.found.len() >= self.max_kernels && function.name != self.name {
                self.left_out += 1;
                continue;
            }
            let code = &bytes[function.offset..function.offset + function.size];
            let wave = function.kernel.map_or_else(|| object.wave(), |kernel| kernel.wave);
            let question = Question { code: object.target, on: self.options.on, ignore: self.options.ignore };
            let mut sites = Vec::new();
            let analysis = self.analyser.run(code, wave, &question, |site| sites.push(site));
            sites.sort_unstable();
            let shown = spread(&sites, self.max_hits);
            let base = function.address;
            let hits =
                shown.into_iter().map(|site| hit(&self.analyser, code, wave, object.target, base, site)).collect();
            self.found.push(KernelView {
                path: self.path.clone(),
                target: object.target,
                name: function.name.clone(),
                address: base,
                size: function.size,
                wavefront: if wave == Wave::W32 { 32 } else { 64 },
                wgp_mode: function.kernel.map(|kernel| kernel.wgp_mode),
                instructions: analysis.instructions,
                total: sites.len() as u32,
                hits,
            });
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

/// Some of the sites: each rule gets its turn before one gets its second.
fn spread(sites: &[Site], count: usize) -> Vec<Site> {
    let mut by_rule: Vec<Vec<Site>> = vec![Vec::new(); Rule::ALL.len()];
    for site in sites {
        by_rule[site.rule as usize].push(*site);
    }
    let longest = by_rule.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| by_rule.iter().filter_map(move |sites| sites.get(turn).copied()));
    let mut chosen: Vec<Site> = turns.take(count).collect();
    chosen.sort_unstable();
    chosen
}

fn hit(analyser: &Analyser, code: &[u8], wave: Wave, target: Target, base: u64, site: Site) -> Hit {
    let origin = origin(analyser, code, wave, site);
    let mut listing = Vec::new();
    let marks = [origin.map(|origin| (origin.offset, '>')), Some((site.offset, '!'))];
    let places: Vec<(u32, char)> = marks.into_iter().flatten().collect();
    for (offset, _) in &places {
        for at in analyser.around(*offset, AROUND) {
            if listing.iter().any(|line: &Line| line.address == base + u64::from(at)) {
                continue;
            }
            let mark = places.iter().find(|(place, _)| *place == at).map_or(' ', |(_, mark)| *mark);
            listing.push(line(code, wave, target, base, at, mark));
        }
    }
    Hit {
        rule: site.rule,
        address: base + u64::from(site.offset),
        origin: origin.map(|origin| base + u64::from(origin.offset)),
        distance: origin.map(|origin| origin.distance),
        listing,
    }
}

fn line(code: &[u8], wave: Wave, target: Target, base: u64, offset: u32, mark: char) -> Line {
    let index = offset as usize / 4;
    let inst = decode::decode(code, index);
    let (reads, writes) = registers(&inst, wave);
    Line {
        address: base + u64::from(offset),
        words: (index..index + usize::from(inst.words)).map(|index| decode::word(code, index)).collect(),
        mnemonic: decode::mnemonic(&inst, target),
        reads,
        writes,
        mark,
    }
}

fn registers(inst: &Inst, wave: Wave) -> (String, String) {
    let format = inst.format;
    let reads = if format == Format::Smem {
        inst.scalar_memory_reads()
    } else if format.is_valu() || format.is_salu() || matches!(format, Format::Exp | Format::Unknown) {
        0
    } else {
        inst.vector_memory_reads()
    };
    let writes = if format.is_valu() { inst.vector_alu_scalar_writes(wave) } else { inst.scalar_destination() };
    let mut writes = reg_names(writes);
    if inst.is_cmpx() {
        writes.push_str("exec");
    }
    (reg_names(reads), writes)
}
