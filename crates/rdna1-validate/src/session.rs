// SPDX-License-Identifier: MIT OR Apache-2.0
//! A validation from beginning to end: [`run`] takes a selection of cases and
//! says for which interpreter, profile, gfx choice and device, and returns a
//! [`Report`]. The command line, `select` and `compare` all go through it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rdna1_core::guidance;
use rdna1_core::ids::{GfxTarget, GfxVersion};
use rdna1_core::root::Root;
use rdna1_launch::context::{Context, Environment, current_environment};
use rdna1_launch::survey;

use crate::cases::{Case, Work};
use crate::diagnosis::Findings;
use crate::environment::{self, Launch, Wanted};
use crate::interpreter::{self, Interpreter};
use crate::private::Private;
use crate::references::{Effort, Reference, References};
use crate::refusal::Rules;
use crate::report::{self, CaseResult, End, Layer, Level, Report, Timing, Verdict};
use crate::worker::protocol::{Failure, Listed, Opened, Question, Started};
use crate::worker::{Exchange, Lost, Reply, Supervised};
use crate::{devices, diagnosis, judge, solvers};

/// The worker's source.
const WORKER: &str = include_str!("../worker/worker.py");

/// How long an interpreter may take to import PyTorch, unless something else is
/// asked for: from a cold disk it takes minutes.
pub const START_LIMIT: Duration = Duration::from_secs(180);

/// How much longer than a case a reference may take: the CPU is slow.
const REFERENCE_FACTOR: u32 = 10;

/// How much longer than another case a model may take.
const MODEL_FACTOR: u32 = 5;

/// How much longer than a case the first touch of the device may take.
const OPEN_FACTOR: u32 = 2;

/// Workers lost one after the other, without one case that ends by itself
/// between them, from which on it is no use to go on: each costs its time limit.
const LOST_IN_A_ROW: usize = 10;

/// What to compute on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The card; with --any-gpu, any GPU.
    #[default]
    Auto,
    /// A GPU (PyTorch's `cuda`, which is ROCm as well).
    Cuda,
    /// The CPU: shows that suite and PyTorch are sound, and nothing about the card.
    Cpu,
}

/// What to validate.
#[derive(Debug, Clone)]
pub struct Options {
    /// The machine.
    pub root: Root,
    /// The interpreter; without it, the active environment's or the system's.
    pub python: Option<PathBuf>,
    /// The profile; without it, the one in force.
    pub profile: Option<String>,
    /// The gfx choice; without it, the one in force.
    pub gfx: Option<rdna1_core::gfx::GfxSetting>,
    /// The device.
    pub device: DeviceChoice,
    /// Whether a GPU that is no RDNA1 card will do.
    pub any_gpu: bool,
    /// Time limit for a case.
    pub timeout: Duration,
    /// Time limit for the start of an interpreter, and for its import of PyTorch.
    pub start_timeout: Duration,
    /// For the report: the level that the cases are from.
    pub level: Option<Level>,
    /// Whether to measure also how long each takes once it has been computed before.
    pub timed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: Root::new("/"),
            python: None,
            profile: None,
            gfx: None,
            device: DeviceChoice::Auto,
            any_gpu: false,
            timeout: Duration::from_secs(60),
            start_timeout: START_LIMIT,
            level: None,
            timed: false,
        }
    }
}

/// Why nothing could be run, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotRun {
    /// What is in the way.
    pub problem: String,
    /// What to do, a step a line.
    pub steps: Vec<String>,
    /// Whether it is that something did not end.
    pub hung: bool,
    /// Whether the command line asks for something that there is not.
    pub usage: bool,
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

impl std::error::Error for CannotRun {}

impl CannotRun {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), steps: Vec::new(), usage: false, hung: false }
    }

    fn step(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }
}

