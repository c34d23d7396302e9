// SPDX-License-Identifier: MIT OR Apache-2.0
//! What dnf must not install.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed::rpm::{INSTALL, SET_UP, machine, made, repository};
use crate::installed::{both, copy, expired_key, flip_a_bit, must, new_key};

fn package(repo: &Path) -> PathBuf {
    let name = made().rpm.file_name().expect("a package has a name");
    repo.join("packages").join(name)
}

/// Makes and signs the index anew, as someone would who has the index's key.
fn index(repo: &Path) {
    must(Command::new("createrepo_c").args(["--quiet", "--no-database"]).arg(repo).output());
    let index = repo.join("repodata/repomd.xml");
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--yes", "--quiet", "--homedir"]).arg(&made().key).args(["--armor", "--detach-sign"]);
    must(gpg.arg(index).output());
}

/// Asserts that nothing of the repository gets in, and that dnf says why.
fn refused(repo: &Path, why: &str) {
    let machine = machine(|_| repo.to_owned()).expect("checked by the caller");
    let output = machine.run(&format!("{SET_UP} && {INSTALL}"));
    let text = both(&output);
    assert!(!output.status.success() && text.contains(why), "expected `{why}`:\n{text}");
    let present = must(Ok(machine.run("ls /usr/bin/rdna1-rocm-fix 2>&1; rpm --query rdna1-rocm-fix || true")));
    assert!(present.contains("No such file") && present.contains("not installed"), "{present}");
}

/// A copy of the repository to damage; nothing where the tests cannot run.
fn damaged(name: &str) -> Option<PathBuf> {
    machine(|made| made.repo.clone())?;
    Some(copy(&made().repo, name))
}

#[test]
fn a_tampered_package() {
    let Some(repo) = damaged("tampered-package") else { return };
    flip_a_bit(&package(&repo));
    // Its sum is not the index's.
    refused(&repo, "has incorrect checksum");
    // Nor, where the index was made for it, is it what was signed.
    index(&repo);
    refused(&repo, "GPG check FAILED");
}

#[test]
fn a_truncated_package() {
    let Some(repo) = damaged("truncated") else { return };
    let bytes = std::fs::read(package(&repo)).expect("it was copied");
    std::fs::write(package(&repo), &bytes[..bytes.len() / 2]).expect("it is our copy");
    refused(&repo, "has incorrect checksum");
    index(&repo);
    refused(&repo, "GPG check FAILED");
}

#[test]
fn a_package_without_a_signature() {
    let Some(repo) = damaged("unsigned-package") else { return };
    std::fs::copy(&made().rpm, package(&repo)).expect("it is our copy");
    index(&repo);
    refused(&repo, "is not signed");
}

#[test]
fn an_index_that_was_changed_or_is_not_signed() {
    let Some(repo) = damaged("tampered-index") else { return };
    let index = repo.join("repodata/repomd.xml");
    let text = std::fs::read_to_string(&index).expect("it was copied");
    std::fs::write(&index, text.replace("<revision>", "<revision>9")).expect("it is our copy");
    refused(&repo, "Bad GPG signature");
    std::fs::write(&index, text).expect("it is our copy");
    std::fs::remove_file(repo.join("repodata/repomd.xml.asc")).expect("it is our copy");
    refused(&repo, "GPG signature is not available");
}

#[test]
fn a_repository_that_another_key_signed() {
    let Some(right) = damaged("right-key") else { return };
    let other = new_key(&made().dir.join("other-key"));
    let wrong = repository(&made().dir.join("wrong-key"), &made().rpm, &other);
    let key = "RPM-GPG-KEY-rdna1-rocm-fix";
    std::fs::copy(right.join(key), wrong.join(key)).expect("it is ours");
    refused(&wrong, "Bad GPG signature");
    // And where the index is ours, but the package is the other's.
    let mixed = copy(&right, "mixed-keys");
    std::fs::copy(package(&wrong), package(&mixed)).expect("it is ours");
    index(&mixed);
    refused(&mixed, "is not installed");
}

#[test]
fn a_repository_whose_key_has_expired() {
    if machine(|made| made.repo.clone()).is_none() {
        return;
    }
    let home = expired_key(&made().dir.join("expired-key"));
    let expired = repository(&made().dir.join("expired"), &made().rpm, &home);
    refused(&expired, "Bad GPG signature");
}
