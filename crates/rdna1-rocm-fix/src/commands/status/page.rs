// SPDX-License-Identifier: MIT OR Apache-2.0
//! `status` as text.

use rdna1_core::gfx::Reach;
use rdna1_core::resolve::Inactive;
use rdna1_launch::survey;
use rdna1_stack::Fit;

use super::channels::ChannelState;
use super::{Document, Finding, Level};
use crate::commands::detect;
use crate::context::Context;
use crate::text::{BAD, DIM, GOOD, NOTE, TITLE, WARN, styled, wrapped};

/// `all`: explain also what only may apply.
pub(super) fn render(context: &Context, document: &Document<'_>, all: bool) -> String {
    let mut out = format!("{}\n\n", verdict(document));
    machine(context, document, &mut out);
    stacks(document, &mut out);
    measured(document, &mut out);
    environment(document, &mut out);
    if document.machine.has_card() {
        channels(document, &mut out);
    }
    let (brief, full): (Vec<&Finding>, Vec<&Finding>) =
        document.findings.iter().partition(|finding| !all && finding.background);
    findings(&full, &mut out);
    titles(&brief, &mut out);
    guidance(document, &mut out);
    out
}

fn stacks(document: &Document<'_>, out: &mut String) {
    if !document.machine.has_card() {
        return;
    }
    *out += &format!("\n{}\n", styled(TITLE, "ROCm and PyTorch"));
    if document.survey.is_empty() {
        *out += "  none found on the system and in the Python environment in use\n";
    }
    for judged in &document.survey {
        *out += &format!("{}\n", wrapped(2, &survey::describe(&judged.stack)));
        let (style, fit) = match judged.fit {
            Fit::Native => (GOOD, "has code for this card"),
            Fit::Compatible => (GOOD, "has code that this card runs unchanged"),
            Fit::Foreign => (WARN, "has code for other chips alone"),
            Fit::Unknown => (DIM, "no device code seen"),
        };
        let choice = judged.gfx.map(|gfx| format!("; run chooses gfx {gfx}")).unwrap_or_default();
        *out += &format!("    {}{choice}\n", styled(style, fit));
    }
}

fn measured(document: &Document<'_>, out: &mut String) {
    if document.recorded.is_empty() {
        return;
    }
    *out += &format!("\n{}\n", styled(TITLE, "Measured on this machine"));
    for standing in &document.recorded {
        let (style, state) = if standing.stale.is_empty() { (GOOD, "counts") } else { (WARN, "out of date") };
        *out += &format!("{}\n", wrapped(2, &format!("{} in {}", standing.pytorch, standing.path)));
        let process = format!("run: gfx {}, profile {}", standing.process.gfx, standing.process.profile);
        let machine = match &standing.machine {
            Some(machine) if standing.machine_wide => format!("; machine: {}, {}", machine.gfx, machine.profile),
            _ => String::new(),
        };
        *out += &format!("    {} {}{machine} ({})\n", standing.date, process, styled(style, state));
    }
}

fn guidance(document: &Document<'_>, out: &mut String) {
    let Some(advice) = &document.guidance else { return };
    *out += &format!("\n{}\n", styled(TITLE, "Shortest path to a working PyTorch"));
    *out += &format!("{}\n", wrapped(2, &advice.title));
    for (i, step) in advice.steps.iter().enumerate() {
        *out += &format!("{}\n", wrapped(4, &format!("{}. {step}", i + 1)));
    }
    *out += &format!("{}\n", wrapped(2, &format!("How certain: {}", advice.certain)));
    *out += &format!("{}\n", wrapped(2, &format!("Source: {}", advice.sources.join("; "))));
}

fn verdict(document: &Document<'_>) -> String {
    let errors = document.findings.iter().filter(|finding| finding.level == Level::Error).count();
    if errors > 0 {
        let s = if errors == 1 { "" } else { "s" };
        return styled(BAD, format!("{errors} error{s}: see below for what to do."));
    }
    match &document.resolution.inactive {
        Some(Inactive::NoCard) if document.machine.cards.is_empty() => {
            styled(GOOD, "No RDNA1 card here: nothing is set, nothing to do.")
        }
        Some(Inactive::NoCard) => styled(NOTE, "The RDNA1 card is held for a virtual machine: nothing is set."),
        Some(Inactive::Disabled { .. }) => styled(NOTE, "Switched off by the administrator: nothing is set."),
        // Errors have been dealt with above.
        Some(Inactive::Refused { .. }) | None => {
            let profile = &document.resolution.profile;
            match document.resolution.gfx.as_ref().filter(|gfx| !gfx.verified) {
                None => styled(GOOD, format!("RDNA1 card found; profile {profile} is in force.")),
                Some(gfx) => styled(
                    WARN,
                    format!(
                        "RDNA1 card found; profile {profile} is in force, gfx choice {} is unverified.",
                        gfx.choice
                    ),
                ),
            }
        }
    }
}

