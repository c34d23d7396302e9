// SPDX-License-Identifier: MIT OR Apache-2.0
//! A report as a page for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::report::{CaseResult, Counts, End, Report, Verdict};

const TITLE: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Failures that are explained; the rest is counted.
const EXPLAINED: usize = 20;

/// The page.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    head(report, &mut out);
    families(report, &mut out);
    failures(report, &mut out);
    foot(report, &mut out);
    out
}

/// Writing to a string does not fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {{ let _ = writeln!($out, $($text)*); }};
}

fn head(report: &Report, out: &mut String) {
    let (software, device) = (&report.software, &report.device);
    let build = match (&software.hip, &software.cuda) {
        (Some(hip), _) => format!("HIP {hip}"),
        (None, Some(cuda)) => format!("CUDA {cuda}"),
        (None, None) => "CPU build".to_owned(),
    };
    let arch = device.arch.as_ref().map(|arch| format!(", {arch}")).unwrap_or_default();
    put!(out, "{TITLE}device{TITLE:#}       {}{arch} ({})", device.name, device.kind);
    put!(
        out,
        "{TITLE}software{TITLE:#}     torch {}, {build}, Python {} ({}, by {})",
        software.torch,
        report.interpreter.python,
        report.interpreter.path,
        report.interpreter.chosen_by
    );
    let environment = &report.environment;
    if let Some(profile) = &environment.profile {
        let gfx = environment.gfx.as_ref().map(|gfx| format!(", gfx choice {gfx}")).unwrap_or_default();
        put!(out, "{TITLE}profile{TITLE:#}      {profile}{gfx}");
    }
    for remark in &environment.remarks {
        put!(out, "  {remark}");
    }
    put!(out, "");
}

/// A family's row.
#[derive(Default)]
struct Row<'a> {
    counts: Counts,
    worst: Option<(f64, &'a CaseResult)>,
    seconds: f64,
    varies: usize,
}

fn families(report: &Report, out: &mut String) {
    let mut order: Vec<&str> = Vec::new();
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for case in &report.cases {
        if !rows.contains_key(case.family.as_str()) {
            order.push(&case.family);
        }
        let row = rows.entry(&case.family).or_default();
        row.counts.add(case.verdict);
        row.varies += usize::from(!case.is_repeatable());
        row.seconds += case.seconds;
        if let Some(ratio) = case.worst().filter(|ratio| row.worst.is_none_or(|(worst, _)| *ratio > worst)) {
            row.worst = Some((ratio, case));
        }
    }
    put!(
        out,
        "{TITLE}{:16} {:>5} {:>6}  {:28} {:>8}{TITLE:#}",
        "family",
        "cases",
        "passed",
        "worst error (of allowed)",
        "seconds"
    );
    for family in order {
        let row = &rows[family];
        let counts = row.counts;
        let worst = row.worst.map(|(ratio, case)| worst(ratio, case)).unwrap_or_default();
        let style = if counts.failed == 0 { GOOD } else { BAD };
        let mut remarks = Vec::new();
        for (count, what) in [
            (counts.refused, "refused by the profile"),
            (counts.no_reference, "without a reference"),
            (counts.skipped, "skipped"),
            (counts.not_run, "not run"),
            (row.varies, "not repeatable bit by bit"),
        ] {
            if count > 0 {
                remarks.push(format!("{count} {what}"));
            }
        }
        put!(
            out,
            "{:16} {:>5} {style}{:>6}{style:#}  {worst:28} {:>8.1}  {}",
            family,
            counts.selected,
            counts.passed,
            row.seconds,
            remarks.join(", ")
        );
    }
    put!(out, "");
}

/// `1.2e-6 (9 %)`: the error that comes nearest to its limit.
fn worst(ratio: f64, case: &CaseResult) -> String {
    let error = case.checks.iter().filter_map(|check| Some((check.error? / check.limit, check.error?)));
    let error = error.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, error)| error).unwrap_or_default();
    if ratio.is_nan() || ratio.is_infinite() {
        format!("{error:.1e}")
    } else {
        format!("{error:.1e} ({:.0} %)", ratio * 100.0)
    }
}

fn failures(report: &Report, out: &mut String) {
    let explained = |case: &&CaseResult| {
        case.verdict.is_failure() || matches!(case.verdict, Verdict::Refused | Verdict::NoReference)
    };
    let failed: Vec<&CaseResult> = report.cases.iter().filter(explained).collect();
    let (mut remedies, mut details): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for case in failed.iter().take(EXPLAINED) {
        put!(out, "{BAD}{}{BAD:#} {}: {}", case.verdict, case.name, case.about);
        let detail = case.detail.as_deref().unwrap_or_default();
        if !detail.is_empty() && details.contains(&detail) {
            put!(out, "  as above");
            continue;
        }
        details.push(detail);
        let phase = case.phase.as_ref().map(|phase| format!("in {phase}: ")).unwrap_or_default();
        put!(out, "  {phase}{detail}");
        for line in case.printed.iter().flat_map(|text| text.lines()) {
            put!(out, "  | {line}");
        }
        if let Some(remedy) = case.remedy.as_deref().filter(|remedy| !remedies.contains(remedy)) {
            put!(out, "  {remedy}");
            remedies.push(remedy);
        }
    }
    if failed.len() > EXPLAINED {
        put!(out, "and {} more; --format json has them all", failed.len() - EXPLAINED);
    }
    let skipped: BTreeMap<&str, usize> = report
        .cases
        .iter()
        .filter(|case| case.verdict == Verdict::Skipped)
        .filter_map(|case| case.detail.as_deref())
        .fold(BTreeMap::new(), |mut counts, why| {
            *counts.entry(why).or_default() += 1;
            counts
        });
    for (why, count) in &skipped {
        put!(out, "{count} skipped: {}", why.lines().next().unwrap_or_default());
    }
    if !failed.is_empty() || !skipped.is_empty() {
        put!(out, "");
    }
}

fn foot(report: &Report, out: &mut String) {
    if let Some(shown) = report.shown {
        let names: std::collections::BTreeSet<&str> =
            report.cases.iter().flat_map(|case| &case.solvers).map(|solver| solver.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
        put!(
            out,
            "MIOpen's log shows by what {} of {} steps of convolutions were computed: {names}",
            shown.steps,
            shown.of
        );
    }
    match &report.end {
        End::Complete => {}
        End::Interrupted => put!(out, "{BAD}interrupted{BAD:#}: {} cases were not run", report.counts.not_run),
        End::Stopped { why } => put!(out, "{BAD}stopped{BAD:#}: {why}; {} cases were not run", report.counts.not_run),
    }
    let counts = &report.counts;
    let style = if report.passed { GOOD } else { BAD };
    put!(
        out,
        "{style}{}{style:#}: {} of {} cases passed, {} failed, {}{} skipped, in {:.0} s",
        report.diagnosis.summary,
        counts.passed,
        counts.selected,
        counts.failed,
        if counts.refused > 0 { format!("{} refused, ", counts.refused) } else { String::new() },
        counts.skipped,
        report.timing.wall
    );
    if !report.passed {
        for reason in &report.diagnosis.reasons {
            put!(out, "  {reason}");
        }
    }
}
