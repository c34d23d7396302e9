// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of installations.

use std::collections::BTreeSet;

use rdna1_core::ids::{GfxTarget, Version};
use rdna1_core::policy::Policy;
use rdna1_core::root::Problem;
use serde::Serialize;

use crate::fingerprint::Fingerprint;

/// Where a stack comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", schemars(rename = "SurveyKind"))]
pub enum StackKind {
    /// A whole ROCm in a directory of its own: AMD's packages, Arch's.
    System,
    /// A distribution's packages below `/usr`.
    Distribution,
    /// A package in the Nix store.
    Nix,
    /// A Python environment.
    Python,
}

/// Device code, by target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Code {
    /// The targets, as the compiler names them.
    pub targets: BTreeSet<String>,
    /// The files or packages that show it.
    pub seen_in: Vec<String>,
}

impl Code {
    /// The targets of the form `gfx1010`. Code for a generic one runs on every chip
    /// of its generation and counts as code for each ("AMDGPU Generic Processors" in
    /// LLVM's documentation of the back end); those of other generations are left out.
    pub fn gfx(&self) -> Vec<GfxTarget> {
        let mut all = BTreeSet::new();
        for name in &self.targets {
            let generation = match name.as_str() {
                "gfx10-1-generic" => Some((1, 0..=3)),
                "gfx10-3-generic" => Some((3, 0..=6)),
                _ => None,
            };
            match generation {
                Some((minor, steppings)) => {
                    all.extend(steppings.map(|stepping| GfxTarget { major: 10, minor, stepping }));
                }
                None => all.extend(name.parse::<GfxTarget>().ok()),
            }
        }
        all.into_iter().collect()
    }
}

/// A PyTorch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pytorch {
    /// `torch.__version__`.
    pub version: String,
    /// `torch.version.hip`, if it was built for ROCm.
    pub hip: Option<String>,
    /// `torch.version.cuda`, if it was built for CUDA.
    pub cuda: Option<String>,
    /// Its own device code; `None` where that could not be read.
    pub code: Option<Code>,
}

/// An installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SurveyStack"))]
pub struct Stack {
    /// Where it comes from.
    pub kind: StackKind,
    /// Its directory, as seen from inside the root.
    pub path: String,
    /// Where its libraries lie.
    pub libraries: Vec<String>,
    /// ROCm's version.
    pub rocm: Option<Version>,
    /// Its PyTorch.
    pub pytorch: Option<Pytorch>,
    /// MIOpen's version, or `present` where only the library itself is there.
    pub miopen: Option<String>,
    /// The targets that its rocBLAS has kernels for, by the names of their files.
    pub rocblas: BTreeSet<String>,
    /// ROCm's own Python packages (`rocm_sdk_core 7.13.0`).
    pub packages: Vec<String>,
    /// A sum over versions, and names, sizes, beginnings and ends of the
    /// libraries that compute. The same stack has the same one anywhere and
    /// after a copy; an update changes it.
    pub fingerprint: String,
}

/// What a stack's device code is to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// There is code for the card's own target.
    Native,
    /// There is none, but code that the card runs unchanged under an override.
    Compatible,
    /// All code is for other chips.
    Foreign,
    /// There is no device code, or it could not be read.
    Unknown,
}

impl Stack {
    /// The device code that decides what a program can run: PyTorch's own, or
    /// rocBLAS's where there is no PyTorch.
    pub fn deciding_code(&self) -> Option<Vec<GfxTarget>> {
        match &self.pytorch {
            Some(pytorch) => pytorch.code.as_ref().map(Code::gfx),
            None if self.rocblas.is_empty() => None,
            None => Some(self.rocblas.iter().filter_map(|name| name.parse().ok()).collect()),
        }
    }

    /// The fingerprint of all that computes in a process which uses this stack:
    /// where it does not bring MIOpen and rocBLAS itself, the machine's belong to it.
    pub fn process_fingerprint(&self, machine: &Survey) -> String {
        if self.is_whole() {
            return self.fingerprint.clone();
        }
        let mut sum = Fingerprint::new();
        sum.fact("own", &self.fingerprint);
        for stack in self.completed_by(machine) {
            sum.fact("machine", &stack.fingerprint);
        }
        sum.finish()
    }

    /// Whether it brings MIOpen and rocBLAS itself.
    fn is_whole(&self) -> bool {
        self.miopen.is_some() && !self.rocblas.is_empty()
    }

    /// The machine's stacks that a process which uses this one computes with as well.
    pub fn completed_by<'a>(&self, machine: &'a Survey) -> impl Iterator<Item = &'a Self> + use<'a> {
        let stacks = if self.is_whole() { &[][..] } else { &machine.stacks[..] };
        stacks.iter().filter(|stack| stack.kind != StackKind::Python)
    }

    /// What it is to a card.
    pub fn fit(&self, policy: &Policy, card: GfxTarget) -> Fit {
        let Some(code) = self.deciding_code().filter(|code| !code.is_empty()) else { return Fit::Unknown };
        let runs = policy.gfx_target(card).map(|fact| &fact.runs_code_of[..]).unwrap_or_default();
        if code.contains(&card) {
            Fit::Native
        } else if runs.iter().any(|other| code.contains(other)) {
            Fit::Compatible
        } else {
            Fit::Foreign
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Survey {
    /// The installations.
    pub stacks: Vec<Stack>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_for_a_generic_target_is_code_for_each_chip_of_its_generation() {
        let gfx = |names: &[&str]| -> Vec<String> {
            let targets = names.iter().map(|name| (*name).to_owned()).collect();
            Code { targets, seen_in: Vec::new() }.gfx().iter().map(ToString::to_string).collect()
        };
        assert_eq!(gfx(&["gfx10-1-generic"]), ["gfx1010", "gfx1011", "gfx1012", "gfx1013"]);
        assert_eq!(gfx(&["gfx10-3-generic", "gfx1030", "gfx9-generic"]).len(), 7);
        assert_eq!(gfx(&["gfx11-generic"]), [""; 0]);
    }
}
