// SPDX-License-Identifier: MIT OR Apache-2.0
//! `status`: the page that a worried owner reads first.

mod channels;
mod code;
mod findings;
mod page;
mod stray;

use rdna1_core::advisory::{self, Judgement};
use rdna1_core::guidance::{Advice, advise};
use rdna1_core::machine::Machine;
use rdna1_core::resolve::Resolution;
use rdna1_core::stack::Stacks;
use rdna1_core::surroundings::Surroundings;
use rdna1_launch::recorded::{self, Standing};
use rdna1_launch::survey::{self, Judged};
use rdna1_stack::Survey;
use serde::Serialize;

use super::{NO, Outcome, json_document};
use crate::context::{Context, Environment, current_environment};
pub use channels::{Channel, ChannelState, Unreached};
pub use code::CheckedCode;
pub use findings::{Finding, Level};

/// What `status --json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document<'a> {
    /// Version of this document's form; grows when a field changes its meaning or goes.
    version: u32,
    /// Version of the program.
    program: &'static str,
    /// Whether no finding is an error.
    ok: bool,
    /// What the machine has.
    machine: &'a Machine,
    /// The ROCm installations.
    stacks: &'a Stacks,
    /// ROCm and PyTorch as found by their files: the machine's, and those of the
    /// Python environments in use. The resolution does not rest on them; `run`'s does.
    survey: Vec<Judged>,
    /// What the static check of device code found in them, where it was made.
    device_code: Vec<CheckedCode>,
    /// What was measured here, and whether it still counts.
    recorded: Vec<Standing>,
    /// The environment for this process, with reasons.
    resolution: Resolution,
    /// How the environment reaches processes.
    channels: Vec<Channel>,
    /// Processes that it does not reach by itself, and what to do for them.
    unreached: &'a [Unreached],
    /// What is wrong or worth knowing, the worst first.
    findings: Vec<Finding>,
    /// Every advisory of the policy, and whether it holds for the machine-wide
    /// environment.
    advisories: Vec<Judgement>,
    /// The shortest path to a working PyTorch.
    guidance: Option<Advice>,
}

pub(super) fn run(context: &Context, json: bool, all: bool) -> anyhow::Result<Outcome> {
    let has_card = context.machine.has_card();
    // Variables hold paths of the running machine, not of one below --root.
    let here = context.root.is_system();
    let variables = if here { current_environment() } else { Environment::default() };
    let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok()).filter(|_| here);
    let found = Survey::of_machine(&context.root, &variables, cwd.as_deref());
    let (recorded, problem) = recorded::standings(context, &variables, &found.stacks);
    let in_force = recorded::machine_wide(context, &recorded);
    let mut resolution =
        context.resolve_with(&context.stacks, in_force.as_ref(), &Default::default(), &current_environment());
    // The resolution rests on what the whole machine has; advice also on what
    // the Python environments bring, and on what lies in the libraries.
    let mut stacks = context.stacks.clone();
    stacks.found.extend(found.stacks.iter().filter_map(|stack| Some(survey::core_stack(stack, stack.rocm.clone()?))));
    let mut surroundings = Surroundings::default();
    let mut strays = Vec::new();
    if !context.machine.cards.is_empty() {
        surroundings = Surroundings::read(&context.root, &context.machine);
        surroundings.stray.extend(resolution.hazards.iter().map(|hazard| hazard.name.clone()));
        strays = stray::look(context, &variables, cwd.as_deref(), &mut surroundings);
    }
    let policy = &context.policy;
    let known = Some(&surroundings);
    resolution.advisories = advisory::active(policy, &context.machine, &stacks, known, &resolution);
    let advisories = advisory::judge_all(policy, &context.machine, &stacks, &surroundings, &resolution);
    let channels = channels::look(context);
    let mut findings = findings::collect(context, &resolution, &channels);
    if has_card {
        findings::unreadable_stacks(&found.problems, &mut findings);
        findings.extend(strays.into_iter().map(stray::Stray::finding));
    }
    findings::recorded(&recorded, problem, &mut findings);
    let survey = survey::judge(context, &variables, found.stacks);
    let device_code = code::look(context, &variables, &survey, &resolution);
    code::findings(context, &device_code, &mut findings);
    findings.sort_by_key(|finding| finding.level);
    let guidance = advise(&context.policy, &context.machine, &survey::pytorchs(&survey));
    let ok = findings.iter().all(|finding| finding.level != Level::Error);
    let document = Document {
        version: 1,
        program: env!("CARGO_PKG_VERSION"),
        ok,
        machine: &context.machine,
        stacks: &context.stacks,
        survey,
        device_code,
        recorded,
        resolution,
        channels,
        unreached: if has_card { &channels::UNREACHED } else { &[] },
        findings,
        advisories,
        guidance,
    };
    let stdout = if json { json_document(&document)? } else { page::render(context, &document, all) };
    Ok(Outcome { stdout, stderr: String::new(), status: if ok { 0 } else { NO } })
}
