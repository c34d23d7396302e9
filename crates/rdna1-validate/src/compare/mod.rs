// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate compare`: the reports of many machines, side by side: what
//! passed where, and what passed earlier and does not any more.
//!
//! Exit status: 0 nothing got worse; 1 something did; 2 usage; 3 a report cannot
//! be read.

mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args as ClapArgs;
use serde::Serialize;

use crate::Outcome;
use crate::report::{self, Report, Verdict};

/// Exit status where something got worse.
const WORSE: u8 = 1;

/// More bytes than any report has.
const REPORT_MAX: u64 = 64 << 20;

/// Arguments of the subcommand.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Reports as --format json or --report FILE.json writes them.
    #[arg(required = true, value_name = "FILE", num_args = 1..)]
    pub reports: Vec<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub json: bool,
}

/// One report in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// The report's file.
    pub file: String,
    /// When it began.
    pub started: String,
    /// The card, or the device where there is none.
    pub card: String,
    /// The kernel's release.
    pub kernel: String,
    /// ROCm's version, or HIP's or CUDA's.
    pub rocm: String,
    /// PyTorch's version.
    pub torch: String,
    /// The profile that was in force.
    pub profile: String,
    /// The gfx choice that was in force.
    pub gfx: String,
    /// How many cases passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// What is broken, in a line.
    pub diagnosis: String,
    /// Seconds in PyTorch for the cases that passed in every run; absent where there are none.
    pub common_seconds: Option<f64>,
}

/// A case that did not pass everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// The case.
    pub case: String,
    /// Its verdict in each run, in the order of the runs; absent where it was not selected.
    pub verdicts: Vec<Option<Verdict>>,
}

/// Cases that passed in an earlier run and fail in a later one of the same card,
/// profile and gfx choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Regression {
    /// The earlier run, as a place in `runs`.
    pub from: usize,
    /// The later run.
    pub to: usize,
    /// What else differs between them.
    pub changed: Vec<String>,
    /// The cases.
    pub cases: Vec<String>,
}

/// What `compare --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// Version of this document's form; grows when a field changes its meaning or goes.
    pub version: u32,
    /// The runs, by card, profile, gfx choice and time.
    pub runs: Vec<Run>,
    /// How many cases passed in every run.
    pub passed_everywhere: usize,
    /// The cases that did not.
    pub differences: Vec<Difference>,
    /// What got worse.
    pub regressions: Vec<Regression>,
}

/// Runs the subcommand.
///
/// # Errors
/// If a report cannot be read.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut reports = Vec::new();
    for file in &args.reports {
        reports.push((file.display().to_string(), read(file)?));
    }
    let comparison = compare(reports);
    let stdout = if args.json { serde_json::to_string_pretty(&comparison)? + "\n" } else { page::render(&comparison) };
    let status = if comparison.regressions.is_empty() { 0 } else { WORSE };
    Ok(Outcome { stdout, stderr: String::new(), status })
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let what = || format!("{} is no report of rdna1-validate --format json", file.display());
    let metadata = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(metadata.is_file(), "{} is no file", file.display());
    ensure!(metadata.len() <= REPORT_MAX, "{}: it is larger than {REPORT_MAX} bytes", what());
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // The version first: of another form nothing else can be understood.
    let value: serde_json::Value = serde_json::from_str(&text).with_context(what)?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    ensure!(
        version == Some(report::VERSION.into()),
        "{}: this program reads version {} of the form; it has {}",
        what(),
        report::VERSION,
        version.map_or_else(|| "none".to_owned(), |version| version.to_string())
    );
    serde_json::from_value(value).with_context(what)
}

