// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package in the hands of the real dnf and rpm.

#![allow(clippy::print_stdout, reason = "the transcripts of dnf and rpmlint are worth reading")]

mod refused;

use std::collections::BTreeSet;

use rdna1_tests::container::Container;

use crate::installed::rpm::{INSTALL, Made, REMOVE, SET_UP, UPGRADE, VERSION, machine, made, rpmbuild};
use crate::installed::{Family, GENERATOR, LOGIN, OURS, both, expected, must, rocm};

fn repo(made: &Made) -> std::path::PathBuf {
    made.repo.clone()
}

#[test]
fn the_package_of_the_repository_is_signed() {
    let Some(machine) = machine(repo) else { return };
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    let signature = must(Ok(machine.run("rpm --checksig --verbose /srv/repo/packages/*.rpm")));
    assert!(signature.contains("Signature, key ID") && !signature.contains("NOKEY"), "{signature}");
}

fn older_machine() -> Option<Container> {
    let machine = Family::Rpm.older_machine()?.with_card("0x731f", "0xca");
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    assert_eq!(must(Ok(machine.run(VERSION))), "0.0.1");
    Some(machine)
}

#[test]
fn an_upgrade_keeps_what_the_administrator_changed() {
    let Some(machine) = older_machine() else { return };
    must(Ok(machine.run("echo 'profile: gemm-naive' >> /etc/rdna1-rocm-fix/config.yaml")));
    // The one warning is the right one: where the new file was put.
    let upgrade = UPGRADE.replace("dnf-strict", "dnf --assumeyes");
    let log = must(Ok(machine.run(&format!("{upgrade} 2>&1"))));
    let created = "/etc/rdna1-rocm-fix/config.yaml created as /etc/rdna1-rocm-fix/config.yaml.rpmnew";
    assert!(log.contains(created) && !log.contains("scriptlet failed"), "{log}");
    assert_ne!(must(Ok(machine.run(VERSION))), "0.0.1");
    let config = must(Ok(machine.run("cat /etc/rdna1-rocm-fix/config.yaml")));
    assert!(config.contains("profile: gemm-naive") && config.contains("as an older release"), "{config}");
    let listing = must(Ok(machine.run(&format!("{GENERATOR} >/dev/null; {LOGIN}"))));
    assert!(rocm(&listing).iter().any(|line| line.contains("DIRECT_OCL")), "{listing}");
}

#[test]
fn an_upgrade_renews_what_nobody_changed_and_drops_no_environment() {
    let Some(machine) = older_machine() else { return };
    let booted = machine.boot();
    let service = "systemd-run --quiet --wait --pipe env";
    assert_eq!(rocm(&must(Ok(booted.run(service)))), expected());
    // Whether the files below /run are ever gone is seen by whoever watches.
    must(Ok(booted.run(
        "systemd-run --quiet --unit=watch sh -c 'while sleep 0.01; do [ -e /run/rdna1-rocm-fix/env.sh ] || echo gone >>/root/gone; done'",
    )));
    let log = must(Ok(booted.run(UPGRADE)));
    assert!(log.contains("Upgraded:"), "{log}");
    assert_eq!(rocm(&must(Ok(booted.run(service)))), expected(), "{log}");
    assert_eq!(rocm(&must(Ok(booted.run(LOGIN)))), expected(), "{log}");
    assert_eq!(must(Ok(booted.run("systemctl stop watch; cat /root/gone 2>/dev/null || true"))), "");
    let config = must(Ok(booted.run("cat /etc/rdna1-rocm-fix/config.yaml; ls /etc/rdna1-rocm-fix")));
    assert!(!config.contains("as an older release") && !config.contains("rpmnew"), "{config}");
    assert_eq!(must(Ok(booted.run(VERSION))), env!("CARGO_PKG_VERSION"));
}

