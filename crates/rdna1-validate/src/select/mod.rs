// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate select`: measures the gfx choices and profiles that make
//! sense for this card and PyTorch, safest first, and records the best.
//!
//! Exit status: 0 there is a best one; 1 none passed; 2 usage; 3 it could not
//! run, or was interrupted; 4 there was no candidate.
//!
//! ```text
//! candidates ──> choose (what next, what is best) <──> measure (one validation each) ──> judge
//!                   └──> table, journal (the record)
//! ```

pub mod candidates;
pub mod choose;
pub mod journal;
pub mod judge;
pub mod measure;
pub mod table;

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use clap::{Args as ClapArgs, ValueEnum};
use rdna1_core::config::Config;
use rdna1_core::gfx::{GfxChoice, GfxSetting, Reach};
use rdna1_core::policy::Policy;
use rdna1_core::resolve::{Request, hazard};
use rdna1_core::root::Root;
use rdna1_core::selection::{self, MeasuredStack, Measurement, Selection, Winner};
use rdna1_launch::context::{Context, Environment, current_environment};
use rdna1_launch::survey::describe;
use rdna1_stack::check::{self, Checked};
use rdna1_stack::{Place, Stack, Survey};

use crate::interpreter::{self, Interpreter};
use crate::isa;
use crate::report::Level;
use crate::session::{DeviceChoice, Options};
use crate::{FAILED, Outcome, cases};
use candidates::{Plan, Question};
use choose::{Choice, Selector};
use journal::Journal;
use measure::{Interrupted, Validation};
use table::Document;

/// Exit status where no candidate passed.
const NONE_PASSED: u8 = 1;

/// Exit status where there was nothing to try.
const NO_CANDIDATE: u8 = 4;

/// Says to this program's next self that the environment has been cleaned.
const CLEANED: &str = "RDNA1_SELECT_CLEANED";

/// Arguments of the subcommand.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How much each candidate must pass; see rdna1-validate --help.
    #[arg(long, value_name = "LEVEL", default_value = "quick")]
    pub level: Level,
    /// Only cases whose names fit; may be given several times.
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<glob::Pattern>,
    /// The Python interpreter; without it, the active environment's or the system's.
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// What to compute on: auto (the card), cuda or cpu. Of the CPU nothing is recorded, unless with --record.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Take any GPU that PyTorch sees; candidates then differ in their profile only.
    #[arg(long)]
    pub any_gpu: bool,
    /// Try this profile only.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Try this gfx choice only: native, or a version such as 10.3.0.
    #[arg(long, value_name = "GFX")]
    pub gfx: Option<GfxChoice>,
    /// Also try code for another chip where code that fits the card has passed.
    #[arg(long)]
    pub all: bool,
    /// Also try again what may have frozen the machine earlier.
    #[arg(long)]
    pub retry: bool,
    /// List the candidates and try none.
    #[arg(long)]
    pub list: bool,
    /// Seconds that a case may take before its candidate counts as hung; models get five times as many.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = crate::suite::seconds)]
    pub timeout: Duration,
    /// Seconds that Python may take to start and to import PyTorch.
    #[arg(long, value_name = "SECONDS", default_value = "180", value_parser = crate::suite::seconds)]
    pub start_timeout: Duration,
    /// Record the choice in this file of the machine.
    #[arg(long, value_name = "FILE", conflicts_with = "no_record")]
    pub record: Option<String>,
    /// Record nothing.
    #[arg(long)]
    pub no_record: bool,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand on the machine below a root.
