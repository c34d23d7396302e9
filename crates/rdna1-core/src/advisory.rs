// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which known failures apply to this machine.

use serde::Serialize;

use crate::gfx::{GfxChoice, GfxDecision, Reach};
use crate::ids::{GfxTarget, Version};
use crate::machine::{Card, CardState, Machine};
use crate::policy::{Advisory, Condition, Policy, Predicate, PytorchFit, Severity};
use crate::resolve::Resolution;
use crate::stack::{Stack, StackPytorch, Stacks};
use crate::surroundings::Surroundings;

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
pub fn judge_all(
    policy: &Policy,
    machine: &Machine,
    stacks: &Stacks,
    surroundings: &Surroundings,
    resolution: &Resolution,
) -> Vec<Judgement> {
    let situation = Situation::of(policy, machine, stacks, Some(surroundings), resolution);
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

/// The advisories that concern a machine under a resolution, the worst first.
/// The stacks may be more than those that the resolution rests on. Where nobody
/// has looked at the surroundings, what depends on them is left out.
pub fn active(
    policy: &Policy,
    machine: &Machine,
    stacks: &Stacks,
    surroundings: Option<&Surroundings>,
    resolution: &Resolution,
) -> Vec<ActiveAdvisory> {
    // Without a card there is nothing to advise, whatever could not be read.
    if machine.cards.is_empty() {
        return Vec::new();
    }
    let situation = Situation::of(policy, machine, stacks, surroundings, resolution);
    let mut active: Vec<ActiveAdvisory> = policy
        .advisories
        .iter()
        .filter(|advisory| surroundings.is_some() || !asks_for_surroundings(&advisory.when))
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

fn asks_for_surroundings(when: &Predicate) -> bool {
    when.glibc_at_least.is_some()
        || when.mec_firmware_below.is_some()
        || !when.kernel_parameter.is_empty()
        || !when.kernel_parameter_missing.is_empty()
        || !when.stray_variable.is_empty()
        || when.state.contains(&Condition::NoPcieAtomics)
}

/// The situation that predicates are asked about. A part of one is `None` where
/// it cannot be told.
#[derive(Debug, Clone, Copy)]
struct Situation<'a> {
    policy: &'a Policy,
    machine: &'a Machine,
    stacks: &'a Stacks,
    surroundings: Option<&'a Surroundings>,
    /// Profile in force, if any variable is to be set at all.
    profile: Option<&'a str>,
    gfx: Option<&'a GfxDecision>,
    /// Whether the user has set an override that is no version.
    garbled_override: bool,
}

/// All parts of a whole: false if one is, unknown if one is and none is false.
fn all(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut whole = Some(true);
    for part in parts {
        match part {
            Some(false) => return part,
            Some(true) => {}
            None => whole = None,
        }
    }
    whole
}

/// Any of several: true if one is, unknown if one is and none is true.
fn any(parts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    all(parts.into_iter().map(|part| part.map(|part| !part))).map(|none| !none)
}

impl<'a> Situation<'a> {
    /// The situation under a resolution; one that is not in force leaves no
    /// profile and no gfx choice to speak of.
    fn of(
        policy: &'a Policy,
        machine: &'a Machine,
        stacks: &'a Stacks,
        surroundings: Option<&'a Surroundings>,
        resolution: &'a Resolution,
    ) -> Self {
        let in_force = resolution.inactive.is_none();
        let gfx = resolution.gfx.as_ref().filter(|_| in_force);
        let overrides = &policy.gfx;
        let is_override =
            |name: &str| name == overrides.variable.as_str() || name.starts_with(overrides.per_node.prefix.as_str());
        let theirs =
            resolution.left_alone.iter().any(|left| left.user_value.is_some() && is_override(left.name.as_str()));
        let read = gfx.is_some_and(|gfx| matches!(gfx.reach, Reach::UserSet { .. }));
        // Of a choice without a variable there is nothing that could be left alone.
        let hazard = resolution.hazards.iter().any(|hazard| is_override(&hazard.name));
        Self {
            policy,
            machine,
            stacks,
            surroundings,
            profile: in_force.then_some(resolution.profile.as_str()),
            gfx,
            garbled_override: !read && (theirs || hazard),
        }
    }

    fn judge(&self, when: &Predicate) -> Truth {
        match self.holds_all(when) {
            Some(true) => Truth::Yes,
            Some(false) => Truth::No,
            None => Truth::Unknown,
        }
    }

    fn holds_all(&self, when: &Predicate) -> Option<bool> {
        // Also one that is held for a virtual machine, which is worth saying.
        let mut parts: Vec<Option<bool>> = vec![self.has_card(|_| true)];
        if !when.gfx.is_empty() {
            parts.push(self.has_card(|card| card.takes_part() && when.gfx.contains(&card.gfx)));
        }
        let kernel = self.machine.kernel_version();
        if let Some(version) = &when.kernel_at_least {
            parts.push(kernel.as_ref().map(|kernel| kernel >= version));
        }
        if let Some(version) = &when.kernel_below {
            parts.push(kernel.as_ref().map(|kernel| kernel < version));
        }
        parts.push(self.has_stack(when));
        self.surrounds(when, &mut parts);
        if !when.profile.is_empty() {
            parts.push(Some(self.profile.is_some_and(|id| when.profile.iter().any(|p| p == id))));
        }
        if !when.gfx_choice.is_empty() {
            parts.push(match self.gfx {
                None => Some(false),
                Some(gfx) => self.choice(gfx).map(|choice| when.gfx_choice.contains(&choice)),
            });
        }
        parts.extend(when.state.iter().map(|&condition| self.holds(condition)));
        all(parts)
    }

    /// Whether there is such a card. A function that could not be read may be one.
    fn has_card(&self, fits: impl Fn(&Card) -> bool) -> Option<bool> {
        let found = self.machine.cards.iter().any(fits);
        if found { Some(true) } else { (!self.machine.has_unread_functions()).then_some(false) }
    }

    /// Whether some ROCm on this machine is as asked. A Python environment may
    /// bring another one, so that "no" is never certain.
    fn has_stack(&self, when: &Predicate) -> Option<bool> {
        let about_torch = when.torch_at_least.is_some()
            || when.torch_below.is_some()
            || when.tagged_wheel
            || !when.pytorch.is_empty();
        if when.rocm_at_least.is_none() && when.rocm_below.is_none() && !about_torch {
            return Some(true);
        }
        let fits = |stack: &Stack| {
            let rocm = when.rocm_at_least.as_ref().is_none_or(|v| &stack.rocm >= v)
                && when.rocm_below.as_ref().is_none_or(|v| &stack.rocm < v);
            let torch = || {
                let Some(torch) = &stack.pytorch else { return Some(false) };
                let version: Option<Version> = torch.version.parse().ok();
                all([
                    Some(!when.tagged_wheel || torch.version.contains("+rocm")),
                    when.torch_at_least.as_ref().map_or(Some(true), |v| version.as_ref().map(|version| version >= v)),
                    when.torch_below.as_ref().map_or(Some(true), |v| version.as_ref().map(|version| version < v)),
                    if when.pytorch.is_empty() { Some(true) } else { self.code_is(torch, &when.pytorch) },
                ])
            };
            all([Some(rocm), if about_torch { torch() } else { Some(true) }])
        };
        any(self.stacks.found.iter().map(fits)).filter(|&found| found)
    }

    fn code_is(&self, torch: &StackPytorch, wanted: &[PytorchFit]) -> Option<bool> {
        let code = torch.code.as_ref().filter(|code| !code.is_empty())?;
        let runs =
            |target: GfxTarget| self.policy.gfx_target(target).map(|fact| &fact.runs_code_of[..]).unwrap_or_default();
        let cards = || self.machine.active_cards().map(|card| card.gfx);
        let fit = if cards().all(|card| code.contains(&card)) {
            PytorchFit::Native
        } else if cards().all(|card| code.contains(&card) || runs(card).iter().any(|other| code.contains(other))) {
            PytorchFit::Compatible
        } else {
            PytorchFit::Foreign
        };
        Some(wanted.contains(&fit))
    }

    fn surrounds(&self, when: &Predicate, parts: &mut Vec<Option<bool>>) {
        let it = self.surroundings;
        if let Some(least) = &when.glibc_at_least {
            parts.push(it.and_then(|it| it.glibc.as_ref()).map(|version| version >= least));
        }
        if let Some(limit) = when.mec_firmware_below {
            let cards = self.machine.active_cards().map(|card| card.pci.address);
            parts.push(any(cards.map(|card| it?.mec_firmware.get(&card).map(|&version| version < limit))));
        }
        let has = |parameter: &String| it?.has_parameter(parameter);
        if !when.kernel_parameter.is_empty() {
            parts.push(any(when.kernel_parameter.iter().map(has)));
        }
        if !when.kernel_parameter_missing.is_empty() {
            parts.push(all(when.kernel_parameter_missing.iter().map(has)).map(|given| !given));
        }
        if !when.stray_variable.is_empty() {
            let found = it.map(|it| when.stray_variable.iter().any(|name| it.stray.contains(name.as_str())));
            // In a file that could not be read there may be one.
            let unread = it.is_some_and(|it| it.unread_files);
            parts.push(found.filter(|&found| found || !unread));
        }
    }

    /// What the card really runs under.
    fn choice(&self, gfx: &GfxDecision) -> Option<GfxChoice> {
        if self.garbled_override {
            return None;
        }
        let Reach::UserSet { variable } = &gfx.reach else { return Some(gfx.in_force()) };
        let Some(node) = variable.strip_prefix(self.policy.gfx.per_node.prefix.as_str()) else {
            return Some(gfx.choice);
        };
        // The user's override for one node is one for the card only if that is the card's.
        let node: u32 = node.parse().ok()?;
        let mut nodes = Vec::new();
        for card in self.machine.active_cards() {
            nodes.push(card.kfd.as_ref()?.node);
        }
        Some(if nodes.contains(&node) { gfx.choice } else { GfxChoice::Native })
    }

    fn holds(&self, condition: Condition) -> Option<bool> {
        // Virtual functions are there to be given away.
        let cards = || self.machine.cards.iter().filter(|card| card.pci.virtual_function_of.is_none());
        let is = |state: CardState| cards().any(|card| card.state == state);
        // A state that could not be told, by whether at least the driver is known.
        let untold =
            |driver: bool| cards().any(|card| card.state == CardState::Unknown && card.pci.driver.is_some() == driver);
        let unless = |found: bool, unknown: bool| if found { Some(true) } else { (!unknown).then_some(false) };
        match condition {
            Condition::NoDriver => unless(is(CardState::NoDriver), untold(false)),
            Condition::OtherDriver => unless(is(CardState::OtherDriver) || is(CardState::PassedThrough), untold(false)),
            Condition::AmdgpuWithoutKfd => unless(is(CardState::NoCompute), untold(true) || untold(false)),
            Condition::OtherAmdGpu => {
                unless(self.machine.bystanders().next().is_some(), self.machine.has_unread_functions())
            }
            Condition::OverrideNotConfinable => {
                let left_out = self.gfx.is_some_and(|gfx| matches!(gfx.reach, Reach::NotConfinable { .. }));
                let due = self.gfx.is_some_and(|gfx| matches!(gfx.reach, Reach::Global));
                unless(left_out, due && self.machine.has_unread_functions())
            }
            Condition::GfxUnverified => {
                let unverified = self.gfx.is_some_and(|gfx| !gfx.verified);
                // What was measured under another kernel may still hold.
                let once = self.gfx.is_some_and(|gfx| gfx.stale.is_some());
                if once { None } else { Some(unverified) }
            }
            Condition::ForeignCode => {
                let Some(gfx) = self.gfx else { return Some(false) };
                let choice = self.choice(gfx)?;
                // Of a version that is the user's own nothing is known.
                self.policy.gfx.choices.iter().find(|fact| fact.id == choice).map(|fact| !fact.code_fits_card)
            }
            Condition::NoPcieAtomics => {
                let reach = |card: &Card| Some(!*self.surroundings?.pcie_atomics.get(&card.pci.address)?);
                any(self.machine.active_cards().map(reach))
            }
            Condition::NoDevicePermission => {
                let ready = || self.machine.active_cards().filter(|card| card.state == CardState::Ready);
                let kfd = ready().next().map(|_| &self.machine.kfd_device);
                let nodes = kfd.into_iter().chain(ready().filter_map(|card| card.render_node.as_ref()));
                any(nodes.map(|node| node.exists.then_some(!node.accessible)))
            }
            Condition::RocblasLacksCard => {
                let lists = || self.stacks.found.iter().filter(|stack| !stack.rocblas.is_empty());
                let lacks = |stack: &Stack| self.machine.active_cards().any(|card| !stack.rocblas.contains(&card.gfx));
                if lists().any(lacks) { Some(true) } else { lists().next().map(|_| false) }
            }
        }
    }
}
