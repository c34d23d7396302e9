// SPDX-License-Identifier: MIT OR Apache-2.0
//! How old the repository's index may be: as old as its users like. What
//! docs/packaging.md says of `Valid-Until`, and why there is none.

use std::path::Path;
use std::process::Command;

use rdna1_tests::container::{Container, debian_root};

use crate::installed::deb::{SET_UP, machine, made};
use crate::installed::{both, copy, must};

/// A date long past.
const LONG_AGO: &str = "Wed, 01 Jan 2020 00:00:00 +0000";

fn release_file(repo: &Path) -> String {
    std::fs::read_to_string(repo.join("dists/stable/Release")).expect("repo writes it")
}

/// A machine whose repository has another release file, which the right key has
/// signed.
fn machine_with(name: &str, change: fn(&str) -> String) -> Container {
    let repo = copy(&made().repo, name);
    let dir = repo.join("dists/stable");
    std::fs::write(dir.join("Release"), change(&release_file(&repo))).expect("it is our copy");
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--yes", "--quiet", "--homedir"]).arg(&made().key).current_dir(&dir);
    must(gpg.args(["--armor", "--clear-sign", "--output", "InRelease", "Release"]).output());
    std::fs::remove_file(dir.join("Release.gpg")).expect("it is our copy");
    machine(&repo).expect("checked by the caller")
}

/// The release file, dated long ago.
fn aged(release: &str) -> String {
    let date =
        |line: &str| if line.starts_with("Date: ") { format!("Date: {LONG_AGO}\n") } else { format!("{line}\n") };
    release.lines().map(date).collect()
}

#[test]
fn an_old_index_is_good_unless_the_user_sets_a_limit() {
    if debian_root().is_none() {
        return;
    }
    let release = release_file(&made().repo);
    assert!(release.contains("\nDate: ") && !release.contains("Valid-Until"), "{release}");
    let machine = machine_with("aged", aged);
    must(Ok(machine.run(&format!("{SET_UP} && apt-get install --yes --download-only rdna1-rocm-fix"))));
    let limit = "echo 'Valid-Until-Max: 864000' >>/etc/apt/sources.list.d/rdna1-rocm-fix.sources";
    let limited = machine.run(&format!("{limit} && apt-get update --error-on=any"));
    assert!(!limited.status.success() && both(&limited).contains("is expired"), "{}", both(&limited));
    // Within the limit is what was made today.
    let machine = machine.with_bind(&made().repo, "/srv/repo");
    must(Ok(machine.run("apt-get update --error-on=any")));
}

/// Why we set none ourselves.
#[test]
fn an_index_with_a_date_of_expiry_stops_apt_once_it_has_passed() {
    if debian_root().is_none() {
        return;
    }
    let until = |release: &str| format!("Valid-Until: {LONG_AGO}\n{release}");
    let output = machine_with("expired-index", until).run(SET_UP);
    assert!(!output.status.success() && both(&output).contains("is expired"), "{}", both(&output));
}

/// Who shows an older index, although the right key has signed it, is not believed.
#[test]
fn apt_does_not_go_back_to_an_older_index() {
    let Some(machine) = machine(&made().repo) else { return };
    let list = "cat /var/lib/apt/lists/*InRelease";
    let newer = must(Ok(machine.run(&format!("{SET_UP} >/dev/null && {list}"))));
    let older = machine_with("older-index", aged);
    let machine = machine.with_bind(made().repo.with_file_name("older-index"), "/srv/repo");
    must(Ok(machine.run("apt-get update")));
    assert_eq!(must(Ok(machine.run(list))), newer);
    // Where there is no newer one, it would do.
    let alone = must(Ok(older.run(&format!("{SET_UP} >/dev/null && {list}"))));
    assert!(alone.contains(LONG_AGO), "{alone}");
}