///
/// # Errors
/// If it cannot run, or was interrupted; then nothing is recorded.
pub fn run(root: Root, args: &Args) -> anyhow::Result<Outcome> {
    let environment = current_environment();
    let context = Context::read(root)?;
    check(&context, args)?;
    clean(&context.policy, &environment)?;
    let interpreter = interpreter::choose(&context, args.python.as_deref(), &environment)
        .context("there is no Python; install python3, or name one with --python")?;
    let rocm = Survey::of_rocm(&context.root);
    let subject = Subject::of(&context, &interpreter, &rocm);
    let plan = Plan::new(&context.policy, &question(&context, args, &interpreter, &rocm));
    if args.list {
        return Ok(Outcome { stdout: list(&plan), ..Outcome::default() });
    }
    if plan.candidates().next().is_none() {
        let stderr = format!("nothing to try\n{}", list(&plan));
        return Ok(Outcome { stdout: String::new(), stderr, status: NO_CANDIDATE });
    }
    let selected = cases::select(cases::all()?, args.level, &args.only);
    ensure!(!selected.is_empty(), "no case fits; rdna1-validate --list shows their names");
    let level = args.level.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let suite = format!("{level}, {} cases", selected.len());
    let file = record_file(&context, args, &environment);
    let mut journal = match &file {
        Some(file) => Some(Journal::open(&context.root, file, &subject.kernel, &subject.fingerprint, args.retry)?),
        None => None,
    };
    let frozen = journal.as_ref().map(Journal::frozen).unwrap_or_default();
    let mut selector = Selector::new(plan, frozen, args.all);
    let options = Options {
        root: context.root.clone(),
        python: Some(interpreter.program.clone()),
        device: args.device,
        any_gpu: args.any_gpu,
        timeout: args.timeout,
        start_timeout: args.start_timeout,
        level: Some(args.level),
        timed: true,
        ..Options::default()
    };
    let mut validation = Validation::new(options, &selected)?;
    let ran = measure_all(&mut selector, &mut validation, journal.as_mut());
    if let Some(journal) = &mut journal {
        journal.end()?;
    }
    match ran {
        Err(error) if error.is::<Interrupted>() => {
            let stderr = "interrupted: nothing is recorded, and the choice that was in force stays\n".to_owned();
            let document = document(&selector, &subject, &validation, suite, None);
            return Ok(Outcome { stdout: print(&document, args.json)?, stderr, status: FAILED });
        }
        other => other?,
    }
    if let Some(problem) = validation.never_ran() {
        bail!("{problem}");
    }
    let subject = subject.completed(&validation);
    let choice = selector.choice();
    let mut recorded = None;
    let mut remarks = String::new();
    if let (true, Some(journal), Some(file)) = (choice.process.is_some(), &journal, file) {
        journal.record(&selection(&context, &selector, choice, &subject, &suite, &file)?)?;
        remarks += &what_next(&context, &file);
        recorded = Some(file);
    } else if choice.process.is_none() {
        remarks += "no candidate passed: nothing is recorded, and the choice that was in force stays\n";
    } else {
        remarks += "nothing is recorded\n";
    }
    let document = document(&selector, &subject, &validation, suite, recorded);
    let status = if choice.process.is_some() { 0 } else { NONE_PASSED };
    Ok(Outcome { stdout: print(&document, args.json)?, stderr: remarks, status })
}

fn measure_all(
    selector: &mut Selector,
    validation: &mut Validation<'_>,
    journal: Option<&mut Journal>,
) -> anyhow::Result<()> {
    let mut journal = journal;
    selector.run(validation, &mut |candidate| journal.as_deref_mut().map_or(Ok(()), |journal| journal.begin(candidate)))
}

