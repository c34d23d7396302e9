// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong or worth knowing, each with what to do.

use rdna1_core::advisory::Certainty;
use rdna1_core::machine::CardState;
use rdna1_core::policy::{Policy, Severity};
use rdna1_core::resolve::{Inactive, Resolution};
use rdna1_core::root::{DeviceNode, Problem};
use serde::Serialize;

use super::channels::{Channel, ChannelState};
use rdna1_launch::recorded::Standing;

use crate::context::Context;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Convolution on the card will not work.
    Error,
    /// It may fail or give wrong results.
    Warning,
    /// Worth knowing.
    Note,
}

/// One finding.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// A stable name; for advisories the policy's.
    pub id: String,
    /// How bad it is.
    pub level: Level,
    /// What is the case, on one line.
    pub what: String,
    /// What follows from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub happens: Option<String>,
    /// What to do.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Whether it is general knowledge about such cards rather than a state of
    /// this machine; the text page then shows its title only.
    pub background: bool,
}

impl Finding {
    pub(super) fn new(level: Level, id: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id: id.into(), level, what: what.into(), happens: None, remedy: remedy.into(), background: false }
    }
}

/// Everything there is to say, the worst first.
pub(super) fn collect(context: &Context, resolution: &Resolution, channels: &[Channel]) -> Vec<Finding> {
    let mut findings = Vec::new();
    broken(context, resolution, &mut findings);
    if context.machine.has_card() {
        permissions(context, &mut findings);
        delivery(context, resolution, channels, &mut findings);
    }
    hazards(resolution, &mut findings);
    advisories(&context.policy, resolution, &mut findings);
    oddities(context, &mut findings);
    findings.sort_by_key(|finding| finding.level);
    findings
}

fn broken(context: &Context, resolution: &Resolution, findings: &mut Vec<Finding>) {
    for problem in &context.broken {
        let remedy = "correct the file, then: sudo rdna1-rocm-fix refresh";
        findings.push(Finding::new(
            Level::Error,
            "unusable-file",
            format!("nothing is set, because {problem}"),
            remedy,
        ));
    }
    match &resolution.inactive {
        Some(Inactive::Refused { problem }) if context.broken.is_empty() => {
            let remedy = "choose another profile or gfx choice: rdna1-rocm-fix profile list";
            findings.push(Finding::new(Level::Error, "refused", format!("nothing is set, because {problem}"), remedy));
        }
        Some(Inactive::Disabled { file }) => {
            let remedy = format!("remove `enabled: false` from {file} to use the card");
            findings.push(Finding::new(Level::Note, "disabled", format!("switched off in {file}"), remedy));
        }
        _ => {}
    }
}

/// A card that is ready but may not be opened looks to PyTorch like no card at all.
fn permissions(context: &Context, findings: &mut Vec<Finding>) {
    let ready: Vec<_> = context.machine.active_cards().filter(|card| card.state == CardState::Ready).collect();
    let render = ready.iter().filter_map(|card| card.render_node.as_ref());
    let kfd = ready.first().map(|_| &context.machine.kfd_device);
    for node in kfd.into_iter().chain(render) {
        if !node.exists {
            let what = format!("{} does not exist although the driver is ready", node.path);
            let remedy = "in a container: pass the device in (docker run --device …); else: sudo udevadm trigger";
            findings.push(Finding::new(Level::Error, "device-missing", what, remedy));
        } else if !node.accessible {
            let what = format!("you may not open {}", node.path);
            findings.push(Finding::new(Level::Error, "device-permission", what, group_remedy(context, node)));
        }
    }
}

fn group_remedy(context: &Context, node: &DeviceNode) -> String {
    let groups = context.root.read_text("/etc/group").ok().flatten().unwrap_or_default();
    let group = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        (gid.parse() == Ok(node.group?)).then(|| name.to_owned())
    });
    let writable = node.mode.is_some_and(|mode| mode & 0o060 == 0o060);
    match group.filter(|group| group != "root" && writable) {
        Some(group) => format!("sudo usermod --append --groups {group} $USER, then log in again"),
        None => "its group has no access; reinstalling systemd or udev restores the ordinary rules".into(),
    }
}

