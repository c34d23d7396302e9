// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boots of machines on which something is broken: they come up, set nothing
//! that is wrong, and the journal says why.
//!
//! A container has no kernel log to carry what is said before the journal runs,
//! so there the reason is asked for after a reload, which runs the generator again.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rdna1_tests::container::{Booted, Container};

use super::{CONTEXTS, installed, seen};
use crate::installed::{Family, both, expected, must};

/// A machine with the card.
fn with_card() -> Option<Container> {
    Some(installed(Family::Deb)?.with_card("0x731f", "0xca"))
}

/// What services have, and what login shells have.
fn assert_seen(booted: &Booted, what: &str, services: &[String], shells: &[String]) {
    for (context, command) in CONTEXTS {
        // A login gets from systemd nothing but what its shell reads.
        let expected =
            if matches!(context, "system service" | "user manager" | "login through PAM") { services } else { shells };
        assert_eq!(seen(booted, command), expected, "{what}: {context}");
    }
    let failed = must(Ok(booted.run("systemctl --failed --no-legend")));
    assert_eq!(failed, "", "{what}: units failed");
}

fn journal(booted: &Booted) -> String {
    must(Ok(booted.run("systemctl daemon-reload && journalctl --sync && journalctl --boot --no-pager")))
}

#[test]
fn a_broken_configuration_is_explained() {
    let Some(machine) = with_card() else { return };
    must(Ok(machine.run("echo 'profile: [' > /etc/rdna1-rocm-fix/config.yaml")));
    let booted = machine.boot();
    assert_seen(&booted, "broken configuration", &[], &[]);
    must(Ok(booted.run("systemctl start rdna1-rocm-fix.service || true")));
    let journal = must(Ok(booted.run("journalctl --boot --unit rdna1-rocm-fix --no-pager")));
    assert!(journal.contains("/etc/rdna1-rocm-fix/config.yaml:"), "{journal}");
    let status = booted.run("rdna1-rocm-fix status");
    assert!(both(&status).contains("/etc/rdna1-rocm-fix/config.yaml:"), "{}", both(&status));
}

/// Machines on which nothing can be decided, by what was done to them, and what
/// the journal then has to say.
const BROKEN: [(&str, &str, &str); 5] = [
    (
        "a policy that does not parse",
        "echo 'schema: [' > /etc/rdna1-rocm-fix/policy.yaml",
        "/etc/rdna1-rocm-fix/policy.yaml:",
    ),
    (
        "a configuration whose reading never ends",
        "rm /etc/rdna1-rocm-fix/config.yaml && mkfifo /etc/rdna1-rocm-fix/config.yaml",
        "/etc/rdna1-rocm-fix/config.yaml",
    ),
    (
        "a configuration that is a directory",
        "rm /etc/rdna1-rocm-fix/config.yaml && mkdir /etc/rdna1-rocm-fix/config.yaml",
        "/etc/rdna1-rocm-fix/config.yaml",
    ),
    (
        "a generator that is killed",
        "cd /usr/lib/systemd/system-environment-generators && rm 90-rdna1-rocm-fix \
         && printf '#!/bin/sh\\nkill -9 $$\\n' > 90-rdna1-rocm-fix && chmod 755 90-rdna1-rocm-fix",
        "90-rdna1-rocm-fix terminated by signal KILL",
    ),
    (
        "a generator that is no program",
        "cd /usr/lib/systemd/system-environment-generators && rm 90-rdna1-rocm-fix \
         && head -c 100 /dev/zero > 90-rdna1-rocm-fix && chmod 755 90-rdna1-rocm-fix",
        "90-rdna1-rocm-fix",
    ),
];

#[test]
fn a_machine_with_something_broken_boots_and_sets_nothing() {
    for (what, how, why) in BROKEN {
        let Some(machine) = with_card() else { return };
        must(Ok(machine.run(how)));
        let booted = machine.boot();
        assert_seen(&booted, what, &[], &[]);
        let journal = journal(&booted);
        assert!(journal.contains(why), "{what}: {journal}");
    }
}

