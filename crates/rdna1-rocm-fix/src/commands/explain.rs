// SPDX-License-Identifier: MIT OR Apache-2.0
//! `explain`: who reads a variable, what it does, why it is set, how we know.

use anyhow::bail;
use rdna1_core::policy::{Policy, Variable};
use rdna1_core::resolve::Resolution;

use super::Outcome;
use crate::context::{Context, current_environment};
use crate::text::{DIM, TITLE, WARN, styled, wrapped};

pub(super) fn run(context: &Context, name: Option<&str>) -> anyhow::Result<Outcome> {
    let policy = &context.policy;
    let resolution = context.resolve(&Default::default(), &current_environment());
    let Some(name) = name else {
        let mut out = String::new();
        for setting in &resolution.set {
            out += &page(context, &resolution, setting.name.as_str());
            out.push('\n');
        }
        if out.is_empty() {
            out = "Nothing is set here; `rdna1-rocm-fix status` says why. Variables that can be explained:\n".into();
            out.extend(policy.variables.iter().map(|variable| format!("  {}\n", variable.name)));
        }
        return Ok(Outcome::answer(out));
    };
    known(policy, name)?;
    Ok(Outcome::answer(page(context, &resolution, name)))
}

/// Fails for a variable that the policy does not describe.
pub(super) fn known(policy: &Policy, name: &str) -> anyhow::Result<()> {
    if policy.variable(name).is_some() {
        return Ok(());
    }
    let upper = name.to_ascii_uppercase();
    let like: Vec<&str> =
        policy.variables.iter().map(|v| v.name.as_str()).filter(|known| known.contains(&upper)).collect();
    match like.is_empty() {
        true => bail!("the policy does not describe {name}; nothing here sets it or knows who reads it"),
        false => bail!("the policy does not describe {name}; did you mean {}?", like.join(", ")),
    }
}

fn page(context: &Context, resolution: &Resolution, name: &str) -> String {
    let policy = &context.policy;
    let Some(variable) = policy.variable(name) else {
        return format!("{}\n{}\n", styled(TITLE, name), wrapped(2, "added by the administrator; not in the policy"));
    };
    let mut out = format!("{}\n{}\n", styled(TITLE, name), wrapped(2, &variable.effect));
    out += &wrapped(2, &readers(variable));
    out.push('\n');
    out += &wrapped(2, &format!("Allowed: {}.", variable.value.describe()));
    out.push('\n');
    if let Some(caution) = &variable.caution {
        out += &styled(WARN, wrapped(2, &format!("Caution: {caution}")));
        out.push('\n');
    }
    for line in uses(policy, resolution, name) {
        out += &wrapped(2, &line);
        out.push('\n');
    }
    for key in &variable.sources {
        if let Some(source) = policy.sources.get(key) {
            let evidence = serde_json::to_value(source.evidence).ok();
            let evidence = evidence.as_ref().and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            out += &styled(DIM, wrapped(2, &format!("Source ({evidence}): {}", source.at)));
            out.push('\n');
        }
    }
    out
}

fn readers(variable: &Variable) -> String {
    if variable.is_inert() {
        return "Read by nothing: no ROCm component knows this name, so it has no effect.".into();
    }
    let readers: Vec<String> = variable
        .read_by
        .iter()
        .map(|reader| match &reader.since {
            Some(since) => format!("{} (since {since})", reader.component),
            None => reader.component.clone(),
        })
        .collect();
    format!("Read by {}.", readers.join(", "))
}

/// Where the variable is set, and why: here, and in each profile.
fn uses(policy: &Policy, resolution: &Resolution, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(setting) = resolution.set.iter().find(|setting| setting.name.as_str() == name) {
        lines.push(format!("Here: {}, by {}. {}", setting.value, setting.source, setting.reason));
    }
    if let Some(left) = resolution.left_alone.iter().find(|left| left.name.as_str() == name) {
        lines.push(format!("Here: left alone; {}.", left.reason));
    }
    for profile in &policy.profiles {
        if let Some(setting) = profile.set.iter().find(|setting| setting.name.as_str() == name) {
            lines.push(format!("Profile {}: {}. {}", profile.id, setting.value, setting.why));
        }
    }
    if lines.is_empty() {
        lines.push("Set by no profile.".into());
    }
    lines
}
