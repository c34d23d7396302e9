// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installations and removals that end in the middle: dnf can finish or undo
//! them, and in between nothing of ours is in force by halves.

use rdna1_tests::container::Container;

use super::{OURS, VERSION, older, repo};
use crate::installed::rpm::{INSTALL, REMOVE, SET_UP, machine, made};
use crate::installed::{GENERATOR, LOGIN, both, expected, must, rocm};

/// From now on, whatever scriptlet calls systemctl is killed there, with the dnf
/// that runs it, as by a loss of power. (`timeout` stands between the two.)
const TRAP: &str = "mkdir -p /run/systemd/system && mv /usr/bin/systemctl /usr/bin/systemctl.real \
    && printf '#!/bin/sh\\nread _ _ _ scriptlet _ </proc/$PPID/stat\\nkill -9 $(cat /run/dnf.pid) $scriptlet\\n' \
       >/usr/bin/systemctl && chmod 755 /usr/bin/systemctl";

/// And from now on not any more.
const NO_TRAP: &str = "mv /usr/bin/systemctl.real /usr/bin/systemctl && rm -rf /run/systemd/system";

/// Runs dnf into the trap; its exit status is that of a killed process.
fn killed(arguments: &str) -> String {
    format!(
        "{{ dnf --assumeyes {arguments} & echo $! >/run/dnf.pid; wait $!; test $? -eq 137; }} \
         >/var/tmp/killed.log 2>&1 && grep 'Running scriptlet' /var/tmp/killed.log"
    )
}

fn with_card() -> Option<Container> {
    let machine = machine(repo)?.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    Some(machine)
}

#[test]
fn an_installation_that_is_killed_in_its_scriptlet_can_be_finished() {
    let Some(machine) = with_card() else { return };
    let install = killed("install rdna1-rocm-fix");
    let between = must(Ok(machine.run(&format!("{TRAP} && {install} && {LOGIN} && ls -d /run/rdna1* || true"))));
    assert_eq!(rocm(&between), [""; 0], "{between}");
    // All files are there, so the next boot would find a whole package.
    assert_eq!(must(Ok(machine.run("rpm --verify rdna1-rocm-fix"))), "");
    must(Ok(machine.run(NO_TRAP)));
    let finished = must(Ok(machine.run(&format!("dnf-strict reinstall rdna1-rocm-fix && {LOGIN}"))));
    assert_eq!(rocm(&finished), expected(), "{finished}");
}

#[test]
fn an_installation_that_is_killed_in_its_scriptlet_can_be_undone() {
    let Some(machine) = with_card() else { return };
    must(Ok(machine.run(&format!("{TRAP} && {} && {NO_TRAP}", killed("install rdna1-rocm-fix")))));
    must(Ok(machine.run(REMOVE)));
    assert_eq!(must(Ok(machine.run(OURS))), "");
}

/// Where a removal is killed first: before the files go, when the service is
/// stopped, or after they are gone, when systemd reloads.
#[test]
fn a_removal_that_is_killed_can_be_finished() {
    for after in ["stop", "daemon-reload"] {
        let Some(machine) = with_card() else { return };
        let trap =
            format!("{TRAP} && sed -i '2i [ \"$1\" = {after} ] || [ \"$2\" = {after} ] || exit 0' /usr/bin/systemctl");
        let remove = killed("remove rdna1-rocm-fix");
        let script = format!(
            "{INSTALL} >/dev/null && {trap} && {remove} && {LOGIN} && {NO_TRAP} && ls /usr/bin/rdna1-rocm-fix || true"
        );
        let between = must(Ok(machine.run(&script)));
        let whole = between.contains("\n/usr/bin/rdna1-rocm-fix\n");
        assert_eq!(whole, after == "stop", "{between}");
        // All of it is in force as long as all of it is there, and nothing afterwards.
        assert_eq!(rocm(&between), if whole { expected() } else { Vec::new() }, "{after}: {between}");
        // Of what is gone already rpm only says so.
        let log = must(Ok(machine.run("dnf --assumeyes remove rdna1-rocm-fix 2>&1")));
        assert!(log.contains("Complete!") && !log.contains("scriptlet failed"), "{log}");
        assert_eq!(must(Ok(machine.run(OURS))), "", "{after}");
    }
}

/// A small file system in place of the directory with the generator.
fn small(size: &str) -> String {
    let dir = "/usr/lib/systemd/system-environment-generators";
    format!("mkdir -p {dir} && mount -t tmpfs -o size={size} tmpfs {dir}")
}

#[test]
fn a_full_disk_stops_an_installation_before_anything_is_there() {
    let Some(machine) = with_card() else { return };
    let small = small("300k");
    // dnf looks first; and where it is told not to, rpm takes back what it wrote.
    for (arguments, why) in [("", "more space needed"), ("--setopt=diskspacecheck=0", "unpacking of archive failed")] {
        let script = format!("{small}; {INSTALL} {arguments}; echo code $?; {OURS}; {LOGIN}");
        let output = machine.run(&script);
        let text = both(&output);
        assert!(text.contains(why) && !text.contains("code 0"), "{text}");
        let (_, after) = text.split_once("code ").expect("the script says it");
        assert!(!after.contains("rdna1") && rocm(after).is_empty(), "{text}");
        assert!(!machine.run("rpm --query rdna1-rocm-fix").status.success());
    }
    let listing = must(Ok(machine.run(&format!("{INSTALL} >/dev/null && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
}

#[test]
fn a_full_disk_stops_an_upgrade_and_the_older_version_stays() {
    let Some(machine) = machine(older) else { return };
    let machine = machine.with_card("0x731f", "0xca").with_bind(&made().repo, "/srv/newer");
    // Room for one generator, not for two, as there are for a moment in an upgrade.
    let upgrade = super::UPGRADE.replace("upgrade", "upgrade --setopt=diskspacecheck=0");
    let script = format!(
        "{SET_UP} && {small} && {INSTALL} >/dev/null && {{ {upgrade}; echo code $?; }} && {VERSION} && echo \
         && {{ rpm --verify rdna1-rocm-fix; true; }} && echo verified && {GENERATOR} >/dev/null && {LOGIN} && {REMOVE}",
        small = small("2m"),
    );
    let text = both(&machine.run(&script));
    assert!(text.contains("unpacking of archive failed") && !text.contains("code 0"), "{text}");
    // Taking back, rpm also takes the one directory of the older version that is empty.
    let found = text.split_once("\n0.0.1\n").and_then(|(_, rest)| rest.split_once("verified\n"));
    let found = found.expect("the older version is still there").0;
    assert!(["", "missing     /etc/rdna1-rocm-fix/config.d\n"].contains(&found), "{text}");
    assert_eq!(rocm(&text), expected(), "{text}");
    assert_eq!(must(Ok(machine.run(OURS))), "");
}
