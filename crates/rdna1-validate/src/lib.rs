// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proves on the user's own machine what a ROCm stack does on an RDNA1 card.
//!
//! Without a subcommand it runs the conv suite ([`suite`]). Who wants to run
//! cases from elsewhere calls [`session::run`] with a selection of
//! [`cases`] and [`session::Options`] (interpreter, profile, gfx choice, device,
//! time limit) and gets a [`report::Report`].
//!
//! ```text
//! cases ──> session ──> worker (one Python process, kept) ──> judge ──> report ──> page, JSON, JUnit
//!              └──────> references (CPU processes, float64)
//! ```

pub mod cases;
pub mod compare;
pub mod devices;
pub mod diagnosis;
pub mod environment;
pub mod interpreter;
pub mod isa;
pub mod judge;
pub mod junit;
pub mod page;
pub mod plan;
pub mod private;
pub mod progress;
pub mod prometheus;
pub mod references;
pub mod refusal;
pub mod report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod select;
pub mod session;
pub mod solvers;
pub mod suite;
pub mod worker;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use rdna1_core::root::Root;

/// Exit status where something kept the program from working.
pub const FAILED: u8 = 3;

/// Proves that convolution is right on this machine, or says what is broken.
///
/// Without a subcommand it runs the suite: controls, convolutions of every kind
/// and models, each compared with the CPU's float64. Exit status 0 if everything
/// passed, 1 if something failed, crashed or hung, 2 for wrong usage, 3 if it
/// could not run, 4 if nothing was selected.
#[derive(Debug, Parser)]
#[command(name = "rdna1-validate", version)]
pub struct Cli {
    /// Work on the machine whose files lie below DIR.
    #[arg(long, global = true, env = "RDNA1_ROOT", value_name = "DIR", default_value = "/", hide_env_values = true)]
    pub root: std::path::PathBuf,
    /// Options of the suite.
    #[command(flatten)]
    pub suite: suite::Args,
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads a command line. The suite's options belong to no subcommand; clap's
    /// own rule for that would refuse `--root DIR plan` as well.
    ///
    /// # Errors
    /// If it is wrong, or asks for help or the version.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(line)?;
        if let Some(subcommand) = matches.subcommand_name() {
            let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
            let options = command.get_arguments().filter(|option| !option.is_global_set());
            let given: Vec<String> =
                options.filter(|option| given(option.get_id().as_str())).map(ToString::to_string).collect();
            if let Some(option) = given.first() {
                let text = format!("the argument '{option}' cannot be used with the subcommand '{subcommand}'\n");
                return Err(command.error(ErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the reports of many machines: what passed where, and what got worse.
    Compare(compare::Args),
    /// Check device code without a GPU: instructions that a card lacks, hardware bugs that the code does not avoid.
    Isa(isa::Args),
    /// Tell without a GPU what MIOpen would do: solver, workspace, what would fail and why.
    Plan(plan::Args),
    /// Measure which gfx choice and profile serve this card and PyTorch best, and record the best.
    Select(select::Args),
}

/// What a subcommand has to say.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For standard output.
    pub stdout: String,
    /// For standard error: remarks that are no part of the answer.
    pub stderr: String,
    /// Exit status.
    pub status: u8,
}

/// Runs a command line.
pub fn main(cli: &Cli) -> ExitCode {
    let result = match &cli.command {
        None => suite::run(Root::new(&cli.root), &cli.suite),
        Some(Command::Isa(args)) => isa::run(&Root::new(&cli.root), args),
        Some(Command::Plan(args)) => plan::run(&Root::new(&cli.root), args),
        Some(Command::Compare(args)) => compare::run(args),
        Some(Command::Select(args)) => select::run(Root::new(&cli.root), args),
    };
    match result {
        Ok(outcome) => {
            // Whoever closes the pipe early has seen enough.
            let _ = anstream::stderr().write_all(outcome.stderr.as_bytes());
            let mut stdout = anstream::stdout();
            let _ = stdout.write_all(outcome.stdout.as_bytes()).and_then(|()| stdout.flush());
            ExitCode::from(outcome.status)
        }
        Err(error) => {
            const BAD: Style = AnsiColor::Red.on_default().bold();
            let _ = writeln!(anstream::stderr(), "rdna1-validate: {BAD}error:{BAD:#} {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn the_root_goes_with_every_subcommand_and_the_suites_options_with_none() {
        let read = |line: &str| Cli::read(line.split(' ').map(Into::into));
        for line in ["v --root /x plan", "v plan --root /x", "v --root /x select --list", "v --root=/x isa"] {
            let cli = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(cli.root == std::path::Path::new("/x") && cli.command.is_some(), "{line}: {cli:?}");
        }
        assert!(matches!(read("v plan --profile gemm"), Ok(Cli { command: Some(Command::Plan(_)), .. })));
        assert_eq!(read("v --root /x --level medium").expect("it is right").root, std::path::Path::new("/x"));
        for line in ["v --level medium plan", "v --any-gpu select", "v --root /x --profile gemm plan"] {
            let error = read(line).expect_err(line);
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{line}");
        }
    }
}
