// SPDX-License-Identifier: MIT OR Apache-2.0
//! The candidates that make sense for a card and a PyTorch, safest first.

use std::fmt;

use rdna1_core::gfx::GfxChoice;
use rdna1_core::ids::GfxTarget;
use rdna1_core::policy::{Policy, Scope};
use rdna1_stack::check::{self, Checked};

/// A gfx choice and a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The gfx choice.
    pub gfx: GfxChoice,
    /// The profile.
    pub profile: String,
    /// Whether the code that then runs is for a chip whose code the card runs unchanged.
    pub code_fits_card: bool,
    /// Whether the profile can be had by the whole machine.
    pub machine_wide: bool,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gfx {}, profile {}", self.gfx, self.profile)
    }
}

/// What is to be measured.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The cards' targets; none on a machine without an RDNA1 card.
    pub cards: Vec<GfxTarget>,
    /// The targets that PyTorch has device code for; `None` if that could not be told.
    pub code: Option<Vec<GfxTarget>>,
    /// What the static check found in the device code that this PyTorch runs, that
    /// of a ROCm beside it included, if `isa` was run.
    pub checked: Option<Checked>,
    /// Why an override cannot be confined to the card, where it cannot.
    pub not_confinable: Option<String>,
    /// Only this gfx choice.
    pub gfx: Option<GfxChoice>,
    /// Only this profile.
    pub profile: Option<String>,
}

/// The candidates in the order in which they are tried, and those that make no sense here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each, and why it makes no sense here if it does not.
    pub steps: Vec<(Candidate, Option<String>)>,
}

impl Plan {
    /// The plan for a question: gfx choices in the policy's order, but those whose
    /// code is known to be the safer first; profiles in the policy's order.
    pub fn new(policy: &Policy, question: &Question) -> Self {
        let mut plan = Self::default();
        let mut facts: Vec<_> = policy.gfx.choices.iter().collect();
        if let Some(&card) = question.cards.first() {
            check::safer_first(&mut facts, question.checked.as_ref(), card);
        }
        for fact in facts {
            // Without the card there is nothing to be taken for another chip.
            let unwanted = question.gfx.is_some_and(|only| only != fact.id)
                || question.cards.is_empty() && fact.id != GfxChoice::Native;
            if unwanted {
                continue;
            }
            let senseless = senseless(question, fact.id);
            for profile in policy.profiles.iter().filter(|profile| profile.gfx_choices.contains(&fact.id)) {
                if question.profile.as_ref().is_some_and(|only| *only != profile.id) {
                    continue;
                }
                let candidate = Candidate {
                    gfx: fact.id,
                    profile: profile.id.clone(),
                    code_fits_card: fact.code_fits_card,
                    machine_wide: profile.scope == Scope::System,
                };
                plan.steps.push((candidate, senseless.clone()));
            }
        }
        plan
    }

    /// What is to be tried.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.steps.iter().filter(|(_, senseless)| senseless.is_none()).map(|(candidate, _)| candidate)
    }
}

/// Why a gfx choice cannot work here, if that is known before anything runs.
fn senseless(question: &Question, choice: GfxChoice) -> Option<String> {
    let code = question.code.as_deref().filter(|code| !code.is_empty());
    let list = |targets: &[GfxTarget]| targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match choice {
        GfxChoice::Native => {
            let missing: Vec<GfxTarget> =
                question.cards.iter().filter(|card| code.is_some_and(|code| !code.contains(card))).copied().collect();
            (!missing.is_empty()).then(|| format!("this PyTorch has no code for {}", list(&missing)))
        }
        GfxChoice::Override(version) => {
            if question.cards.iter().all(|card| card.version() == version) {
                return Some("it is what the card is anyway".into());
            }
            if let Some(why) = &question.not_confinable {
                return Some(format!("it would hit other GPUs: {why}"));
            }
            let has = code.is_none_or(|code| code.iter().any(|target| target.version() == version));
            let target = GfxTarget { major: version.major, minor: version.minor, stepping: version.stepping };
            (!has).then(|| format!("this PyTorch has no code for {target}"))
        }
    }
}
