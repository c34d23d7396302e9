// SPDX-License-Identifier: MIT OR Apache-2.0
//! The query process: its start, its end, and what it wrote to standard error.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Setting;
use crate::error::{Error, io};
use crate::{Library, Runtime};

/// How the simulated runtime begins what it writes.
const FAKEHIP: &str = "rdna1-fakehip: ";

/// What MIOpen writes of a value that it does not take (env.hpp:104-109).
const INVALID_VALUE: &str = "Invalid value for env variable";

/// The process that will ask.
pub(super) fn command(
    runtime: &Runtime,
    library: &Library,
    setting: &Setting,
    names: &tempfile::TempDir,
    home: &std::path::Path,
) -> Command {
    let mut search = names.path().as_os_str().to_owned();
    for dir in &library.search {
        search.push(":");
        search.push(dir);
    }
    let mut command = Command::new(&library.loader);
    command.arg("--library-path").arg(search).arg(runtime.program()).arg(&library.path);
    // What MIOpen writes, it writes below its home.
    command.env_clear().env("HOME", home).env("TMPDIR", home).current_dir(home);
    command.env("LD_PRELOAD", runtime.library()).env("RDNA1_SIM_GFX", setting.card.target.as_str());
    command.env("RDNA1_SIM_UNITS", setting.card.units.to_string());
    command.env("RDNA1_SIM_VRAM", setting.card.vram.to_string());
    if let Some(trace) = &setting.trace {
        command.env("RDNA1_SIM_TRACE", trace);
    }
    command.envs(setting.variables.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A query process after its end.
pub(super) struct Ended {
    pub(super) stdout: String,
    pub(super) stderr: Tail,
    /// `None`: it was killed because it took too long.
    pub(super) status: Option<std::process::ExitStatus>,
}

/// What is kept of standard error.
#[derive(Default)]
pub(super) struct Tail {
    /// The last lines.
    pub(super) lines: std::collections::VecDeque<String>,
    /// What the simulated runtime said, once each.
    pub(super) complaints: Vec<String>,
    /// What MIOpen said about values, once each.
    pub(super) invalid_values: Vec<String>,
}

/// Keeps a line, once, and not too many of them.
fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() < 20 && !lines.iter().any(|kept| kept == line) {
        lines.push(line.to_owned());
    }
}

impl Tail {
    fn read(from: impl Read) -> Self {
        let mut tail = Self::default();
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while from.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end();
            if let Some(complaint) = line.strip_prefix(FAKEHIP) {
                keep(&mut tail.complaints, complaint);
            } else if line.contains(INVALID_VALUE) {
                keep(&mut tail.invalid_values, line);
            }
            if tail.lines.len() == 5 {
                tail.lines.pop_front();
            }
            tail.lines.push_back(line.chars().take(300).collect());
            bytes.clear();
        }
        tail
    }
}

impl Ended {
    pub(super) fn of(mut command: Command, library: &Library, limit: Duration) -> Result<Self, Error> {
        let mut child = command.spawn().map_err(io("cannot start", &library.loader))?;
        let (send, receive) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read before an error is what there is.
            let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut text));
            let _ = send.send(());
            String::from_utf8_lossy(&text).into_owned()
        });
        let tail = std::thread::spawn(move || stderr.map(Tail::read).unwrap_or_default());
        let in_time = receive.recv_timeout(limit).is_ok();
        let status = end(&mut child, in_time).map_err(io("cannot wait for", &library.loader))?;
        let stdout = reader.join().unwrap_or_default();
        Ok(Self { stdout, stderr: tail.join().unwrap_or_default(), status: in_time.then_some(status) })
    }
}

fn end(child: &mut Child, in_time: bool) -> std::io::Result<std::process::ExitStatus> {
    if !in_time {
        child.kill()?;
    }
    child.wait()
}
