// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the static check of device code found in the stacks in use, where
//! `rdna1-validate isa` has been run; nothing is checked here.

use rdna1_core::gfx::GfxChoice;
use rdna1_core::policy::GfxChoiceFact;
use rdna1_core::resolve::Resolution;
use rdna1_launch::survey::{self, Judged};
use rdna1_stack::check::{self, Cache, Checked, DataType, OTHER, Risk};
use rdna1_stack::{Place, Stack};
use serde::Serialize;

use super::{Finding, Level};
use crate::context::{Context, Environment};

/// The advisories that rest on the check have sources whose keys begin so.
const SOURCE: &str = "isa-";

/// What a stack's code is to a card, under the gfx choice in force.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckedCode {
    /// The stack's directory.
    stack: String,
    /// The card's target.
    card: String,
    /// The gfx choice in force for a program that uses the stack.
    gfx: GfxChoice,
    /// The target whose code then runs.
    code: String,
    /// Whether the check has been made.
    checked: bool,
    /// What was found, by data type; empty where it has not been made.
    data_types: Vec<DataType>,
    #[serde(skip)]
    described: String,
    #[serde(skip)]
    safer: Option<GfxChoice>,
}

/// Looks for what is known.
pub(super) fn look(
    context: &Context,
    variables: &Environment,
    survey: &[Judged],
    resolution: &Resolution,
) -> Vec<CheckedCode> {
    let is_root = context.root.is_system() && rustix::process::geteuid().is_root();
    // `variables` is empty for a machine below --root: then there is the machine's cache alone.
    let cache = Cache::of(&context.root, variables, is_root);
    let machine_wide = resolution.gfx.as_ref().map(rdna1_core::gfx::GfxDecision::in_force);
    let mut all = Vec::new();
    for judged in survey {
        let stack = &judged.stack;
        // What has neither PyTorch nor rocBLAS for ROCm computes nothing on the card.
        let computes = stack.deciding_code().is_some_and(|code| !code.is_empty());
        let Some(gfx) = judged.gfx.or(machine_wide).filter(|_| computes) else { continue };
        for card in context.machine.active_cards() {
            let known = check::known(Place(&context.root), &cache, stack, card.gfx);
            let types = known.as_ref().and_then(|known| known.under(gfx, card.gfx)).unwrap_or_default();
            all.push(CheckedCode {
                stack: stack.path.clone(),
                card: card.gfx.to_string(),
                gfx,
                code: check::code_under(gfx, card.gfx).to_string(),
                checked: known.is_some(),
                data_types: types.to_vec(),
                described: survey::describe(stack),
                safer: known.and_then(|known| safer(context, stack, &known, gfx, card.gfx)),
            });
        }
    }
    all
}

/// A gfx choice whose code in the same stack is clean, where that in force is
/// not. Whatever decides what the stack can run, PyTorch's own code where there is
/// one, must have that code as well: a rocBLAS alone helps nobody.
fn safer(
    context: &Context,
    stack: &Stack,
    known: &Checked,
    gfx: GfxChoice,
    card: rdna1_core::ids::GfxTarget,
) -> Option<GfxChoice> {
    let deciding = stack.deciding_code()?;
    let usable = |fact: &&GfxChoiceFact| fact.id != gfx && deciding.contains(&check::code_under(fact.id, card));
    let mut choices: Vec<&GfxChoiceFact> = context.policy.gfx.choices.iter().filter(usable).collect();
    check::safer_first(&mut choices, Some(known), card);
    let best = choices.into_iter().map(|fact| fact.id).find(|choice| known.risk(*choice, card) == Risk::Clean)?;
    (known.risk(gfx, card) > Risk::Unclear).then_some(best)
}

/// What follows, for the page; advisories that rest on the check cite it.
pub(super) fn findings(context: &Context, found: &[CheckedCode], findings: &mut Vec<Finding>) {
    let foreign = |code: &CheckedCode| code.gfx != GfxChoice::Native && code.code != code.card;
    for code in found {
        if !code.checked && foreign(code) {
            let what = format!(
                "nobody has looked whether {}'s code for {} is legal on {}",
                code.described, code.code, code.card
            );
            let remedy = format!("rdna1-validate isa --on {} --stack {}", code.card, code.stack);
            if context.root.join("/usr/bin/rdna1-validate").exists() || beside().is_some_and(|path| path.exists()) {
                findings.push(Finding::new(Level::Note, "device-code-unchecked", what, remedy));
            }
            continue;
        }
        let bad: Vec<&DataType> = code.data_types.iter().filter(|found| found.risk() > Risk::Unclear).collect();
        let Some(worst) = bad.iter().map(|found| found.risk()).max() else { continue };
        let what = format!(
            "{} runs code for {} on this {}, and the check of that code has hits",
            code.described, code.code, code.card
        );
        let illegal: Vec<&str> =
            bad.iter().filter(|t| t.risk() == Risk::Illegal && t.name != OTHER).map(|t| t.name.as_str()).collect();
        let mut remedy = match code.safer {
            Some(choice) => format!("prefer gfx {choice}, whose code in the same stack has none"),
            None => "compare results with the CPU's; a stack with gfx1010 code is the better choice".to_owned(),
        };
        if !illegal.is_empty() {
            remedy += &format!("; keep away from {}", illegal.join(", "));
        }
        if bad.iter().any(|found| found.name == OTHER && found.risk() == Risk::Illegal) {
            remedy += "; kernels that are no matrix products are among those that the card cannot execute";
        }
        let level = if worst >= Risk::Hang { Level::Warning } else { Level::Note };
        let mut finding = Finding::new(level, "device-code", what, remedy);
        finding.happens = Some(format!(
            "{}. A hit is code that AMD's compiler would not emit for this card, not proof of a failure.",
            described(code)
        ));
        findings.push(finding);
    }
    for finding in findings.iter_mut() {
        let rests = |key: &String| key.starts_with(SOURCE);
        let advisory = context.policy.advisories.iter().find(|known| known.id == finding.id);
        if advisory.is_some_and(|advisory| advisory.sources.iter().any(rests)) {
            for code in found.iter().filter(|code| code.checked && !code.data_types.is_empty()) {
                let here = format!(" Here, {}, code for {}: {}.", code.described, code.code, described(code));
                finding.happens = Some(finding.happens.take().unwrap_or_default() + &here);
            }
        }
    }
}

fn described(code: &CheckedCode) -> String {
    code.data_types.iter().map(DataType::describe).collect::<Vec<_>>().join("; ")
}

fn beside() -> Option<std::path::PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name("rdna1-validate"))
}
