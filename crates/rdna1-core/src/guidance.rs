// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest path to a working PyTorch, for a card and what is installed.

use serde::Serialize;

use crate::ids::Version;
use crate::machine::Machine;
use crate::policy::{Guidance, Policy, PytorchFit};

/// Advice for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Advice {
    /// Its name in the policy.
    pub id: String,
    /// One line.
    pub title: String,
    /// What to do, in order.
    pub steps: Vec<String>,
    /// How certain it is that this works.
    pub certain: String,
    /// Where that is from.
    pub sources: Vec<String>,
}

/// A PyTorch for ROCm, or that there is none.
#[derive(Debug, Clone, Copy)]
pub struct Pytorch<'a> {
    /// What its device code is to the machine's cards.
    pub fit: PytorchFit,
    /// Where it lies.
    pub path: &'a str,
    /// The ROCm that it uses, where that is known.
    pub rocm: Option<&'a Version>,
}

/// The first entry of the policy that is known to apply; none without a card.
/// `installed` are the machine's, the best first: the first that does not fail
/// as it is decides, and the first of all where each does.
pub fn advise(policy: &Policy, machine: &Machine, installed: &[Pytorch<'_>]) -> Option<Advice> {
    let card = machine.active_cards().next()?;
    let missing = [Pytorch { fit: PytorchFit::Missing, path: "its environment", rocm: None }];
    let candidates = if installed.is_empty() { &missing[..] } else { installed };
    let advised = || candidates.iter().filter_map(|pytorch| Some((entry(policy, machine, pytorch)?, pytorch)));
    let (guidance, pytorch) = advised().find(|(guidance, _)| !guidance.blocked).or_else(|| advised().next())?;
    let gfx = card.gfx.to_string();
    let fill = |step: &String| step.replace("{gfx}", &gfx).replace("{path}", pytorch.path);
    let source = |key: &String| policy.sources.get(key).map(|source| source.at.clone());
    Some(Advice {
        id: guidance.id.clone(),
        title: guidance.title.clone(),
        steps: guidance.steps.iter().map(fill).collect(),
        certain: guidance.certain.clone(),
        sources: guidance.sources.iter().filter_map(source).collect(),
    })
}

/// The first entry that is known to apply to one PyTorch.
fn entry<'a>(policy: &'a Policy, machine: &Machine, pytorch: &Pytorch<'_>) -> Option<&'a Guidance> {
    let kernel = machine.kernel_version();
    policy.guidance.iter().find(|guidance| {
        let when = &guidance.when;
        (when.gfx.is_empty() || machine.active_cards().any(|card| when.gfx.contains(&card.gfx)))
            && (when.pytorch.is_empty() || when.pytorch.contains(&pytorch.fit))
            && when.kernel_at_least.as_ref().is_none_or(|least| kernel.as_ref().is_some_and(|k| k >= least))
            && when.rocm_at_least.as_ref().is_none_or(|least| pytorch.rocm.is_some_and(|rocm| rocm >= least))
    })
}
