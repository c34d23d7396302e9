// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate`: dispatches, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    match rdna1_validate::Cli::read(std::env::args_os()) {
        Ok(cli) => rdna1_validate::main(&cli),
        Err(error) => error.exit(),
    }
}
