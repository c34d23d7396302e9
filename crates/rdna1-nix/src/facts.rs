// SPDX-License-Identifier: MIT OR Apache-2.0
//! `nix/policy.nix`: what the module has to know of the policy.

use rdna1_core::policy::{Domain, Emit, MIOPEN_BOOL, Policy, Profile, Scope, Variable};

use crate::value::Value;

/// The facts that the module checks an administrator's choices against.
pub(crate) fn render(policy: &Policy) -> String {
    let mut profiles: Vec<&Profile> = policy.profiles.iter().collect();
    profiles.sort_by(|a, b| a.id.cmp(&b.id));
    let mut variables: Vec<&Variable> = policy.variables.iter().collect();
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    let facts = Value::attrs([
        ("defaultProfile", Value::str(&policy.default_profile().id)),
        ("profiles", Value::attrs(profiles.into_iter().map(|p| (p.id.as_str(), profile(p))))),
        (
            "gfx",
            Value::attrs([
                ("variable", Value::str(&policy.gfx.variable)),
                ("perNodePrefix", Value::str(&policy.gfx.per_node.prefix)),
                ("choices", Value::strs(policy.gfx.choices.iter().map(|choice| choice.id))),
            ]),
        ),
        ("extraVariablePrefixes", Value::strs(&policy.extra_variable_prefixes)),
        ("variables", Value::attrs(variables.into_iter().map(|v| (v.name.as_str(), variable(v))))),
    ]);
    format!("{}# What policy/rdna1.yaml says, as far as module.nix asks.\n{}\n", crate::HEADER, facts.render(0))
}

fn profile(profile: &Profile) -> Value {
    let scope = match profile.scope {
        Scope::System => "system",
        Scope::Process => "process",
    };
    Value::attrs([("scope", Value::str(scope)), ("gfxChoices", Value::strs(&profile.gfx_choices))])
}

fn variable(variable: &Variable) -> Value {
    let emit = match variable.emit {
        Emit::Profile => "profile",
        Emit::Gfx => "gfx",
        Emit::Extra => "extra",
        Emit::Never => "never",
    };
    let mut pairs = vec![("emit", Value::str(emit))];
    match variable.emit {
        Emit::Never => {
            let caution = variable.caution.as_deref().unwrap_or("the policy forbids it");
            pairs.push(("caution", Value::str(caution)));
        }
        Emit::Gfx => {}
        Emit::Profile | Emit::Extra => {
            pairs.push(("values", domain(&variable.value)));
            pairs.push(("allowed", Value::str(variable.value.describe())));
        }
    }
    Value::attrs(pairs)
}

/// The values that a variable's reader accepts, as `accepts` in module.nix reads it.
fn domain(domain: &Domain) -> Value {
    // Nix counts to 2^63; nothing that the policy bounds comes near.
    let int = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    let kind = |kind| ("kind", Value::str(kind));
    match domain {
        Domain::MiopenBool => Value::attrs([kind("word"), ("words", Value::strs(MIOPEN_BOOL))]),
        Domain::OneOf { values } => Value::attrs([kind("one-of"), ("values", Value::strs(values))]),
        Domain::Integer { min, max } => Value::attrs([kind("integer"), ("min", int(*min)), ("max", int(*max))]),
        Domain::Path => Value::attrs([kind("path")]),
        // No profile or administrator sets a gfx version but by the gfx choice.
        Domain::GfxVersion | Domain::Text => Value::attrs([kind("text")]),
    }
}
