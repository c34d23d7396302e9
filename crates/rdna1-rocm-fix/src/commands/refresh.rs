// SPDX-License-Identifier: MIT OR Apache-2.0
//! `refresh`: bring the run-time state in line with the machine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdna1_core::resolve::Inactive;

use super::Outcome;
use crate::context::Context;
use crate::state;

/// How long a daemon-reload may take before it is left to itself.
const RELOAD_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, reload: bool) -> anyhow::Result<Outcome> {
    let resolution = context.resolve_machine();
    let written = state::write(&context.root, &resolution);
    let mut outcome = Outcome::default();
    for problem in &context.broken {
        outcome.stderr += &format!("nothing is set: {problem}\n");
        outcome.status = super::NO;
    }
    for problem in &context.machine.problems {
        outcome.stderr += &format!("a card may go unseen: {} {}\n", problem.path, problem.problem);
    }
    if let (Some(Inactive::Refused { problem }), true) = (&resolution.inactive, context.broken.is_empty()) {
        outcome.stderr += &format!("nothing is set: {problem}\n");
        outcome.status = super::NO;
    }
    // Where nothing could be written, shells have nothing, and services are not
    // to keep what is outdated: what they get does not depend on these files.
    let changed = *written.as_ref().unwrap_or(&true);
    if changed && reload && context.root.is_system() {
        outcome.stderr += &tell_systemd();
    }
    if let Err(problem) = written {
        outcome.stderr += &format!("login shells stay without the environment: {problem:#}\n");
        outcome.status = super::FAILED;
        return Ok(outcome);
    }
    outcome.stdout = match resolution.set.len() {
        0 => "no variables are set\n".to_owned(),
        n => format!("{n} variables, profile {}\n", resolution.profile),
    };
    Ok(outcome)
}

/// Has a running systemd run its environment generators again, ours among them.
/// Returns what went wrong, which is no failure: the state below `/run` is right.
fn tell_systemd() -> String {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        return String::new();
    }
    let mut command = Command::new("systemctl");
    command.arg("daemon-reload").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return format!("services keep their old environment: cannot run systemctl: {error}\n"),
    };
    let start = Instant::now();
    while start.elapsed() < RELOAD_LIMIT {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return String::new(),
            Ok(Some(status)) => return format!("services keep their old environment: daemon-reload: {status}\n"),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return format!("services keep their old environment: {error}\n"),
        }
    }
    // It may still succeed; waiting longer would only hold up whoever called.
    "systemd has not answered in time; `systemctl daemon-reload` may be needed\n".into()
}