/// What keeps a selection from making sense.
fn check(context: &Context, args: &Args) -> anyhow::Result<()> {
    if let Some(problem) = context.broken.first() {
        bail!("{problem}");
    }
    if let Some(from) = context.config.enabled.as_ref().filter(|from| !from.value) {
        bail!("switched off in {}: nothing that could be chosen would be set", from.file);
    }
    if let Some(choice) = args.gfx {
        rdna1_core::config::check_gfx_choice(&context.policy, choice).map_err(anyhow::Error::msg)?;
    }
    if let Some(id) = &args.profile {
        context.policy.named_profile(id).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// The PyTorch that is measured, and the kernel under which it is.
struct Subject {
    name: String,
    path: String,
    fingerprint: String,
    kernel: String,
}

impl Subject {
    fn of(context: &Context, interpreter: &Interpreter, rocm: &Survey) -> Self {
        let stack = interpreter.target.stack.as_ref();
        let version = |stack: &Stack| stack.pytorch.as_ref().map(|torch| format!("torch {}", torch.version));
        Self {
            name: stack.and_then(version).unwrap_or_else(|| stack.map_or("no PyTorch".into(), describe)),
            path: stack.map(|stack| stack.path.clone()).unwrap_or_default(),
            fingerprint: stack.map(|stack| stack.process_fingerprint(rocm)).unwrap_or_default(),
            kernel: context.machine.kernel.clone().unwrap_or_else(|| "unknown".into()),
        }
    }
}

impl Subject {
    /// With what PyTorch itself says, where its files were not found.
    fn completed(self, validation: &Validation<'_>) -> Self {
        match validation.pytorch() {
            Some((version, path)) if self.path.is_empty() => {
                Self { name: format!("torch {version}"), path: path.to_owned(), ..self }
            }
            _ => self,
        }
    }
}

fn question(context: &Context, args: &Args, interpreter: &Interpreter, rocm: &Survey) -> Question {
    let stack = interpreter.target.stack.as_ref();
    let code = stack.and_then(|stack| stack.pytorch.as_ref()).and_then(|torch| torch.code.as_ref());
    let cards = context.machine.active_cards().map(|card| card.gfx).collect();
    // Whether an override can be confined is the same question for each of them.
    let an_override = context.policy.gfx.choices.iter().find(|fact| fact.id != GfxChoice::Native).map(|fact| fact.id);
    let not_confinable = an_override.and_then(|choice| {
        let stacks = interpreter.target.stacks(&context.stacks);
        let request = Request { gfx: Some(GfxSetting::Choice(choice)), single_process: true, ..Request::default() };
        let resolution = context.resolve_with(&stacks, None, &request, &Environment::new());
        resolution.gfx.and_then(|gfx| match gfx.reach {
            Reach::NotConfinable { why } => Some(why),
            _ => None,
        })
    });
    let cards: Vec<_> = if args.any_gpu { Vec::new() } else { cards };
    let environment = current_environment();
    let cache = isa::stacks::cache(&context.root, &environment);
    let checked = cards.first().zip(stack).and_then(|(&card, stack)| {
        // A distribution's PyTorch computes with the rocBLAS of another stack.
        let stacks = std::iter::once(stack).chain(stack.completed_by(rocm));
        let known = stacks.filter_map(|stack| check::known(Place(&context.root), &cache, stack, card));
        known.reduce(Checked::merged)
    });
    Question {
        cards,
        checked,
        code: code.map(rdna1_stack::Code::gfx),
        not_confinable,
        gfx: args.gfx,
        profile: args.profile.clone(),
    }
}

/// What the user has set goes before every candidate, so that none would be
/// measured: this program starts itself again without it.
fn clean(policy: &Policy, environment: &Environment) -> anyhow::Result<()> {
    let is_in_the_way = |(name, value): &(&String, &String)| {
        let overrides = &policy.gfx;
        *name == overrides.variable.as_str()
            || name.starts_with(overrides.per_node.prefix.as_str())
            || policy.profiles.iter().any(|p| p.set.iter().any(|setting| setting.name.as_str() == *name))
            || hazard(policy, name, value).is_some()
    };
    let names: Vec<&String> = environment.iter().filter(is_in_the_way).map(|(name, _)| name).collect();
    if names.is_empty() {
        return Ok(());
    }
    ensure!(!environment.contains_key(CLEANED), "the environment cannot be cleaned of {names:?}");
    let program = std::env::current_exe().context("cannot start again without the variables that are set")?;
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(CLEANED, "1");
    for name in &names {
        command.env_remove(name);
    }
    Err(anyhow::Error::new(command.exec()).context("cannot start again without the variables that are set"))
}

/// Where the choice is recorded, if it is.
fn record_file(context: &Context, args: &Args, environment: &Environment) -> Option<String> {
    if args.no_record {
        return None;
    }
    if args.record.is_some() {
        return args.record.clone();
    }
    // Another GPU and the CPU say nothing about the card.
    if !context.machine.has_card() || args.any_gpu || args.device == DeviceChoice::Cpu {
        return None;
    }
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if is_root || !context.root.is_system() {
        return Some(selection::FILE.to_owned());
    }
    selection::own_file(environment)
}

fn selection(
    context: &Context,
    selector: &Selector,
    choice: Choice,
    subject: &Subject,
    suite: &str,
    file: &str,
) -> anyhow::Result<Selection> {
    let winner = |place: usize| {
        let (candidate, _) = &selector.results()[place];
        Winner { gfx: candidate.gfx, profile: candidate.profile.clone() }
    };
    let process = choice.process.map(winner).context("there is no best candidate")?;
    let measurement = Measurement {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: subject.kernel.clone(),
        stack: MeasuredStack {
            name: subject.name.clone(),
            path: subject.path.clone(),
            fingerprint: subject.fingerprint.clone(),
        },
        suite: suite.to_owned(),
        process,
        machine: choice.machine.map(winner),
        evidence: table::evidence(selector),
    };
    // What cannot be understood holds nothing that could be kept.
    let previous = Selection::read_file(&context.root, file).ok().flatten();
    Ok(Selection::with(previous, &context.machine, measurement))
}

fn document(
    selector: &Selector,
    subject: &Subject,
    validation: &Validation<'_>,
    suite: String,
    recorded: Option<String>,
) -> Document {
    let choice = selector.choice();
    Document {
        version: 1,
        program: env!("CARGO_PKG_VERSION"),
        pytorch: subject.name.clone(),
        device: validation.device().to_owned(),
        kernel: subject.kernel.clone(),
        suite,
        candidates: table::evidence(selector),
        process: choice.process,
        machine: choice.machine,
        recorded,
        lost: selector.lost().map(str::to_owned),
    }
}

fn print(document: &Document, json: bool) -> anyhow::Result<String> {
    Ok(if json { serde_json::to_string_pretty(document)? + "\n" } else { document.to_text() })
}

fn list(plan: &Plan) -> String {
    let line = |(candidate, senseless): &(candidates::Candidate, Option<String>)| match senseless {
        None => format!("{candidate}\n"),
        Some(why) => format!("{candidate}: not tried, {why}\n"),
    };
    plan.steps.iter().map(line).collect()
}

fn what_next(context: &Context, file: &str) -> String {
    let mut out = format!("recorded in {file}\n");
    out += if file == selection::FILE {
        "programs started with rdna1-rocm-fix run follow it now, the whole machine after: sudo rdna1-rocm-fix refresh\n"
    } else {
        "it counts for what you start with rdna1-rocm-fix run\n"
    };
    let Config { profile, gfx, .. } = &context.config;
    for (what, said_in) in [("profile", profile.as_ref().map(|p| &p.file)), ("gfx", gfx.as_ref().map(|g| &g.file))] {
        if let Some(file) = said_in {
            out += &format!("{file} names a {what}, which goes before it\n");
        }
    }
    out
}
