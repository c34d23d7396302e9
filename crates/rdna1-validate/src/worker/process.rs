// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a worker with pipes of its own, reading them, and ending it with
//! everything that it has started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a worker may take to leave when it is asked to.
const LEAVES: Duration = Duration::from_millis(300);

/// How long the kernel may take to end what was killed. A process that holds a
/// GPU is not gone before the driver has taken its queues down.
const DIES: Duration = Duration::from_secs(10);

/// More than any answer has.
const LINE_MAX: usize = 4 << 20;

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The interpreter.
    pub program: PathBuf,
    /// The worker's source.
    pub script: PathBuf,
    /// Variables to set.
    pub set: Vec<(OsString, OsString)>,
    /// Variables to take away.
    pub unset: Vec<OsString>,
}

/// Something that a worker did.
#[derive(Debug)]
pub struct Event {
    /// Which worker.
    pub worker: u64,
    /// What it did.
    pub what: What,
}

/// What a worker did.
#[derive(Debug)]
pub enum What {
    /// It wrote a line on the pipe for answers.
    Line(Vec<u8>),
    /// It wrote far too much there without a line break.
    Flood,
    /// It closed that pipe.
    Closed,
    /// It printed something on standard output.
    Stdout(Vec<u8>),
    /// It printed something on standard error.
    Stderr(Vec<u8>),
}

/// How a worker was ended.
#[derive(Debug)]
pub enum Ended {
    /// It is gone.
    Gone(Option<ExitStatus>),
    /// It is not, although it was killed.
    Stuck {
        /// Its state, as /proc shows it; `D` is the kernel's uninterruptible sleep.
        state: String,
    },
}

/// A running worker.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
    /// Tells its events from those of earlier ones.
    pub id: u64,
    requests: Option<File>,
    gone: bool,
}

/// Between making the child's ends inheritable and closing them here, no other
/// child may be started: it would hold this one's pipes open.
static SPAWN: Mutex<()> = Mutex::new(());

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Process {
    /// Starts a worker. The calling thread must live as long as the worker:
    /// the worker has the kernel kill it when that thread ends.
    ///
    /// # Errors
    /// If the interpreter cannot be executed, or pipes are not to be had.
    pub fn start(spec: &Spec, events: &Sender<Event>) -> io::Result<Self> {
        let (their_requests, requests) = pipe_with(PipeFlags::CLOEXEC)?;
        let (answers, their_answers) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(&spec.program);
        command.arg(&spec.script).arg(number(&their_requests)).arg(number(&their_answers));
        for name in &spec.unset {
            command.env_remove(name);
        }
        command.envs(spec.set.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = {
            let _alone = SPAWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            fcntl_setfd(&their_requests, FdFlags::empty())?;
            fcntl_setfd(&their_answers, FdFlags::empty())?;
            let child = command.spawn();
            drop((their_requests, their_answers));
            child?
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        listen(id, events, File::from(answers), |worker, pipe, events| lines(worker, pipe, &events));
        if let Some(pipe) = child.stdout.take() {
            listen(id, events, pipe, |worker, pipe, events| pieces(worker, pipe, &events, What::Stdout));
        }
        if let Some(pipe) = child.stderr.take() {
            listen(id, events, pipe, |worker, pipe, events| pieces(worker, pipe, &events, What::Stderr));
        }
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid, id, requests: Some(File::from(requests)), gone: false })
    }

    /// Writes a request. One is outstanding at a time, and it is smaller than a
    /// pipe holds, so that this does not block.
    ///
    /// # Errors
    /// If the worker has closed its end.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(request)
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        self.gone |= status.is_some();
        status
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Lets it leave by itself, and sees to it that it does.
    pub fn close(&mut self) -> Ended {
        self.requests = None;
        match self.wait(Duration::from_secs(3)) {
            Some(status) => {
                self.end_group(&[]);
                Ended::Gone(Some(status))
            }
            None => self.kill(),
        }
    }

    /// Ends it with everything that it has started: first by asking, then by force.
    pub fn kill(&mut self) -> Ended {
        self.requests = None;
        let family = descendants(self.pid());
        if let Some(status) = self.status() {
            self.end_group(&family);
            return Ended::Gone(Some(status));
        }
        let _ = kill_process_group(self.pid, Signal::TERM);
        if self.wait(LEAVES).is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        self.end_group(&family);
        match self.wait(DIES) {
            Some(status) => Ended::Gone(Some(status)),
            None => {
                // Nobody waits for it any more, not even the destructor.
                self.gone = true;
                Ended::Stuck { state: state(self.pid()).unwrap_or_else(|| "unknown".into()) }
            }
        }
    }

    /// Kills what is left of its process group, and those of its descendants
    /// that have left the group.
    fn end_group(&self, family: &[i32]) {
        let _ = kill_process_group(self.pid, Signal::KILL);
        for &pid in family.iter().filter(|pid| **pid != self.pid()) {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.status() {
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.gone {
            self.kill();
        }
    }
}

fn number(fd: &OwnedFd) -> String {
    fd.as_raw_fd().to_string()
}

/// Reads a pipe in a thread of its own until it is closed.
fn listen<P: Read + Send + 'static>(
    worker: u64,
    events: &Sender<Event>,
    pipe: P,
    read: impl FnOnce(u64, P, Sender<Event>) + Send + 'static,
) {
    let events = events.clone();
    thread::spawn(move || read(worker, pipe, events));
}

fn pieces(worker: u64, mut pipe: impl Read, events: &Sender<Event>, what: fn(Vec<u8>) -> What) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n) = pipe.read(&mut buffer) {
        if n == 0 || events.send(Event { worker, what: what(buffer[..n].to_vec()) }).is_err() {
            return;
        }
    }
}

fn lines(worker: u64, mut pipe: impl Read, events: &Sender<Event>) {
    let mut line = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let send = |what| events.send(Event { worker, what }).is_ok();
    loop {
        let n = match pipe.read(&mut buffer) {
            Ok(n) if n > 0 => n,
            _ => {
                if !line.is_empty() {
                    send(What::Line(line));
                }
                send(What::Closed);
                return;
            }
        };
        for piece in buffer[..n].split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") && !send(What::Line(std::mem::take(&mut line))) {
                return;
            }
        }
        if line.len() > LINE_MAX {
            send(What::Flood);
            return;
        }
    }
}

/// The state letter of a process and what it stands for.
fn state(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("State:"))?;
    Some(line.trim().to_owned())
}

/// A process and all that it has started, directly or not, as far as their
/// parents are still there.
fn descendants(pid: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent(child) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() {
        family.extend(children.get(&family[at]).into_iter().flatten());
        at += 1;
    }
    family
}

fn parent(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
