// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ROCm installations of a machine, as far as files show them without
//! running anything.
//!
//! What is found here is what the boot entry needs: AMD's packages below `/opt`
//! and a distribution's HIP runtime, with their versions. Which gfx targets a
//! PyTorch carries code for is an input that the crate `rdna1-stack` fills.

use serde::Serialize;

use crate::ids::{GfxTarget, Version};
use crate::root::Root;

/// Where a stack comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StackKind {
    /// AMD's own packages, below `/opt/rocm*`.
    System,
    /// The distribution's packages, below `/usr`.
    Distribution,
    /// A Python environment's wheels.
    Python,
}

/// One ROCm installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stack {
    /// Where it comes from.
    pub kind: StackKind,
    /// The file that shows it.
    pub path: String,
    /// Its ROCm version.
    pub rocm: Version,
    /// Its PyTorch, where one has been looked for.
    #[serde(skip)]
    pub pytorch: Option<StackPytorch>,
    /// The gfx targets that its rocBLAS has kernels for, where that has been looked for.
    #[serde(skip)]
    pub rocblas: Vec<GfxTarget>,
}

/// The PyTorch of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackPytorch {
    /// `torch.__version__`: `2.6.0+rocm6.1`.
    pub version: String,
    /// The gfx targets of its device code; `None` where that could not be read.
    pub code: Option<Vec<GfxTarget>>,
}

impl Stack {
    /// One without a PyTorch.
    pub fn new(kind: StackKind, path: String, rocm: Version) -> Self {
        Self { kind, path, rocm, pytorch: None, rocblas: Vec::new() }
    }
}

/// All that is known of ROCm on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stacks {
    /// The installations, by path.
    pub found: Vec<Stack>,
    /// The gfx targets that the PyTorch in use carries device code for;
    /// `None` where no PyTorch has been looked at.
    pub pytorch_code: Option<Vec<GfxTarget>>,
}

impl Stacks {
    /// Finds what is installed below a root directory.
    pub fn detect(root: &Root) -> Self {
        let mut found = Vec::new();
        let names = |dir: &str| root.list(dir).unwrap_or_default();
        for name in names("/opt").iter().filter(|name| name.starts_with("rocm")) {
            // /opt/rocm is a link to one of the versioned directories.
            let path = format!("/opt/{name}/.info/version");
            let rocm = root.read_text(&path).ok().flatten().and_then(|text| text.trim().parse().ok());
            found.extend(rocm.map(|rocm| Stack::new(StackKind::System, path, rocm)));
        }
        for dir in
            ["/usr/lib64".to_owned(), "/usr/lib".to_owned(), format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH)]
        {
            for name in names(&dir) {
                // libamdhip64.so.6.4.43484: HIP's version begins with ROCm's.
                let version = name.strip_prefix("libamdhip64.so.").filter(|version| version.contains('.'));
                let Some(rocm) = version.and_then(|version| version.parse().ok()) else { continue };
                found.push(Stack::new(StackKind::Distribution, format!("{dir}/{name}"), rocm));
            }
        }
        // /opt/rocm and /opt/rocm-6.4.2 are often one installation.
        found.dedup_by(|a, b| a.kind == b.kind && a.rocm == b.rocm);
        Self { found, pytorch_code: None }
    }

    /// The oldest ROCm that was found.
    pub fn oldest_rocm(&self) -> Option<&Version> {
        self.found.iter().map(|stack| &stack.rocm).min()
    }
}
