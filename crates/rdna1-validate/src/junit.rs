// SPDX-License-Identifier: MIT OR Apache-2.0
//! A report as JUnit XML, for continuous integration.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use crate::report::{CaseResult, Report, Verdict};

/// The document: a suite for each family.
///
/// # Errors
/// None that a report of ours could cause.
pub fn render(report: &Report) -> anyhow::Result<String> {
    let mut junit = Junit::new("rdna1-validate");
    junit.set_time(Duration::from_secs_f64(report.timing.wall));
    let mut suites: Vec<TestSuite> = Vec::new();
    for case in &report.cases {
        let known = suites.iter().position(|suite| suite.name.as_str() == case.family);
        let at = known.unwrap_or_else(|| {
            suites.push(TestSuite::new(&case.family));
            suites.len() - 1
        });
        suites[at].add_test_case(test_case(case));
    }
    junit.add_test_suites(suites);
    Ok(junit.to_string()?)
}

fn test_case(case: &CaseResult) -> TestCase {
    let detail = case.detail.clone().unwrap_or_default();
    let mut status = match case.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Refused | Verdict::Skipped | Verdict::NotRun => TestCaseStatus::skipped(),
        // A wrong answer is a failure, no answer an error.
        Verdict::Wrong | Verdict::NotFinite | Verdict::Unstable | Verdict::Solver | Verdict::Late => {
            TestCaseStatus::non_success(NonSuccessKind::Failure)
        }
        _ => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if case.verdict != Verdict::Pass {
        status.set_message(detail).set_type(case.verdict.word());
    }
    let mut out = TestCase::new(&case.name, status);
    out.set_classname(&case.family).set_time(Duration::from_secs_f64(case.seconds));
    if let Some(printed) = &case.printed {
        out.set_system_err(printed);
    }
    out
}