impl Run {
    fn of(file: String, report: &Report) -> Self {
        let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let cards: Vec<&str> = report.machine.cards.iter().map(|card| card.name.as_str()).collect();
        let on_card = report.device.kind != "cpu" && !cards.is_empty();
        let software = &report.software;
        let cuda = || software.cuda.as_ref().map(|cuda| format!("CUDA {cuda}"));
        Self {
            file,
            started: report.started.clone(),
            card: if on_card { cards.join(", ") } else { report.device.name.clone() },
            kernel: or(&report.machine.kernel),
            rocm: or(&software.rocm.clone().or_else(|| software.hip.clone()).or_else(cuda)),
            torch: software.torch.clone(),
            profile: or(&report.environment.profile),
            gfx: or(&report.environment.gfx),
            passed: report.counts.passed,
            failed: report.counts.failed,
            diagnosis: report.diagnosis.summary.clone(),
            common_seconds: None,
        }
    }

    /// What a run must share with another to be compared in time.
    fn group(&self) -> (&str, &str, &str) {
        (&self.card, &self.profile, &self.gfx)
    }
}

/// A run, and verdict and seconds of its cases by name.
type Entry = (Run, BTreeMap<String, (Verdict, f64)>);

/// Compares reports, each with the name of its file.
pub fn compare(reports: Vec<(String, Report)>) -> Comparison {
    let mut entries: Vec<Entry> = Vec::new();
    for (file, report) in reports {
        let cases = report.cases.iter().map(|case| (case.name.clone(), (case.verdict, case.torch_seconds))).collect();
        entries.push((Run::of(file, &report), cases));
    }
    // RFC 3339 in UTC sorts by time.
    entries.sort_by(|(a, _), (b, _)| a.group().cmp(&b.group()).then_with(|| a.started.cmp(&b.started)));
    let names: BTreeSet<String> = entries.iter().flat_map(|(_, cases)| cases.keys().cloned()).collect();
    let verdicts = |name: &String| -> Vec<Option<Verdict>> {
        entries.iter().map(|(_, cases)| cases.get(name).map(|(verdict, _)| *verdict)).collect()
    };
    let (mut common, mut differences) = (Vec::new(), Vec::new());
    for name in &names {
        let verdicts = verdicts(name);
        if verdicts.iter().all(|verdict| *verdict == Some(Verdict::Pass)) {
            common.push(name.clone());
        } else if verdicts.iter().flatten().copied().any(is_without_result) {
            differences.push(Difference { case: name.clone(), verdicts });
        }
    }
    let regressions = regressions(&entries);
    let seconds = |cases: &BTreeMap<String, (Verdict, f64)>| {
        let times = common.iter().filter_map(|name| cases.get(name)).map(|(_, seconds)| seconds);
        (!common.is_empty()).then(|| times.sum())
    };
    let runs = entries.iter().map(|(run, cases)| Run { common_seconds: seconds(cases), ..run.clone() }).collect();
    Comparison { version: 1, runs, passed_everywhere: common.len(), differences, regressions }
}

/// Whether a program would have got no right result: also where the profile is
/// known to refuse, as that may have come with a newer PyTorch.
fn is_without_result(verdict: Verdict) -> bool {
    verdict.is_failure() || verdict == Verdict::Refused
}

/// Of each group, each run against the one before.
fn regressions(entries: &[Entry]) -> Vec<Regression> {
    let mut found = Vec::new();
    for (to, pair) in entries.windows(2).enumerate().map(|(from, pair)| (from + 1, pair)) {
        let [(earlier, before), (later, after)] = pair else { continue };
        if earlier.group() != later.group() {
            continue;
        }
        let passed = |name: &&String| before.get(*name).is_some_and(|(verdict, _)| *verdict == Verdict::Pass);
        let failing = after.iter().filter(|(_, (verdict, _))| is_without_result(*verdict)).map(|(name, _)| name);
        let cases: Vec<String> = failing.filter(passed).cloned().collect();
        let changes = [
            ("kernel", &earlier.kernel, &later.kernel),
            ("ROCm", &earlier.rocm, &later.rocm),
            ("torch", &earlier.torch, &later.torch),
        ];
        let changed = changes.iter().filter(|(_, a, b)| a != b).map(|(what, a, b)| format!("{what} {a} -> {b}"));
        if !cases.is_empty() {
            found.push(Regression { from: to - 1, to, changed: changed.collect(), cases });
        }
    }
    found
}
