// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which known failures apply to this machine.

use serde::Serialize;

use crate::gfx::{GfxDecision, Reach};
use crate::machine::{CardState, Machine};
use crate::policy::{Advisory, Condition, Policy, Predicate, Severity};
use crate::stack::Stacks;

/// How sure it is that an advisory applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Every part of its condition holds.
    Applies,
    /// No part fails, but some cannot be known here.
    MayApply,
}

/// An advisory that concerns this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActiveAdvisory {
    /// Its name in the policy.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is that it applies.
    pub certainty: Certainty,
    /// One line.
    pub title: String,
    /// What happens.
    pub happens: String,
    /// What to do.
    #[serde(rename = "do")]
    pub remedy: String,
}

/// The situation that predicates are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub machine: &'a Machine,
    pub stacks: &'a Stacks,
    /// Profile in force, if any variable is to be set at all.
    pub profile: Option<&'a str>,
    pub gfx: Option<&'a GfxDecision>,
}

/// The advisories that concern a machine, the worst first.
pub(crate) fn active(policy: &Policy, situation: Situation<'_>) -> Vec<ActiveAdvisory> {
    let mut active: Vec<ActiveAdvisory> = policy
        .advisories
        .iter()
        .filter_map(|advisory| Some((advisory, situation.judge(&advisory.when)?)))
        .map(|(advisory, certainty): (&Advisory, Certainty)| ActiveAdvisory {
            id: advisory.id.clone(),
            severity: advisory.severity,
            certainty,
            title: advisory.title.clone(),
            happens: advisory.happens.clone(),
            remedy: advisory.remedy.clone(),
        })
        .collect();
    active.sort_by_key(|advisory| std::cmp::Reverse(advisory.severity));
    active
}

impl Situation<'_> {
    fn judge(&self, when: &Predicate) -> Option<Certainty> {
        let mut parts: Vec<Option<bool>> = Vec::new();
        if !when.gfx.is_empty() {
            parts.push(Some(self.machine.active_cards().any(|card| when.gfx.contains(&card.gfx))));
        }
        let kernel = self.machine.kernel_version();
        if let Some(version) = &when.kernel_at_least {
            parts.push(kernel.as_ref().map(|kernel| kernel >= version));
        }
        if let Some(version) = &when.kernel_below {
            parts.push(kernel.as_ref().map(|kernel| kernel < version));
        }
        if when.rocm_at_least.is_some() || when.rocm_below.is_some() {
            let within = |rocm: &crate::ids::Version| {
                when.rocm_at_least.as_ref().is_none_or(|v| rocm >= v)
                    && when.rocm_below.as_ref().is_none_or(|v| rocm < v)
            };
            // A Python environment may bring another ROCm, so that "no" is never certain.
            let any = self.stacks.found.iter().any(|stack| within(&stack.rocm));
            parts.push(any.then_some(true));
        }
        if !when.profile.is_empty() {
            parts.push(Some(self.profile.is_some_and(|id| when.profile.iter().any(|p| p == id))));
        }
        if !when.gfx_choice.is_empty() {
            parts.push(Some(self.gfx.is_some_and(|gfx| when.gfx_choice.contains(&gfx.in_force()))));
        }
        parts.extend(when.state.iter().map(|&condition| Some(self.holds(condition))));
        if parts.contains(&Some(false)) || !self.machine.has_card() && self.machine.cards.is_empty() {
            None
        } else if parts.contains(&None) {
            Some(Certainty::MayApply)
        } else {
            Some(Certainty::Applies)
        }
    }

    fn holds(&self, condition: Condition) -> bool {
        // Virtual functions are there to be given away.
        let cards = || self.machine.cards.iter().filter(|card| card.pci.virtual_function_of.is_none());
        let any = |state: CardState| cards().any(|card| card.state == state);
        match condition {
            Condition::NoDriver => any(CardState::NoDriver),
            Condition::OtherDriver => any(CardState::OtherDriver) || any(CardState::PassedThrough),
            Condition::AmdgpuWithoutKfd => any(CardState::NoCompute),
            Condition::OtherAmdGpu => self.machine.bystanders().next().is_some(),
            Condition::OverrideNotConfinable => {
                self.gfx.is_some_and(|gfx| matches!(gfx.reach, Reach::NotConfinable { .. }))
            }
            Condition::GfxUnverified => self.gfx.is_some_and(|gfx| !gfx.verified),
            Condition::ForeignCode => self.gfx.is_some_and(|gfx| !gfx.code_fits_card),
        }
    }
}
