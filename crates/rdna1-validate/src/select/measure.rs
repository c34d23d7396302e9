// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures a candidate: a validation of its own, with workers of its own.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdna1_core::gfx::GfxSetting;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cases::Case;
use crate::progress::Progress;
use crate::report::CaseResult;
use crate::session::{self, Observer, Options};
use crate::suite;

use super::candidates::Candidate;
use super::choose::{Measure, Outcome, Verdict};
use super::judge;

/// The user has had enough.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Measures candidates by validating them, one after the other.
#[derive(Debug)]
pub struct Validation<'a> {
    options: Options,
    cases: &'a [Case],
    /// Set by a signal.
    interrupted: Arc<AtomicBool>,
    device: String,
    /// PyTorch's version and place, by its own word.
    pytorch: Option<(String, String)>,
    /// Whether any candidate came as far as a case.
    ran: bool,
    /// Why the first one did not.
    problem: Option<String>,
}

impl<'a> Validation<'a> {
    /// Prepares for candidates that differ in profile and gfx choice from `options`.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub fn new(options: Options, cases: &'a [Case]) -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        suite::watch_signals(&interrupted)?;
        Ok(Self { options, cases, interrupted, device: "unknown".into(), pytorch: None, ran: false, problem: None })
    }

    /// What computed.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// PyTorch's version and place, by its own word.
    pub fn pytorch(&self) -> Option<(&str, &str)> {
        self.pytorch.as_ref().map(|(version, path)| (version.as_str(), path.as_str()))
    }

    /// Why nothing was measured at all, if nothing was.
    pub fn never_ran(&self) -> Option<&str> {
        self.problem.as_deref().filter(|_| !self.ran)
    }
}

impl Measure for Validation<'_> {
    fn measure(&mut self, candidate: &Candidate) -> anyhow::Result<Outcome> {
        let options = Options {
            profile: Some(candidate.profile.clone()),
            gfx: Some(GfxSetting::Choice(candidate.gfx)),
            ..self.options.clone()
        };
        // Ends the candidate, by a signal or at its first hang.
        let stop = Arc::new(AtomicBool::new(false));
        let mut signals = Vec::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signals.push(signal_hook::flag::register(signal, Arc::clone(&stop))?);
        }
        // Whoever does not listen misses nothing that the table lacks.
        let _ = writeln!(anstream::stderr(), "trying {candidate}");
        let mut observer = UntilLost { progress: Progress::new(), stop: Arc::clone(&stop) };
        let result = session::run(&options, self.cases, &mut observer, &stop);
        for id in signals {
            signal_hook::low_level::unregister(id);
        }
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Interrupted.into());
        }
        match result {
            Ok(report) => {
                self.ran = true;
                if !report.device.name.is_empty() {
                    self.device = report.device.name.clone();
                }
                self.pytorch = Some((report.software.torch.clone(), report.software.torch_path.clone()));
                Ok(judge::outcome(&report))
            }
            // A profile of the whole machine needs nothing that could be missing but
            // a PyTorch that starts: the others would wait for it in vain.
            Err(problem) if candidate.machine_wide && !self.ran => Err(problem.into()),
            Err(problem) => {
                self.problem.get_or_insert_with(|| problem.to_string());
                let verdict = if problem.hung { Verdict::Hung } else { Verdict::CouldNotRun };
                Ok(Outcome::without_cases(verdict, problem.problem))
            }
        }
    }
}

/// Stops at the first case that costs the worker: such a candidate cannot be chosen.
struct UntilLost {
    progress: Progress,
    stop: Arc<AtomicBool>,
}

impl Observer for UntilLost {
    fn begin(&mut self, cases: usize) {
        self.progress.begin(cases);
    }

    fn case(&mut self, name: &str) {
        self.progress.case(name);
    }

    fn result(&mut self, result: &CaseResult) {
        self.progress.result(result);
        if result.verdict.lost_the_worker() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn end(&mut self) {
        self.progress.end();
    }
}
