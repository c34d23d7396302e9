// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a MIOpen about convolutions, in a process of its own.
//!
//! MIOpen reads its variables once per process, and may crash or hang on what
//! it is asked; so each set of variables, each card is one process, with a
//! fresh home directory (MIOpen keeps records there that outlive variables),
//! no other environment, and a time limit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, io};
use crate::{Card, Convolution, Direction, FindMode, Layout, Library, Runtime};

/// How the simulated runtime begins what it writes.
const FAKEHIP: &str = "rdna1-fakehip: ";

/// What MIOpen writes of a value that it does not take (env.hpp:104-109).
const INVALID_VALUE: &str = "Invalid value for env variable";

/// What to ask of each convolution.
#[derive(Debug, Clone)]
pub struct Question {
    /// In these directions.
    pub directions: Vec<Direction>,
    /// What immediate mode offers.
    pub offers: bool,
    /// The workspace that the find step announces.
    pub workspace: bool,
    /// What the find step finds, with that workspace: PyTorch's way.
    pub find: bool,
    /// The find mode as a program sets it (`cudnn.benchmark=True` does so since
    /// PyTorch 2.7); `None` leaves it to the variables.
    pub find_mode: Option<FindMode>,
}

impl Question {
    /// All directions, everything.
    pub fn everything() -> Self {
        Self { directions: Direction::ALL.to_vec(), offers: true, workspace: true, find: true, find_mode: None }
    }

    /// All directions, immediate mode alone.
    pub fn offers() -> Self {
        Self { workspace: false, find: false, ..Self::everything() }
    }
}

/// The process in which MIOpen is asked.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The card that HIP reports.
    pub card: Card,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// How long it may take.
    pub limit: Duration,
    /// A file to which every call of the simulated runtime is appended.
    pub trace: Option<std::path::PathBuf>,
}

impl Setting {
    /// A card and variables; a minute, no trace.
    pub fn new(card: Card, variables: Vec<(String, String)>) -> Self {
        Self { card, variables, limit: Duration::from_secs(60), trace: None }
    }
}

/// Variables that keep MIOpen from writing records and built kernels. A process
/// begins with none of either, so they change no answer; writing them takes most
/// of the time of a find step.
pub fn without_records() -> [(String, String); 2] {
    ["MIOPEN_DEBUG_DISABLE_FIND_DB", "MIOPEN_DISABLE_CACHE"].map(|name| (name.to_owned(), "1".to_owned()))
}

/// What MIOpen said when it did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A miopenStatus_t; 6 is "not implemented", 7 "unknown error".
    Miopen(i32),
    /// The workspace that it asked for does not fit the card.
    OutOfMemory,
    /// It refused the description of the convolution.
    Description(i32),
}

/// A family of algorithms, by its number in miopenConvAlgorithm_t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// im2col and a matrix product.
    Gemm,
    /// Direct kernels, the naive ones among them.
    Direct,
    /// Fourier transform.
    Fft,
    /// Winograd.
    Winograd,
    /// Implicit GEMM.
    ImplicitGemm,
    /// A number that this program does not know.
    Other(i32),
}

impl Algorithm {
    fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Gemm,
            1 => Self::Direct,
            2 => Self::Fft,
            3 => Self::Winograd,
            5 => Self::ImplicitGemm,
            other => Self::Other(other),
        }
    }
}

/// A solution that immediate mode offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The solver's name.
    pub solver: Arc<str>,
    /// Its family.
    pub algorithm: Algorithm,
    /// Bytes of workspace that it needs.
    pub workspace: u64,
}

/// A candidate that the find step returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its family.
    pub algorithm: Algorithm,
    /// Bytes of workspace that it needs.
    pub workspace: u64,
}

/// What MIOpen answered about one convolution in one direction; `None` where
/// it was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The direction.
    pub direction: Direction,
    /// How many solutions there are.
    pub count: Option<Result<u64, Status>>,
    /// The solutions of immediate mode, best first.
    pub offers: Option<Result<Vec<Offer>, Status>>,
    /// The workspace to allocate before the find step.
    pub workspace: Option<Result<u64, Status>>,
    /// The candidates of the find step.
    pub found: Option<Result<Vec<Candidate>, Status>>,
}

impl Answer {
    /// The families that were named in any way.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let offers = self.offers.iter().flatten().flatten().map(|offer| offer.algorithm);
        offers.chain(self.found.iter().flatten().flatten().map(|candidate| candidate.algorithm))
    }

    /// The offer that immediate mode would use.
    pub fn first(&self) -> Option<&Offer> {
        self.offers.as_ref()?.as_ref().ok()?.first()
    }

    /// Whether the find step returned a candidate of this family.
    pub fn finds(&self, algorithm: Algorithm) -> bool {
        self.found.iter().flatten().flatten().any(|candidate| candidate.algorithm == algorithm)
    }
}

/// All answers of one process.
#[derive(Debug, Clone)]
pub struct Answers {
    /// MIOpen's version.
    pub version: String,
    /// For each convolution, in order, one answer for each direction asked.
    pub answers: Vec<Answer>,
    /// What MIOpen wrote about values that it does not take, once each.
    pub invalid_values: Vec<String>,
    /// The last lines that MIOpen wrote to standard error.
    pub stderr: String,
}

