// SPDX-License-Identifier: MIT OR Apache-2.0
//! One module per command. A command returns what it prints or an error;
//! only [`main`] writes to the terminal.

mod cdi;
pub mod detect;
mod env;
pub mod evidence;
mod explain;
mod profile;
mod refresh;
mod run;
mod snapshot;
pub mod status;

use std::io::Write;
use std::process::ExitCode;

use rdna1_core::root::Root;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::text;

/// Exit status where the command worked and its answer is no.
const NO: u8 = 1;

/// Exit status where an error kept the command from working.
const FAILED: u8 = 3;

/// What a command has to say.
#[derive(Debug, Default)]
struct Outcome {
    /// For standard output.
    stdout: String,
    /// For standard error: remarks that are no part of the answer.
    stderr: String,
    /// Exit status.
    status: u8,
}

impl Outcome {
    fn answer(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }
}

/// Runs a command line.
pub fn main(cli: Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(outcome) => {
            // Whoever closes the pipe early has seen enough.
            let _ = anstream::stderr().write_all(outcome.stderr.as_bytes());
            let mut stdout = anstream::stdout();
            let _ = stdout.write_all(outcome.stdout.as_bytes()).and_then(|()| stdout.flush());
            ExitCode::from(outcome.status)
        }
        Err(error) => {
            let label = text::styled(text::BAD, "error:");
            let _ = writeln!(anstream::stderr(), "{}: {label} {error:#}", rdna1_core::NAME);
            ExitCode::from(error.downcast_ref::<run::Failure>().map_or(FAILED, run::Failure::status))
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<Outcome> {
    let root = Root::new(&cli.root);
    anyhow::ensure!(cli.root.is_dir(), "--root {}: there is no such directory", cli.root.display());
    let context = Context::read(root)?;
    match cli.command {
        Command::Status { json, all } => status::run(&context, json, all),
        Command::Detect { json } => detect::run(&context, json),
        Command::Env { format, choice } => env::run(&context, format, &choice),
        Command::Cdi { choice } => cdi::run(context, &choice),
        Command::Explain { variable, stack: None, .. } => explain::run(&context, variable.as_deref()),
        Command::Explain { variable, stack: Some(stack), json } => {
            evidence::run(&context, variable.as_deref(), &stack, json)
        }
        Command::Profile(command) => profile::run(context, command),
        Command::Run { choice, explain, command } => run::run(&context, &choice, explain, &command),
        Command::Refresh { no_reload } => refresh::run(&context, !no_reload),
        Command::Snapshot { dir } => snapshot::run(&context, &dir),
    }
}

/// A versioned JSON document, with a final line break.
fn json_document(document: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
