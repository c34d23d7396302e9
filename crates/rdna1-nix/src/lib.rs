// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nix's view of the payload: the NixOS module with its option documentation,
//! the package, the flake ([`sources`]), and the file tree of a store path
//! ([`tree`]).

mod docs;
mod facts;
mod options;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rdna1_core::policy::Policy;
use rdna1_payload::template::{Renderer, TemplateError};
use rdna1_payload::{Entry, Inputs, Layout, NAME, OUT, Payload, PayloadError, Program, names};
use serde::Serialize;

/// What every Nix file begins with.
const HEADER: &str = "\
# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
";

/// The templates, by the path of what is made of each.
const TEMPLATES: [(&str, &str); 6] = [
    ("default.nix", include_str!("../templates/default.nix.hbs")),
    ("flake.nix", include_str!("../templates/flake.nix.hbs")),
    ("nix/module.nix", include_str!("../templates/module.nix.hbs")),
    ("nix/overlay.nix", include_str!("../templates/overlay.nix.hbs")),
    ("nix/package.nix", include_str!("../templates/package.nix.hbs")),
    ("nix/tests/vm.nix", include_str!("../templates/vm.nix.hbs")),
];

/// Why the sources or the tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// The payload cannot be made.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A template and its data do not fit.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The place of the package cannot be written into scripts and units.
    #[error("{0:?} cannot be a package's directory: allowed are letters, digits and /._+-")]
    Out(String),
}

/// The file tree of the package, which lies in `out` for good.
///
/// # Errors
/// An artifact is missing, or `out` needs quoting.
pub fn tree(inputs: Inputs<'_>, out: &str) -> Result<Payload, NixError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    if !out.starts_with('/') || !out.bytes().all(plain) {
        return Err(NixError::Out(out.to_owned()));
    }
    let payload = Payload::build(Inputs { layout: Layout::Nix, ..inputs })?;
    let entries = payload.entries().iter().map(|entry| settle(entry, out)).collect();
    Ok(Payload::new(payload.metadata, entries)?)
}

/// The entry with its package's directory in place of [`OUT`].
fn settle(entry: &Entry, out: &str) -> Entry {
    let bytes = match std::str::from_utf8(&entry.bytes) {
        Ok(text) => text.replace(OUT, out).into_bytes(),
        // Programs name no place.
        Err(_) => entry.bytes.clone(),
    };
    Entry { bytes, ..entry.clone() }
}

/// Every file of the sources, by its path in the checkout.
///
/// # Errors
/// Templates and data do not fit.
pub fn sources(inputs: Inputs<'_>) -> Result<BTreeMap<&'static str, String>, NixError> {
    let policy = inputs.policy;
    let options = options::all(policy);
    let data = data(inputs, &options);
    let renderer = Renderer::new();
    let mut files =
        BTreeMap::from([("nix/policy.nix", facts::render(policy)), ("nix/options.md", docs::render(&options))]);
    for (path, template) in TEMPLATES {
        files.insert(path, renderer.render(path, template, &data)?);
    }
    Ok(files)
}

/// What the package is built from, by its path in the checkout: the whole
/// workspace, as Cargo.lock is about all of it, and what is installed as it is.
fn built_from(inputs: Inputs<'_>) -> Vec<&'static str> {
    let mut sources = vec![
        names::CHANGELOG,
        "Cargo.lock",
        "Cargo.toml",
        names::LICENSE_APACHE,
        names::LICENSE_MIT,
        "README.md",
        names::NOTICES,
        "crates",
        "policy",
    ];
    sources.extend(inputs.artifacts.below(names::PYTHON).next().map(|_| "python"));
    sources.push("tests");
    sources
}

/// What someone needs who takes the module, the package or the flake, by its
/// path in the checkout.
pub fn release(inputs: Inputs<'_>) -> Vec<&'static str> {
    let mut paths = built_from(inputs);
    paths.extend(["default.nix", "docs/nixos.md", "flake.nix", "nix"]);
    paths
}

#[derive(Serialize)]
struct Data {
    header: &'static str,
    name: &'static str,
    version: &'static str,
    summary: &'static str,
    description: Vec<String>,
    rust_version: &'static str,
    packages: Vec<&'static str>,
    sources: Vec<&'static str>,
    options: String,
    /// For the VM test: a card, and what is to be set for it.
    vendor: String,
    class: String,
    device: String,
    first: Pair,
    override_variable: String,
}

#[derive(Serialize)]
struct Pair {
    name: String,
    value: String,
}

fn data(inputs: Inputs<'_>, options: &[options::NixOption]) -> Data {
    let (policy, metadata) = (inputs.policy, inputs.metadata);
    let declarations: String = options.iter().map(options::NixOption::declaration).collect();
    let description = metadata.description_lines(74).join(&String::new());
    let indented = |line: String| if line.is_empty() { line } else { format!("      {line}") };
    Data {
        header: HEADER.trim_end(),
        name: NAME,
        version: metadata.version,
        summary: metadata.summary,
        description: description.into_iter().map(indented).collect(),
        rust_version: metadata.rust_version,
        packages: Program::packages(),
        sources: built_from(inputs),
        options: declarations.trim_end().to_owned(),
        vendor: policy.pci.vendor.to_string(),
        class: format!("{:#04x}0000", policy.pci.base_class),
        device: policy.cards.first().map(|card| card.device.to_string()).unwrap_or_default(),
        first: first_setting(policy),
        override_variable: policy.gfx.variable.to_string(),
    }
}

/// A variable of the default profile, to look for.
fn first_setting(policy: &Policy) -> Pair {
    let set = policy.default_profile().set.first();
    set.map_or_else(
        || Pair { name: policy.gfx.variable.to_string(), value: String::new() },
        |set| Pair { name: set.name.to_string(), value: set.value.clone() },
    )
}
