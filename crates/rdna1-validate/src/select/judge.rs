// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the report of a validation to what it says of a candidate.

use std::collections::BTreeMap;

use crate::report::{CaseResult, End, Layer, Report, Verdict as CaseVerdict};

use super::choose::{Outcome, Verdict};

/// What a report says of the candidate that was measured.
pub fn outcome(report: &Report) -> Outcome {
    let tried: Vec<&CaseResult> = report.cases.iter().filter(|case| tells(case.verdict)).collect();
    let worst = tried.iter().map(|case| (weight(case.verdict), case)).max_by_key(|(weight, _)| *weight);
    let passed = || tried.iter().filter(|case| case.verdict == CaseVerdict::Pass);
    let timed = |case: &&CaseResult| Some((case.name.clone(), case.warm_seconds?));
    let times: BTreeMap<String, f64> = passed().filter_map(timed).collect();
    let untimed = passed().filter(|case| case.warm_seconds.is_none()).count();
    let verdict = match worst.map(|(_, case)| case.verdict) {
        None => Verdict::CouldNotRun,
        Some(_) if passed().next().is_none() && worst.is_some_and(|(weight, _)| weight == 1) => Verdict::CouldNotRun,
        Some(verdict) => of_case(verdict),
    };
    let told = |case: &CaseResult| {
        let detail = case.detail.as_deref().and_then(|detail| detail.lines().next()).unwrap_or_default();
        format!("{}: {}{}{detail}", case.name, case.verdict.word(), if detail.is_empty() { "" } else { ", " })
    };
    let no_reference = report.cases.iter().find(|case| case.verdict == CaseVerdict::NoReference);
    let note = match (&report.end, worst) {
        (End::Stopped { why }, None) => Some(why.clone()),
        (_, None) => no_reference.map(told),
        (_, Some((weight, case))) if weight > 0 => Some(told(case)),
        _ => None,
    };
    // Below convolution there is nothing that a profile could change.
    let lower = tried.iter().find(|case| {
        matches!(case.layer, Layer::Hip | Layer::Rocblas)
            && case.verdict != CaseVerdict::OutOfMemory
            && case.verdict.is_failure()
    });
    let stuck = tried.iter().any(|case| case.verdict == CaseVerdict::Stuck);
    Outcome {
        verdict,
        tried: u32::try_from(tried.len()).unwrap_or(u32::MAX),
        times,
        untimed: u32::try_from(untimed).unwrap_or(u32::MAX),
        note,
        gfx_is_broken: lower.map(|case| {
            format!("under this gfx choice {} fails, which no profile changes ({})", case.layer.name(), case.name)
        }),
        gpu_is_lost: stuck.then(|| "a process cannot be killed and holds the card: reboot, then call it again".into()),
    }
}

/// Whether a case's verdict says anything of the candidate. Where the CPU's
/// reference failed, it does not.
fn tells(verdict: CaseVerdict) -> bool {
    !matches!(verdict, CaseVerdict::Skipped | CaseVerdict::NotRun | CaseVerdict::NoReference)
}

/// How much a case's verdict tells against a candidate.
fn weight(verdict: CaseVerdict) -> u8 {
    match of_case(verdict) {
        Verdict::Hung => 4,
        Verdict::Crashed => 3,
        Verdict::Wrong => 2,
        Verdict::RefusesSome => 1,
        _ => 0,
    }
}

fn of_case(verdict: CaseVerdict) -> Verdict {
    match verdict {
        CaseVerdict::Pass | CaseVerdict::Skipped | CaseVerdict::NotRun | CaseVerdict::NoReference => Verdict::Passed,
        // Late is slow and not hung; memory may be another program's; a solver that
        // the profile rules out is none that computed wrongly.
        CaseVerdict::Error
        | CaseVerdict::Refused
        | CaseVerdict::OutOfMemory
        | CaseVerdict::Late
        | CaseVerdict::Solver => Verdict::RefusesSome,
        CaseVerdict::Wrong | CaseVerdict::NotFinite | CaseVerdict::Unstable => Verdict::Wrong,
        CaseVerdict::Crash | CaseVerdict::NoAnswer | CaseVerdict::Garbage => Verdict::Crashed,
        CaseVerdict::Timeout | CaseVerdict::Stuck => Verdict::Hung,
    }
}
