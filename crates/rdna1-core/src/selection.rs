// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `rdna1-validate select` measured to be best on this machine.

use serde::{Deserialize, Serialize};

use crate::gfx::GfxChoice;
use crate::ids::PciId;
use crate::machine::Machine;
use crate::root::Root;
use crate::yaml::{self, YamlError};

/// Where it is recorded. At the very first moment of a boot `/var` may not be
/// mounted; then the policy's other rules decide until the card's udev event.
pub const FILE: &str = "/var/lib/rdna1-rocm-fix/selection.yaml";

/// A recorded selection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// The device ids of the cards it was measured on, sorted.
    pub cards: Vec<PciId>,
    /// The gfx choice that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gfx: Option<GfxChoice>,
    /// The profile that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl Selection {
    /// Reads the selection of the machine below a root directory, if there is one.
    ///
    /// # Errors
    /// It exists and cannot be read or understood.
    pub fn read(root: &Root) -> Result<Option<Self>, YamlError> {
        let Some(text) = root.read_text(FILE)? else { return Ok(None) };
        yaml::parse(FILE, &text)
    }

    /// Whether it was measured on the cards that the machine has now.
    pub fn is_for(&self, machine: &Machine) -> bool {
        let mut cards: Vec<PciId> = machine.active_cards().map(|card| card.pci.device).collect();
        cards.sort_unstable();
        cards == self.cards
    }
}
