// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a MIOpen about convolutions, in a process of its own.
//!
//! MIOpen reads its variables once per process, and may crash or hang on what
//! it is asked; so each set of variables, each card is one process, with a
//! fresh home directory (MIOpen keeps records there that outlive variables),
//! no other environment, and a time limit.

mod process;
mod reader;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use process::{Ended, command};
use reader::Reader;

use crate::error::{Error, io};
use crate::{Card, Convolution, Direction, FindMode, Layout, Library, Runtime};

/// What to ask of each convolution.
#[derive(Debug, Clone)]
pub struct Question {
    /// In these directions.
    pub directions: Vec<Direction>,
    /// How many solutions immediate mode has.
    pub count: bool,
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
        let directions = Direction::ALL.to_vec();
        Self { directions, count: true, offers: true, workspace: true, find: true, find_mode: None }
    }

    /// All directions, immediate mode alone.
    pub fn offers() -> Self {
        Self { count: false, workspace: false, find: false, ..Self::everything() }
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

/// Variables that keep MIOpen from writing records and built kernels, and from
/// looking for the model files of a chip that no RDNA card is. A process begins
/// without records and Debian's package has no such files, so these change no
/// answer (a test compares); what they save is most of the time of a find step.
pub fn for_speed() -> [(String, String); 3] {
    [
        ("MIOPEN_DEBUG_DISABLE_FIND_DB", "1"),
        ("MIOPEN_DISABLE_CACHE", "1"),
        ("MIOPEN_DEBUG_ENABLE_AI_IMMED_MODE_FALLBACK", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
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
    /// The kernels that the find step launched, by name: none in the mode that
    /// takes MIOpen's own estimate.
    pub launched: Vec<Arc<str>>,
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

/// One line of the query program's language; see `request.rs` there.
fn line(out: &mut String, convolution: &Convolution, question: &Question) {
    let asked = [question.offers, question.workspace, question.find, question.count];
    let what: i32 = asked.into_iter().zip(0..).map(|(asked, bit)| i32::from(asked) << bit).sum();
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
