// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to a worker with a time limit, and a name for whatever comes of
//! them. A worker that misbehaves is ended; the next question starts a new one.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::process::{Ended, Event, Process, Spec, What};
use super::protocol::{Failure, Message, Question, Request};

/// How often a waiting supervisor looks whether the user has interrupted it or
/// the worker has died without closing its pipes.
const LOOK: Duration = Duration::from_millis(50);

/// How long what a worker printed may take to arrive after its answer.
const STRAGGLERS: Duration = Duration::from_millis(500);

/// The most that is kept of what a worker prints during one question.
const PRINTED_MAX: usize = 1 << 20;

/// What came back.
#[derive(Debug)]
pub enum Reply {
    /// An answer.
    Answer(serde_json::Value),
    /// An exception.
    Failed(Failure),
}

/// How a worker was lost.
#[derive(Debug)]
pub enum Lost {
    /// It could not be started.
    NotStarted(String),
    /// It did not answer in time.
    Timeout,
    /// It ended.
    Died(ExitStatus),
    /// What it sent is no answer.
    Garbage(String),
    /// It cannot be killed; its process id and state.
    Stuck(i32, String),
    /// The user wants to stop.
    Interrupted,
}

/// What a worker printed while it was asked something.
#[derive(Debug, Default)]
pub struct Log {
    /// Standard error by step: the step's name and what was printed in it.
    pub steps: Vec<(String, String)>,
    /// Standard output.
    pub stdout: String,
}

impl Log {
    /// The end of all that was printed.
    pub fn tail(&self, lines: usize) -> Option<String> {
        let stderr = self.steps.iter().flat_map(|(_, text)| text.lines());
        let all: Vec<&str> = self.stdout.lines().chain(stderr).filter(|line| !line.trim().is_empty()).collect();
        let last = all[all.len().saturating_sub(lines)..].iter();
        let text = last.map(|line| line.chars().take(400).collect::<String>()).collect::<Vec<_>>().join("\n");
        (!text.is_empty()).then_some(text)
    }
}

/// A question's fate.
#[derive(Debug)]
pub struct Exchange {
    /// What came of it.
    pub outcome: Result<Reply, Lost>,
    /// Whether the answer came after its limit.
    pub late: bool,
    /// The last step that the worker announced.
    pub phase: Option<String>,
    /// What it printed.
    pub log: Log,
    /// Time from the question to the answer, or until the worker was given up.
    pub seconds: f64,
    /// Of it, time spent on ending a worker.
    pub ending: f64,
}

/// A worker that is started when it is needed, and again after it was lost.
#[derive(Debug)]
pub struct Supervised {
    spec: Spec,
    process: Option<Process>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// Each of them ends what is being asked.
    interrupted: Vec<Arc<AtomicBool>>,
    log: Recorder,
    /// Starts so far.
    pub starts: u32,
}

impl Supervised {
    /// One that has not been started yet.
    pub fn new(spec: Spec, interrupted: Arc<AtomicBool>) -> Self {
        let (sender, events) = channel();
        let interrupted = vec![interrupted];
        Self { spec, process: None, sender, events, interrupted, log: Recorder::default(), starts: 0 }
    }

