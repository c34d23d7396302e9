// SPDX-License-Identifier: MIT OR Apache-2.0
//! A report as metrics for the node exporter's textfile collector: write it
//! with `--report DIRECTORY/rdna1.prom`, for instance from a timer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use crate::report::{CaseResult, Layer, Report, Verdict};

/// Every layer, so that a metric is there also where nothing is broken.
const LAYERS: [Layer; 6] =
    [Layer::Hip, Layer::Rocblas, Layer::Native, Layer::MiopenBatchNorm, Layer::Convolution, Layer::Model];

/// The text exposition format.
struct Page(String);

impl Page {
    /// A metric, all of whose samples follow.
    fn metric(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP rdna1_validate_{name} {help}\n# TYPE rdna1_validate_{name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let value = if value.is_nan() {
            "NaN".to_owned()
        } else if value.is_infinite() {
            if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
        } else {
            value.to_string()
        };
        let _ = writeln!(self.0, "rdna1_validate_{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, help: &str, value: f64) {
        self.metric(name, help);
        self.sample(name, &[], value);
    }

    fn of_cases(&mut self, name: &str, help: &str, cases: &[CaseResult], value: impl Fn(&CaseResult) -> Option<f64>) {
        self.metric(name, help);
        for case in cases {
            if let Some(value) = value(case) {
                self.sample(name, &[("family", &case.family), ("case", &case.name)], value);
            }
        }
    }
}

/// A label's value: backslash, quote and line break have a meaning of their own.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Writes a report as metrics.
pub fn render(report: &Report) -> String {
    let mut page = Page(String::new());
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let card = report.machine.cards.first();
    page.metric("info", "What was validated; the value is always 1.");
    let labels = [
        ("version", report.program.clone()),
        ("card", card.map_or_else(|| report.device.name.clone(), |card| card.name.clone())),
        ("gfx_target", card.map_or_else(|| text(&report.device.arch), |card| card.gfx.clone())),
        ("device", report.device.kind.clone()),
        ("kernel", text(&report.machine.kernel)),
        ("rocm", text(&report.software.rocm)),
        ("hip", text(&report.software.hip)),
        ("torch", report.software.torch.clone()),
        ("profile", text(&report.environment.profile)),
        ("gfx_choice", text(&report.environment.gfx)),
    ];
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.sample("info", &labels, 1.0);
    page.single("passed", "Whether everything that was selected ran and passed.", truth(report.passed));
    let began = humantime::parse_rfc3339(&report.started).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    if let Some(began) = began {
        page.single("start_time_seconds", "When it began, in seconds since 1970.", began.as_secs_f64());
    }
    page.single("wall_seconds", "How long it took.", report.timing.wall);
    page.metric("cases", "How many cases had which outcome.");
    let counts = report.counts;
    for (outcome, number) in [
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("refused", counts.refused),
        ("no-reference", counts.no_reference),
        ("skipped", counts.skipped),
        ("not-run", counts.not_run),
    ] {
        page.sample("cases", &[("outcome", outcome)], number as f64);
    }
    page.metric("failures", "How many cases failed in which way.");
    let mut ways: BTreeMap<&str, f64> = BTreeMap::new();
    for case in report.cases.iter().filter(|case| case.verdict.is_failure()) {
        *ways.entry(case.verdict.word()).or_default() += 1.0;
    }
    for (way, number) in ways {
        page.sample("failures", &[("verdict", &way.to_lowercase())], number);
    }
    page.metric("layer_broken", "Whether this is the lowest part of the stack that failed.");
    for layer in LAYERS {
        page.sample("layer_broken", &[("layer", layer.name())], truth(report.diagnosis.broken == Some(layer)));
    }
    let tried = |case: &CaseResult| case.verdict == Verdict::Pass || case.verdict.is_failure();
    page.of_cases("case_passed", "Whether the case passed.", &report.cases, |case| {
        tried(case).then(|| truth(case.verdict == Verdict::Pass))
    });
    page.of_cases("case_seconds", "How long the case took in PyTorch.", &report.cases, |case| {
        (case.verdict == Verdict::Pass).then_some(case.torch_seconds)
    });
    page.of_cases(
        "case_error_ratio",
        "The largest error in units of the most that it may be.",
        &report.cases,
        |case| case.worst(),
    );
    page.0
}
