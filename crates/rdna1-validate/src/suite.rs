// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate` without a subcommand: runs the suite and reports.
//!
//! Exit status: 0 everything passed; 1 something failed, crashed or hung; 2
//! usage; 3 it could not run, or not to its end; 4 nothing was selected.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args as ClapArgs;
use glob::Pattern;
use rdna1_core::gfx::GfxSetting;
use rdna1_core::root::Root;

use crate::cases::{self, Case, Model, Work};
use crate::progress::Progress;
use crate::report::{Counts, Layer, Level, Report};
use crate::session::{self, DeviceChoice, Options};
use crate::{FAILED, Outcome};

/// Exit status where a case failed.
const CASE_FAILED: u8 = 1;

/// Exit status for wrong usage, as clap has it.
const USAGE: u8 = 2;

/// Exit status where no case was selected.
const NOTHING_SELECTED: u8 = 4;

/// How to print a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A page for people.
    #[default]
    Text,
    /// The whole report; docs/schema/report.schema.json describes it.
    Json,
    /// For continuous integration.
    Junit,
    /// Metrics for the node exporter's textfile collector.
    Prometheus,
}

/// Arguments of the suite.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// How much to check: quick takes about a minute, medium some minutes, long up to an hour (estimated for a card; an NVIDIA H200 took 20, 35 and 43 s).
    #[arg(long, value_name = "LEVEL", default_value = "quick")]
    pub level: Level,
    /// What to compute on: auto (the card), cuda (PyTorch's name for a GPU, ROCm's as well) or cpu.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,
    /// Take any GPU that PyTorch sees, not only an RDNA1 card.
    #[arg(long)]
    pub any_gpu: bool,
    /// The Python interpreter; without it, the active environment's or the system's.
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// Validate this profile; without it, the one in force.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Validate this gfx choice (auto, native, or a version such as 10.3.0); without it, the one in force.
    #[arg(long, value_name = "GFX")]
    pub gfx: Option<GfxSetting>,
    /// Only cases whose names fit; may be given several times. `--list` shows the names.
    #[arg(long, value_name = "GLOB")]
    pub only: Vec<Pattern>,
    /// List the selected cases and run none.
    #[arg(long)]
    pub list: bool,
    /// Seconds that a case may take; models get five times as many, the first touch of the device twice.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Seconds that Python may take to start and to import PyTorch.
    #[arg(long, value_name = "SECONDS", default_value = "180", value_parser = seconds)]
    pub start_timeout: Duration,
    /// Also check a model of yours: `module:function`, found from the current
    /// directory; the function returns the model, or the model and its input.
    #[arg(long, value_name = "MODULE:FUNCTION", value_parser = model)]
    pub model: Vec<String>,
    /// How to print the report: text, json, junit or prometheus.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Also write the report to this file, as its name ends: .json, .xml (JUnit), .prom (metrics), otherwise text.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number of seconds".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("must be between 0.1 and 86400".to_owned())
    }
}

fn model(text: &str) -> Result<String, String> {
    let parts = text.split_once(':').filter(|(module, function)| !module.is_empty() && !function.is_empty());
    parts.map(|_| text.to_owned()).ok_or_else(|| "must have the form module:function".to_owned())
}

