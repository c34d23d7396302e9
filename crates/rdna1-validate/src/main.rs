// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate`: dispatches, nothing else.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    rdna1_validate::main(&rdna1_validate::Cli::parse())
}