/// Asks.
///
/// # Errors
/// If a convolution cannot be, if MIOpen cannot be loaded or refuses to begin,
/// crashes, takes too long, or calls what is not simulated.
pub fn ask<'a>(
    runtime: &Runtime,
    library: &Library,
    setting: &Setting,
    convolutions: impl IntoIterator<Item = &'a Convolution>,
    question: &Question,
) -> Result<Answers, Error> {
    let convolutions: Vec<&Convolution> = convolutions.into_iter().collect();
    let mut question = question.clone();
    // The answers come in this order.
    question.directions.sort_unstable();
    question.directions.dedup();
    let question = &question;
    let mut lines = String::new();
    for convolution in &convolutions {
        convolution.check()?;
        line(&mut lines, convolution, question);
    }
    let home = runtime.scratch()?;
    let input = home.path().join("questions");
    std::fs::write(&input, lines).map_err(io("cannot write", &input))?;
    let names = runtime.names(&library.simulated)?;
    let mut command = command(runtime, library, setting, &names, home.path());
    command.stdin(std::fs::File::open(&input).map_err(io("cannot read", &input))?);
    let ended = Ended::of(command, library, setting.limit)?;
    let mut reader = Reader::new(question);
    for line in ended.stdout.lines() {
        reader.read(line);
    }
    reader.finish(ended, library, setting, &convolutions)
}

fn command(
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

/// One line of the query program's language; see `request.rs` there.
fn line(out: &mut String, convolution: &Convolution, question: &Question) {
    let what = i32::from(question.offers) | i32::from(question.workspace) << 1 | i32::from(question.find) << 2;
    let directions: i32 = question.directions.iter().map(|&direction| 1 << direction as i32).sum();
    let c = convolution;
    let _ = write!(
        out,
        "{what} {directions} {} {} {} {} {} {} {} {} {}",
        question.find_mode.map_or(0, FindMode::number),
        u8::from(c.transposed),
        c.data_type.miopen(),
        u8::from(c.layout == Layout::ChannelsLast),
        c.batch,
        c.channels,
        c.filters,
        c.groups,
        c.input.len()
    );
    for sizes in [&c.input, &c.kernel, &c.output(), &c.padding, &c.stride, &c.dilation] {
        for size in sizes {
            let _ = write!(out, " {size}");
        }
    }
    out.push('\n');
}

/// A query process after its end.
struct Ended {
    stdout: String,
    stderr: Tail,
    /// `None`: it was killed because it took too long.
    status: Option<std::process::ExitStatus>,
}

/// What is kept of standard error.
#[derive(Default)]
struct Tail {
    /// The last lines.
    lines: std::collections::VecDeque<String>,
    /// What the simulated runtime said, once each.
    complaints: Vec<String>,
    /// What MIOpen said about values, once each.
    invalid_values: Vec<String>,
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
    fn of(mut command: Command, library: &Library, limit: Duration) -> Result<Self, Error> {
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

/// Reads the query program's answers.
struct Reader<'a> {
    question: &'a Question,
    version: String,
    refusal: Option<String>,
    names: BTreeMap<u64, Arc<str>>,
    answers: Vec<Answer>,
    damaged: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(question: &'a Question) -> Self {
        Self {
            question,
            version: String::new(),
            refusal: None,
            names: BTreeMap::new(),
            answers: Vec::new(),
            damaged: None,
        }
    }

    fn read(&mut self, line: &str) {
        let fields: Vec<&str> = line.split('\t').collect();
        let understood = match fields[..] {
            ["V", version] => {
                version.clone_into(&mut self.version);
                Some(())
            }
            ["E", problem] => {
                self.refusal = Some(problem.to_owned());
                Some(())
            }
            ["N", id, name] => id.parse().ok().map(|id| {
                self.names.insert(id, name.into());
            }),
            ["D", _, _, status] => status.parse().ok().map(|status| {
                let refused = Status::Description(status);
                let answer = Answer {
                    direction: self.next_direction(),
                    count: self.question.offers.then_some(Err(refused)),
                    offers: self.question.offers.then_some(Err(refused)),
                    workspace: self.question.workspace.then_some(Err(refused)),
                    found: self.question.find.then_some(Err(refused)),
                };
                self.answers.push(answer);
            }),
            ["R", _, count_status, count, status, offers, workspace_status, workspace, found_status, found] => self
                .result([count_status, count, status, offers, workspace_status, workspace, found_status, found])
                .map(|answer| self.answers.push(answer)),
            _ => None,
        };
        if understood.is_none() && self.damaged.is_none() {
            self.damaged = Some(line.chars().take(200).collect());
        }
    }

    fn next_direction(&self) -> Direction {
        let directions = &self.question.directions;
        directions[self.answers.len() % directions.len()]
    }

    fn result(&self, fields: [&str; 8]) -> Option<Answer> {
        let [count_status, count, status, offers, workspace_status, workspace, found_status, found] = fields;
        let offer = |text: &str| {
            let [id, algorithm, workspace] = numbers(text)?;
            Some(Offer {
                solver: self.names.get(&id)?.clone(),
                algorithm: Algorithm::from_number(i32::try_from(algorithm).ok()?),
                workspace,
            })
        };
        let candidate = |text: &str| {
            let [algorithm, workspace] = numbers(text)?;
            Some(Candidate { algorithm: Algorithm::from_number(i32::try_from(algorithm).ok()?), workspace })
        };
        Some(Answer {
            direction: self.next_direction(),
            count: outcome(count_status, || count.parse().ok())?,
            offers: outcome(status, || list(offers, offer))?,
            workspace: outcome(workspace_status, || workspace.parse().ok())?,
            found: outcome(found_status, || list(found, candidate))?,
        })
    }

    fn finish(
        self,
        ended: Ended,
        library: &Library,
        setting: &Setting,
        convolutions: &[&Convolution],
    ) -> Result<Answers, Error> {
        let path = library.path.clone();
        let stderr = Vec::from(ended.stderr.lines).join(" | ");
        let per = self.question.directions.len().max(1);
        let at = || match convolutions.get(self.answers.len() / per) {
            Some(convolution) => format!("{convolution}, {}", self.next_direction()),
            None => "the end".into(),
        };
        let Some(status) = ended.status else {
            return Err(Error::TimedOut { path, seconds: setting.limit.as_secs(), at: at() });
        };
        if let Some(problem) = self.refusal {
            return Err(Error::Refused { path, problem, stderr });
        }
        if !ended.stderr.complaints.is_empty() {
            return Err(Error::NotSimulated { path, calls: ended.stderr.complaints });
        }
        if self.version.is_empty() {
            // The loader itself ends so when it cannot start the program.
            return Err(Error::Refused {
                path,
                problem: format!("the query program did not start ({status})"),
                stderr,
            });
        }
        if !status.success() || self.answers.len() != convolutions.len() * per {
            return Err(Error::Crashed { path, how: status.to_string(), at: at(), stderr });
        }
        if let Some(line) = self.damaged {
            return Err(Error::Refused { path, problem: format!("an answer cannot be read: {line}"), stderr });
        }
        let invalid_values = ended.stderr.invalid_values;
        Ok(Answers { version: self.version, answers: self.answers, invalid_values, stderr })
    }
}

/// A status field and what goes with it; the outer `None` is a damaged line.
#[allow(clippy::option_option, reason = "three cases: damaged, not asked, answered")]
fn outcome<T>(status: &str, value: impl FnOnce() -> Option<T>) -> Option<Option<Result<T, Status>>> {
    match status {
        "-" => Some(None),
        "0" => value().map(|value| Some(Ok(value))),
        "no-memory" => Some(Some(Err(Status::OutOfMemory))),
        number => number.parse().ok().map(|number| Some(Err(Status::Miopen(number)))),
    }
}

fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(item).collect() }
}

fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split(':').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Reader<'static> {
        let question: &'static Question = Box::leak(Box::new(Question::everything()));
        let mut reader = Reader::new(question);
        for line in lines {
            reader.read(line);
        }
        reader
    }

    #[test]
    fn answers_in_the_query_programs_language() {
        let lines = ["V\t3.4.0", "N\t91\tGemmFwdRest", "R\tF\t0\t1\t0\t91:0:72\t0\t72\t0\t0:72", "D\tB\tcall\t3"];
        let reader = read(&lines);
        assert_eq!((reader.version.as_str(), reader.damaged), ("3.4.0", None));
        let offer = reader.answers[0].first().expect("an offer");
        assert_eq!((&*offer.solver, offer.algorithm, offer.workspace), ("GemmFwdRest", Algorithm::Gemm, 72));
        assert!(reader.answers[0].finds(Algorithm::Gemm));
        assert_eq!(reader.answers[1].direction, Direction::BackwardData);
        assert_eq!(reader.answers[1].workspace, Some(Err(Status::Description(3))));
    }

    #[test]
    fn what_was_not_asked_is_nothing_and_errors_are_errors() {
        let reader = read(&["R\tF\t-\t-\t-\t-\t0\t72\t7\t", "R\tB\t6\t0\t6\t\t0\t72\tno-memory\t"]);
        assert_eq!((&reader.answers[0].offers, &reader.answers[0].found), (&None, &Some(Err(Status::Miopen(7)))));
        assert_eq!(reader.answers[1].offers, Some(Err(Status::Miopen(6))));
        assert_eq!(reader.answers[1].found, Some(Err(Status::OutOfMemory)));
    }

    #[test]
    fn damaged_lines_are_noticed() {
        for line in ["", "X", "R\tF", "R\tF\t0\t1\t0\t91:0:72\t0\t72\t0\t0:72", "N\tx\ty", "R\tF\t0\tx\t0\t\t0\t0\t0\t"]
        {
            assert!(read(&[line]).damaged.is_some(), "{line:?}");
        }
    }
}
