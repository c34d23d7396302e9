// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask dist`: what a release carries, in the hands of those who
//! download it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rdna1_tests::program::{bin_dir, top, xtask};
use rdna1_tests::tools;
use serde_json::Value;

use crate::installed::{flip_a_bit, fresh_dir, must, new_key};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The validator of CycloneDX's own Python library, which holds the official
/// schema.
const VALIDATOR: &str = "cyclonedx-python-lib[json-validation]==11.12.0";

struct Release {
    /// What `dist` made.
    dir: PathBuf,
    /// The home of the key that signed it.
    key: PathBuf,
}

/// A release, made once. Of the tests' own programs: that takes no compiler.
fn release() -> Option<&'static Release> {
    static MADE: OnceLock<Release> = OnceLock::new();
    if !tools::available(&["apt-ftparchive", "createrepo_c", "faketime", "git", "gpg", "rpmsign", "tar"]) {
        return None;
    }
    Some(MADE.get_or_init(|| {
        let dir = fresh_dir("release-test");
        let key = new_key(&dir.join("key"));
        let out = dir.join("dist");
        dist(&out, &key, &[], "022");
        Release { dir: out, key }
    }))
}

/// Runs `dist` under a prefix command and a umask.
fn dist(out: &Path, key: &Path, prefix: &[&str], umask: &str) {
    let mut xtask = xtask();
    xtask.args(["dist", "--base-url", "https://example.org/rdna1", "--bin-dir"]).arg(bin_dir());
    xtask.arg("--out").arg(out).arg("--gnupg-home").arg(key);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).args(prefix);
    command.arg(xtask.get_program()).args(xtask.get_args()).current_dir(top());
    must(command.output());
}

/// The files at the top of a release, by name.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("dist made it").flatten().filter(|entry| entry.path().is_file());
    let file = |entry: std::fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).expect("it is there"))
    };
    entries.map(file).collect()
}

/// What is signed differs at every signature.
fn is_signature(name: &str) -> bool {
    name == "SHA256SUMS.asc"
}

#[test]
fn a_release_is_complete() {
    let Some(release) = release() else { return };
    let names: Vec<String> = files(&release.dir).into_keys().collect();
    let expected = [
        "RELEASE-NOTES.md".to_owned(),
        "SHA256SUMS".into(),
        "SHA256SUMS.asc".into(),
        format!("rdna1-rocm-fix-{VERSION}-1.x86_64.rpm"),
        format!("rdna1-rocm-fix-{VERSION}-nix.tar.gz"),
        format!("rdna1-rocm-fix-{VERSION}.cdx.json"),
        format!("rdna1-rocm-fix-{VERSION}.tar.gz"),
        "rdna1-rocm-fix-signing-key.asc".into(),
        format!("rdna1-rocm-fix_{VERSION}_amd64.deb"),
    ];
    assert_eq!(names, expected);
    let read = |path: &str| std::fs::read_to_string(release.dir.join(path)).expect(path);
    // Where they will be published is what the repositories say.
    let sources = read("repo/apt/rdna1-rocm-fix.sources");
    assert!(sources.contains("\nURIs: https://example.org/rdna1/apt\n"), "{sources}");
    assert!(sources.contains("\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n "), "{sources}");
    let repo = read("repo/rpm/rdna1-rocm-fix.repo");
    assert!(repo.contains("\nbaseurl=https://example.org/rdna1/rpm\n"), "{repo}");
    // The notes are the newest release's, and nothing that is unreleased.
    let (notes, changelog) = (read("RELEASE-NOTES.md"), std::fs::read_to_string(top().join("CHANGELOG.md")));
    assert!(notes.starts_with(&format!("# rdna1-rocm-fix {VERSION}\n")), "{notes}");
    let changelog = changelog.expect("it is committed");
    let (unreleased, newest) = changelog.split_once(&format!("## [{VERSION}]")).expect("it has this version");
    let items = |text: &str| text.lines().filter(|line| line.starts_with("- ")).map(str::to_owned).collect::<Vec<_>>();
    let first_words = |item: &String| item.split(' ').take(5).collect::<Vec<_>>().join(" ");
    assert!(
        !items(newest).is_empty() && items(newest).iter().all(|item| notes.contains(&first_words(item))),
        "{notes}"
    );
    assert!(items(unreleased).iter().all(|item| !notes.contains(&first_words(item))), "{notes}");
}

#[test]
fn what_is_downloaded_can_be_verified_and_what_was_changed_is_found() {
    let Some(release) = release() else { return };
    let dir = fresh_dir("release-download");
    must(Command::new("cp").arg("-a").arg(release.dir.join(".")).arg(&dir).output());
    let home = dir.join("gnupg");
    std::fs::create_dir(&home).expect("it is ours");
    must(Command::new("chmod").arg("700").arg(&home).output());
    let verify = || {
        let script = "gpg --quiet --homedir gnupg --import rdna1-rocm-fix-signing-key.asc \
                      && gpg --homedir gnupg --verify SHA256SUMS.asc SHA256SUMS && sha256sum --check SHA256SUMS";
        Command::new("sh").args(["-ec", script]).current_dir(&dir).output().expect("sh runs")
    };
    let said = must(Ok(verify()));
    assert!(said.contains("Good signature from \"test of rdna1-rocm-fix\""), "{said}");
    assert_eq!(said.matches(": OK\n").count(), 6, "{said}");
    for name in [format!("rdna1-rocm-fix_{VERSION}_amd64.deb"), "SHA256SUMS".to_owned()] {
        let good = std::fs::read(dir.join(&name)).expect("it is there");
        flip_a_bit(&dir.join(&name));
        assert!(!verify().status.success(), "a changed {name} was accepted");
        std::fs::write(dir.join(&name), good).expect("it is ours");
    }
}