#[test]
fn removal_ends_all_effect_at_once_and_leaves_edited_configuration_alone() {
    let Some(machine) = machine(repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    let list = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /srv \
                -o -path /var/lib/dnf -o -path /var/cache -o -path /var/log -o -path /root/.rpmdb -o -path /var/lib/rpm \
                -o -path /usr/lib/sysimage/rpm -o -path /var/tmp \\) -prune -o -print | sort";
    let before = must(Ok(machine.run(list)));
    // All in one start, so that /run is the same and what removal does to it shows.
    let script = format!(
        "{INSTALL} >/dev/null && {LOGIN} | grep -c MIOPEN_ && mkdir /var/lib/rdna1-rocm-fix \
         && install -D /dev/null /var/cache/rdna1-rocm-fix/isa/0.json \
         && {REMOVE} && test ! -e /var/cache/rdna1-rocm-fix && {{ {LOGIN} | grep -c MIOPEN_ || true; }} && ls -d /run/rdna1-rocm-fix 2>&1 || true"
    );
    let text = must(Ok(machine.run(&script)));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[lines.len() - 2]), ("7", "0"), "{text}");
    assert!(lines[lines.len() - 1].contains("No such file"), "{text}");
    let after = must(Ok(machine.run(list)));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let differ: Vec<String> = lines(&before).symmetric_difference(&lines(&after)).cloned().collect();
    assert_eq!(differ, [""; 0], "files differ after removal");

    // What was edited is kept under a name that nothing reads.
    let edit =
        "echo 'profile: stock' >> /etc/rdna1-rocm-fix/config.yaml && echo '# mine' >> /etc/profile.d/rocm-rdna1.sh";
    // rpm says where it put them, as a warning.
    let remove = format!("{edit} && dnf --assumeyes remove rdna1-rocm-fix");
    let log = must(Ok(machine.run(&format!("{INSTALL} >/dev/null && {remove} 2>&1"))));
    assert!(!log.contains("scriptlet failed"), "{log}");
    let left = must(Ok(machine.run(OURS)));
    let left: Vec<&str> = left.lines().collect();
    let etc = "/etc/rdna1-rocm-fix";
    assert_eq!(left, ["/etc/profile.d/rocm-rdna1.sh.rpmsave", etc], "{log}");
    assert_eq!(must(Ok(machine.run(&format!("ls {etc}")))), "config.yaml.rpmsave\n");
    assert_eq!(rocm(&must(Ok(machine.run(LOGIN)))), [""; 0]);
    // Installed again, it begins with its own configuration.
    let listing = must(Ok(machine.run(&format!("{INSTALL} >/dev/null && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
}

#[test]
fn the_package_installs_where_systemd_and_udev_are_not() {
    let Some(machine) = machine(repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    // As in a minimal chroot: the programs are not even there.
    let script = format!(
        "{SET_UP} && rm -f /usr/bin/systemctl /usr/bin/udevadm /usr/bin/timeout && {INSTALL} && {LOGIN} \
         && dnf-strict reinstall rdna1-rocm-fix && {REMOVE}"
    );
    let text = must(Ok(machine.run(&script)));
    assert_eq!(rocm(&text), expected(), "{text}");
    assert!(!text.contains("not found"), "{text}");
}

/// The tests' own measure: dnf itself is content when a scriptlet fails.
#[test]
fn a_failed_scriptlet_counts_as_a_failure() {
    let Some(machine) = machine(repo) else { return };
    let dir = made().dir.join("failing");
    let spec = "Name: failing\nVersion: 1\nRelease: 1\nSummary: Fails\nLicense: MIT\nBuildArch: noarch\n\
                %description\nFails.\n%posttrans\nexit 3\n%files\n";
    rpmbuild(&dir, spec);
    let machine = machine.with_bind(dir.join("RPMS/noarch"), "/srv/failing");
    let install = |program: &str| machine.run(&format!("{program} install --nogpgcheck /srv/failing/*.rpm")).status;
    assert_eq!(install("dnf-strict").code(), Some(9));
    must(Ok(machine.run("rpm --erase failing")));
    assert!(install("dnf --assumeyes").success());
}

#[test]
fn rpmlint_has_nothing_to_say() {
    let Some(machine) = machine(repo) else { return };
    let machine = machine.with_bind(rdna1_tests::program::top().join("rpm"), "/srv/rpm");
    let lint = "rpm --import /srv/repo/RPM-GPG-KEY-rdna1-rocm-fix && rpmlint --strict --config /srv/rpm/rpmlint.toml /srv/repo/packages/*.rpm /srv/rpm/*.spec";
    let output = machine.run(lint);
    println!("{}", both(&output));
    assert!(output.status.success(), "{}", both(&output));
    assert!(both(&output).contains("0 errors, 0 warnings"), "{}", both(&output));
}
