// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packages do: on this machine, and on a simulated one with a card.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use rdna1_payload::Payload;

use crate::{host, install};

/// A fixture of an RX 5600 XT whose driver is up.
const SIMULATED: &str = "tests/cases/02-rx5600xt-ready/root";

/// Shows both, with the programs of a directory and the tree of a package.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub fn run(top: &Path, bin_dir: &Path, payload: &Payload) -> anyhow::Result<()> {
    println!("\n=== On this machine ===\n");
    status(bin_dir, Path::new("/"))?;
    println!("\n=== On a simulated machine with an RX 5600 XT, package installed, after a boot ===\n");
    let machine = simulated(top, bin_dir, payload).context("cannot make the simulated machine")?;
    status(bin_dir, &machine)
}

/// A copy of the fixture with the package's files, as a boot leaves it.
fn simulated(top: &Path, bin_dir: &Path, payload: &Payload) -> anyhow::Result<std::path::PathBuf> {
    let machine = top.join("target/simulated-machine");
    match fs::remove_dir_all(&machine) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
        _ => {}
    }
    host::run_tool(Command::new("cp").arg("--archive").arg(top.join(SIMULATED)).arg(&machine))?;
    install::write(payload, &machine)?;
    let mut generator = Command::new(bin_dir.join("rdna1-rocm-fix-generator"));
    host::output(generator.env("RDNA1_ROOT", &machine))?;
    Ok(machine)
}

/// `status` there. Its exit status is part of what it says, not a failure of ours.
fn status(bin_dir: &Path, root: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(bin_dir.join("rdna1-rocm-fix"));
    command.arg("--root").arg(root).arg("status").status().context("cannot run rdna1-rocm-fix")?;
    Ok(())
}
