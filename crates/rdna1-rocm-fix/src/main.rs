// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-rocm-fix`: dispatches, nothing else.

use std::process::ExitCode;

use clap::Parser;
use rdna1_rocm_fix::{cli::Cli, commands};

fn main() -> ExitCode {
    commands::main(Cli::parse())
}
