// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan as a page.

use std::fmt::Write;

use super::{Entry, Report, Step};
use crate::card::size_text;

pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    let card = &report.card;
    let _ = writeln!(
        out,
        "{} under profile {} on {}, {}",
        report.subject,
        report.profile,
        card.target,
        size_text(card.vram)
    );
    let _ = writeln!(out, "find mode {}, answered by {}\n", report.find_mode.number(), report.answered_by);
    let width = report.entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let shown = report.entries.iter().map(|entry| entry.shown.len()).max().unwrap_or(0);
    for entry in &report.entries {
        let times = if entry.times > 1 { format!("x{}", entry.times) } else { String::new() };
        let _ = write!(out, "{:width$}  {times:>4}  {:shown$}  ", entry.name, entry.shown);
        steps(&mut out, entry);
    }
    totals(&mut out, report);
    out
}

/// Directions with the same fate share a line.
fn steps(out: &mut String, entry: &Entry) {
    let mut rest: Vec<&Step> = entry.steps.iter().collect();
    let mut parts = Vec::new();
    while let Some(first) = rest.first().copied() {
        let same =
            |step: &&Step| (step.verdict, step.workspace, &step.why) == (first.verdict, first.workspace, &first.why);
        let letters: String =
            rest.iter().copied().filter(|step| same(step)).map(|step| step.direction.letter()).collect();
        rest.retain(|step| !same(step));
        let mut part = format!("{letters} {}", first.verdict.text());
        if first.workspace > 0 {
            let _ = write!(part, ", {}", size_text(first.workspace));
        }
        if let Some(why) = &first.why {
            let _ = write!(part, ": {why}");
        }
        if let Some(profile) = &first.served_by {
            let _ = write!(part, " (served by {profile})");
        }
        parts.push(part);
    }
    let _ = writeln!(out, "{}", parts.join("; "));
}

fn totals(out: &mut String, report: &Report) {
    let summary = &report.summary;
    let _ = writeln!(out, "\n{} computations:", summary.steps);
    for (verdict, count) in &summary.by_verdict {
        let _ = writeln!(out, "  {count:6}  {}", verdict.text());
    }
    let (workspace, memory) = (size_text(summary.largest_workspace), size_text(summary.largest_memory));
    let _ = writeln!(out, "largest workspace {workspace}; largest single convolution with its tensors {memory}");
    for note in &report.device_code {
        let _ = writeln!(
            out,
            "{}: code for {} in {} on this {}: {}",
            note.data_type.name(),
            note.code,
            note.stack,
            note.card,
            note.found.join("; ")
        );
    }
    out.push_str("Speed, correct results and hangs cannot be planned; only a run on the card shows them.\n");
}
