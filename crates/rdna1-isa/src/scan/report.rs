// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of a scan, as it is printed with `--json`.
//!
//! `version` rises when a field changes its meaning or goes away; new fields
//! may come at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::Scanned;
use crate::container::Problem;
use crate::family::Family;
use crate::rules::{Info, Rule, Severity};
use crate::target::Target;

/// The version of the document.
pub const VERSION: u32 = 1;

/// The whole result.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The card's target.
    pub on: Target,
    /// Per file, those with device code only.
    pub files: Vec<FileReport>,
    /// The sum over all files, per target of the code.
    pub total: Vec<CodeReport>,
    /// The rules that were hit.
    pub rules: Vec<Info>,
    /// What could not be read.
    pub problems: Vec<ProblemReport>,
}

/// A file.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileReport {
    /// Its path.
    pub path: String,
    /// The member of a wheel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// All targets that it carries code for.
    pub targets: BTreeSet<String>,
    /// What was found, per target of the code.
    pub code: Vec<CodeReport>,
}

/// Code for one target.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CodeReport {
    /// The target that it was built for.
    pub target: Target,
    /// Code objects.
    pub objects: u32,
    /// Bytes of code.
    pub bytes: u64,
    /// Per data type and origin.
    pub families: Vec<FamilyReport>,
}

/// The functions of one data type and origin.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FamilyReport {
    /// Data type; `other` where the names do not tell.
    pub data_type: &'static str,
    /// Where the functions come from.
    pub origin: &'static str,
    /// How many are what.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How many functions are what. A function counts once, by the worst that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Functions, kernels included.
    pub functions: u32,
    /// Kernels.
    pub kernels: u32,
    /// Functions with an instruction that the card lacks.
    pub illegal: u32,
    /// Functions that are legal and run into another rule.
    pub hazardous: u32,
    /// Functions that could not be decoded throughout and run into nothing.
    pub unclear: u32,
    /// Functions that run into nothing.
    pub clean: u32,
    /// Functions per severity; a function counts under each that it has.
    pub severities: BTreeMap<Severity, u32>,
    /// Per rule.
    pub rules: BTreeMap<Rule, RuleCount>,
    /// Functions per instruction that the card lacks.
    pub missing: BTreeMap<String, u32>,
    /// Calls, and jumps whose target is not known; what a call leaves pending and
    /// what lies behind such a jump was judged as if nothing were pending.
    pub unresolved_jumps: u32,
}

/// How often a rule was hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuleCount {
    /// Functions.
    pub functions: u32,
    /// Places.
    pub sites: u32,
}

/// Something that could not be read.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProblemReport {
    /// The file.
    pub path: String,
    /// What is wrong.
    pub error: String,
}

/// What a function is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It has an instruction that the card lacks.
    Illegal,
    /// It runs into another rule.
    Hazardous,
    /// It could not be decoded throughout.
    Unclear,
    /// It runs into nothing.
    Clean,
}

impl Scanned<'_> {
    /// What the function is.
    pub fn verdict(&self) -> Verdict {
        let has = |rule: &Rule| self.analysis.has(*rule);
        if has(&Rule::MissingInstruction) {
            Verdict::Illegal
        } else if Rule::ALL.iter().any(has) {
            Verdict::Hazardous
        } else if self.analysis.undecoded > 0 || self.analysis.bad_branches > 0 {
            Verdict::Unclear
        } else {
            Verdict::Clean
        }
    }
}

impl Counts {
    /// Adds a function.
    pub fn add(&mut self, function: &Scanned<'_>) {
        self.functions += 1;
        self.kernels += u32::from(function.is_kernel);
        *match function.verdict() {
            Verdict::Illegal => &mut self.illegal,
            Verdict::Hazardous => &mut self.hazardous,
            Verdict::Unclear => &mut self.unclear,
            Verdict::Clean => &mut self.clean,
        } += 1;
        let mut severities = BTreeSet::new();
        for rule in Rule::ALL.into_iter().filter(|rule| function.analysis.has(*rule)) {
            let count = self.rules.entry(rule).or_default();
            count.functions += 1;
            count.sites = count.sites.saturating_add(function.analysis.counts[rule as usize]);
            severities.insert(rule.info().severity);
        }
        for severity in severities {
            *self.severities.entry(severity).or_default() += 1;
        }
        for name in &function.missing {
            *self.missing.entry(name.clone()).or_default() += 1;
        }
        self.unresolved_jumps = self.unresolved_jumps.saturating_add(function.analysis.unresolved);
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: &Self) {
        self.functions += other.functions;
        self.kernels += other.kernels;
        self.illegal += other.illegal;
        self.hazardous += other.hazardous;
        self.unclear += other.unclear;
        self.clean += other.clean;
        self.unresolved_jumps = self.unresolved_jumps.saturating_add(other.unresolved_jumps);
        for (severity, count) in &other.severities {
            *self.severities.entry(*severity).or_default() += count;
        }
        for (rule, count) in &other.rules {
            let sum = self.rules.entry(*rule).or_default();
            sum.functions += count.functions;
            sum.sites = sum.sites.saturating_add(count.sites);
        }
        for (name, count) in &other.missing {
            *self.missing.entry(name.clone()).or_default() += count;
        }
    }
}

