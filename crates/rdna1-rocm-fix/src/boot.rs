// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs at boot, before any unit, as a child of PID 1.
//!
//! It must not block, must not fail the boot, and prints either the whole
//! environment or nothing. It also writes the files below `/run`, so that the
//! first login finds them even if it is quicker than the card's udev event.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

use rdna1_core::render::{Format, Guard, render};
use rdna1_core::resolve::Resolution;
use rdna1_core::root::Root;

use crate::context::{Context, current_environment};
use crate::state;

/// Seconds after which the kernel ends this program, whatever it waits for;
/// systemd itself would wait for 90, and nothing else starts meanwhile. An
/// ordinary run takes a few milliseconds.
const TIME_LIMIT: u32 = 2;

/// Most unreadable files of the machine that are reported: where one attribute
/// cannot be read, hundreds cannot.
const PROBLEMS_REPORTED: usize = 3;

/// The environment generator.
///
/// Exit status 0 even if nothing could be set: the reason is in the kernel log,
/// and a failed generator would only add a message that says less.
pub fn main() -> ExitCode {
    nix::unistd::alarm::set(TIME_LIMIT);
    let root = std::env::var_os("RDNA1_ROOT").unwrap_or_else(|| "/".into());
    if let Err(problem) = generate(Root::new(root)) {
        report(&problem.to_string());
    }
    ExitCode::SUCCESS
}

fn generate(root: Root) -> anyhow::Result<()> {
    let context = Context::read_for_boot(root)?;
    for problem in &context.broken {
        report(&format!("nothing is set, because {problem}"));
    }
    // A card that cannot be seen is none, and nothing is set for it.
    for problem in context.machine.problems.iter().take(PROBLEMS_REPORTED) {
        report(&format!("a card may go unseen, because {} {}", problem.path, problem.problem));
    }
    let machine_wide = context.resolve_machine();
    if let Err(problem) = state::write(&context.root, &machine_wide) {
        report(&format!("login shells stay without the environment: {problem:#}"));
    }
    let here = context.resolve(&Default::default(), &current_environment());
    let text = environment(&here)?;
    // One write at the very end: systemd gets all of it or nothing.
    std::io::stdout().write_all(text.as_bytes())?;
    // The process ends now; to give back a policy of thousands of texts one by
    // one would take a tenth of its time.
    std::mem::forget(context);
    Ok(())
}

fn environment(resolution: &Resolution) -> anyhow::Result<String> {
    Ok(render(Format::Systemd, Guard::None, resolution.variables(), &[])?)
}

/// Writes to the kernel log, which reaches the journal this early. Where there
/// is none (containers) it goes to the journal itself, which is there when systemd
/// reloads but not yet at boot, and to standard error, which systemd drops (measured).
#[allow(clippy::print_stderr, reason = "the last resort this early at boot")]
fn report(message: &str) {
    let line = format!("<3>{}[{}]: {}\n", rdna1_core::NAME, std::process::id(), message.replace('\n', "; "));
    let kmsg = OpenOptions::new().write(true).open("/dev/kmsg");
    if kmsg.and_then(|mut kmsg| kmsg.write_all(line.as_bytes())).is_err() {
        eprint!("{line}");
        to_journal(&message.replace('\n', "; "));
    }
}

/// One datagram in the journal's own format; what cannot be sent at once is
/// given up, because a generator may not wait.
fn to_journal(message: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_ok() {
        let entry = format!("PRIORITY=3\nSYSLOG_IDENTIFIER={}\nMESSAGE={message}\n", rdna1_core::NAME);
        // Nobody is left to hear that this failed as well.
        let _ = socket.send_to(entry.as_bytes(), "/run/systemd/journal/socket");
    }
}
