// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shortest path to a working PyTorch, for a card and what is installed.

use serde::Serialize;

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

/// The first entry of the policy that is known to apply; none without a card.
/// `path` is where the best PyTorch lies.
pub fn advise(policy: &Policy, machine: &Machine, fit: PytorchFit, path: Option<&str>) -> Option<Advice> {
    let card = machine.active_cards().next()?;
    let kernel = machine.kernel_version();
    let holds = |guidance: &&Guidance| {
        let when = &guidance.when;
        (when.gfx.is_empty() || machine.active_cards().any(|card| when.gfx.contains(&card.gfx)))
            && (when.pytorch.is_empty() || when.pytorch.contains(&fit))
            && when.kernel_at_least.as_ref().is_none_or(|least| kernel.as_ref().is_some_and(|k| k >= least))
    };
    let guidance = policy.guidance.iter().find(holds)?;
    let gfx = card.gfx.to_string();
    let fill = |step: &String| step.replace("{gfx}", &gfx).replace("{path}", path.unwrap_or("its environment"));
    let source = |key: &String| policy.sources.get(key).map(|source| source.at.clone());
    Some(Advice {
        id: guidance.id.clone(),
        title: guidance.title.clone(),
        steps: guidance.steps.iter().map(fill).collect(),
        certain: guidance.certain.clone(),
        sources: guidance.sources.iter().filter_map(source).collect(),
    })
}
