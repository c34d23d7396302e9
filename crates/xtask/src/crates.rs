// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crates that are linked into the programs: who they are, what they may be
//! used under, and what each needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use rdna1_payload::Program;
use serde_json::Value;

use crate::host::output;

/// The machines that packages are made for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    pub name: String,
    pub version: String,
    /// SPDX licence expression.
    pub license: String,
    /// Where its source is developed, if it says so.
    pub repository: Option<String>,
    /// SHA-256 of the archive that the registry has; none for our own.
    pub checksum: Option<String>,
    /// Its source.
    pub dir: PathBuf,
    /// The linked crates that it uses, by [`Crate::id`].
    pub needs: Vec<String>,
}

impl Crate {
    /// Name and version.
    pub fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Whether it is of another project.
    pub fn is_foreign(&self) -> bool {
        self.checksum.is_some()
    }
}

/// The linked crates, our own included, by name and version. Procedural macros
/// and build scripts run while compiling, and get into no program.
pub fn linked(top: &Path) -> anyhow::Result<Vec<Crate>> {
    let wanted = ids_of_tree(top)?;
    let arguments = ["metadata", "--format-version", "1", "--locked", "--all-features"];
    let metadata: Value = serde_json::from_str(&output(cargo(top).args(arguments))?)?;
    let checksums = checksums(top)?;
    let mut names = BTreeMap::new();
    let mut crates = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        let must = |key: &str| text(key).with_context(|| format!("a crate states no {key}: {}", package["id"]));
        let (name, version) = (must("name")?, must("version")?);
        let id = format!("{name} {version}");
        names.insert(must("id")?, id.clone());
        if !wanted.contains(&id) {
            continue;
        }
        let manifest = PathBuf::from(must("manifest_path")?);
        let dir = manifest.parent().unwrap_or(top).to_owned();
        // Older crates write a slash for "or".
        let license = must("license")?.replace('/', " OR ").replace("  ", " ");
        let checksum = checksums.get(&id).cloned();
        let (repository, needs) = (text("repository"), Vec::new());
        crates.insert(id, Crate { name, version, license, repository, checksum, dir, needs });
    }
    ensure!(crates.len() == wanted.len(), "cargo metadata knows not all crates of cargo tree");
    for node in list(&metadata["resolve"]["nodes"]) {
        let id = |value: &Value| value.as_str().and_then(|id| names.get(id)).cloned();
        let Some(user) = id(&node["id"]).and_then(|id| crates.get_mut(&id)) else { continue };
        for used in list(&node["deps"]) {
            let normal = list(&used["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            user.needs.extend(id(&used["pkg"]).filter(|id| normal && wanted.contains(id)));
        }
        user.needs.sort();
        user.needs.dedup();
    }
    Ok(crates.into_values().collect())
}

/// As cargo resolves the programs' packages by themselves: name and version.
fn ids_of_tree(top: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut tree = cargo(top);
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    tree.args(TARGETS.iter().flat_map(|target| ["--target", target]));
    tree.args(Program::packages().iter().flat_map(|package| ["--package", package]));
    let listing = output(&mut tree)?;
    // `name v1.2.3 (where it lies)`, empty lines between packages.
    let ids = listing.lines().filter_map(|line| line.split_once(" v"));
    let ids = ids.map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap_or_default()));
    Ok(ids.collect())
}

/// The sums in Cargo.lock, whose form is fixed: one key a line.
fn checksums(top: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(top.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut sums = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) = (value("name"), value("version"), value("checksum")) {
            sums.insert(format!("{name} {version}"), sum);
        }
    }
    Ok(sums)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn cargo(top: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(top);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_found_and_what_only_builds_is_not() {
        let crates = linked(&crate::checkout::top()).expect("cargo knows them");
        let has = |name: &str| crates.iter().any(|one| one.name == name);
        assert!(has("clap") && has("serde_json") && has("rdna1-core"), "{crates:#?}");
        assert!(!has("serde_derive") && !has("handlebars") && !has("schemars") && !has("proptest"), "{crates:#?}");
        for one in &crates {
            assert_eq!(one.is_foreign(), !one.name.starts_with("rdna1-"), "{one:?}");
            assert!(!one.license.is_empty() && one.dir.is_dir(), "{one:?}");
            assert!(one.needs.iter().all(|id| crates.iter().any(|other| other.id() == *id)), "{one:?}");
        }
    }
}
