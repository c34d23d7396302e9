// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks what a ROCm stack does on an RDNA1 card. One module per subcommand.

pub mod isa;
pub mod plan;

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::{Parser, Subcommand};

/// Exit status where something kept the program from working.
pub const FAILED: u8 = 3;

/// Checks what a ROCm stack does on an RDNA1 card.
#[derive(Debug, Parser)]
#[command(name = "rdna1-validate", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check device code without a GPU: instructions that a card lacks, hardware bugs that the code does not avoid.
    Isa(isa::Args),
    /// Tell without a GPU what MIOpen would do: solver, workspace, what would fail and why.
    Plan(plan::Args),
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
        Command::Isa(args) => isa::run(args),
        Command::Plan(args) => plan::run(args),
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
