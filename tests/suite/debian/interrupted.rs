// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installations and removals that end in the middle: dpkg can finish or undo
//! them, and in between nothing of ours is in force by halves.

use rdna1_tests::container::Container;

use super::{NEWER, VERSION};
use crate::installed::deb::{INSTALL, SET_UP, machine, made};
use crate::installed::{GENERATOR, LOGIN, both, expected, must, rocm};

/// From now on, whatever maintainer script calls systemctl is killed there, with
/// the dpkg that runs it and apt, as by a loss of power. (`timeout` stands
/// between the script and systemctl.)
const TRAP: &str = "mkdir -p /run/systemd/system && mv /usr/bin/systemctl /usr/bin/systemctl.real \
    && printf '#!/bin/sh\\nread _ _ _ script _ </proc/$PPID/stat\\nread _ _ _ dpkg _ </proc/$script/stat\\n\
               kill -9 $(cat /run/apt.pid) $dpkg $script\\n' >/usr/bin/systemctl && chmod 755 /usr/bin/systemctl";

/// And from now on not any more.
const NO_TRAP: &str = "mv /usr/bin/systemctl.real /usr/bin/systemctl && rm -rf /run/systemd/system";

/// What apt tells to do.
const REPAIR: &str = "dpkg --configure --pending";

/// Files of ours, besides dpkg's records.
const OURS: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /var/cache -o -path /srv -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/apt \\) -prune \
    -o \\( -name '*rdna1*' -not -name rdna1-rocm-fix.sources \\) -print; ls -d /run/rdna1* 2>/dev/null || true";

/// Runs apt into the trap; its exit status is that of a killed process.
fn killed(arguments: &str) -> String {
    format!(
        "{{ apt-get --yes -o Dpkg::Use-Pty=0 {arguments} >/var/tmp/killed.log 2>&1 & echo $! >/run/apt.pid; wait $!; \
         test $? -eq 137; }} && sleep 0.2"
    )
}

fn with_card() -> Option<Container> {
    let machine = machine(&made().repo)?.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    Some(machine)
}

#[test]
fn an_installation_that_is_killed_in_its_script_can_be_finished() {
    let Some(machine) = with_card() else { return };
    let install = killed("install rdna1-rocm-fix");
    let between = must(Ok(machine.run(&format!("{TRAP} && {install} && {LOGIN} && ls -d /run/rdna1* || true"))));
    assert_eq!(rocm(&between), [""; 0], "{between}");
    // All files are there, so the next boot would find a whole package.
    assert_eq!(must(Ok(machine.run("dpkg --verify rdna1-rocm-fix"))), "");
    must(Ok(machine.run(NO_TRAP)));
    let again = both(&machine.run(INSTALL));
    assert!(again.contains("dpkg was interrupted") && again.contains("dpkg --configure -a"), "{again}");
    let finished = must(Ok(machine.run(&format!("{REPAIR} && {LOGIN}"))));
    assert_eq!(rocm(&finished), expected(), "{finished}");
    assert!(must(Ok(machine.run("dpkg --status rdna1-rocm-fix"))).contains("Status: install ok installed"));
}

#[test]
fn an_installation_that_is_killed_in_its_script_can_be_undone() {
    let Some(machine) = with_card() else { return };
    must(Ok(machine.run(&format!("{TRAP} && {} && {NO_TRAP}", killed("install rdna1-rocm-fix")))));
    must(Ok(machine.run("dpkg --purge rdna1-rocm-fix")));
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
        must(Ok(machine.run(&format!("{REPAIR}; dpkg --purge rdna1-rocm-fix"))));
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
    let text = both(&machine.run(&format!("{}; {INSTALL}; echo code $?; {OURS}; {LOGIN}", small("300k"))));
    assert!(text.contains("No space left on device") && !text.contains("code 0"), "{text}");
    let (_, after) = text.split_once("code ").expect("the script says it");
    assert!(!after.contains("rdna1") && rocm(after).is_empty(), "{text}");
    let listing = must(Ok(machine.run(&format!("{INSTALL} >/dev/null && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
}

#[test]
fn a_full_disk_stops_an_upgrade_and_the_older_version_stays() {
    let Some(machine) = machine(&made().older) else { return };
    let machine = machine.with_card("0x731f", "0xca").with_bind(&made().repo, "/srv/newer");
    // Room for one generator, not for two, as there are for a moment in an upgrade.
    let script = format!(
        "{SET_UP} >/dev/null && {small} && {INSTALL} >/dev/null && {{ {NEWER} && {INSTALL}; echo code $?; }} \
         && {VERSION} && echo && dpkg --verify rdna1-rocm-fix && echo verified \
         && {GENERATOR} >/dev/null && {LOGIN} && dpkg --purge rdna1-rocm-fix",
        small = small("2m"),
    );
    let text = both(&machine.run(&script));
    assert!(text.contains("No space left on device") && !text.contains("code 0"), "{text}");
    assert!(text.contains("\n0.0.1\nverified\n"), "{text}");
    assert_eq!(rocm(&text), expected(), "{text}");
    assert_eq!(must(Ok(machine.run(OURS))), "");
}