/// Runs the suite on the machine below a root.
///
/// # Errors
/// If it cannot run.
pub fn run(root: Root, args: &Args) -> anyhow::Result<Outcome> {
    let cases = selected(args)?;
    if cases.is_empty() {
        let stderr = "no case fits; rdna1-validate --list shows their names\n".to_owned();
        return Ok(Outcome { stdout: String::new(), stderr, status: NOTHING_SELECTED });
    }
    if args.list {
        let stdout = cases.iter().map(|case| format!("{:40} {}\n", case.name, case.work)).collect();
        return Ok(Outcome { stdout, ..Outcome::default() });
    }
    // Before an hour of computing, not after it.
    let place = args.report.as_deref().map(|file| anyhow::Ok((Place::open(file)?, file))).transpose()?;
    let options = Options {
        root,
        python: args.python.clone(),
        profile: args.profile.clone(),
        gfx: args.gfx,
        device: args.device,
        any_gpu: args.any_gpu,
        timeout: args.timeout,
        start_timeout: args.start_timeout,
        level: Some(args.level),
        timed: false,
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_signals(&interrupted)?;
    let report = match session::run(&options, &cases, &mut Progress::new(), &interrupted) {
        Err(error) if error.usage => {
            return Ok(Outcome { stderr: format!("{error}\n"), status: USAGE, ..Outcome::default() });
        }
        ran => ran?,
    };
    if let Some((place, file)) = place {
        place.write(&report, file)?;
    }
    Ok(Outcome { stdout: printed(&report, args.format)?, stderr: String::new(), status: status(&report) })
}

/// Where a report is written to. A file is replaced as a whole, at the end: until
/// then an earlier report stays, and whoever reads sees one or the other.
enum Place {
    /// This is put in place of the file. It has no name that a collector of metrics would look at.
    Replaced(PathBuf, tempfile::NamedTempFile),
    /// What is no file (a pipe, a terminal), or lies where no other file can be made.
    Written(PathBuf),
}

impl Place {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write {}", file.display());
        let known = std::fs::metadata(file).ok();
        ensure!(!known.as_ref().is_some_and(std::fs::Metadata::is_dir), "{}: it is a directory", cannot());
        // A link stays one.
        let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let is_other = known.as_ref().is_some_and(|metadata| !metadata.is_file());
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Whoever collects metrics is not who measured.
        let is_for_others = file.extension().is_some_and(|extension| extension == "prom");
        let mode = known.as_ref().map_or(0o666, |metadata| metadata.permissions().mode() & 0o777);
        let new = tempfile::Builder::new().prefix(".rdna1-").permissions(Permissions::from_mode(mode)).tempfile_in(dir);
        match new {
            Ok(new) if !is_other => {
                if is_for_others {
                    new.as_file().set_permissions(Permissions::from_mode(0o644)).with_context(cannot)?;
                }
                Ok(Self::Replaced(target, new))
            }
            Err(error) if known.is_none() => Err(error).with_context(cannot),
            _ => {
                // Neither emptied nor waited for, as opening a pipe might.
                rustix::fs::access(file, rustix::fs::Access::WRITE_OK).with_context(cannot)?;
                Ok(Self::Written(target))
            }
        }
    }

    fn write(self, report: &Report, named: &Path) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", named.display());
        let text = printed(report, Format::by_name(named))?;
        // A page in a file has no colours.
        let text = anstream::adapter::strip_str(&text).to_string();
        match self {
            Self::Written(file) => std::fs::write(file, text).with_context(cannot),
            Self::Replaced(file, mut new) => {
                new.write_all(text.as_bytes()).with_context(cannot)?;
                new.as_file().sync_all().with_context(cannot)?;
                new.persist(file).map(drop).with_context(cannot)
            }
        }
    }
}

impl Format {
    /// The format that a file's name asks for.
    fn by_name(file: &Path) -> Self {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("xml") => Self::Junit,
            Some("prom") => Self::Prometheus,
            _ => Self::Text,
        }
    }
}

fn selected(args: &Args) -> anyhow::Result<Vec<Case>> {
    let mut cases = cases::select(cases::all()?, args.level, &args.only);
    for name in &args.model {
        let model = Model::of_user(name);
        for (family, work) in
            [("inference", Work::ModelInference(model.clone())), ("training", Work::ModelTraining(model.clone()))]
        {
            cases.push(Case {
                name: format!("{family}/{name}"),
                family: family.into(),
                title: format!("models, {family}"),
                level: Level::Quick,
                layer: Layer::Model,
                work,
            });
        }
    }
    Ok(cases)
}

/// The first signal ends the run in order, the second at once.
pub(crate) fn watch_signals(interrupted: &Arc<AtomicBool>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, FAILED.into(), Arc::clone(interrupted))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(interrupted)))
            .context("cannot listen to signals")?;
    }
    Ok(())
}

/// A report in a format.
///
/// # Errors
/// None that a report of ours could cause.
pub fn printed(report: &Report, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Text => crate::page::render(report),
        Format::Json => serde_json::to_string_pretty(report)? + "\n",
        Format::Junit => crate::junit::render(report)?,
        Format::Prometheus => crate::prometheus::render(report),
    })
}

/// The exit status that a report stands for; 0 only if something ran, all of it passed.
pub fn status(report: &Report) -> u8 {
    match report.counts {
        Counts { failed: 1.., .. } => CASE_FAILED,
        _ if report.passed => 0,
        _ => FAILED,
    }
}
