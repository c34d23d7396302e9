// SPDX-License-Identifier: MIT OR Apache-2.0
//! systemd's environment generator (systemd.environment-generator(7)): runs
//! before any unit at boot, and again at every daemon-reload.

use std::process::ExitCode;

fn main() -> ExitCode {
    rdna1_rocm_fix::boot::main()
}
