// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy: which cards exist, which variables matter and who reads them,
//! which profiles there are, when which gfx choice applies, which platform
//! failures are known. All of it is data, in `policy/rdna1.yaml`.

mod load;
mod model;
mod validate;
mod value;

pub use load::PolicyError;
pub use model::*;
pub use value::{Domain, InvalidValue, MIOPEN_BOOL};

use crate::ids::{GfxTarget, PciId, PciRevision};

impl Policy {
    /// The card with this PCI device id, if the policy lists it.
    pub fn card(&self, device: PciId) -> Option<&Card> {
        self.cards.iter().find(|card| card.device == device)
    }

    /// The description of a variable. `HSA_OVERRIDE_GFX_VERSION_1` and its
    /// like, the per-node forms of the override, are described as one.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|v| v.name.as_str() == name).or_else(|| {
            let node = name.strip_prefix(self.gfx.per_node.prefix.as_str())?;
            let is_node = !node.is_empty() && node.bytes().all(|b| b.is_ascii_digit());
            is_node.then(|| self.variable(self.gfx.variable.as_str())).flatten()
        })
    }

    /// The profile with this id.
    pub fn profile(&self, id: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// The profile that somebody has named.
    ///
    /// # Errors
    /// In words, if there is none of that name.
    pub fn named_profile(&self, id: &str) -> Result<&Profile, String> {
        self.profile(id).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.iter().map(|profile| profile.id.as_str()).collect();
            format!("there is no profile `{id}`; allowed are {}", known.join(", "))
        })
    }

    /// The profile that is used where nobody chose one.
    pub fn default_profile(&self) -> &Profile {
        // Validation guarantees exactly one default.
        self.profiles.iter().find(|profile| profile.default).unwrap_or(&self.profiles[0])
    }

    /// What the policy knows of a gfx target.
    pub fn gfx_target(&self, target: GfxTarget) -> Option<&GfxTargetFact> {
        self.gfx_targets.iter().find(|fact| fact.target == target)
    }
}

impl Card {
    /// The marketing name for a revision byte, or the device's general name
    /// where the revision is unknown or not listed.
    pub fn name_for(&self, revision: Option<PciRevision>) -> &str {
        revision.and_then(|r| self.revisions.get(&r)).unwrap_or(&self.name)
    }
}
