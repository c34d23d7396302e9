// SPDX-License-Identifier: MIT OR Apache-2.0
//! What MIOpen would do with a list of convolutions under a profile, on a card:
//! before anything runs on it, where a wrong kernel freezes the desktop.

mod decide;
mod subject;
mod text;

use std::path::PathBuf;

use rdna1_core::policy::{Policy, Profile};
use serde::Serialize;

pub use decide::Verdict;
pub use subject::{Job, Subject};

use crate::card::Target;
use crate::query::{self, Question, Setting};
use crate::switches::{self, RefusedValue};
use crate::{Card, DataType, Direction, Error, FindMode, Layout, Library, Runtime, Switches};

/// The version of the report's shape.
pub const VERSION: u32 = 1;

/// What to plan.
#[derive(Debug, Clone)]
pub struct Options {
    /// The convolutions.
    pub subject: Subject,
    /// The gfx target that ROCm sees: the card's own, or the override's.
    pub target: Target,
    /// Its memory; a usual card's with that target if not said.
    pub vram: Option<u64>,
    /// The profile; the policy's default if not said.
    pub profile: Option<String>,
    /// Whether the program sets `torch.backends.cudnn.benchmark`, so that
    /// PyTorch puts MIOpen into find mode 1 whatever the profile says.
    pub benchmark: bool,
    /// Batch of a model's layers.
    pub batch: u64,
    /// Type of a model's numbers.
    pub data_type: DataType,
    /// Layout of a model's tensors, as it reaches MIOpen.
    pub layout: Layout,
    /// Directions: forward alone for inference.
    pub directions: Vec<Direction>,
    /// A directory with a MIOpen to ask, or with Debian's packages of one;
    /// without it, the rules answer.
    pub miopen: Option<PathBuf>,
}

