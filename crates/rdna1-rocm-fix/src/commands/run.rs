// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run`: a command with the environment for this machine.

use std::ffi::OsString;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rdna1_core::gfx::{GfxSetting, Reach};
use rdna1_core::resolve::{Inactive, Resolution};
use rdna1_launch::bypass;
use rdna1_launch::given::Given;
use rdna1_launch::target::Target;

use super::Outcome;
use crate::cli::Choice;
use crate::context::{Context, current_environment};

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

/// Replaces this process; returns only if that fails.
pub(super) fn run(context: &Context, choice: &Choice, explain: bool, line: &[OsString]) -> anyhow::Result<Outcome> {
    let environment = current_environment();
    // Without a card the command runs as it is.
    let asks = context.machine.has_card() || explain;
    let target = asks.then(|| Target::find(context, line, &environment));
    let Given { resolution, hook, remark } =
        Given::decide(context, &choice.request(true), target.as_ref(), &environment).map_err(Failure::Refused)?;
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
