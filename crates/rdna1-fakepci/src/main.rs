// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-fakepci`: runs QEMU with PCI functions of our own; lines on standard
//! input plug and unplug more of them.

use std::io::BufRead;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::Context;
use clap::Parser;
use rdna1_fakepci::{Function, Qemu};

/// Runs QEMU with PCI functions that are nothing but their configuration space.
///
/// Lines on standard input: `plug VENDOR:DEVICE[:REVISION]`, `unplug NAME`.
/// The functions are named card0, card1 and so on.
#[derive(Debug, Parser)]
struct Cli {
    /// A display controller that is there when the guest starts: 1002:731f:c1.
    #[arg(long, value_name = "VENDOR:DEVICE[:REVISION]")]
    card: Vec<Function>,
    /// The guest's memory in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// QEMU and its arguments, without those for machine and memory.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    qemu: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let (program, arguments) = cli.qemu.split_first().context("no command")?;
    let mut command = Command::new(program);
    // Standard input is ours.
    command.args(arguments).stdin(std::process::Stdio::null());
    let mut qemu = Qemu::start(command, cli.memory, &cli.card)?;
    let (lines, asked) = std::sync::mpsc::channel();
    thread::spawn(move || std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    loop {
        if let Ok(line) = asked.recv_timeout(std::time::Duration::from_millis(100)) {
            obey(&mut qemu, &line);
        }
        if let Some(status) = qemu.process().try_wait()? {
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
}

#[allow(clippy::print_stderr, reason = "the answer to a line")]
fn obey(qemu: &mut Qemu, line: &str) {
    let done = match line.trim().split_once(' ') {
        Some(("plug", id)) => id.parse().map_err(anyhow::Error::msg).and_then(|card| qemu.plug(card)),
        Some(("unplug", name)) => qemu.unplug(name).map(|()| name.to_owned()),
        _ => Err(anyhow::anyhow!("`{line}`: neither plug ID nor unplug NAME")),
    };
    match done {
        Ok(name) => eprintln!("{name}: done"),
        Err(problem) => eprintln!("{problem:#}"),
    }
}
