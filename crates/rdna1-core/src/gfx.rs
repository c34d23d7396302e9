// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gfx choice: which chip ROCm is told the card is.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::ids::{GfxTarget, GfxVersion, VarName, text_serde};
use crate::machine::Machine;
use crate::policy::{GfxCondition, Policy};
use crate::selection::Recorded;
use crate::stack::Stacks;

/// A gfx choice: no override, or an override to one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GfxChoice {
    /// ROCm sees the card as what it is.
    Native,
    /// `HSA_OVERRIDE_GFX_VERSION` says it is this.
    Override(GfxVersion),
}

impl fmt::Display for GfxChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => f.write_str("native"),
            Self::Override(version) => version.fmt(f),
        }
    }
}

impl FromStr for GfxChoice {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "native" => Ok(Self::Native),
            _ => s.parse().map(Self::Override).map_err(|e: crate::ids::ParseIdError| format!("{e}, nor `native`")),
        }
    }
}

/// What the administrator or a command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GfxSetting {
    /// The policy's rules decide.
    Auto,
    /// This choice.
    Choice(GfxChoice),
}

impl fmt::Display for GfxSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Choice(choice) => choice.fmt(f),
        }
    }
}

impl FromStr for GfxSetting {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "auto" => Ok(Self::Auto),
            _ => s.parse().map(Self::Choice).map_err(|e: String| format!("{e}, nor `auto`")),
        }
    }
}

text_serde!(GfxChoice, "^(native|[0-9]+\\.[0-9]+\\.[0-9]+)$");
text_serde!(GfxSetting, "^(auto|native|[0-9]+\\.[0-9]+\\.[0-9]+)$");

/// How an override reaches the card without hitting other GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reach {
    /// There is no override.
    None,
    /// One variable for all GPUs, as all of them are RDNA1 cards.
    Global,
    /// One variable for each card's KFD node, as there are other AMD GPUs.
    PerNode {
        /// The nodes.
        nodes: Vec<u32>,
    },
    /// An override was wanted and left out, as it would hit other GPUs.
    NotConfinable {
        /// Why the per-node form cannot be used.
        why: String,
    },
    /// The user has set a variable, which stays as it is.
    UserSet {
        /// The variable.
        variable: String,
    },
}

/// The gfx choice in force, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GfxDecision {
    /// The choice; see [`GfxDecision::in_force`].
    pub choice: GfxChoice,
    /// The policy rule that made it, or who asked for it.
    pub decided_by: String,
    /// Why.
    pub why: String,
    /// Whether what is in force is known to work here.
    pub verified: bool,
    /// Why a measurement of this choice is no proof any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// Whether the code that then runs was built for a chip whose code the card runs unchanged.
    pub code_fits_card: bool,
    /// How it reaches the card.
    pub reach: Reach,
}

impl GfxDecision {
    /// What the card really runs under: an override that could not be confined
    /// to it is left out, so that it runs as what it is.
    pub fn in_force(&self) -> GfxChoice {
        match self.reach {
            Reach::NotConfinable { .. } => GfxChoice::Native,
            Reach::None | Reach::Global | Reach::PerNode { .. } | Reach::UserSet { .. } => self.choice,
        }
    }

    /// The variables that put the decision into force, in order.
    pub fn variables(&self, policy: &Policy) -> Vec<(VarName, String)> {
        let GfxChoice::Override(version) = self.choice else { return Vec::new() };
        match &self.reach {
            Reach::Global => vec![(policy.gfx.variable.clone(), version.to_string())],
            Reach::PerNode { nodes } => nodes
                .iter()
                .filter_map(|node| format!("{}{node}", policy.gfx.per_node.prefix).parse().ok())
                .map(|name| (name, version.to_string()))
                .collect(),
            Reach::None | Reach::NotConfinable { .. } | Reach::UserSet { .. } => Vec::new(),
        }
    }
}

/// The decision that the user has made by setting an override.
pub fn set_by_user(policy: &Policy, version: GfxVersion, variable: &str) -> GfxDecision {
    let choice = GfxChoice::Override(version);
    GfxDecision {
        choice,
        decided_by: "the environment".into(),
        why: format!("{variable} is already set"),
        verified: false,
        stale: None,
        code_fits_card: fits_card(policy, choice),
        reach: Reach::UserSet { variable: variable.to_owned() },
    }
}