impl Options {
    /// A model or list on a card, everything else as is usual.
    pub fn new(subject: Subject, target: Target) -> Self {
        Self {
            subject,
            target,
            vram: None,
            profile: None,
            benchmark: false,
            batch: 1,
            data_type: DataType::F32,
            layout: Layout::ChannelsFirst,
            directions: Direction::ALL.to_vec(),
            miopen: None,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A profile that the policy does not have.
    #[error("there is no profile `{asked}`; there are {}", .known.join(", "))]
    Profile {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A model that is not known.
    #[error("the model `{asked}` is not known; there are {}", crate::models::NAMES.join(", "))]
    Model {
        /// What was asked for.
        asked: String,
    },
    /// A list of commands that cannot be read.
    #[error("{file}: {error}")]
    Commands {
        /// Its name.
        file: String,
        /// What is wrong.
        error: crate::driver::CommandError,
    },
    /// A suite that cannot be read.
    #[error(transparent)]
    Suite(#[from] crate::suite::SuiteError),
    /// The profile sets what MIOpen would refuse.
    #[error(transparent)]
    Value(#[from] RefusedValue),
    /// MIOpen could not be asked.
    #[error(transparent)]
    Library(#[from] Error),
}

/// One convolution in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The direction.
    pub direction: Direction,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The solver, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<String>,
    /// Bytes of workspace.
    pub workspace: u64,
    /// Bytes of workspace and tensors together.
    pub memory: u64,
    /// Why, where it is not simply served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// A profile that serves it, where this one does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
}

/// One convolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// Where it comes from: a layer's number, a shape's name, a line.
    pub name: String,
    /// How often the subject has it.
    pub times: u32,
    /// In short.
    pub shown: String,
    /// In full.
    pub convolution: crate::Convolution,
    /// Its directions.
    pub steps: Vec<Step>,
}

/// How many steps have which verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// All steps, repetitions counted.
    pub steps: u64,
    /// By verdict.
    pub by_verdict: std::collections::BTreeMap<Verdict, u64>,
    /// The largest workspace of what is served.
    pub largest_workspace: u64,
    /// The most memory that one of these needs, tensors included.
    pub largest_memory: u64,
}

/// What the static check found in the device code that a plan's data type runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CodeNote {
    /// The stack, in words.
    pub stack: String,
    /// The card's own target.
    pub card: String,
    /// The target whose code it runs.
    pub code: String,
    /// The type of the plan's numbers.
    pub data_type: DataType,
    /// What was found, a sentence for each kind of kernel.
    pub found: Vec<String>,
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// What was planned.
    pub subject: String,
    /// The card.
    pub card: Card,
    /// The profile.
    pub profile: String,
    /// The find mode in force.
    pub find_mode: FindMode,
    /// Who answered: `rules`, or `MIOpen` with its version and path.
    pub answered_by: String,
    /// Totals.
    pub summary: Summary,
    /// What is known of the device code that would run; empty where no stack
    /// was checked, or nothing was found.
    pub device_code: Vec<CodeNote>,
    /// The convolutions.
    pub entries: Vec<Entry>,
}

impl Report {
    /// Whether every step will find a solver and its memory.
    pub fn all_served(&self) -> bool {
        self.summary.by_verdict.keys().all(|verdict| verdict.is_served())
    }

    /// As a page for people.
    pub fn to_text(&self) -> String {
        text::page(self)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        // Maps with text keys and finite numbers always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Plans.
///
/// # Errors
/// If something that was asked for does not exist or cannot be read, or if
/// MIOpen was to be asked and could not be.
pub fn run(policy: &Policy, options: &Options) -> Result<Report, PlanError> {
    let profile = profile(policy, options.profile.as_deref())?;
    let mut card = Card::of(options.target.clone());
    card.vram = options.vram.unwrap_or(card.vram);
    let mut switches = Switches::of(profile)?;
    if options.benchmark {
        switches.find_mode = FindMode::Normal;
    }
    let jobs = options.subject.jobs(options)?;
    // Without MIOpen there is nothing to ask it.
    let library = options.miopen.as_ref().filter(|_| switches.miopen);
    let (answered_by, answers) = match library {
        None => ("rules".to_owned(), None),
        Some(dir) => {
            let (version, answers) = ask(dir, &card, profile, options.benchmark, &jobs)?;
            (format!("MIOpen {version} in {}", dir.display()), Some(answers))
        }
    };
    let mut answers = answers.map(Vec::into_iter);
    let others = others(policy, profile)?;
    let mut entries = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut steps = Vec::with_capacity(job.directions.len());
        for &direction in &job.directions {
            let found = match &mut answers {
                Some(answers) => answers.next().map(|answer| decide::by_answer(&job.convolution, &answer, &switches)),
                None => None,
            };
            let found = found.unwrap_or_else(|| decide::by_rules(&job.convolution, direction, &switches, &card));
            steps.push(decide::step(&job.convolution, direction, found, &card, &others));
        }
        let shown = job.convolution.to_string();
        entries.push(Entry { name: job.name, times: job.times, shown, convolution: job.convolution, steps });
    }
    Ok(Report {
        version: VERSION,
        subject: options.subject.name(),
        card,
        profile: profile.id.clone(),
        find_mode: switches.find_mode,
        answered_by,
        summary: summary(&entries),
        device_code: Vec::new(),
        entries,
    })
}

/// What becomes of one convolution in one direction by the rules, under
/// switches that may differ from the profile's own, and which other profile
/// serves it where this one does not.
///
/// # Errors
/// If a profile of the policy has a value that MIOpen refuses.
pub fn of_one(
    policy: &Policy,
    profile: &Profile,
    switches: &Switches,
    convolution: &crate::Convolution,
    direction: Direction,
    card: &Card,
) -> Result<Step, PlanError> {
    let found = decide::by_rules(convolution, direction, switches, card);
    Ok(decide::step(convolution, direction, found, card, &others(policy, profile)?))
}

fn profile<'a>(policy: &'a Policy, id: Option<&str>) -> Result<&'a Profile, PlanError> {
    let Some(id) = id else { return Ok(policy.default_profile()) };
    policy.profile(id).ok_or_else(|| PlanError::Profile {
        asked: id.to_owned(),
        known: policy.profiles.iter().map(|profile| profile.id.clone()).collect(),
    })
}

/// The profiles that could serve what this one does not, in the policy's order.
fn others(policy: &Policy, own: &Profile) -> Result<Vec<(String, Switches)>, PlanError> {
    let others = policy.profiles.iter().filter(|profile| profile.id != own.id);
    others.map(|profile| Ok((profile.id.clone(), Switches::of(profile)?))).collect()
}

fn ask(
    dir: &std::path::Path,
    card: &Card,
    profile: &Profile,
    benchmark: bool,
    jobs: &[Job],
) -> Result<(String, Vec<query::Answer>), PlanError> {
    let is_package = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "deb");
    let has_packages = std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(is_package));
    let runtime = Runtime::new()?;
    let unpacked = runtime.on_disk()?;
    let root = if has_packages { crate::debian::unpacked(Some(dir), unpacked.path())? } else { dir.to_owned() };
    let library = Library::open(&root)?;
    let mut variables = switches::variables(profile);
    variables.extend(query::for_speed());
    let setting = Setting::new(card.clone(), variables);
    let directions = jobs.first().map(|job| job.directions.clone()).unwrap_or_default();
    let same = jobs.iter().all(|job| job.directions == directions);
    let question = Question {
        // Where jobs differ, all are asked and what was not wanted is dropped.
        directions: if same { directions } else { Direction::ALL.to_vec() },
        find_mode: benchmark.then_some(FindMode::Normal),
        count: false,
        ..Question::everything()
    };
    let asked = query::ask(&runtime, &library, &setting, jobs.iter().map(|job| &job.convolution), &question)?;
    let per = question.directions.len().max(1);
    let wanted =
        asked.answers.into_iter().enumerate().filter(|(index, answer)| {
            jobs.get(index / per).is_some_and(|job| job.directions.contains(&answer.direction))
        });
    Ok((asked.version, wanted.map(|(_, answer)| answer).collect()))
}

fn summary(entries: &[Entry]) -> Summary {
    let mut summary = Summary::default();
    for (entry, step) in entries.iter().flat_map(|entry| entry.steps.iter().map(move |step| (entry, step))) {
        let times = u64::from(entry.times);
        summary.steps += times;
        *summary.by_verdict.entry(step.verdict).or_default() += times;
        if step.verdict.is_served() {
            summary.largest_workspace = summary.largest_workspace.max(step.workspace);
            summary.largest_memory = summary.largest_memory.max(step.memory);
        }
    }
    summary
}
