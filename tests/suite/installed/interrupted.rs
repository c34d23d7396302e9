// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installations and removals that end in the middle: the package manager can
//! finish or undo them, and in between nothing of ours is in force by halves.

#![allow(clippy::print_stdout, reason = "says which family a failure is of")]

use rdna1_tests::container::Container;

use super::{Family, GENERATOR, LOGIN, OURS, both, expected, must, rocm};

/// No trap from now on.
const NO_TRAP: &str = "mv /usr/bin/systemctl.real /usr/bin/systemctl && rm -rf /run/systemd/system";

impl Family {
    /// From now on, whatever script of a package calls systemctl is killed there,
    /// with those that run it, as by a loss of power. (`timeout` stands between
    /// script and systemctl.) The package manager is stopped before, so that it
    /// cannot tell what happens to the others.
    fn trap(self) -> String {
        let (find, others) = match self {
            Self::Deb => ("read _ _ _ dpkg _ </proc/$script/stat\\n", "$dpkg $script"),
            Self::Rpm => ("", "$script"),
        };
        format!(
            "mkdir -p /run/systemd/system && mv /usr/bin/systemctl /usr/bin/systemctl.real \
             && printf '#!/bin/sh\\nmanager=$(cat /run/manager.pid)\\nread _ _ _ script _ </proc/$PPID/stat\\n{find}\
                        kill -STOP $manager\\nkill -9 {others}\\nkill -9 $manager\\n' >/usr/bin/systemctl \
             && chmod 755 /usr/bin/systemctl"
        )
    }

    /// Runs the package manager into the trap: it was in a script of the
    /// package, and its exit status is that of a killed process.
    fn killed(self, action: &str) -> String {
        let (manager, in_script) = match self {
            Self::Deb => ("apt-get --yes -o Dpkg::Use-Pty=0", "^(Setting up|Removing) rdna1-rocm-fix"),
            Self::Rpm => ("dnf --assumeyes", "Running scriptlet: rdna1-rocm-fix"),
        };
        format!(
            "{{ {manager} {action} rdna1-rocm-fix & echo $! >/run/manager.pid; wait $!; test $? -eq 137; }} \
             >/var/tmp/killed.log 2>&1 && grep -E '{in_script}' /var/tmp/killed.log"
        )
    }

    /// Finishes an installation.
    fn finish(self) -> &'static str {
        match self {
            // What apt tells to do.
            Self::Deb => "dpkg --configure --pending",
            Self::Rpm => "dnf-strict reinstall rdna1-rocm-fix",
        }
    }

    /// Succeeds where the package is installed as a whole.
    fn is_installed(self) -> &'static str {
        match self {
            Self::Deb => "dpkg --status rdna1-rocm-fix | grep 'Status: install ok installed'",
            Self::Rpm => "rpm --query rdna1-rocm-fix",
        }
    }

    /// Leaves nothing.
    fn purge(self) -> &'static str {
        match self {
            Self::Deb => "dpkg --purge rdna1-rocm-fix",
            Self::Rpm => self.remove(),
        }
    }

    /// How to install where there is no room, and what is said then.
    fn without_room(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Deb => &[("", "No space left on device")],
            // dnf looks first; and where it is told not to, rpm takes back what it wrote.
            Self::Rpm => &[("", "more space needed"), ("--setopt=diskspacecheck=0", "unpacking of archive failed")],
        }
    }
}

/// Runs a test on a machine of each family that has the card and the repository.
fn on_each(test: fn(Family, Container)) {
    for family in Family::ALL {
        println!("{family:?}");
        let Some(machine) = family.machine() else { continue };
        let machine = machine.with_card("0x731f", "0xca");
        must(Ok(machine.run(family.set_up())));
        test(family, machine);
    }
}

#[test]
fn an_installation_that_is_killed_in_its_script_can_be_finished() {
    on_each(|family, machine| {
        let (trap, install) = (family.trap(), family.killed("install"));
        let written = "ls -d /run/rdna1* 2>/dev/null || true";
        let between = must(Ok(machine.run(&format!("{trap} && {install} && {LOGIN} && {{ {written}; }}"))));
        assert!(rocm(&between).is_empty() && !between.contains("/run/rdna1"), "{between}");
        // All files are there, so the next boot would find a whole package.
        assert_eq!(must(Ok(machine.run(family.verify()))), "");
        must(Ok(machine.run(NO_TRAP)));
        if family == Family::Deb {
            let again = both(&machine.run(family.install()));
            assert!(again.contains("dpkg was interrupted") && again.contains("dpkg --configure -a"), "{again}");
        }
        let finished = must(Ok(machine.run(&format!("{} && {LOGIN}", family.finish()))));
        assert_eq!(rocm(&finished), expected(), "{finished}");
        must(Ok(machine.run(family.is_installed())));
    });
}

