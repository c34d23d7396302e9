// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `rdna1-validate select` measured to be best on this machine.
//!
//! A measurement is one of a PyTorch: another one brings other device code. So
//! the record keeps one for each, and says apart from that what the newest one
//! means for the whole machine, which cannot know what a process will import.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gfx::GfxChoice;
use crate::ids::PciId;
use crate::machine::Machine;
use crate::root::Root;
use crate::yaml::{self, YamlError};

/// Where it is recorded. At the very first moment of a boot `/var` may not be
/// mounted; then the policy's other rules decide until the card's udev event.
pub const FILE: &str = "/var/lib/rdna1-rocm-fix/selection.yaml";

/// Most measurements that a record keeps; an older one gives way.
pub const MAX_MEASUREMENTS: usize = 8;

/// A recorded selection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The device ids of the cards it was measured on, sorted.
    pub cards: Vec<PciId>,
    /// The gfx choice for the whole machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gfx: Option<GfxChoice>,
    /// The profile for the whole machine; absent where none passed that reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What was measured, one for each PyTorch, the newest last. A record
    /// written by hand has none: it then applies to every process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// What was measured with one PyTorch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// When it ended: RFC 3339, UTC.
    pub date: String,
    /// The version of the program that measured.
    pub program: String,
    /// The kernel's release that ran.
    pub kernel: String,
    /// The PyTorch.
    pub stack: MeasuredStack,
    /// The cases that every candidate had to pass.
    pub suite: String,
    /// The best for a single process.
    pub process: Winner,
    /// The best of what the whole machine can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Winner>,
    /// What each candidate did, in the order in which they were tried.
    pub evidence: Vec<Evidence>,
}

/// The PyTorch of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MeasuredStack {
    /// What it is: `torch 2.9.1`.
    pub name: String,
    /// Where it lay.
    pub path: String,
    /// A sum over all libraries that compute.
    pub fingerprint: String,
}

/// A candidate that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Winner {
    /// Its gfx choice.
    pub gfx: GfxChoice,
    /// Its profile.
    pub profile: String,
}

/// What one candidate did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its gfx choice.
    pub gfx: GfxChoice,
    /// Its profile.
    pub profile: String,
    /// `passed`, `refuses some`, `wrong`, `crashed`, `hung`, `may have frozen`,
    /// `could not run`, or why it was `not tried`.
    pub verdict: String,
    /// How many cases passed.
    pub passed: u32,
    /// How many cases were tried.
    pub tried: u32,
    /// Seconds that the cases took which all candidates passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// What happened, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a record says for one resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The gfx choice.
    pub gfx: Option<GfxChoice>,
    /// The profile.
    pub profile: Option<String>,
    /// The file it is recorded in.
    pub file: String,
    /// Why it is no proof any more, if something has changed since.
    pub stale: Option<String>,
}

impl Selection {
    /// Reads the selection of the machine below a root directory, if there is one.
    ///
    /// # Errors
    /// It exists and cannot be read or understood.
    pub fn read(root: &Root) -> Result<Option<Self>, YamlError> {
        Self::read_file(root, FILE)
    }

    /// Reads a selection from any file of the machine.
    ///
    /// # Errors
    /// As [`Selection::read`].
    pub fn read_file(root: &Root, file: &str) -> Result<Option<Self>, YamlError> {
        let Some(text) = root.read_text(file)? else { return Ok(None) };
        yaml::parse(file, &text)
    }

    /// Whether it was measured on the cards that the machine has now.
    pub fn is_for(&self, machine: &Machine) -> bool {
        cards_of(machine) == self.cards
    }

    /// What it says for the whole machine.
    pub fn machine_wide(&self, machine: &Machine, file: &str) -> Option<Recorded> {
        self.is_for(machine).then(|| Recorded {
            gfx: self.gfx,
            profile: self.profile.clone(),
            file: file.to_owned(),
            stale: self.measurements.last().and_then(|newest| newest.other_kernel(machine)),
        })
    }

    /// What it says for a process whose PyTorch has this fingerprint; nothing if
    /// it is one that was not measured. For a process of which no PyTorch is
    /// known, it is what the whole machine gets.
    pub fn for_process(&self, machine: &Machine, file: &str, fingerprint: Option<&str>) -> Option<Recorded> {
        let (false, Some(fingerprint)) = (self.measurements.is_empty(), fingerprint) else {
            return self.machine_wide(machine, file);
        };
        let measured = self.measurements.iter().find(|measured| measured.stack.fingerprint == fingerprint)?;
        self.is_for(machine).then(|| Recorded {
            gfx: Some(measured.process.gfx),
            profile: Some(measured.process.profile.clone()),
            file: file.to_owned(),
            stale: measured.other_kernel(machine),
        })
    }

    /// The record after a new measurement. Those of other PyTorch builds stay if
    /// they were made on the same cards; the whole machine follows the new one.
    #[must_use]
    pub fn with(previous: Option<Self>, machine: &Machine, new: Measurement) -> Self {
        let mut measurements = previous.filter(|p| p.is_for(machine)).map(|p| p.measurements).unwrap_or_default();
        measurements.retain(|old| old.stack.fingerprint != new.stack.fingerprint && old.stack.path != new.stack.path);
        measurements.drain(..(measurements.len() + 1).saturating_sub(MAX_MEASUREMENTS));
        // Code that is of use under a gfx choice in one process is so in all of them.
        let gfx = new.machine.as_ref().map_or(new.process.gfx, |winner| winner.gfx);
        let profile = new.machine.as_ref().map(|winner| winner.profile.clone());
        measurements.push(new);
        Self { cards: cards_of(machine), gfx: Some(gfx), profile, measurements }
    }
}

impl Measurement {
    /// The kernel it was made under, if another one runs now.
    pub fn other_kernel(&self, machine: &Machine) -> Option<String> {
        let now = machine.kernel.as_deref().unwrap_or("unknown");
        (now != self.kernel).then(|| format!("it was measured under kernel {}, and {now} runs now", self.kernel))
    }
}

/// The device ids of the cards that take part, sorted.
fn cards_of(machine: &Machine) -> Vec<PciId> {
    let mut cards: Vec<PciId> = machine.active_cards().map(|card| card.pci.device).collect();
    cards.sort_unstable();
    cards
}

/// Where a user who is not root records a selection, for programs that this
/// user starts with `run`; `None` if the user has no home.
pub fn own_file(environment: &BTreeMap<String, String>) -> Option<String> {
    let absolute = |name: &str| environment.get(name).filter(|value| value.starts_with('/'));
    let state = match absolute("XDG_STATE_HOME") {
        Some(state) => state.clone(),
        None => format!("{}/.local/state", absolute("HOME")?.trim_end_matches('/')),
    };
    Some(format!("{state}/{}/selection.yaml", crate::NAME))
}
