// SPDX-License-Identifier: MIT OR Apache-2.0
//! What apt and dpkg must not install.

use std::path::{Path, PathBuf};
use std::process::Command;

use rdna1_tests::container::debian_root;

use crate::installed::deb::{INSTALL, SET_UP, machine, made, repository};
use crate::installed::{both, copy, expired_key, flip_a_bit, must, new_key};

/// The public key, as the source entry names it.
const KEY: &str = "rdna1-rocm-fix-archive-keyring.asc";

fn package(repo: &Path) -> PathBuf {
    repo.join("pool/main/r/rdna1-rocm-fix").join(made().deb.file_name().expect("a package has a name"))
}

/// Asserts that a script installs nothing from a repository, and says why.
fn refused_by(repo: &Path, script: &str, why: &str) {
    let machine = machine(repo).expect("checked by the caller");
    let output = machine.run(script);
    assert!(!output.status.success(), "accepted:\n{}", both(&output));
    assert!(both(&output).contains(why), "expected `{why}`:\n{}", both(&output));
    let query = "ls /usr/bin/rdna1-rocm-fix 2>&1; \
                 dpkg-query --show --showformat '${db:Status-Status}' rdna1-rocm-fix 2>&1 || true";
    let present = must(Ok(machine.run(query)));
    let state = ["not-installed", "no packages found"].iter().any(|state| present.contains(state));
    assert!(present.contains("No such file") && state, "{present}");
}

fn refused(repo: &Path, why: &str) {
    refused_by(repo, &format!("{SET_UP} && {INSTALL}"), why);
}

/// A copy of the repository to damage; nothing where the tests cannot run.
fn damaged(name: &str) -> Option<PathBuf> {
    debian_root()?;
    Some(copy(&made().repo, name))
}

#[test]
fn a_tampered_package() {
    let Some(repo) = damaged("tampered-package") else { return };
    flip_a_bit(&package(&repo));
    refused(&repo, "Hash Sum mismatch");
}

#[test]
fn a_truncated_package() {
    let Some(repo) = damaged("truncated") else { return };
    let bytes = std::fs::read(package(&repo)).expect("it was copied");
    std::fs::write(package(&repo), &bytes[..bytes.len() / 2]).expect("it is our copy");
    refused(&repo, "Hash Sum mismatch");
    // Nor by dpkg, which asks no index.
    refused_by(&repo, "dpkg --install /srv/repo/pool/main/r/rdna1-rocm-fix/*.deb", "unexpected end of file");
}

#[test]
fn an_index_that_was_changed() {
    let Some(repo) = damaged("tampered-index") else { return };
    let packages = repo.join("dists/stable/main/binary-amd64/Packages");
    let text = std::fs::read_to_string(&packages).expect("it was copied").replace("Version: ", "Version: 9");
    std::fs::write(&packages, text).expect("it is our copy");
    must(Command::new("gzip").args(["-9nkf"]).arg(&packages).output());
    refused(&repo, "Hash Sum mismatch");
}

#[test]
fn a_release_file_that_was_changed_or_is_not_signed() {
    let Some(repo) = damaged("tampered-release") else { return };
    let signed = repo.join("dists/stable/InRelease");
    let text = std::fs::read_to_string(&signed).expect("it was copied").replace("Label: rdna1", "Label: rdna2");
    std::fs::write(&signed, text).expect("it is our copy");
    refused(&repo, "is not signed");
    std::fs::remove_file(signed).expect("it is our copy");
    std::fs::remove_file(repo.join("dists/stable/Release.gpg")).expect("it is our copy");
    refused(&repo, "is not signed");
}

#[test]
fn a_repository_that_another_key_signed() {
    let Some(right) = damaged("right-key") else { return };
    let other = new_key(&made().dir.join("other-key"));
    let wrong = repository(&made().dir.join("wrong-key"), &made().deb, &other);
    std::fs::copy(right.join(KEY), wrong.join(KEY)).expect("it is ours");
    refused(&wrong, "is not signed");
}

/// As for a user whose copy of the key is older than its renewal. (What was
/// signed while the key was good stays good for apt.)
#[test]
fn a_repository_whose_key_has_expired() {
    if debian_root().is_none() {
        return;
    }
    let home = expired_key(&made().dir.join("expired-key"));
    let repo = repository(&made().dir.join("expired"), &made().deb, &home);
    std::fs::remove_file(home.join("gpg.conf")).expect("the clock is right again");
    let gpg = |arguments: &[&str]| {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--yes", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback", "--homedir"]);
        must(gpg.arg(&home).args(arguments).current_dir(repo.join("dists/stable")).output())
    };
    let listing = gpg(&["--with-colons", "--list-keys"]);
    let key = listing.lines().find_map(|line| line.strip_prefix("fpr:")).expect("there is a key").trim_matches(':');
    gpg(&["--quick-set-expire", key, "0"]);
    gpg(&["--armor", "--clear-sign", "--output", "InRelease", "Release"]);
    gpg(&["--armor", "--detach-sign", "--output", "Release.gpg", "Release"]);
    refused(&repo, "is not signed");
}