/// Sees a validation as it goes on.
pub trait Observer {
    /// It begins with so many cases.
    fn begin(&mut self, _cases: usize) {}
    /// A case begins.
    fn case(&mut self, _name: &str) {}
    /// A case has its verdict.
    fn result(&mut self, _result: &CaseResult) {}
    /// Nothing more comes.
    fn end(&mut self) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// Validates. `interrupted` may be set at any time: the workers are ended, and
/// the report holds what was found so far.
///
/// The calling thread must be one that outlives the call's processes: the main
/// thread, or one that does nothing else.
///
/// # Errors
/// If nothing can be run at all.
pub fn run(
    options: &Options,
    cases: &[Case],
    observer: &mut dyn Observer,
    interrupted: &Arc<AtomicBool>,
) -> Result<Report, CannotRun> {
    let environment = current_environment();
    let context = Context::read(options.root.clone()).map_err(|error| CannotRun::new(error.to_string()))?;
    if let Some(asked) = &options.profile {
        let named = context.policy.named_profile(asked);
        named.map_err(|problem| CannotRun { usage: true, ..CannotRun::new(problem) })?;
    }
    let device = device(&context, options)?;
    let interpreter = interpreter::choose(&context, options.python.as_deref(), &environment)
        .ok_or_else(|| CannotRun::new("there is no Python").step("install python3, or name one with --python"))?;
    let dir = tempfile::Builder::new().prefix("rdna1-validate-").tempdir();
    let dir = dir.map_err(|error| CannotRun::new(format!("no temporary directory can be made: {error}")))?;
    let script = dir.path().join("rdna1_worker.py");
    std::fs::write(&script, WORKER)
        .map_err(|error| CannotRun::new(format!("cannot write {}: {error}", script.display())))?;
    let wanted = Wanted { profile: options.profile.clone(), gfx: options.gfx };
    let launch =
        environment::prepare(&context, &interpreter, &wanted, &environment, &script).map_err(CannotRun::new)?;
    let mut session = Session {
        options,
        cases,
        context: &context,
        interpreter: &interpreter,
        device,
        place: device.to_owned(),
        rules: None,
        worker: Supervised::new(launch.device.clone(), Arc::clone(interrupted)),
        launch,
        dir: dir.path(),
        interrupted,
        timing: Timing::default(),
        threads: 1,
    };
    let result = session.run(observer, &environment);
    observer.end();
    result
}

/// `cuda` or `cpu`.
fn device(context: &Context, options: &Options) -> Result<&'static str, CannotRun> {
    if options.device == DeviceChoice::Cpu {
        return Ok("cpu");
    }
    if options.any_gpu || context.machine.has_card() {
        return Ok("cuda");
    }
    let other = context.machine.other_gpus.len();
    let others = if other > 0 { format!(" (but {other} other AMD GPU)") } else { String::new() };
    Err(CannotRun::new(format!("there is no RDNA1 card in this machine{others}"))
        .step("--any-gpu validates whatever GPU PyTorch sees")
        .step("--device cpu runs the suite on the CPU, which says nothing about a card"))
}

/// What came of starting a worker anew.
enum Revived {
    /// There is one.
    Running,
    /// The user wants to stop.
    Interrupted,
    /// There is none, and why.
    No(Verdict, String),
}

struct Session<'a> {
    options: &'a Options,
    cases: &'a [Case],
    context: &'a Context,
    interpreter: &'a Interpreter,
    /// `cuda` or `cpu`.
    device: &'static str,
    /// The same with the number of the GPU: `cuda:0`.
    place: String,
    /// What the profile is known not to serve.
    rules: Option<Rules<'a>>,
    launch: Launch,
    worker: Supervised,
    dir: &'a Path,
    interrupted: &'a Arc<AtomicBool>,
    timing: Timing,
    threads: usize,
}

