// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may become of a case, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every result is right.
    Pass,
    /// A result is further from the reference than rounding explains, or has the wrong shape.
    Wrong,
    /// A result holds NaN or infinity where the reference has numbers.
    NotFinite,
    /// Repetitions of the same computation differ by more than rounding explains.
    Unstable,
    /// MIOpen used a solver that the profile rules out.
    Solver,
    /// PyTorch or a library refused with an error.
    Error,
    /// Memory ran out, the device's or the machine's.
    OutOfMemory,
    /// It did not end in time and was killed.
    Timeout,
    /// It ended shortly after its time limit: slow, not hung.
    Late,
    /// The worker died of a signal.
    Crash,
    /// The worker ended by itself and did not answer.
    NoAnswer,
    /// What came back is no answer to the question.
    Garbage,
    /// The worker cannot be killed: the kernel holds it (state D).
    Stuck,
    /// MIOpen has no solver for it under this profile, as its rules say (`rdna1-validate plan`).
    Refused,
    /// There was nothing to compare with: the CPU's reference failed, or started from other numbers.
    NoReference,
    /// Neither this PyTorch nor this device claims to do it.
    Skipped,
    /// The run ended before it.
    NotRun,
}

impl Verdict {
    /// Whether the case failed.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Pass | Self::Refused | Self::NoReference | Self::Skipped | Self::NotRun)
    }

    /// Whether it failed in a way that tells against the part of the stack that
    /// it exercises. Right numbers by the wrong solver, late, or for want of
    /// memory none do not.
    pub fn is_broken(self) -> bool {
        self.is_failure() && !matches!(self, Self::Solver | Self::Late | Self::OutOfMemory)
    }

    /// Whether the worker was lost, so that its device may be in trouble.
    pub fn lost_the_worker(self) -> bool {
        matches!(self, Self::Timeout | Self::Crash | Self::NoAnswer | Self::Garbage | Self::Stuck)
    }

    /// As reports print it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Wrong => "WRONG",
            Self::NotFinite => "NOT FINITE",
            Self::Unstable => "UNSTABLE",
            Self::Solver => "SOLVER",
            Self::Error => "ERROR",
            Self::OutOfMemory => "OUT OF MEMORY",
            Self::Timeout => "TIMEOUT",
            Self::Late => "LATE",
            Self::Crash => "CRASH",
            Self::NoAnswer => "NO ANSWER",
            Self::Garbage => "GARBAGE",
            Self::Stuck => "STUCK",
            Self::Refused => "REFUSED",
            Self::NoReference => "NO REFERENCE",
            Self::Skipped => "SKIPPED",
            Self::NotRun => "NOT RUN",
        }
    }

    /// What to do about it; nothing for what needs nothing.
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Pass | Self::Skipped | Self::NotRun => return None,
            Self::Refused => "use another profile for programs that need this, gemm-naive first (--profile)",
            Self::NoReference => {
                "this is about the CPU's side (memory, disk space, the model itself), not about the card; mend it and run again"
            }
            Self::Wrong | Self::NotFinite | Self::Unstable => {
                "do not trust results of this kind on this device; try another gfx choice or profile bypass (--gfx, --profile)"
            }
            Self::Solver => {
                "see which variables MIOpen had (environment in the report); a variable of yours or an old database may outrank the profile"
            }
            Self::Error => {
                "the message names the library; another profile may serve what this one refuses (--profile gemm-naive)"
            }
            Self::OutOfMemory => "close other programs that use the card, or use smaller batches or images",
            Self::Timeout => {
                "programs will hang here: try another gfx choice or profile bypass; if the card does not recover, reboot"
            }
            Self::Late => "slow, not hung: raise --timeout; a first run also compiles MIOpen's kernels",
            Self::Crash => "programs will crash here: try another gfx choice or profile bypass; dmesg may say more",
            Self::NoAnswer => "what the worker printed says why it ended",
            Self::Garbage => {
                "something else writes where the answers go, or memory is damaged; what came is in the report"
            }
            Self::Stuck => "reboot: the kernel driver holds the process and the card, and nothing else frees them",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A part of the stack; each rests on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Driver, HIP runtime, and PyTorch's own simple kernels: copies, element-wise arithmetic.
    Hip,
    /// rocBLAS: matrix products.
    Rocblas,
    /// PyTorch's own convolution: im2col and a matrix product, without MIOpen.
    Native,
    /// MIOpen's batch normalisation.
    MiopenBatchNorm,
    /// Convolution as programs get it; under most profiles by MIOpen.
    Convolution,
    /// Whole models.
    Model,
}

impl Layer {
    /// Its name in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hip => "the driver or HIP",
            Self::Rocblas => "rocBLAS",
            Self::Native => "PyTorch's own convolution",
            Self::MiopenBatchNorm => "batch normalisation",
            Self::Convolution => "convolution",
            Self::Model => "whole models",
        }
    }
}