#[test]
fn an_installation_that_is_killed_in_its_script_can_be_undone() {
    on_each(|family, machine| {
        must(Ok(machine.run(&format!("{} && {} && {NO_TRAP}", family.trap(), family.killed("install")))));
        must(Ok(machine.run(family.purge())));
        assert_eq!(must(Ok(machine.run(OURS))), "");
    });
}

/// Before the files go, when the service is stopped.
#[test]
fn a_removal_that_is_killed_before_the_files_are_gone_can_be_finished() {
    on_each(|family, machine| removal_is_killed(family, &machine, "stop"));
}

/// When systemd reloads.
#[test]
fn a_removal_that_is_killed_after_the_files_are_gone_can_be_finished() {
    on_each(|family, machine| removal_is_killed(family, &machine, "daemon-reload"));
}

/// Kills a removal when it calls systemctl with this word.
fn removal_is_killed(family: Family, machine: &Container, at: &str) {
    let harmless = format!("sed -i '2i [ \"$1\" = {at} ] || [ \"$2\" = {at} ] || exit 0' /usr/bin/systemctl");
    let (install, trap, remove) = (family.install(), family.trap(), family.killed("remove"));
    let script = format!(
        "{install} >/dev/null && {trap} && {harmless} && {remove} && {LOGIN} && {NO_TRAP} \
         && {{ ls /usr/bin/rdna1-rocm-fix || true; }}"
    );
    let between = must(Ok(machine.run(&script)));
    let whole = between.contains("\n/usr/bin/rdna1-rocm-fix\n");
    assert_eq!(whole, at == "stop", "{between}");
    // All of it is in force as long as all of it is there, and nothing afterwards.
    assert_eq!(rocm(&between), if whole { expected() } else { Vec::new() }, "{between}");
    match family {
        Family::Deb => drop(must(Ok(machine.run(&format!("{}; {}", family.finish(), family.purge()))))),
        Family::Rpm => {
            // Of what is gone already rpm only says so.
            let log = must(Ok(machine.run("dnf --assumeyes remove rdna1-rocm-fix 2>&1")));
            assert!(log.contains("Complete!") && !log.contains("scriptlet failed"), "{log}");
        }
    }
    assert_eq!(must(Ok(machine.run(OURS))), "");
}

/// A small file system in place of the directory with the generator.
fn small(size: &str) -> String {
    let dir = "/usr/lib/systemd/system-environment-generators";
    format!("mkdir -p {dir} && mount -t tmpfs -o size={size} tmpfs {dir}")
}

#[test]
fn a_full_disk_stops_an_installation_before_anything_is_there() {
    on_each(|family, machine| {
        let (install, small) = (family.install(), small("300k"));
        for (arguments, why) in family.without_room() {
            let script = format!("{small}; {install} {arguments}; echo code $?; {OURS}; {LOGIN}");
            let text = both(&machine.run(&script));
            assert!(text.contains(why) && !text.contains("code 0"), "{text}");
            let (_, after) = text.split_once("code ").expect("the script says it");
            assert!(!after.contains("rdna1") && rocm(after).is_empty(), "{text}");
            assert!(!machine.run(family.is_installed()).status.success());
        }
        let listing = must(Ok(machine.run(&format!("{install} >/dev/null && {LOGIN}"))));
        assert_eq!(rocm(&listing), expected());
    });
}

#[test]
fn a_full_disk_stops_an_upgrade_and_the_older_version_stays() {
    for family in Family::ALL {
        println!("{family:?}");
        let Some(machine) = family.older_machine() else { continue };
        let machine = machine.with_card("0x731f", "0xca");
        let (arguments, why) = family.without_room()[family.without_room().len() - 1];
        let (set_up, install, upgrade) = (family.set_up(), family.install(), family.upgrade());
        let (version, verify, purge) = (family.version(), family.verify(), family.purge());
        // Room for one generator, not for two, as there are for a moment in an upgrade.
        let small = small("2m");
        let script = format!(
            "{set_up} >/dev/null && {small} && {install} >/dev/null && {{ {upgrade} {arguments}; echo code $?; }} \
             && {version} && echo && {{ {verify} || true; }} && echo verified \
             && {GENERATOR} >/dev/null && {LOGIN} && {purge}"
        );
        let text = both(&machine.run(&script));
        assert!(text.contains(why) && !text.contains("code 0"), "{text}");
        let found = text.split_once("\n0.0.1\n").and_then(|(_, rest)| rest.split_once("verified\n"));
        let missing = found.expect("the older version is still there").0;
        // Taking back, rpm also takes the one directory of the older version that is empty.
        let may_be_missing = ["", "missing     /etc/rdna1-rocm-fix/config.d\n"];
        let allowed = if family == Family::Deb { &may_be_missing[..1] } else { &may_be_missing };
        assert!(allowed.contains(&missing), "{text}");
        assert_eq!(rocm(&text), expected(), "{text}");
        assert_eq!(must(Ok(machine.run(OURS))), "");
    }
}
