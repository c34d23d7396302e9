// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commented-out configuration that the packages install.

use rdna1_core::config;
use rdna1_core::policy::{Policy, Scope};
use serde::Serialize;

use crate::template::{Renderer, TemplateError};
use crate::{NAME, names, tree};

#[derive(Serialize)]
struct Item {
    text: String,
}

#[derive(Serialize)]
struct Example<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    name: &'a str,
    schema: String,
    policy_path: &'a str,
    drop_ins: &'a str,
    profiles: Vec<Item>,
    default_profile: &'a str,
    gfx_choices: Vec<Item>,
    prefixes: String,
    example: Option<Example<'a>>,
    unwanted: Option<&'a str>,
}

/// Writes it from the policy, so that it lists what the policy has.
pub(crate) fn text(renderer: &Renderer, policy: &Policy) -> Result<String, TemplateError> {
    let default = policy.default_profile();
    let profiles = policy.profiles.iter().map(|profile| {
        let mark = match (profile.default, profile.scope) {
            (true, _) => " (default)",
            (_, Scope::Process) => " (for single commands only, with `run --profile`)",
            _ => "",
        };
        Item { text: format!("{}{mark}: {} For: {}", profile.id, sentence(&profile.summary), profile.audience) }
    });
    let choices = policy.gfx.choices.iter();
    let choices = choices.map(|choice| Item { text: format!("{}: {}", choice.id, choice.summary) });
    let example = default.set.first().map(|set| Example { name: set.name.as_str(), value: &set.value });
    let unwanted = default.set.last().map(|set| set.name.as_str());
    let data = Data {
        name: NAME,
        schema: format!("/usr/share/{NAME}/{}", names::CONFIG_SCHEMA),
        policy_path: tree::POLICY,
        drop_ins: config::DROP_INS,
        profiles: profiles.collect(),
        default_profile: &default.id,
        gfx_choices: choices.collect(),
        prefixes: format!("{}.", policy.extra_variable_prefixes.join(", ")),
        example,
        unwanted,
    };
    renderer.render("config.yaml", include_str!("../templates/config.yaml.hbs"), &data)
}

/// A text that ends in a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{end}")
}
