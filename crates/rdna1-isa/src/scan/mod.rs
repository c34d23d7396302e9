// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scanning files: every function of every code object that the question is about.

mod kernel;
mod report;

pub use kernel::{Hit, KernelView, KernelViews, Line, kernels};
pub use report::{CodeReport, Counts, FamilyReport, FileReport, ProblemReport, Report, RuleCount, Verdict};

use std::collections::BTreeSet;
use std::path::Path;

use crate::analyse::{Analyser, Analysis, Ignore, Question};
use crate::container::{CodeObject, Problem, Visit, walk};
use crate::decode::{self, Wave};
use crate::family::{Family, family};
use crate::rules::Rule;
use crate::target::Target;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// The card's target.
    pub on: Target,
    /// Targets whose code is looked at.
    pub code: Vec<Target>,
    /// Mitigations to overlook; none but in tests.
    pub ignore: Ignore,
}

impl Options {
    /// What can be made to run on a card: its own code, gfx1010's (override 10.1.0)
    /// and gfx1030's (override 10.3.0).
    pub fn for_card(on: Target) -> Self {
        let code = BTreeSet::from([on, Target::Gfx1010, Target::GFX1030]);
        Self { on, code: code.into_iter().collect(), ignore: Ignore::default() }
    }
}

/// Scans files and directories.
pub fn scan<P: AsRef<Path>>(paths: &[P], options: &Options) -> Report {
    let mut scanner = Scanner { options, analyser: Analyser::default(), report: Report::new(options.on) };
    for path in paths {
        walk(path.as_ref(), &mut scanner);
    }
    scanner.report.finish();
    scanner.report
}

struct Scanner<'a> {
    options: &'a Options,
    analyser: Analyser,
    report: Report,
}

impl Visit for Scanner<'_> {
    fn wants(&self, target: Target) -> bool {
        self.options.code.contains(&target)
    }

    fn file(&mut self, path: &Path, member: Option<&str>) {
        self.report.files.push(FileReport::new(path, member));
    }

    fn target(&mut self, name: &str) {
        if let Some(file) = self.report.files.last_mut() {
            file.targets.insert(name.to_owned());
        }
    }

    fn object(&mut self, bytes: &[u8]) {
        let object = match CodeObject::parse(bytes) {
            Ok(Some(object)) => object,
            Ok(None) => return,
            Err(error) => return self.report.problem_in_last_file(&error),
        };
        let Some(file) = self.report.files.last_mut() else { return };
        let code = file.code(object.target);
        code.objects += 1;
        functions(&mut self.analyser, &object, bytes, self.options, &mut |found| {
            code.bytes += found.code.len() as u64;
            code.family(&found.family).counts.add(&found);
        });
    }

    fn problem(&mut self, problem: Problem) {
        self.report.problems.push(ProblemReport::new(&problem));
    }
}

/// What was found in one function.
#[derive(Debug)]
pub struct Scanned<'a> {
    /// Its symbol.
    pub name: &'a str,
    /// Whether it is a kernel.
    pub is_kernel: bool,
    /// Its code.
    pub code: &'a [u8],
    /// Data type and origin, by its name.
    pub family: Family,
    /// Hits.
    pub analysis: Analysis,
    /// Names of instructions that the card lacks.
    pub missing: BTreeSet<String>,
}

/// Analyses every function of a code object.
pub fn functions(
    analyser: &mut Analyser,
    object: &CodeObject,
    bytes: &[u8],
    options: &Options,
    visit: &mut dyn FnMut(Scanned<'_>),
) {
    let question = Question { code: object.target, on: options.on, ignore: options.ignore };
    let others: Wave = object.wave();
    for function in &object.functions {
        let code = &bytes[function.offset..function.offset + function.size];
        let wave = function.kernel.map_or(others, |kernel| kernel.wave);
        let mut missing = BTreeSet::new();
        let analysis = analyser.run(code, wave, &question, |site| {
            if site.rule == Rule::MissingInstruction {
                let inst = decode::decode(code, site.offset as usize / 4);
                missing.insert(decode::mnemonic(&inst, object.target));
            }
        });
        visit(Scanned {
            name: &function.name,
            is_kernel: function.kernel.is_some(),
            code,
            family: family(&function.name),
            analysis,
            missing,
        });
    }
}