impl<'a> Session<'a> {
    fn run(&mut self, observer: &mut dyn Observer, environment: &Environment) -> Result<Report, CannotRun> {
        let begin = Instant::now();
        let started_at = SystemTime::now();
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let processes = (cpus / 4).clamp(1, 4);
        // On the CPU both sides compute there; a GPU's worker only compares.
        let share = if self.device == "cpu" { cpus.div_ceil(2) } else { cpus.saturating_sub(1) };
        self.threads = cpus.saturating_sub(share).max(1);
        let effort = Effort {
            processes,
            threads: (share / processes).max(1),
            start_limit: self.options.start_timeout,
            limit: self.options.timeout * REFERENCE_FACTOR,
        };
        let mut references = References::start(self.cases, &self.launch.references, self.dir, effort, self.interrupted);
        let opened = self.start().and_then(|started| Ok((self.open(&started)?, started)));
        let (first, started) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                references.stop();
                self.worker.close();
                return Err(error);
            }
        };
        observer.begin(self.cases.len());
        let (results, end) = match &first {
            Ok(_) => self.cases(&mut references, observer),
            Err(exchange) => self.dead_device(exchange, observer),
        };
        self.worker.close();
        self.timing.starts = self.worker.starts;
        let (seconds, _) = references.stop();
        self.timing.references = seconds;
        self.timing.wall = begin.elapsed().as_secs_f64();
        let accounted = self.timing.torch + self.timing.waiting_for_references + self.timing.lost;
        self.timing.own = (self.timing.wall - accounted).max(0.0);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut report = self.report(results, end, &started, first.as_ref().ok(), started_at);
        Private::of(environment, Some(&host)).clean_report(&mut report);
        Ok(report)
    }

    /// Imports PyTorch.
    fn start(&mut self) -> Result<Started, CannotRun> {
        let question = Question::Start {
            threads: self.threads,
            torchvision: self.cases.iter().any(|case| case.layer == Layer::Model),
            variables: environment::prefixes(self.context),
        };
        let exchange = self.worker.ask(&question, self.options.start_timeout);
        self.timing.lost += exchange.ending;
        let python = self.interpreter.program.display();
        match exchange.outcome {
            Ok(Reply::Answer(answer)) => {
                let started: Started = serde_json::from_value(answer)
                    .map_err(|error| CannotRun::new(format!("{python} does not answer as Python would: {error}")))?;
                self.timing.torch += started.torch_seconds;
                Ok(started)
            }
            Ok(Reply::Failed(Failure { missing_module: Some(module), .. })) if module == "torch" => {
                Err(self.advise(CannotRun::new(format!("{python} has no PyTorch"))))
            }
            Ok(Reply::Failed(failure)) => {
                Err(CannotRun::new(format!("{python} cannot import PyTorch: {}", failure.message)))
            }
            Err(Lost::Interrupted) => Err(CannotRun::new("interrupted before anything was computed")),
            Err(lost) => {
                let (verdict, why) = judge::explain(&lost);
                let mut error = CannotRun::new(format!("{python} does not get as far as importing PyTorch: {why}"));
                error.hung = verdict == Verdict::Timeout;
                if error.hung {
                    let seconds = self.options.start_timeout.as_secs_f64();
                    error = error.step(format!("it had {seconds} s; --start-timeout gives it more"));
                }
                error.steps.extend(
                    exchange
                        .log
                        .tail(6)
                        .into_iter()
                        .flat_map(|text| text.lines().map(|line| format!("it printed: {line}")).collect::<Vec<_>>()),
                );
                Err(error)
            }
        }
    }

    /// Touches the device; a device that cannot be touched is a result, not an error.
    fn open(&mut self, started: &Started) -> Result<Result<Opened, Box<Exchange>>, CannotRun> {
        if self.device == "cuda" {
            self.check_build(started)?;
            match self.first_touch::<Listed>(&Question::List, started)? {
                Ok(listed) => {
                    self.timing.torch += listed.torch_seconds;
                    self.place = format!("cuda:{}", self.number(&listed, started)?);
                }
                Err(exchange) => return Ok(Err(exchange)),
            }
        }
        let place = self.place.clone();
        let opened = self.first_touch::<Opened>(&Question::Open { device: &place }, started)?;
        if let Ok(opened) = &opened {
            self.timing.torch += opened.torch_seconds;
            self.rules = self.rules(started, opened);
        }
        Ok(opened)
    }

    /// Asks something that may be the first thing that touches the device.
    fn first_touch<A: serde::de::DeserializeOwned>(
        &mut self,
        question: &Question<'_>,
        started: &Started,
    ) -> Result<Result<A, Box<Exchange>>, CannotRun> {
        let exchange = self.worker.ask(question, self.open_limit());
        self.timing.lost += exchange.ending;
        match &exchange.outcome {
            Ok(Reply::Answer(answer)) => serde_json::from_value::<A>(answer.clone())
                .map(Ok)
                .map_err(|error| CannotRun::new(format!("the worker's answer is none: {error}"))),
            Ok(Reply::Failed(failure)) if failure.unsupported => Err(self.no_device(started)),
            Err(Lost::Interrupted) => Err(CannotRun::new("interrupted before anything was computed")),
            _ => Ok(Err(Box::new(exchange))),
        }
    }

    fn open_limit(&self) -> Duration {
        self.options.start_timeout.min(self.options.timeout * OPEN_FACTOR)
    }

    /// Which of PyTorch's GPUs computes: the card, or with --any-gpu the first
    /// one where none is the card.
    fn number(&self, listed: &Listed, started: &Started) -> Result<usize, CannotRun> {
        let machine = &self.context.machine;
        let cards: Vec<_> = machine.active_cards().collect();
        let alone = machine.other_gpus.iter().all(|gpu| gpu.kfd_node.is_none());
        let found = devices::card(&listed.devices, &cards, &self.overrides(started), alone);
        match found {
            Ok(number) => Ok(number),
            Err(_) if self.options.any_gpu => Ok(0),
            Err(problem) => Err(CannotRun::new(problem)
                .step(
                    "see which GPUs HIP_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES leave, and name the card alone there",
                )
                .step("--any-gpu validates the first GPU that PyTorch sees, whatever it is")),
        }
    }

    /// The targets that an override in the worker's environment makes ROCm see.
    fn overrides(&self, started: &Started) -> Vec<GfxTarget> {
        let gfx = &self.context.policy.gfx;
        let is_override = |name: &str| name == gfx.variable.as_str() || name.starts_with(gfx.per_node.prefix.as_str());
        let had = started.environment.iter().filter(|(name, _)| is_override(name));
        let versions = had.filter_map(|(_, value)| value.parse::<GfxVersion>().ok());
        versions.map(|GfxVersion { major, minor, stepping }| GfxTarget { major, minor, stepping }).collect()
    }

    fn rules(&self, started: &Started, opened: &Opened) -> Option<Rules<'a>> {
        let profile = self.context.policy.profile(self.launch.environment.profile.as_deref()?)?;
        started.hip.as_ref()?;
        let (torch, arch) = (&started.torch, opened.arch.as_deref());
        Rules::new(&self.context.policy, profile, &started.environment, torch, arch, opened.memory_bytes)
    }

    /// Whether the PyTorch is one for this machine's card.
    fn check_build(&self, started: &Started) -> Result<(), CannotRun> {
        let build = match (&started.hip, &started.cuda) {
            (Some(_), _) => return Ok(()),
            (None, Some(_)) if !self.context.machine.has_card() => return Ok(()),
            (None, Some(cuda)) => format!("CUDA {cuda}"),
            (None, None) => "the CPU alone".to_owned(),
        };
        let python = self.interpreter.program.display();
        Err(self.advise(CannotRun::new(format!("the PyTorch of {python} ({}) is built for {build}", started.torch))))
    }

    fn no_device(&self, started: &Started) -> CannotRun {
        let error = CannotRun::new(format!("PyTorch {} sees no GPU", started.torch));
        let kfd = &self.context.machine.kfd_device;
        if self.context.machine.has_card() && !kfd.exists {
            return error.step(format!("{} is missing: the kernel's amdgpu driver has not taken the card", kfd.path));
        }
        if self.context.machine.has_card() && !kfd.accessible {
            return error.step(format!("you may not open {}; rdna1-rocm-fix status names the group to join", kfd.path));
        }
        error.step("rdna1-rocm-fix status says what is wrong")
    }

    /// How to get a PyTorch that fits the card.
    fn advise(&self, error: CannotRun) -> CannotRun {
        let context = self.context;
        if !context.machine.has_card() {
            return error.step("name an interpreter that has one with --python");
        }
        let stacks = self.interpreter.target.stack.iter().cloned().collect();
        let judged = survey::judge(context, &current_environment(), stacks);
        match guidance::advise(&context.policy, &context.machine, &survey::pytorchs(&judged)) {
            Some(advice) => {
                let error = error.step(format!("{}:", advice.title));
                advice.steps.into_iter().fold(error, CannotRun::step)
            }
            None => error.step("rdna1-rocm-fix status says how to get one that fits this card"),
        }
    }

    fn cases(&mut self, references: &mut References, observer: &mut dyn Observer) -> (Vec<CaseResult>, End) {
        let mut results = Vec::new();
        let mut lost_in_a_row = 0;
        let mut end = End::Complete;
        for (index, case) in self.cases.iter().enumerate() {
            if end == End::Complete && self.interrupted.load(Ordering::Relaxed) {
                end = End::Interrupted;
            }
            let (result, lost) = if end == End::Complete {
                observer.case(&case.name);
                self.case(index, case, references)
            } else {
                (judge::open(case), false)
            };
            references.release(index);
            if result.verdict == Verdict::NotRun && end == End::Complete {
                end = End::Interrupted;
            }
            lost_in_a_row = match result.verdict {
                _ if lost => lost_in_a_row + 1,
                Verdict::Skipped | Verdict::NoReference => lost_in_a_row,
                _ => 0,
            };
            if end == End::Complete {
                observer.result(&result);
                end = self.use_of_going_on(case, &result, lost_in_a_row);
            }
            results.push(result);
        }
        (results, end)
    }

    fn use_of_going_on(&self, case: &Case, result: &CaseResult, lost_in_a_row: usize) -> End {
        let why = if result.verdict == Verdict::Stuck {
            "a worker cannot be killed: the driver holds it and the card; reboot".to_owned()
        } else if lost_in_a_row >= LOST_IN_A_ROW {
            format!("{lost_in_a_row} workers were lost one after the other; --only runs the rest a part at a time")
        } else if case.layer == Layer::Hip && result.verdict.lost_the_worker() && self.device == "cuda" {
            "not even the simplest kernel comes to an end on this device".to_owned()
        } else {
            return End::Complete;
        };
        End::Stopped { why }
    }

    /// Runs a case; says also whether the worker was lost, or the device with it.
    fn case(&mut self, index: usize, case: &Case, references: &References) -> (CaseResult, bool) {
        let (reference, waited) = references.take(index);
        self.timing.waiting_for_references += waited.as_secs_f64();
        let file = match reference {
            Some(Reference::Ready(file)) => Some(file.to_string_lossy().into_owned()),
            Some(Reference::Unsupported(why)) => return (judge::closed(case, Verdict::Skipped, why), false),
            Some(Reference::Failed(why)) => return (judge::closed(case, Verdict::NoReference, why), false),
            None if case.work.reference().is_some() => return (judge::open(case), false),
            None => None,
        };
        match self.revive() {
            Revived::Running => {}
            Revived::Interrupted => return (judge::open(case), false),
            Revived::No(verdict, why) => return (judge::closed(case, verdict, why), true),
        }
        let is_model = matches!(case.work, Work::ModelInference(_) | Work::ModelTraining(_));
        let limit = self.options.timeout * if is_model { MODEL_FACTOR } else { 1 };
        let question =
            Question::Case { work: &case.work, device: &self.place, file: file.as_deref(), timed: self.options.timed };
        let exchange = self.worker.ask(&question, limit);
        let mut result = judge::judge(case, &exchange, self.launch.allowed);
        self.excuse(case, &mut result);
        self.timing.torch += result.torch_seconds;
        let lost = match &exchange.outcome {
            Ok(Reply::Answer(_)) if result.verdict != Verdict::Garbage => false,
            // The time went to the case, and its device may need a new process.
            Ok(Reply::Failed(failure)) => {
                self.timing.torch += exchange.seconds;
                if !failure.usable {
                    self.worker.restart();
                }
                !failure.usable
            }
            Ok(Reply::Answer(_)) => {
                self.worker.restart();
                true
            }
            Err(_) => {
                self.timing.lost += exchange.seconds;
                result.verdict != Verdict::NotRun
            }
        };
        (result, lost)
    }

    /// What the profile is known not to serve is no error.
    fn excuse(&self, case: &Case, result: &mut CaseResult) {
        if result.verdict != Verdict::Error {
            return;
        }
        let Some(rules) = &self.rules else { return };
        let message = result.detail.as_deref().unwrap_or_default();
        if let Some(why) = rules.refusal(case, result.phase.as_deref(), message) {
            result.verdict = Verdict::Refused;
            result.detail = Some(why);
            result.remedy = Verdict::Refused.remedy().map(str::to_owned);
        }
    }

    /// Starts a worker in place of one that was lost. What keeps it from
    /// starting is the case's verdict.
    fn revive(&mut self) -> Revived {
        if self.worker.is_running() {
            return Revived::Running;
        }
        let start = Question::Start { threads: self.threads, torchvision: false, variables: Vec::new() };
        let place = self.place.clone();
        let open_limit = self.open_limit();
        for (question, limit) in [(start, self.options.start_timeout), (Question::Open { device: &place }, open_limit)]
        {
            let exchange = self.worker.ask(&question, limit);
            self.timing.lost += exchange.seconds;
            match &exchange.outcome {
                Ok(Reply::Answer(_)) => {}
                Ok(Reply::Failed(failure)) => {
                    self.worker.restart();
                    return Revived::No(Verdict::Error, format!("no new worker: {}", failure.message));
                }
                Err(Lost::Interrupted) => return Revived::Interrupted,
                Err(lost) => {
                    let (verdict, why) = judge::explain(lost);
                    return Revived::No(verdict, format!("no new worker: {why}"));
                }
            }
        }
        Revived::Running
    }

    /// What to say of every case where the device could not even be opened.
    fn dead_device(&self, exchange: &Exchange, observer: &mut dyn Observer) -> (Vec<CaseResult>, End) {
        let opening = Case {
            name: "device/open".into(),
            family: "device".into(),
            title: "the device".into(),
            level: Level::Quick,
            layer: Layer::Hip,
            work: Work::Copy { elements: 1 },
        };
        let mut result = judge::judge(&opening, exchange, self.launch.allowed);
        "the first use of the device".clone_into(&mut result.about);
        observer.result(&result);
        let mut results = vec![result];
        results.extend(self.cases.iter().map(judge::open));
        (results, End::Stopped { why: "the device cannot be used at all".into() })
    }

    fn report(
        &self,
        cases: Vec<CaseResult>,
        end: End,
        started: &Started,
        opened: Option<&Opened>,
        started_at: SystemTime,
    ) -> Report {
        let counts = Report::count(&cases);
        let stack = self.interpreter.target.stack.as_ref();
        let mut environment = self.launch.environment.clone();
        environment.bypass = started.bypass;
        environment.variables = self.launch.evidence(self.context, &started.environment);
        let uses_miopen = self.device == "cuda" && started.hip.is_some() && !started.bypass;
        let shown = if uses_miopen { solvers::shown(self.cases.iter().zip(&cases)) } else { None };
        let must_show = shown.filter(|_| self.launch.allowed.rules_out());
        let obeyed = must_show.is_none_or(|shown| shown.steps > 0);
        Report {
            version: report::VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            started: humantime::format_rfc3339_seconds(started_at).to_string(),
            level: self.options.level,
            passed: counts.passed > 0 && counts.failed + counts.no_reference == 0 && obeyed && end == End::Complete,
            end,
            diagnosis: diagnosis::diagnose(&Findings {
                cases: &cases,
                device: self.device,
                libraries: diagnosis::Libraries::of(started.cuda.is_none()),
                profile: environment.profile.as_deref(),
                bypass: started.bypass,
                shown: must_show,
            }),
            counts,
            shown,
            timing: self.timing,
            machine: self.machine(),
            interpreter: report::Interpreter {
                path: self.interpreter.program.display().to_string(),
                chosen_by: self.interpreter.chosen_by.clone(),
                python: started.python.clone(),
            },
            software: report::Software {
                torch: started.torch.clone(),
                torch_path: started.torch_path.clone(),
                hip: started.hip.clone(),
                cuda: started.cuda.clone(),
                miopen_or_cudnn: opened.and_then(|opened| opened.cudnn),
                torchvision: started.torchvision.clone(),
                arch_list: opened.map(|opened| opened.arch_list.clone()).unwrap_or_default(),
                rocm: stack.and_then(|stack| stack.rocm.as_ref()).map(ToString::to_string),
                stack_fingerprint: stack.map(|stack| stack.fingerprint.clone()),
            },
            device: report::Device {
                kind: self.device.to_owned(),
                name: opened.map(|opened| opened.name.clone()).unwrap_or_default(),
                arch: opened.and_then(|opened| opened.arch.clone()),
                memory_bytes: opened.and_then(|opened| opened.memory_bytes),
                multiprocessors: opened.and_then(|opened| opened.multiprocessors),
                visible: opened.map_or(0, |opened| opened.visible),
            },
            environment,
            cases,
        }
    }

    fn machine(&self) -> report::Machine {
        let release = self.context.root.read_text("/etc/os-release").ok().flatten().unwrap_or_default();
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        report::Machine {
            cards: self
                .context
                .machine
                .active_cards()
                .map(|card| report::CardEvidence {
                    name: card.name.clone(),
                    gfx: card.gfx.to_string(),
                    device: card.pci.device.to_string(),
                    vram_bytes: card.vram_bytes(),
                })
                .collect(),
            kernel: self.context.machine.kernel.clone(),
            system: system.map(|name| name.trim_matches('"').to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