/// In another directory, under another umask, a hundred days later.
#[test]
fn a_release_is_the_same_bytes_whoever_makes_it_when() {
    let Some(release) = release() else { return };
    let dir = fresh_dir("release-again");
    let again = dir.join("elsewhere");
    // The compiler hangs below faketime; all that it is asked is its version.
    let rustc = tools::find("rustc").expect("the tests were compiled");
    let shim = dir.join("bin/rustc");
    std::fs::create_dir(dir.join("bin")).expect("it is ours");
    std::fs::write(&shim, format!("#!/bin/sh\nexec env --unset=LD_PRELOAD {} \"$@\"\n", rustc.display()))
        .expect("ours");
    must(Command::new("chmod").arg("755").arg(&shim).output());
    let path = format!("PATH={}:{}", dir.join("bin").display(), std::env::var("PATH").expect("it is set"));
    dist(&again, &release.key, &["env", &path, "faketime", "-f", "+100d"], "077");
    let (one, other) = (files(&release.dir), files(&again));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in one.iter().filter(|(name, _)| !is_signature(name)) {
        assert!(other[name] == *bytes, "{name} differs");
    }
    // The index that is signed, too.
    let index = |dir: &Path| std::fs::read_to_string(dir.join("repo/apt/dists/stable/Release")).expect("it is there");
    assert_eq!(index(&release.dir), index(&again));
}

/// An environment of Python with a package from its index, kept below target/.
fn python_with(name: &str, requirement: &str) -> Option<PathBuf> {
    if !tools::available(&["python3"]) {
        return None;
    }
    let dir = top().join("target/python").join(name);
    let python = dir.join("bin/python");
    if !dir.join("installed").exists() {
        let _ = std::fs::remove_dir_all(&dir);
        must(Command::new("python3").args(["-m", "venv"]).arg(&dir).output());
        let mut pip = Command::new(&python);
        let done = pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]).output();
        if !done.as_ref().is_ok_and(|output| output.status.success()) {
            tools::skip(&format!("pip cannot install {requirement}: {done:?}"));
            return None;
        }
        std::fs::write(dir.join("installed"), "").expect("target is writable");
    }
    Some(python)
}

#[test]
fn the_bill_of_materials_is_valid_and_names_what_is_linked() {
    let Some(release) = release() else { return };
    let file = release.dir.join(format!("rdna1-rocm-fix-{VERSION}.cdx.json"));
    let bill: Value = serde_json::from_slice(&std::fs::read(&file).expect("it is there")).expect("it is JSON");
    let components = bill["components"].as_array().expect("a list");
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(has("clap") && has("rdna1-core") && has("std"), "{bill:#}");
    // What only compiles or tests is in no program.
    assert!(!has("serde_derive") && !has("proptest") && !has("handlebars"), "{bill:#}");
    let notices = std::fs::read_to_string(top().join("THIRD-PARTY-NOTICES")).expect("it is committed");
    for component in components.iter().filter(|component| component["purl"].is_string()) {
        let text = |key: &str| component[key].as_str().expect("a text").to_owned();
        assert!(notices.contains(&format!("\n{} {}: ", text("name"), text("version"))), "{component}");
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64), "{component}");
    }

    let Some(python) = python_with("cyclonedx", VALIDATOR) else { return };
    let validate = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        sys.exit(str(JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read()) or '') or 0)\n";
    let check = |file: &Path| Command::new(&python).args(["-c", validate]).arg(file).output().expect("python runs");
    must(Ok(check(&file)));
    let mut wrong = bill.clone();
    wrong["components"][0]["type"] = "nonsense".into();
    let broken = fresh_dir("release-sbom").join("wrong.cdx.json");
    std::fs::write(&broken, wrong.to_string()).expect("it is ours");
    assert!(!check(&broken).status.success(), "the validator accepts everything");
}

#[test]
fn the_nix_sources_are_all_that_nix_needs() {
    let Some(release) = release() else { return };
    if !tools::available(&["nix-instantiate"]) {
        return;
    }
    let dir = fresh_dir("release-nix");
    let tarball = release.dir.join(format!("rdna1-rocm-fix-{VERSION}-nix.tar.gz"));
    must(Command::new("tar").arg("-xf").arg(tarball).arg("-C").arg(&dir).output());
    let tree = dir.join(format!("rdna1-rocm-fix-{VERSION}-nix"));
    // What the package says that it is built from is there.
    let package = std::fs::read_to_string(tree.join("nix/package.nix")).expect("it is there");
    let (_, list) = package.split_once("lib.fileset.unions [").expect("it names its sources");
    for source in list.split(']').next().unwrap_or_default().split_whitespace() {
        assert!(tree.join("nix").join(source).exists(), "{source} is not in the tarball");
    }
    let expression = format!(
        "let pkgs = import {nixpkgs} {{ system = \"x86_64-linux\"; }}; here = import {tree}/default.nix {{ inherit pkgs; }}; \
         in here.rdna1-rocm-fix.name",
        nixpkgs = tree.join("tests/nix/nixpkgs").display(),
        tree = tree.display()
    );
    let mut nix = Command::new("nix-instantiate");
    nix.env("NIX_REMOTE", "dummy://").args(["--eval", "--strict", "--expr", &expression]);
    assert_eq!(must(nix.output()).trim(), format!("\"rdna1-rocm-fix-{VERSION}\""));
}
