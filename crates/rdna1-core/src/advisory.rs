// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which known failures apply to this machine.

use serde::Serialize;

use crate::gfx::{GfxDecision, Reach};
use crate::machine::{CardState, Machine};
use crate::policy::{Advisory, Condition, Policy, Predicate, Severity};
use crate::resolve::Resolution;
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

/// Whether an advisory's condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// Every part holds.
    Yes,
    /// A part fails.
    No,
    /// No part fails, but one cannot be known here.
    Unknown,
}

/// An advisory and whether its condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Judgement {
    /// Its name in the policy.
    pub id: String,
    /// Whether its condition holds.
    pub truth: Truth,
    /// One line.
    pub title: String,
    /// Where it is from.
    pub sources: Vec<String>,
}

/// Judges every advisory of the policy, in its order, under a resolution that
/// was made for the same machine and stacks.
pub fn judge_all(policy: &Policy, machine: &Machine, stacks: &Stacks, resolution: &Resolution) -> Vec<Judgement> {
    let situation = Situation::of(machine, stacks, resolution);
    let source = |key: &String| policy.sources.get(key).map(|source| source.at.clone());
    let judge = |advisory: &Advisory| Judgement {
        id: advisory.id.clone(),
        truth: situation.judge(&advisory.when),
        title: advisory.title.clone(),
        sources: advisory.sources.iter().filter_map(source).collect(),
    };
    policy.advisories.iter().map(judge).collect()
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

/// The advisories that concern a machine under a resolution, the worst first.
/// The stacks may be more than those that the resolution rests on.
pub fn active(policy: &Policy, machine: &Machine, stacks: &Stacks, resolution: &Resolution) -> Vec<ActiveAdvisory> {
    let situation = Situation::of(machine, stacks, resolution);
    let mut active: Vec<ActiveAdvisory> = policy
        .advisories
        .iter()
        .filter_map(|advisory| match situation.judge(&advisory.when) {
            Truth::Yes => Some((advisory, Certainty::Applies)),
            Truth::Unknown => Some((advisory, Certainty::MayApply)),
            Truth::No => None,
        })
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

impl<'a> Situation<'a> {
    /// The situation under a resolution; one that is not in force leaves no
    /// profile and no gfx choice to speak of.
    pub(crate) fn of(machine: &'a Machine, stacks: &'a Stacks, resolution: &'a Resolution) -> Self {
        let in_force = resolution.inactive.is_none();
        Self {
            machine,
            stacks,
            profile: in_force.then_some(resolution.profile.as_str()),
            gfx: resolution.gfx.as_ref().filter(|_| in_force),
        }
    }

    fn judge(&self, when: &Predicate) -> Truth {
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
            Truth::No
        } else if parts.contains(&None) {
            Truth::Unknown
        } else {
            Truth::Yes
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
