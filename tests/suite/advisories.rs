// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every advisory on a machine where it applies, on one where it does not, and
//! on one where that cannot be told: `tests/advisories/ID/{yes,no,unknown}/`.
//!
//! The whole program is asked, so that what is read from files counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rdna1_core::policy::Predicate;
use rdna1_tests::program::{bin_dir, copy_case, program, top};
use rdna1_tests::tree::{Tree, policy};
use rdna1_tests::wheel;
use serde::Deserialize;

const TRUTHS: [&str; 3] = ["yes", "no", "unknown"];

/// `case.yaml`; files of `root/` beside it lie above those of the base.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The case of `tests/cases` whose machine it is.
    base: String,
    /// What makes the difference.
    shows: String,
    /// Files that the machine lacks.
    #[serde(default)]
    remove: Vec<String>,
    /// Files that the user may not open.
    #[serde(default)]
    deny: Vec<String>,
    /// The user's environment.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// A PyTorch below `/usr/local`.
    wheel: Option<Wheel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wheel {
    version: String,
    hip: String,
    code: Vec<String>,
}

#[test]
fn every_advisory_applies_does_not_and_cannot_be_told_where_it_should() {
    let mut wrong = Vec::new();
    let advisories = policy().advisories;
    let folder = top().join("tests/advisories");
    let known: BTreeSet<&str> = advisories.iter().map(|advisory| advisory.id.as_str()).collect();
    for name in names(&folder).iter().filter(|name| !known.contains(name.as_str())) {
        wrong.push(format!("{name}: there is no such advisory"));
    }
    for advisory in &advisories {
        let folder = folder.join(&advisory.id);
        for extra in names(&folder).iter().filter(|name| !TRUTHS.contains(&name.as_str())) {
            wrong.push(format!("{}/{extra}: is neither yes, no nor unknown", advisory.id));
        }
        for truth in TRUTHS {
            let got = match fs::read_to_string(folder.join(truth).join("case.yaml")) {
                Ok(text) => judged(&folder.join(truth), &text, &advisory.id),
                Err(error) => Err(format!("has no case: {error}")),
            };
            match got {
                Ok(got) if got == truth => {}
                Ok(got) => wrong.push(format!("{}: {got} where it should be {truth}", advisory.id)),
                Err(problem) => wrong.push(format!("{}/{truth}: {problem}", advisory.id)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned()).collect()
}

/// What `status --json` says of the advisory on the case's machine.
fn judged(folder: &Path, text: &str, id: &str) -> Result<String, String> {
    let case: Case = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    if case.shows.trim().is_empty() {
        return Err("`shows` must say something".into());
    }
    let tree = Tree::new();
    let root = tree.root().path().to_owned();
    copy_case(&case.base, &root);
    if folder.join("root").is_dir() {
        // A file takes the place of a link, it does not go through it.
        let mut copy = Command::new("cp");
        copy.args(["--archive", "--remove-destination"]).arg(folder.join("root/.")).arg(&root);
        assert!(copy.status().expect("cp runs").success(), "cannot copy {}", folder.display());
    }
    for path in &case.remove {
        fs::remove_file(root.join(path.trim_start_matches('/'))).map_err(|error| format!("{path}: {error}"))?;
    }
    if let Some(wanted) = &case.wheel {
        let code: Vec<&str> = wanted.code.iter().map(String::as_str).collect();
        wheel::venv(&tree, "usr/local", &wanted.version, &format!("'{}'", wanted.hip), &wheel::bundle(&code));
    }
    let output = if case.deny.is_empty() {
        let mut command = program("rdna1-rocm-fix");
        command.arg("--root").arg(&root).args(["status", "--json"]).envs(&case.environment).output()
    } else {
        as_nobody(&root, &case.deny)
    };
    let output = output.map_err(|error| error.to_string())?;
    let document: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let all = document["advisories"].as_array().ok_or("no advisories")?;
    let found = all.iter().find(|judged| judged["id"] == id).ok_or("it is not judged")?;
    shown(&document, id, found["truth"].as_str().unwrap_or_default())?;
    found["truth"].as_str().map(str::to_owned).ok_or_else(|| "no truth".into())
}

/// What applies is among the findings, what does not is not; some have findings
/// that say more.
fn shown(document: &serde_json::Value, id: &str, truth: &str) -> Result<(), String> {
    let advisory = policy().advisories.into_iter().find(|advisory| advisory.id == id).ok_or("no such advisory")?;
    let instead = if !advisory.when.stray_variable.is_empty() { "stray-variable" } else { id };
    let findings = document["findings"].as_array().ok_or("no findings")?;
    let listed = findings.iter().any(|finding| finding["id"] == instead);
    let may_stay_away = truth == "unknown" && (instead != id || id == "device-permission");
    if listed == (truth != "no") || may_stay_away { Ok(()) } else { Err(format!("{truth}, but listed: {listed}")) }
}

/// As a user without rights; for root no permission is too little.
fn as_nobody(root: &Path, denied: &[String]) -> std::io::Result<std::process::Output> {
    for path in denied {
        fs::set_permissions(root.join(path.trim_start_matches('/')), fs::Permissions::from_mode(0o000))?;
    }
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    if !is_root {
        let mut command = program("rdna1-rocm-fix");
        return command.arg("--root").arg(root).args(["status", "--json"]).output();
    }
    // The checkout may lie where nobody may look.
    let copy = assert_fs::TempDir::new_in("/tmp").expect("a temporary directory");
    let mine = copy.path().join("rdna1-rocm-fix");
    fs::copy(bin_dir().join("rdna1-rocm-fix"), &mine)?;
    for dir in [copy.path(), root] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&mine);
    command.arg("--root").arg(root).args(["status", "--json"]).env_clear().output()
}

/// The kinds of fact that an advisory can ask for, each asked for by one at least.
#[test]
fn every_kind_of_predicate_is_used() {
    let advisories = policy().advisories;
    let used = |asks: fn(&Predicate) -> bool| advisories.iter().any(|advisory| asks(&advisory.when));
    type Kind = (&'static str, fn(&Predicate) -> bool);
    let kinds: [Kind; 9] = [
        ("card", |when| !when.gfx.is_empty()),
        ("kernel", |when| when.kernel_at_least.is_some()),
        ("kernel parameters", |when| !when.kernel_parameter.is_empty() && !when.state.is_empty()),
        ("firmware", |when| when.mec_firmware_below.is_some()),
        ("ROCm", |when| when.rocm_at_least.is_some()),
        ("torch", |when| when.torch_at_least.is_some()),
        ("PCIe atomics", |when| when.state.contains(&rdna1_core::policy::Condition::NoPcieAtomics)),
        ("groups", |when| when.state.contains(&rdna1_core::policy::Condition::NoDevicePermission)),
        ("stray variables", |when| !when.stray_variable.is_empty()),
    ];
    let missing: Vec<&str> = kinds.iter().filter(|(_, asks)| !used(*asks)).map(|(name, _)| *name).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
