// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what came back of a case to its verdict. The worker measures; whether
//! that is good enough is decided here alone.

use std::os::unix::process::ExitStatusExt;

use crate::cases::{self, Case, Work};
use crate::report::{CaseResult, Check, Verdict};
use crate::solvers::{self, Allowed};
use crate::worker::protocol::{Failure, Measured, Measurement};
use crate::worker::{Exchange, Lost, Reply};

/// Lines of what the worker printed that a failure shows.
const PRINTED_LINES: usize = 12;

/// A case before it has a verdict.
pub fn open(case: &Case) -> CaseResult {
    CaseResult {
        name: case.name.clone(),
        family: case.family.clone(),
        about: case.work.to_string(),
        layer: case.layer,
        verdict: Verdict::NotRun,
        detail: None,
        remedy: None,
        phase: None,
        checks: Vec::new(),
        solvers: Vec::new(),
        seconds: 0.0,
        torch_seconds: 0.0,
        warm_seconds: None,
        printed: None,
    }
}

/// A case that could not be run, and why.
pub fn closed(case: &Case, verdict: Verdict, detail: impl Into<String>) -> CaseResult {
    let remedy = verdict.remedy().map(str::to_owned);
    CaseResult { verdict, detail: Some(detail.into()), remedy, ..open(case) }
}

/// Judges what came of a case.
pub fn judge(case: &Case, exchange: &Exchange, allowed: Allowed) -> CaseResult {
    let mut result = open(case);
    result.seconds = exchange.seconds;
    result.solvers = solvers::used(&exchange.log, allowed);
    let (verdict, detail) = match &exchange.outcome {
        Ok(Reply::Answer(answer)) => match serde_json::from_value::<Measured>(answer.clone()) {
            Ok(measured) => {
                result.torch_seconds = measured.torch_seconds;
                result.warm_seconds = measured.warm_seconds;
                answered(case, &measured, &mut result, exchange.late, allowed)
            }
            Err(error) => (Verdict::Garbage, Some(format!("the answer is none: {error}"))),
        },
        Ok(Reply::Failed(failure)) => refused(failure),
        Err(lost) => {
            let (verdict, detail) = explain(lost);
            (verdict, Some(detail))
        }
    };
    result.verdict = verdict;
    result.detail = detail;
    result.remedy = verdict.remedy().map(str::to_owned);
    if verdict.is_failure() {
        // An answer is about the whole case; its quantities say where it is wrong.
        if !matches!(exchange.outcome, Ok(Reply::Answer(_))) {
            result.phase.clone_from(&exchange.phase);
        }
        result.printed = exchange.log.tail(PRINTED_LINES);
    }
    result
}

/// An exception.
fn refused(failure: &Failure) -> (Verdict, Option<String>) {
    let verdict = match failure {
        Failure { out_of_memory: true, .. } => Verdict::OutOfMemory,
        Failure { unsupported: true, .. } => Verdict::Skipped,
        Failure { different_start: true, .. } => Verdict::NoReference,
        _ => Verdict::Error,
    };
    (verdict, Some(failure.message.clone()))
}

/// A worker that was lost, in words.
pub fn explain(lost: &Lost) -> (Verdict, String) {
    match lost {
        Lost::NotStarted(why) => (Verdict::NoAnswer, why.clone()),
        Lost::Timeout => (Verdict::Timeout, "no answer within the time limit; the worker was killed".into()),
        Lost::Died(status) => match status.signal() {
            Some(9) => (
                Verdict::OutOfMemory,
                "the worker was killed by SIGKILL, not by us: the machine's memory ran out, most likely".into(),
            ),
            Some(_) => (Verdict::Crash, crate::worker::death(*status)),
            None => (Verdict::NoAnswer, crate::worker::death(*status)),
        },
        Lost::Garbage(what) => (Verdict::Garbage, format!("what came back is no answer: {what}")),
        Lost::Stuck(pid, state) => {
            (Verdict::Stuck, format!("process {pid} does not die although it was killed; its state is {state}"))
        }
        Lost::Interrupted => (Verdict::NotRun, "interrupted".into()),
    }
}

fn answered(
    case: &Case,
    measured: &Measured,
    result: &mut CaseResult,
    late: bool,
    allowed: Allowed,
) -> (Verdict, Option<String>) {
    let limits = match (&case.work, measured.cpu_error) {
        (Work::ModelInference(_), Some(error)) => vec![("output", cases::of_model(error))],
        (work, _) => cases::limits(work),
    };
    if let Some((missing, _)) = limits.iter().find(|(name, _)| !measured.checks.iter().any(|c| c.quantity == *name)) {
        let shape = measured.checks.iter().find_map(|check| check.shape.clone());
        // After a wrong shape there is nothing to take gradients of.
        if shape.is_none() {
            return (Verdict::Garbage, Some(format!("the answer says nothing about {missing}")));
        }
    }
    for measurement in &measured.checks {
        let Some((_, limit)) = limits.iter().find(|(name, _)| *name == measurement.quantity) else {
            return (Verdict::Garbage, Some(format!("nobody asked about {:?}", measurement.quantity)));
        };
        result.checks.push(check(measurement, limit.limit, limit.reduction));
    }
    let failed = |fails: &dyn Fn(&Check) -> bool| result.checks.iter().find(|check| fails(check));
    if let Some(check) = failed(&|check| check.shape.is_some()) {
        let shape = check.shape.clone().unwrap_or_default();
        return (Verdict::Wrong, Some(format!("{} has the shape {shape}", check.quantity)));
    }
    if let Some(check) = failed(&|check| check.nan > 0 || check.inf > 0 || check.error.is_none()) {
        let text = match (check.nan, check.inf) {
            (0, 0) => format!("{} is no number", check.quantity),
            (nan, inf) => format!("{} holds {nan} NaN and {inf} infinite values", check.quantity),
        };
        return (Verdict::NotFinite, Some(text));
    }
    if let Some(check) = failed(&|check| !check.passed) {
        let error = check.error.unwrap_or_default();
        if check.run_to_run.is_some_and(|difference| difference > check.limit && difference > error / 4.0) {
            let text =
                format!("{} differs by {:.1e} between two runs", check.quantity, check.run_to_run.unwrap_or_default());
            return (Verdict::Unstable, Some(text));
        }
        let text = if check.quantity == "loss" {
            format!(
                "{error:.2} of the decline that the gradients promise is missing in the loss; {} is allowed",
                check.limit
            )
        } else {
            format!("{} is off by {error:.1e} of the largest value; {:.1e} is allowed", check.quantity, check.limit)
        };
        return (Verdict::Wrong, Some(text));
    }
    if let Some(other) = result.solvers.iter().find(|solver| !solver.allowed) {
        let text = format!("MIOpen used {} in {}; the profile allows {}", other.name, other.phase, allowed.words());
        return (Verdict::Solver, Some(text));
    }
    if late {
        return (Verdict::Late, Some("the answer is right but came after the time limit".into()));
    }
    (Verdict::Pass, None)
}

fn check(measurement: &Measurement, limit: f64, reduction: u64) -> Check {
    let Measurement { quantity, error, largest, nan, inf, run_to_run, shape } = measurement.clone();
    let right = error.is_some_and(|error| error <= limit);
    let same = run_to_run.is_none_or(|difference| difference <= limit);
    let passed = right && same && nan == 0 && inf == 0 && shape.is_none();
    Check { quantity, error, limit, reduction, largest, nan, inf, run_to_run, shape, passed }
}