#[test]
fn a_sysfs_that_cannot_be_read_shows_no_card() {
    let Some(machine) = with_card() else { return };
    // As the kernel answers where a device has just gone: not with ENOENT.
    let vendor = machine.devices().join("0000:01:00.0/vendor");
    std::fs::remove_file(&vendor).and_then(|()| std::fs::create_dir(&vendor)).expect("a tmpfs is writable");
    let booted = machine.boot();
    assert_seen(&booted, "unreadable sysfs", &[], &[]);
    let journal = journal(&booted);
    assert!(journal.contains("a card may go unseen, because /sys/bus/pci/devices/0000:01:00.0/vendor"), "{journal}");
}

/// A file system that never answers, as a server that is gone; its files are
/// there again once it is dropped.
pub struct Dead(Child);

impl Dead {
    /// Over a directory. Nobody reads what the kernel asks through /dev/fuse.
    pub fn mount(over: &Path) -> Self {
        let script = "exec 7<>/dev/fuse && mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0 dead \"$0\" \
                      && echo mounted && exec sleep 600";
        let mut child =
            Command::new("sh").args(["-c", script]).arg(over).stdout(Stdio::piped()).spawn().expect("sh runs");
        let mut line = String::new();
        let output = child.stdout.take().expect("it was piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).expect("sh says something");
        assert_eq!(line, "mounted\n", "no file system that never answers");
        Self(child)
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        // With its last descriptor the kernel gives up waiting.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn our_program_hanging_is_ended_and_the_boot_goes_on() {
    let Some(machine) = with_card() else { return };
    let dead = Dead::mount(&machine.root().join("etc/rdna1-rocm-fix/config.d"));
    let booted = machine.boot();
    assert_seen(&booted, "hanging", &[], &[]);
    let journal = journal(&booted);
    assert!(journal.contains("90-rdna1-rocm-fix terminated by signal ALRM"), "{journal}");
    drop(dead);
    must(Ok(booted.run("umount /etc/rdna1-rocm-fix/config.d; systemctl stop user@1000; rdna1-rocm-fix refresh")));
    assert_seen(&booted, "answering again", &expected(), &expected());
}

#[test]
fn a_full_run_costs_the_shells_their_part_and_no_more() {
    let Some(machine) = with_card() else { return };
    // All of /run cannot be full when PID 1 starts, or nothing would boot: our directory is.
    let machine = machine.with_memory("/run/rdna1-rocm-fix", "mode=755,nr_inodes=1");
    let booted = machine.boot();
    assert_seen(&booted, "full /run", &expected(), &[]);
    let journal = journal(&booted);
    assert!(journal.contains("login shells stay without the environment"), "{journal}");
    assert!(journal.contains("No space left on device"), "{journal}");
}

#[test]
fn a_run_that_fills_up_later_leaves_nothing_outdated() {
    let Some(machine) = with_card() else { return };
    let booted = machine.boot();
    must(Ok(booted
        .run("echo 'gfx: native' > /etc/rdna1-rocm-fix/config.yaml; cat /dev/zero > /run/full 2>/dev/null || true")));
    let refreshed = booted.run("rdna1-rocm-fix refresh");
    assert!(!refreshed.status.success() && both(&refreshed).contains("No space left"), "{}", both(&refreshed));
    // systemd takes no reload while less than 16 MiB of /run are free.
    assert!(both(&refreshed).contains("services keep their old environment"), "{}", both(&refreshed));
    assert_eq!(seen(&booted, CONTEXTS[3].1), [""; 0], "shells");
    let native: Vec<String> = expected().into_iter().filter(|line| !line.starts_with("HSA_")).collect();
    must(Ok(booted.run("rm /run/full && rdna1-rocm-fix refresh")));
    for context in [CONTEXTS[0], CONTEXTS[3]] {
        assert_eq!(seen(&booted, context.1), native, "{}, once there is room", context.0);
    }
}

#[test]
fn a_missing_kmsg_and_a_read_only_etc_change_nothing() {
    let Some(machine) = with_card() else { return };
    let etc = machine.root().join("etc");
    let machine = machine.with_bind(etc, "/etc");
    let booted = machine.boot();
    must(Ok(booted.run("! touch /etc/rdna1-rocm-fix/x 2>/dev/null && ! [ -c /dev/kmsg ]")));
    assert_seen(&booted, "read-only /etc", &expected(), &expected());
}