    /// The same, which another flag interrupts as well.
    #[must_use]
    pub fn stopped_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupted.push(flag);
        self
    }

    /// Whether it is there.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the process if it is not there.
    fn start(&mut self) -> Result<(), Lost> {
        if self.process.is_none() {
            self.starts += 1;
            let process = Process::start(&self.spec, &self.sender);
            self.process = Some(process.map_err(|error| {
                Lost::NotStarted(format!("{} cannot be started: {error}", self.spec.program.display()))
            })?);
        }
        Ok(())
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &Question<'_>, limit: Duration) -> Exchange {
        let begin = Instant::now();
        self.log = Recorder::default();
        let mut exchange = Exchange {
            outcome: Err(Lost::Interrupted),
            late: false,
            phase: None,
            log: Log::default(),
            seconds: 0.0,
            ending: 0.0,
        };
        exchange.outcome = self.start().and_then(|()| self.exchange(question, limit, &mut exchange));
        if let Err(lost) = &mut exchange.outcome {
            let ending = Instant::now();
            self.end(lost);
            exchange.ending = ending.elapsed().as_secs_f64();
        }
        exchange.log = std::mem::take(&mut self.log).finish();
        exchange.seconds = begin.elapsed().as_secs_f64();
        exchange
    }

    fn exchange(&mut self, question: &Question<'_>, limit: Duration, exchange: &mut Exchange) -> Result<Reply, Lost> {
        let token = token();
        let request = Request { token: &token, question };
        let mut line = serde_json::to_vec(&request).map_err(|e| Lost::NotStarted(e.to_string()))?;
        line.push(b'\n');
        let process = self.process.as_mut().ok_or(Lost::Interrupted)?;
        // If it has gone already, that is seen below.
        let _ = process.send(&line);
        self.log.token.clone_from(&token);
        let deadline = Instant::now() + limit;
        let last = deadline + grace(limit);
        loop {
            match self.next(last)? {
                None => return Err(Lost::Timeout),
                Some(What::Line(line)) => {
                    let message = understand(&line, &token)?;
                    if message.phase.is_some() {
                        exchange.phase = message.phase;
                        continue;
                    }
                    exchange.late = Instant::now() > deadline;
                    self.stragglers();
                    return match (message.answer, message.error) {
                        (Some(answer), None) => Ok(Reply::Answer(answer)),
                        (None, Some(failure)) => Ok(Reply::Failed(failure)),
                        _ => Err(Lost::Garbage(excerpt(&line))),
                    };
                }
                Some(What::Flood) => return Err(Lost::Garbage("megabytes without a line break".into())),
                Some(What::Closed) => return Err(self.died(last)),
                Some(What::Stdout(bytes)) => self.log.stdout(&bytes),
                Some(What::Stderr(bytes)) => self.log.stderr(&bytes),
            }
        }
    }

    /// The next event of the worker that is running; `None` when time is up.
    fn next(&mut self, until: Instant) -> Result<Option<What>, Lost> {
        loop {
            if self.interrupted.iter().any(|flag| flag.load(Ordering::Relaxed)) {
                return Err(Lost::Interrupted);
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            let process = self.process.as_mut().ok_or(Lost::Interrupted)?;
            match self.events.recv_timeout(LOOK.min(until - now)) {
                Ok(event) if event.worker == process.id => return Ok(Some(event.what)),
                Ok(_) => {}
                // What it has started may keep the pipe open after it died.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if process.status().is_some() {
                        return Ok(Some(What::Closed));
                    }
                }
            }
        }
    }

    /// Takes in what was printed before the answer and is read after it.
    fn stragglers(&mut self) {
        let until = Instant::now() + STRAGGLERS;
        while !self.log.ended {
            match self.next(until) {
                Ok(Some(What::Stdout(bytes))) => self.log.stdout(&bytes),
                Ok(Some(What::Stderr(bytes))) => self.log.stderr(&bytes),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// It has closed its pipe: it is about to end, or will not come back.
    fn died(&mut self, until: Instant) -> Lost {
        let soon = (Instant::now() + Duration::from_secs(2)).min(until.max(Instant::now() + LOOK));
        while Instant::now() < soon {
            if let Some(status) = self.process.as_mut().and_then(Process::status) {
                self.last_words();
                return Lost::Died(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Lost::Garbage("it closed the pipe for answers and went on".into())
    }

    /// What it printed before it died. What it has started may go on printing for
    /// ever, so that an end of it is not waited for.
    fn last_words(&mut self) {
        let Some(worker) = self.process.as_ref().map(|process| process.id) else { return };
        let until = Instant::now() + LOOK;
        loop {
            let now = Instant::now();
            if now >= until {
                return;
            }
            let Ok(event) = self.events.recv_timeout(until - now) else { return };
            match event.what {
                _ if event.worker != worker => {}
                What::Stdout(bytes) => self.log.stdout(&bytes),
                What::Stderr(bytes) => self.log.stderr(&bytes),
                _ => {}
            }
        }
    }

    /// Ends a worker that was lost; finds out whether it can be ended at all.
    fn end(&mut self, lost: &mut Lost) {
        let Some(mut process) = self.process.take() else { return };
        if let Ended::Stuck { state } = process.kill() {
            *lost = Lost::Stuck(process.pid(), state);
        }
    }

    /// Ends the worker, so that the next question gets a new one.
    pub fn restart(&mut self) {
        self.end(&mut Lost::Interrupted);
    }

    /// Lets the worker leave.
    pub fn close(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.close();
        }
    }
}

/// How long after its limit an answer still counts as late instead of never:
/// it tells what is slow from what hangs.
fn grace(limit: Duration) -> Duration {
    (limit / 2).clamp(Duration::from_secs(1), Duration::from_secs(10))
}

/// Sixteen hexadecimal digits that nothing can know before they are sent.
fn token() -> String {
    let mut bytes = [0; 8];
    // Before the kernel's generator is ready there is nothing to validate either.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn understand(line: &[u8], token: &str) -> Result<Message, Lost> {
    let message: Message = serde_json::from_slice(line).map_err(|_| Lost::Garbage(excerpt(line)))?;
    if message.token == token { Ok(message) } else { Err(Lost::Garbage(excerpt(line))) }
}

/// The beginning of something that may be anything, fit to be printed.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    text.trim_end().chars().flat_map(char::escape_debug).collect()
}

/// Sorts what a worker prints by the steps that it announces.
#[derive(Debug, Default)]
struct Recorder {
    token: String,
    log: Log,
    line: Vec<u8>,
    /// Whether all that belongs to the question has arrived.
    ended: bool,
}

impl Recorder {
    fn stdout(&mut self, bytes: &[u8]) {
        append(&mut self.log.stdout, &String::from_utf8_lossy(bytes));
    }

    fn stderr(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") || self.line.len() > PRINTED_MAX {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        if let Some(marked) = text.strip_prefix("@rdna1 ") {
            // A mark of an earlier question is worth nothing any more.
            if let Some(step) = marked.trim_end().strip_prefix(&self.token) {
                self.ended |= step.trim() == "end";
                self.log.steps.push((step.trim().to_owned(), String::new()));
            }
            return;
        }
        if self.log.steps.is_empty() {
            self.log.steps.push((String::new(), String::new()));
        }
        if let Some((_, step)) = self.log.steps.last_mut() {
            append(step, &text);
        }
    }

    fn finish(mut self) -> Log {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.log
    }
}

/// Appends; of too much, the beginning goes.
fn append(to: &mut String, text: &str) {
    to.push_str(text);
    if to.len() > PRINTED_MAX {
        let cut = to.len() - PRINTED_MAX / 2;
        let cut = (cut..to.len()).find(|&at| to.is_char_boundary(at)).unwrap_or(to.len());
        to.drain(..cut);
    }
}

/// A death in words.
pub(crate) fn death(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = match signal {
                4 => "SIGILL, an instruction that this CPU lacks",
                6 => "SIGABRT, the library gave up",
                7 => "SIGBUS",
                8 => "SIGFPE",
                9 => "SIGKILL",
                11 => "SIGSEGV, a memory fault",
                15 => "SIGTERM",
                _ => "a signal",
            };
            format!("the worker died of signal {signal} ({name})")
        }
        (None, Some(code)) => format!("the worker ended with exit status {code} and without an answer"),
        (None, None) => "the worker ended".into(),
    }
}
