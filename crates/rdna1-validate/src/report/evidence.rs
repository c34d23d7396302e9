// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was there when it was measured. Nothing private: no names of users or
//! hosts, no serial numbers; paths below the home directory begin with `~`.

use serde::{Deserialize, Serialize};

/// A card, as found by its PCI function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CardEvidence {
    /// Marketing name.
    pub name: String,
    /// Its gfx target.
    pub gfx: String,
    /// PCI device id.
    pub device: String,
    /// Video memory in bytes.
    pub vram_bytes: Option<u64>,
}

/// The machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The RDNA1 cards.
    pub cards: Vec<CardEvidence>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The operating system, as `/etc/os-release` names it.
    pub system: Option<String>,
    /// CPUs that the program may use.
    pub cpus: usize,
}

/// The Python interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Interpreter {
    /// Its path.
    pub path: String,
    /// Why this one: `--python`, `VIRTUAL_ENV`, `CONDA_PREFIX`, `PATH`, `system`.
    pub chosen_by: String,
    /// `sys.version`'s number.
    pub python: String,
}

/// Versions, as the software itself names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Software {
    /// PyTorch.
    pub torch: String,
    /// Where it was imported from.
    pub torch_path: String,
    /// HIP, for a PyTorch that is built for ROCm.
    pub hip: Option<String>,
    /// CUDA, for a PyTorch that is built for CUDA.
    pub cuda: Option<String>,
    /// MIOpen's or cuDNN's version number, as `torch.backends.cudnn.version()` gives it.
    pub miopen_or_cudnn: Option<i64>,
    /// torchvision; absent where it is not installed or does not load.
    pub torchvision: Option<String>,
    /// The targets that this PyTorch has code for.
    pub arch_list: Vec<String>,
    /// ROCm, by the files of the stack that the interpreter uses.
    pub rocm: Option<String>,
    /// A sum over that stack's libraries; an update changes it.
    pub stack_fingerprint: Option<String>,
}

/// What computed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// `cuda` (which is PyTorch's name for ROCm as well) or `cpu`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What ROCm takes it for: `gfx1010:xnack-`. With an override, the override's.
    pub arch: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Multiprocessors (compute units, or pairs of them).
    pub multiprocessors: Option<u32>,
    /// How many devices PyTorch sees; the first one computes.
    pub visible: u32,
}

/// A variable that the worker had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetVariable {
    /// Its name.
    pub name: String,
    /// Its value, as the worker itself read it.
    pub value: String,
    /// Who set it: a profile, the gfx choice, a configuration file, the
    /// validator, or the environment that the program was started in.
    pub source: String,
}

/// The environment that the worker had: every variable that ROCm, MIOpen,
/// rocBLAS or PyTorch may read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The profile in force; absent where none applies (no card).
    pub profile: Option<String>,
    /// Who chose it.
    pub profile_source: Option<String>,
    /// The gfx choice in force; absent where none applies.
    pub gfx: Option<String>,
    /// Why it is that.
    pub gfx_reason: Option<String>,
    /// Whether the hook of profile `bypass` was active in the worker, by its own word.
    pub bypass: bool,
    /// The variables.
    pub variables: Vec<SetVariable>,
    /// What was asked for and left undone, and other remarks.
    pub remarks: Vec<String>,
}