fn fits_card(policy: &Policy, choice: GfxChoice) -> bool {
    policy.gfx.choices.iter().any(|fact| fact.id == choice && fact.code_fits_card)
}

/// Decides the gfx choice. `asked` is the setting and who made it.
pub fn decide(
    policy: &Policy,
    machine: &Machine,
    stacks: &Stacks,
    recorded: Option<&Recorded>,
    asked: (GfxSetting, &str),
) -> GfxDecision {
    let measured = recorded.and_then(|recorded| recorded.gfx);
    let (choice, decided_by, mut why, mut verified) = match asked {
        (GfxSetting::Choice(choice), who) => {
            let why = format!("{who} asks for {choice}");
            (choice, who.to_owned(), why, measured == Some(choice))
        }
        (GfxSetting::Auto, _) => by_rule(policy, machine, stacks, measured),
    };
    let stale = recorded.and_then(|recorded| recorded.stale.clone()).filter(|_| measured == Some(choice));
    if let Some(stale) = &stale {
        why += &format!(" But {stale}.");
        verified = false;
    }
    let reach = reach(policy, machine, stacks, choice);
    let mut decision = GfxDecision { choice, decided_by, why, verified, stale, code_fits_card: false, reach };
    let in_force = decision.in_force();
    decision.verified &= in_force == choice;
    decision.code_fits_card = fits_card(policy, in_force);
    decision
}

/// The first rule that applies; validation guarantees that one does.
fn by_rule(
    policy: &Policy,
    machine: &Machine,
    stacks: &Stacks,
    recorded: Option<GfxChoice>,
) -> (GfxChoice, String, String, bool) {
    let has_code_for = |fits: &dyn Fn(GfxTarget, &[GfxTarget]) -> bool| {
        let code = stacks.pytorch_code.as_deref().unwrap_or_default();
        machine.has_card() && machine.active_cards().all(|card| fits(card.gfx, code))
    };
    let fallback = policy.gfx.rules.iter().find(|rule| rule.when == GfxCondition::Otherwise);
    let fallback = fallback.and_then(|rule| rule.choose);
    let lacks_fallback = || {
        let code = stacks.pytorch_code.as_deref().unwrap_or_default();
        // What is not known at all may be there.
        let GfxChoice::Override(version) = fallback? else { return None };
        Some(!code.is_empty() && code.iter().all(|target| target.version() != version))
    };
    for rule in &policy.gfx.rules {
        let choice = match rule.when {
            GfxCondition::Recorded => recorded,
            GfxCondition::PytorchHasCard => {
                has_code_for(&|target, code| code.contains(&target)).then_some(rule.choose).flatten()
            }
            GfxCondition::PytorchHasCompatible => has_code_for(&|target, code| {
                let runs = policy.gfx_target(target).map(|fact| &fact.runs_code_of[..]).unwrap_or_default();
                code.contains(&target) || runs.iter().any(|other| code.contains(other))
            })
            .then_some(rule.choose)
            .flatten(),
            GfxCondition::PytorchLacksFallback => lacks_fallback().filter(|&lacks| lacks).and(rule.choose),
            GfxCondition::Otherwise => rule.choose,
        };
        if let Some(choice) = choice {
            return (choice, rule.id.clone(), rule.why.clone(), rule.verified);
        }
    }
    (GfxChoice::Native, "none".into(), "no rule of the policy applies".into(), false)
}

fn reach(policy: &Policy, machine: &Machine, stacks: &Stacks, choice: GfxChoice) -> Reach {
    if choice == GfxChoice::Native || !machine.has_card() {
        return Reach::None;
    }
    if machine.bystanders().next().is_none() {
        return Reach::Global;
    }
    let since = &policy.gfx.per_node.since_rocm;
    // A card that KFD has not taken is out of ROCm's sight; if that changes,
    // its udev event leads here again.
    let nodes: Vec<u32> = machine.active_cards().filter_map(|card| card.kfd.as_ref().map(|kfd| kfd.node)).collect();
    match stacks.oldest_rocm() {
        Some(rocm) if rocm < since => {
            let why =
                format!("ROCm {rocm} does not read {}<node>; ROCm {since} and later do", policy.gfx.per_node.prefix);
            Reach::NotConfinable { why }
        }
        _ if nodes.is_empty() => Reach::NotConfinable { why: "the card's KFD node is not known (yet)".into() },
        _ => Reach::PerNode { nodes },
    }
}
