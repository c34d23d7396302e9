// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said on a worker's pipes: one JSON document a line. Every request
//! has a token of its own, which what comes back must repeat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cases::Work;

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Question<'a> {
    /// Import PyTorch.
    Start {
        /// CPU threads for PyTorch.
        threads: usize,
        /// Whether to look for torchvision.
        torchvision: bool,
        /// Beginnings of the variables to report.
        variables: Vec<String>,
    },
    /// Say which devices PyTorch sees.
    List,
    /// Touch the device.
    Open {
        /// `cpu`, or which GPU: `cuda:0`.
        device: &'a str,
    },
    /// Compute a reference.
    Reference {
        /// Of what.
        work: &'a Work,
        /// The file to leave it in.
        file: &'a str,
    },
    /// Run a case.
    Case {
        /// What to compute.
        work: &'a Work,
        /// On what.
        device: &'a str,
        /// Its reference.
        file: Option<&'a str>,
        /// Whether to say how long it takes once it has been computed before.
        timed: bool,
    },
}

/// A question with its token.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// To be repeated.
    pub token: &'a str,
    /// The question.
    #[serde(flatten)]
    pub question: &'a Question<'a>,
}

/// What a worker says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The request's.
    pub token: String,
    /// The step that it begins.
    #[serde(default)]
    pub phase: Option<String>,
    /// The answer.
    #[serde(default)]
    pub answer: Option<serde_json::Value>,
    /// What went wrong instead.
    #[serde(default)]
    pub error: Option<Failure>,
}

/// An exception in the worker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its type and text.
    pub message: String,
    /// The traceback.
    #[serde(rename = "where")]
    pub traceback: String,
    /// Whether memory ran out.
    pub out_of_memory: bool,
    /// Whether nobody claims that this works.
    pub unsupported: bool,
    /// Whether the worker started from other numbers than its reference.
    #[serde(default)]
    pub different_start: bool,
    /// The module that could not be found, if it was that.
    pub missing_module: Option<String>,
    /// Whether the device still computes.
    pub usable: bool,
}

/// The answer to `start`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// Python's version.
    pub python: String,
    /// PyTorch's.
    pub torch: String,
    /// Where it was imported from.
    pub torch_path: String,
    /// HIP's version.
    pub hip: Option<String>,
    /// CUDA's version.
    pub cuda: Option<String>,
    /// torchvision's version.
    pub torchvision: Option<String>,
    /// Whether the hook of profile `bypass` is active.
    pub bypass: bool,
    /// The variables that were asked for.
    pub environment: BTreeMap<String, String>,
    /// Seconds in PyTorch.
    pub torch_seconds: f64,
}

/// The answer to `list`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The GPUs, in PyTorch's order.
    pub devices: Vec<Visible>,
    /// Seconds in PyTorch.
    pub torch_seconds: f64,
}

/// A GPU that PyTorch sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visible {
    /// Its name.
    pub name: String,
    /// The target that it runs code for; PyTorch 1.13 and 2.0 do not tell on ROCm.
    pub arch: Option<String>,
    /// Where it sits, as `0000:03:00.0`; old releases do not tell.
    pub pci: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// The answer to `open`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// `cuda` or `cpu`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The target that it runs code for.
    pub arch: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Multiprocessors.
    pub multiprocessors: Option<u32>,
    /// Devices that PyTorch sees.
    pub visible: u32,
    /// MIOpen's or cuDNN's version.
    pub cudnn: Option<i64>,
    /// Targets that PyTorch has code for.
    pub arch_list: Vec<String>,
    /// Seconds in PyTorch.
    pub torch_seconds: f64,
}

/// The answer to `reference`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referenced {
    /// Seconds in PyTorch.
    pub torch_seconds: f64,
}

/// The answer to `case`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What was measured, one entry for each quantity.
    pub checks: Vec<Measurement>,
    /// Of a model: the error of the CPU's own float32.
    #[serde(default)]
    pub cpu_error: Option<f64>,
    /// Seconds of the quickest of several repetitions.
    #[serde(default)]
    pub warm_seconds: Option<f64>,
    /// Seconds in PyTorch.
    pub torch_seconds: f64,
}

/// A measurement; see [`crate::report::Check`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What was compared.
    pub quantity: String,
    /// The largest error, in units of the largest reference value.
    pub error: Option<f64>,
    /// That value.
    pub largest: f64,
    /// NaNs.
    pub nan: u64,
    /// Infinities.
    pub inf: u64,
    /// The largest difference between repetitions, in the same units.
    pub run_to_run: Option<f64>,
    /// What is wrong with the shape.
    pub shape: Option<String>,
}
