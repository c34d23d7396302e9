// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run`: a command with the environment for this machine.

use std::ffi::OsString;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rdna1_core::gfx::{GfxSetting, Reach};
use rdna1_core::policy::Engine;
use rdna1_core::resolve::{Inactive, Resolution};
use rdna1_core::selection::Recorded;
use rdna1_core::stack::Stacks;
use rdna1_stack::Stack;
use rdna1_stack::command::{Answer, interpreter};

use super::survey::{describe, resolution_stacks};
use super::{Outcome, bypass, recorded};
use crate::cli::Choice;
use crate::context::{Context, Environment, current_environment};

/// Why a command was not run, with the exit status that env(1) and timeout(1) use for it.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(String),
    NotExecutable(String),
    NotFound(String),
}

impl Failure {
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Refused(_) => 125,
            Self::NotExecutable(_) => 126,
            Self::NotFound(_) => 127,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(text) | Self::NotExecutable(text) | Self::NotFound(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Failure {}

/// What the command was found to use.
struct Target {
    answer: Answer,
    /// What its interpreter will import.
    stack: Option<Stack>,
}

impl Target {
    fn find(context: &Context, line: &[OsString], environment: &Environment) -> Self {
        let line: Vec<String> = line.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // Without a directory there are no relative paths to resolve.
        let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
        let answer = interpreter(&context.root, &line, environment, cwd.as_deref().unwrap_or("/"));
        // What is wrong with a PyTorch is for status to say; here it only has no code.
        let stack = answer.interpreter.as_ref();
        let stack = stack.and_then(|found| found.environment.stack(&context.root, &mut Vec::new()));
        Self { answer, stack }
    }

    /// What the gfx choice rests on, for this process.
    fn stacks(&self, machine_wide: &Stacks) -> Stacks {
        self.stack.as_ref().map_or_else(|| machine_wide.clone(), |stack| resolution_stacks(stack, machine_wide))
    }

    fn explanation(&self) -> String {
        let mut out: String = self.answer.steps.iter().map(|step| format!("{step}\n")).collect();
        match (&self.answer.interpreter, &self.stack) {
            (None, _) => out += "no Python that could be told before it starts: as for the whole machine\n",
            (Some(found), None) => out += &format!("{} has no PyTorch\n", found.path),
            (Some(found), Some(stack)) => out += &format!("{} uses {}\n", found.path, describe(stack)),
        }
        out
    }
}

/// What a command gets.
struct Given {
    resolution: Resolution,
    hook: Option<bypass::Hook>,
    /// Why it is not what was measured to be best.
    remark: Option<String>,
}

impl Given {
    fn decide(
        context: &Context,
        choice: &Choice,
        target: Option<&Target>,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let stack = target.and_then(|target| target.stack.as_ref());
        let record = match target {
            Some(_) => recorded::for_process(context, environment, stack).map_err(Failure::Refused)?,
            None => None,
        };
        let stacks = target.map(|target| target.stacks(&context.stacks));
        let resolve = |record: Option<&Recorded>| {
            let stacks = stacks.as_ref().unwrap_or(&context.stacks);
            let resolution = context.resolve_with(stacks, record, &choice.request(true), environment);
            match &resolution.inactive {
                Some(Inactive::Refused { problem }) => Err(Failure::Refused(problem.clone())),
                _ => Ok(resolution),
            }
        };
        let resolution = resolve(record.as_ref())?;
        let hooked = context.policy.profile(&resolution.profile).is_some_and(|p| p.engine == Engine::PythonHook);
        let (Some(target), true, None) = (target, hooked, &resolution.inactive) else {
            return Ok(Self { resolution, hook: None, remark: None });
        };
        let measured = record.filter(|record| record.file == resolution.profile_source);
        match (bypass::hook(&context.root, &target.answer, environment), measured) {
            (Ok(hook), _) => Ok(Self { resolution, hook: Some(hook), remark: None }),
            (Err(problem), None) => Err(Failure::Refused(problem)),
            // Nobody asked for it in so many words: then a program that cannot
            // have it starts all the same.
            (Err(problem), Some(record)) => {
                let rest =
                    Recorded { profile: recorded::machine_profile(context, &record.file, environment), ..record };
                let resolution = resolve(Some(&rest))?;
                let remark = format!("{problem}; profile {} is used instead\n", resolution.profile);
                Ok(Self { resolution, hook: None, remark: Some(remark) })
            }
        }
    }
}

/// Replaces this process; returns only if that fails.
pub(super) fn run(context: &Context, choice: &Choice, explain: bool, line: &[OsString]) -> anyhow::Result<Outcome> {
    let environment = current_environment();
    // Without a card the command runs as it is.
    let asks = context.machine.has_card() || explain;
    let target = asks.then(|| Target::find(context, line, &environment));
    let Given { resolution, hook, remark } = Given::decide(context, choice, target.as_ref(), &environment)?;
    let mut remarks = remark.unwrap_or_default();
    if explain {
        remarks += &target.as_ref().map(Target::explanation).unwrap_or_default();
        remarks += &explanation(&resolution);
        remarks += &hook.as_ref().map(bypass::Hook::explanation).unwrap_or_default();
    } else {
        remarks += &overruled(choice, &resolution);
    }
    let _ = anstream::stderr().write_all(remarks.as_bytes());
    let program = &line[0];
    let mut command = Command::new(program);
    command.args(&line[1..]);
    for name in &resolution.unset {
        command.env_remove(name.as_str());
    }
    for (name, value) in resolution.variables() {
        command.env(name.as_str(), value);
    }
    if let Some(hook) = hook {
        command.envs(hook.variables());
    }
    let error = command.exec();
    let text = format!("cannot run {}: {error}", program.display());
    Err(match error.kind() {
        ErrorKind::NotFound => Failure::NotFound(text),
        _ => Failure::NotExecutable(text),
    }
    .into())
}

/// What was asked for on the command line and stays undone, because the user's
/// own variables are never overwritten.
fn overruled(choice: &Choice, resolution: &Resolution) -> String {
    let mut out = String::new();
    if let (Some(asked), Some(gfx)) = (choice.gfx, &resolution.gfx)
        && let Reach::UserSet { variable } = &gfx.reach
        && asked != GfxSetting::Choice(gfx.choice)
    {
        out += &format!("{variable} stays {}, which you have set; unset it to get --gfx {asked}\n", gfx.choice);
    }
    if choice.profile.is_some() {
        let source = format!("profile {}", resolution.profile);
        for left in resolution.left_alone.iter().filter(|left| left.source == source) {
            if let Some(value) = &left.user_value {
                out += &format!("{} stays {value:?}, which you have set; unset it to get {}\n", left.name, left.value);
            }
        }
    }
    out
}

fn explanation(resolution: &Resolution) -> String {
    let mut out = match &resolution.inactive {
        Some(Inactive::NoCard) => "no RDNA1 card: the command runs as it is\n".to_owned(),
        Some(Inactive::Disabled { file }) => format!("switched off in {file}: the command runs as it is\n"),
        _ => format!("profile {} ({})\n", resolution.profile, resolution.profile_source),
    };
    if let Some(gfx) = resolution.gfx.as_ref().filter(|_| resolution.inactive.is_none()) {
        out += &format!("gfx choice {}: {}\n", gfx.choice, gfx.why);
    }
    for setting in &resolution.set {
        out += &format!("set {}={} ({}: {})\n", setting.name, setting.value, setting.source, setting.reason);
    }
    for name in &resolution.unset {
        out += &format!("unset {name} (set earlier for another profile)\n");
    }
    for left in &resolution.left_alone {
        out += &format!("left alone {}: {}\n", left.name, left.reason);
    }
    out
}
