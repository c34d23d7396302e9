// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is checked: stacks, whose results are kept, and other files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rdna1_core::ids::GfxTarget;
use rdna1_core::root::Root;
use rdna1_isa::{Options, Report, Target, scan};
use rdna1_launch::context::{Environment, current_environment};
use rdna1_stack::check::{self, Cache};
use rdna1_stack::{Place, Stack, Survey};

/// Files and stacks to check.
pub(super) struct Material {
    root: Root,
    environment: Environment,
    stacks: Vec<Stack>,
    others: Vec<PathBuf>,
}

/// Every ROCm and PyTorch of this machine that a user of this environment has.
pub(crate) fn of_machine(root: &Root, environment: &Environment) -> Vec<Stack> {
    // Variables hold paths of the running machine, not of one below --root.
    if !root.is_system() {
        return Survey::of_system(root).stacks;
    }
    let cwd = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
    Survey::of_machine(root, environment, cwd.as_deref()).stacks
}

/// Where results are kept.
pub(crate) fn cache(root: &Root, environment: &Environment) -> Cache {
    let none = Environment::new();
    // A machine below --root has no users here.
    let environment = if root.is_system() { environment } else { &none };
    Cache::of(root, environment, rustix::process::geteuid().is_root())
}

/// The stack in a directory that was named, as seen from inside the root.
pub(crate) fn at(root: &Root, path: &Path) -> anyhow::Result<Vec<Stack>> {
    let absolute = std::path::absolute(path).with_context(|| format!("{} has no place", path.display()))?;
    let dir = if root.is_system() { absolute } else { path.to_owned() };
    let is_dir = dir.to_str().filter(|dir| root.join(dir).is_dir());
    Ok(is_dir.map(|dir| Survey::at(root, dir).stacks).unwrap_or_default())
}

impl Material {
    /// What was named, or all that the machine has.
    pub(super) fn find(root: &Root, named: &[PathBuf]) -> anyhow::Result<Self> {
        let mut material =
            Self { root: root.clone(), environment: current_environment(), stacks: Vec::new(), others: Vec::new() };
        if named.is_empty() {
            material.stacks = of_machine(&material.root, &material.environment);
            material.stacks.retain(|stack| !check::files(Place(&material.root), stack).is_empty());
        }
        for path in named {
            let found = at(root, path)?;
            if found.is_empty() {
                let inside = path.to_str().filter(|_| !root.is_system());
                material.others.push(inside.map_or_else(|| path.clone(), |path| root.join(path)));
            }
            material.stacks.extend(found);
        }
        Ok(material)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.others.is_empty()
    }

    /// All files and directories.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let of_stacks = self.stacks.iter().flat_map(|stack| check::files(Place(&self.root), stack));
        of_stacks.map(|path| self.root.join(&path)).chain(self.others.iter().cloned()).collect()
    }

    /// Checks all of it, and keeps what was found in the stacks.
    pub(super) fn checked(&self, on: Target, stderr: &mut String) -> Report {
        let place = Place(&self.root);
        let cache = cache(&self.root, &self.environment);
        let card: Option<GfxTarget> = on.to_string().parse().ok();
        let mut reports = Vec::new();
        for stack in &self.stacks {
            let Some((card, check)) = card.and_then(|card| Some((card, check::check(place, stack, card)?))) else {
                continue;
            };
            // Without device code there is nothing to remember.
            if !check.checked.code.is_empty()
                && let Err(problem) = check::keep(place, &cache, stack, card, &check)
            {
                *stderr += &format!("not kept for status, plan and select: {} {}\n", problem.path, problem.problem);
            }
            reports.push(check.report);
        }
        if !self.others.is_empty() {
            reports.push(scan(&self.others, &Options::for_card(on)));
        }
        Report::merged(on, reports)
    }
}