impl CodeReport {
    fn new(target: Target) -> Self {
        Self { target, objects: 0, bytes: 0, families: Vec::new() }
    }

    /// The entry of a family, made where there is none.
    pub(super) fn family(&mut self, family: &Family) -> &mut FamilyReport {
        let key = |report: &FamilyReport| (report.data_type, report.origin);
        let index = match self.families.binary_search_by_key(&(family.data_type, family.origin), key) {
            Ok(index) => index,
            Err(index) => {
                let (data_type, origin) = (family.data_type, family.origin);
                self.families.insert(index, FamilyReport { data_type, origin, counts: Counts::default() });
                index
            }
        };
        &mut self.families[index]
    }

    /// The sums over the families of each data type, whatever their origin.
    pub fn by_data_type(&self) -> Vec<(&'static str, Counts)> {
        let mut types: Vec<(&str, Counts)> = Vec::new();
        // Families are in order, so that those of one data type follow one another.
        for family in &self.families {
            match types.last_mut().filter(|(name, _)| *name == family.data_type) {
                Some((_, counts)) => counts.merge(&family.counts),
                None => types.push((family.data_type, family.counts.clone())),
            }
        }
        types
    }

    /// The sum over all families.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for family in &self.families {
            counts.merge(&family.counts);
        }
        counts
    }
}

impl FileReport {
    pub(super) fn new(path: &Path, member: Option<&str>) -> Self {
        let path = path.display().to_string();
        Self { path, member: member.map(str::to_owned), targets: BTreeSet::new(), code: Vec::new() }
    }

    pub(super) fn code(&mut self, target: Target) -> &mut CodeReport {
        code_entry(&mut self.code, target)
    }
}

fn code_entry(list: &mut Vec<CodeReport>, target: Target) -> &mut CodeReport {
    let index = match list.binary_search_by_key(&target, |code| code.target) {
        Ok(index) => index,
        Err(index) => {
            list.insert(index, CodeReport::new(target));
            index
        }
    };
    &mut list[index]
}

impl ProblemReport {
    pub(super) fn new(problem: &Problem) -> Self {
        Self { path: problem.path.display().to_string(), error: problem.error.to_string() }
    }
}

impl Report {
    pub(super) fn new(on: Target) -> Self {
        Self { version: VERSION, on, files: Vec::new(), total: Vec::new(), rules: Vec::new(), problems: Vec::new() }
    }

    /// Several results about the same card as one.
    pub fn merged(on: Target, reports: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::new(on);
        for report in reports {
            all.files.extend(report.files);
            all.problems.extend(report.problems);
        }
        all.finish();
        all
    }

    pub(super) fn problem_in_last_file(&mut self, error: &dyn std::fmt::Display) {
        let path = self.files.last().map(|file| file.path.clone()).unwrap_or_default();
        self.problems.push(ProblemReport { path, error: error.to_string() });
    }

    /// Drops files without device code and sums up.
    pub(super) fn finish(&mut self) {
        self.files.retain(|file| !file.targets.is_empty());
        for file in &self.files {
            for code in &file.code {
                let sum = code_entry(&mut self.total, code.target);
                sum.objects += code.objects;
                sum.bytes += code.bytes;
                for family in &code.families {
                    let key = Family { data_type: family.data_type, origin: family.origin };
                    sum.family(&key).counts.merge(&family.counts);
                }
            }
        }
        let hit = |rule: &Rule| self.total.iter().any(|code| code.counts().rules.contains_key(rule));
        self.rules = Rule::ALL.into_iter().filter(hit).map(|rule| *rule.info()).collect();
    }

    /// What was found in code for a target; `None` where there is no such code.
    pub fn code(&self, target: Target) -> Option<&CodeReport> {
        self.total.iter().find(|code| code.target == target)
    }

    /// All targets that the files carry code for.
    pub fn targets(&self) -> BTreeSet<&str> {
        self.files.iter().flat_map(|file| &file.targets).map(String::as_str).collect()
    }
}