fn machine(context: &Context, document: &Document<'_>, out: &mut String) {
    *out += &format!("{}\n", styled(TITLE, "Machine"));
    for card in &document.machine.cards {
        *out += &format!("  card     {}\n           {}\n", detect::name(card), detect::details(card));
    }
    for gpu in &document.machine.other_gpus {
        let driver = gpu.driver.as_deref().unwrap_or("no driver");
        let gfx = gpu.gfx.map(|gfx| format!(", {gfx}")).unwrap_or_default();
        *out += &format!("  other    {}  AMD GPU {}{gfx}, {driver}\n", gpu.address, gpu.device);
    }
    if document.machine.cards.is_empty() {
        *out += "  card     none\n";
    }
    *out += &format!("  kernel   {}\n", document.machine.kernel.as_deref().unwrap_or("unknown"));
    if document.machine.has_card() {
        let nodes = std::iter::once(&document.machine.kfd_device)
            .chain(document.machine.active_cards().filter_map(|card| card.render_node.as_ref()));
        for node in nodes {
            let state = match (node.exists, node.accessible) {
                (false, _) => "does not exist",
                (true, false) => "no permission",
                (true, true) => "accessible",
            };
            *out += &format!("  device   {} {state}\n", node.path);
        }
    }
    if !context.root.is_system() {
        *out += &format!("  {}\n", styled(DIM, format!("(files below {})", context.root.path().display())));
    }
}

fn environment(document: &Document<'_>, out: &mut String) {
    let resolution = &document.resolution;
    if resolution.inactive.is_some() && resolution.gfx.is_none() {
        return;
    }
    *out += &format!("\n{}\n", styled(TITLE, "Environment"));
    *out += &format!("  profile  {} ({})\n", resolution.profile, resolution.profile_source);
    if let Some(gfx) = &resolution.gfx {
        let trust = if gfx.verified { "verified" } else { "unverified" };
        *out += &format!("  gfx      {} ({trust}; {})\n", gfx.choice, gfx.decided_by);
        *out += &format!("{}\n", wrapped(11, &gfx.why));
        if let Reach::NotConfinable { why } = &gfx.reach {
            *out += &format!("{}\n", wrapped(11, &format!("not set: {why}")));
        }
    }
    for setting in &resolution.set {
        let mut remarks = vec![setting.source.as_str()];
        if setting.inert {
            remarks.push("inert: nothing reads it");
        }
        if setting.already_set {
            remarks.push("in this process");
        }
        let remarks = styled(DIM, format!("({})", remarks.join(", ")));
        *out += &format!("  {}={} {remarks}\n", setting.name, setting.value);
    }
    for left in &resolution.left_alone {
        *out += &format!("  {} {}\n", left.name, styled(WARN, format!("left alone: {}", left.reason)));
    }
}

fn channels(document: &Document<'_>, out: &mut String) {
    *out += &format!("\n{}\n", styled(TITLE, "Reaches"));
    for channel in &document.channels {
        let (style, state) = match channel.state {
            ChannelState::InPlace => (GOOD, "in place"),
            ChannelState::Stale => (WARN, "out of date"),
            ChannelState::Masked => (NOTE, "masked"),
            ChannelState::Missing => (WARN, "not installed"),
        };
        *out += &format!("  {:32} {}\n", channel.reaches, styled(style, state));
    }
    *out += &format!("\n{}\n", styled(TITLE, "Reaches not"));
    for unreached in document.unreached {
        *out += &format!("  {}\n{}\n", unreached.processes, wrapped(4, &format!("-> {}", unreached.remedy)));
    }
}

fn findings(findings: &[&Finding], out: &mut String) {
    if !findings.is_empty() {
        *out += &format!("\n{}\n", styled(TITLE, "Findings"));
    }
    for finding in findings {
        let (style, label) = label(finding.level);
        // The label counts for the line's length, its colours do not.
        let text = wrapped(4, &format!("{label}: {}", finding.what));
        *out += &format!("  {}\n", text.trim_start().replacen(label, &styled(style, label), 1));
        if let Some(happens) = &finding.happens {
            *out += &format!("{}\n", wrapped(4, happens));
        }
        *out += &format!("{}\n", wrapped(4, &format!("-> {}", finding.remedy)));
    }
}

/// What need not be read at once: a line each.
fn titles(findings: &[&Finding], out: &mut String) {
    if findings.is_empty() {
        return;
    }
    *out += &format!("\n{} (explained by: rdna1-rocm-fix status --all)\n", styled(TITLE, "Also known of such cards"));
    for finding in findings {
        let (style, label) = label(finding.level);
        *out += &format!("  {} {}\n", styled(style, format!("{label}:")), finding.what);
    }
}

fn label(level: Level) -> (anstyle::Style, &'static str) {
    match level {
        Level::Error => (BAD, "error"),
        Level::Warning => (WARN, "warning"),
        Level::Note => (NOTE, "note"),
    }
}
