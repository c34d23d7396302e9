// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bill of materials of a release, in CycloneDX's JSON form
//! (<https://cyclonedx.org/docs/1.5/json/>): the crates that are linked into
//! the programs, where they are from, and what needs what.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use rdna1_payload::{Date, Metadata, NAME, Program};
use serde_json::{Value, json};

use crate::crates::{self, Crate};
use crate::host::output;

/// The document. The same for the same sources and compiler: it has no serial
/// number, and the release's date.
pub fn document(top: &Path, metadata: &Metadata, license: &str) -> anyhow::Result<Value> {
    let crates = crates::linked(top)?;
    let standard = standard_library(top)?;
    let main = format!("{NAME}@{}", metadata.version);
    let roots: Vec<String> =
        crates.iter().filter(|one| Program::packages().contains(&one.name.as_str())).map(reference).collect();
    let id_to_reference = |id: &String| crates.iter().find(|one| one.id() == *id).map(reference);
    let mut dependencies = vec![json!({ "ref": main, "dependsOn": roots })];
    for one in &crates {
        let mut needs: Vec<String> = one.needs.iter().filter_map(id_to_reference).collect();
        needs.push(standard_reference(&standard));
        dependencies.push(json!({ "ref": reference(one), "dependsOn": needs }));
    }
    dependencies.push(json!({ "ref": standard_reference(&standard), "dependsOn": [] }));
    let mut components: Vec<Value> = crates.iter().map(component).collect();
    components.push(json!({
        "type": "library",
        "bom-ref": standard_reference(&standard),
        "name": "std",
        "version": standard,
        "description": "Rust's standard library",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "externalReferences": [{ "type": "vcs", "url": "https://github.com/rust-lang/rust" }],
    }));
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": format!("{}T00:00:00Z", Date::from_epoch(metadata.epoch)),
            "tools": { "components": [{ "type": "application", "name": "cargo xtask dist", "version": metadata.version }] },
            "component": {
                "type": "application",
                "bom-ref": main,
                "name": NAME,
                "version": metadata.version,
                "description": metadata.summary,
                "licenses": [{ "expression": license }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A package URL for a crate of the registry, a plain name for our own.
fn reference(one: &Crate) -> String {
    if one.is_foreign() { package_url(one) } else { format!("crate:{}@{}", one.name, one.version) }
}

fn package_url(one: &Crate) -> String {
    // Of what SemVer allows only the plus needs to be encoded.
    format!("pkg:cargo/{}@{}", one.name, one.version.replace('+', "%2B"))
}

fn component(one: &Crate) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(one),
        "name": one.name,
        "version": one.version,
        "licenses": [{ "expression": one.license }],
    });
    if let Some(sum) = &one.checksum {
        component["purl"] = package_url(one).into();
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    if let Some(url) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
    }
    component
}

fn standard_reference(version: &str) -> String {
    format!("rust:std@{version}")
}

/// The version of the compiler, which brings the standard library.
fn standard_library(top: &Path) -> anyhow::Result<String> {
    let said = output(Command::new("rustc").args(["--version", "--verbose"]).current_dir(top))?;
    let release = said.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(release.context("rustc states no release")?.to_owned())
}