/// Whether what is resolved reaches processes.
fn delivery(context: &Context, resolution: &Resolution, channels: &[Channel], findings: &mut Vec<Finding>) {
    if channels.iter().all(|channel| channel.state == ChannelState::Missing) {
        let what = "none of the package's files is here, so nothing is set for other programs";
        let remedy = format!("install the package {}", rdna1_core::NAME);
        findings.push(Finding::new(Level::Warning, "not-installed", what, remedy));
        return;
    }
    for channel in channels {
        let what = |is: &str| format!("{}: {} {is}", channel.reaches, channel.file);
        match channel.state {
            ChannelState::InPlace => {}
            ChannelState::Stale => {
                let what = format!("{}: what is set below /run is out of date", channel.reaches);
                findings.push(Finding::new(Level::Warning, "stale", what, "sudo rdna1-rocm-fix refresh"));
            }
            ChannelState::Masked => {
                let remedy = "remove the file of the same name below /etc to bring it back";
                findings.push(Finding::new(Level::Note, "masked", what("is masked by the administrator"), remedy));
            }
            ChannelState::Missing => {
                let remedy = format!("install or reinstall the package {}", rdna1_core::NAME);
                findings.push(Finding::new(Level::Warning, "not-installed", what("is missing"), remedy));
            }
        }
    }
    let absent = resolution.set.iter().filter(|setting| !setting.already_set).count();
    if absent > 0 && !context.applied.variables.is_empty() {
        let what = format!("{absent} of {} variables are not in this process's environment", resolution.set.len());
        let remedy = "log in again; or start the program with: rdna1-rocm-fix run -- COMMAND";
        findings.push(Finding::new(Level::Note, "not-in-this-process", what, remedy));
    }
    for left in resolution.left_alone.iter().filter_map(|left| Some((left, left.user_value.as_ref()?))) {
        let (left, value) = left;
        let what = format!("{} stays as it is: {} ({:?})", left.name, left.reason, value);
        findings.push(Finding::new(Level::Note, "left-alone", what, format!("unset it to get {}", left.value)));
    }
}

fn hazards(resolution: &Resolution, findings: &mut Vec<Finding>) {
    for hazard in &resolution.hazards {
        let what = format!("{}={} is set in your environment", hazard.name, hazard.value);
        let mut finding = Finding::new(Level::Warning, "hazardous-variable", what, hazard.remedy.clone());
        finding.happens = Some(hazard.happens.clone());
        findings.push(finding);
    }
}

fn advisories(policy: &Policy, resolution: &Resolution, findings: &mut Vec<Finding>) {
    for advisory in &resolution.advisories {
        // What a finding of its own says more exactly: which device, which file and line.
        let of_a_file =
            policy.advisories.iter().any(|known| known.id == advisory.id && !known.when.stray_variable.is_empty());
        if of_a_file || advisory.id == "device-permission" {
            continue;
        }
        let (level, what) = match (advisory.severity, advisory.certainty) {
            (Severity::Error, Certainty::Applies) => (Level::Error, advisory.title.clone()),
            (Severity::Info, _) => (Level::Note, advisory.title.clone()),
            (_, Certainty::Applies) => (Level::Warning, advisory.title.clone()),
            (_, Certainty::MayApply) => (Level::Warning, format!("{} (may apply here)", advisory.title)),
        };
        let mut finding = Finding::new(level, &advisory.id, what, advisory.remedy.clone());
        finding.happens = Some(advisory.happens.clone());
        finding.background = advisory.certainty == Certainty::MayApply || level == Level::Note;
        findings.push(finding);
    }
}

/// What was measured and does not count any more, or does not reach the whole machine.
pub(super) fn recorded(standings: &[Standing], problem: Option<String>, findings: &mut Vec<Finding>) {
    if let Some(problem) = problem {
        let remedy = "correct or delete it: until then `rdna1-rocm-fix run` refuses to start programs";
        findings.push(Finding::new(Level::Error, "unusable-selection", problem, remedy));
    }
    for standing in standings {
        let of = format!("what was measured with {} on {}", standing.pytorch, standing.date);
        if !standing.stale.is_empty() {
            let what = format!("{of} is out of date: {}", standing.stale.join("; "));
            findings.push(Finding::new(
                Level::Warning,
                "stale-selection",
                what,
                "measure again: rdna1-validate select",
            ));
        } else if standing.machine_wide && standing.machine.is_none() {
            let what = format!("{of} left no profile for the whole machine: only {} passed", standing.process.profile);
            let remedy = "start programs with: rdna1-rocm-fix run -- COMMAND";
            findings.push(Finding::new(Level::Warning, "process-profile-only", what, remedy));
        }
    }
}

/// Stacks that could not be read to the end.
pub(super) fn unreadable_stacks(problems: &[Problem], findings: &mut Vec<Finding>) {
    for problem in problems {
        let what = format!("{} {}", problem.path, problem.problem);
        let remedy = "reinstall that package in its environment, if you use it";
        findings.push(Finding::new(Level::Note, "unreadable-stack", what, remedy));
    }
}

fn oddities(context: &Context, findings: &mut Vec<Finding>) {
    for gpu in context.machine.other_gpus.iter().filter(|gpu| gpu.unlisted_rdna1) {
        let what = format!("{}: PCI id {} is not listed, yet the driver says it is RDNA1", gpu.address, gpu.device);
        let remedy = "please report it with: rdna1-rocm-fix snapshot DIR";
        findings.push(Finding::new(Level::Warning, "unlisted-card", what, remedy));
    }
    for problem in &context.machine.problems {
        let what = format!("{} {}", problem.path, problem.problem);
        findings.push(Finding::new(Level::Warning, "unreadable", what, "if a card is missing above, this may be why"));
    }
}
