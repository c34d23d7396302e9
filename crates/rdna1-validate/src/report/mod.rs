// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a validation found: the versioned document of `--format json`, from
//! which text and JUnit are made.

mod evidence;
mod verdict;

pub use evidence::{CardEvidence, Device, Environment, Interpreter, Machine, SetVariable, Software};
pub use verdict::{Layer, Verdict};

use serde::{Deserialize, Serialize};

/// Version of this document's form; grows when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The controls and a few convolutions of each kind: about a minute.
    Quick,
    /// Every kind of convolution, and the models: some minutes.
    Medium,
    /// Also large images and the whole problem suite in every data type: up to an hour.
    Long,
}

/// How a validation came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum End {
    /// Every selected case was run.
    Complete,
    /// The user interrupted it.
    Interrupted,
    /// It was no use to go on.
    Stopped {
        /// Why.
        why: String,
    },
}

/// What a case measured about one result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What was compared: `output`, `grad-input`, `grad-weight`, `grad-bias`, or `loss`.
    pub quantity: String,
    /// The largest difference from the reference in units of the largest
    /// reference value, over all repetitions; for `loss`, the part of the
    /// decline that its gradients promise which is missing. Absent where the result was
    /// no number or had the wrong shape.
    pub error: Option<f64>,
    /// The most that `error` may be; see docs/validate.md.
    pub limit: f64,
    /// Terms of the longest sum behind one number; the limit follows from it.
    pub reduction: u64,
    /// The largest value of the reference.
    pub largest: f64,
    /// Values that are NaN and should not be.
    pub nan: u64,
    /// Values that are infinite and should not be.
    pub inf: u64,
    /// The largest difference between two repetitions, in the units of `error`;
    /// 0 if they agree bit by bit. Absent where there was one run only.
    pub run_to_run: Option<f64>,
    /// What is wrong with the result's shape, if anything is.
    pub shape: Option<String>,
    /// Whether all of this is as it should be.
    pub passed: bool,
}

/// A convolution solver that MIOpen reported while a case ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Solver {
    /// What of the case ran: `forward`, `grad-input` or `grad-weight`.
    pub phase: String,
    /// The solver, as MIOpen names it: `GemmFwdRest`; where MIOpen says no more
    /// than which kind was executed, that kind: `algorithm GEMM`.
    pub name: String,
    /// Whether the profile in force lets it run.
    pub allowed: bool,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// Its name: `family/case`.
    pub name: String,
    /// Its family.
    pub family: String,
    /// What it computes, in words.
    pub about: String,
    /// The part of the stack that it exercises.
    pub layer: Layer,
    /// The verdict.
    pub verdict: Verdict,
    /// What happened, where it did not pass.
    pub detail: Option<String>,
    /// What to do, where it did not pass.
    pub remedy: Option<String>,
    /// The step in which it was lost: `forward`, `grad-input`, …
    pub phase: Option<String>,
    /// What was measured.
    pub checks: Vec<Check>,
    /// The solvers that MIOpen reported; empty where MIOpen took no part or kept silent.
    pub solvers: Vec<Solver>,
    /// Wall time of the case, in seconds.
    pub seconds: f64,
    /// The part of it that the worker spent in PyTorch, in seconds.
    pub torch_seconds: f64,
    /// How long the computation takes once nothing has to be compiled any more,
    /// in seconds; absent where nobody asked.
    #[serde(default)]
    pub warm_seconds: Option<f64>,
    /// The end of what the worker printed during the case, where it did not pass.
    pub printed: Option<String>,
}

impl CaseResult {
    /// The largest error in units of its limit; `None` where nothing was measured.
    pub fn worst(&self) -> Option<f64> {
        let ratios = self.checks.iter().filter_map(|check| Some(check.error? / check.limit));
        ratios.max_by(f64::total_cmp)
    }

    /// Whether every quantity came out bit by bit the same each time.
    pub fn is_repeatable(&self) -> bool {
        self.checks.iter().all(|check| check.run_to_run.is_none_or(|difference| difference == 0.0))
    }
}

/// How many cases had which outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All selected cases.
    pub selected: usize,
    /// Those that passed.
    pub passed: usize,
    /// Those that failed in any way.
    pub failed: usize,
    /// Those that MIOpen has no solver for under the profile in force, as its rules say.
    #[serde(default)]
    pub refused: usize,
    /// Those that there was no reference for.
    #[serde(default)]
    pub no_reference: usize,
    /// Those that this PyTorch or device cannot do and nobody expects it to.
    pub skipped: usize,
    /// Those that the run did not come to.
    pub not_run: usize,
}

/// Where the time went, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// From the first start of a worker to the last answer.
    pub wall: f64,
    /// In the worker's PyTorch: importing it, computing, comparing.
    pub torch: f64,
    /// Waiting for references that the CPU had not finished yet.
    pub waiting_for_references: f64,
    /// Waiting for workers that hung or died, until they were gone.
    pub lost: f64,
    /// What is left: our own.
    pub own: f64,
    /// CPU time of the references' PyTorch, beside all this.
    pub references: f64,
    /// Starts of workers, restarts after a loss included.
    pub starts: u32,
}

/// What MIOpen's log shows of the convolutions that it computed. A step is a
/// convolution's `forward`, `grad-input` or `grad-weight`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Steps with a solver, or a kind of solver, in the log.
    pub steps: usize,
    /// Steps that MIOpen was to compute and that came to their end.
    pub of: usize,
}

/// Which part of the stack is broken, if one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// The lowest layer that failed; absent if none did.
    pub broken: Option<Layer>,
    /// One line.
    pub summary: String,
    /// What leads to it, and what to do.
    pub reasons: Vec<String>,
}

/// A whole validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this document's form.
    pub version: u32,
    /// Version of the program.
    pub program: String,
    /// When it began, in UTC, as RFC 3339 has it.
    pub started: String,
    /// The level that was asked for; absent where cases were chosen otherwise.
    pub level: Option<Level>,
    /// Whether everything that ran passed or is refused by the profile's rules,
    /// something did pass, it ran to its end, and a profile that rules solvers
    /// out was seen to do so.
    pub passed: bool,
    /// How it ended.
    pub end: End,
    /// What is broken.
    pub diagnosis: Diagnosis,
    /// Totals.
    pub counts: Counts,
    /// Of how many steps MIOpen's own log shows by what they were computed;
    /// absent where MIOpen was to compute nothing.
    #[serde(default)]
    pub shown: Option<Shown>,
    /// Where the time went.
    pub timing: Timing,
    /// The machine.
    pub machine: Machine,
    /// The Python interpreter.
    pub interpreter: Interpreter,
    /// What it runs.
    pub software: Software,
    /// What computed.
    pub device: Device,
    /// The environment that the worker had.
    pub environment: Environment,
    /// The cases, in the order in which they ran.
    pub cases: Vec<CaseResult>,
}

impl Report {
    /// Counts by verdict.
    pub fn count(cases: &[CaseResult]) -> Counts {
        let mut counts = Counts::default();
        cases.iter().for_each(|case| counts.add(case.verdict));
        counts
    }
}

impl Counts {
    /// Counts a case.
    pub fn add(&mut self, verdict: Verdict) {
        self.selected += 1;
        *match verdict {
            Verdict::Pass => &mut self.passed,
            Verdict::Refused => &mut self.refused,
            Verdict::NoReference => &mut self.no_reference,
            Verdict::Skipped => &mut self.skipped,
            Verdict::NotRun => &mut self.not_run,
            // All others are failures.
            _ => &mut self.failed,
        } += 1;
    }
}
