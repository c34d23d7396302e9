// SPDX-License-Identifier: MIT OR Apache-2.0
//! What installing does, the same in both families.

#![allow(clippy::print_stdout, reason = "the transcripts of apt and dnf are worth reading")]

use super::{Family, GENERATOR, LOGIN, both, expected, must, rocm};

fn installed_by_name_only_the_card_changes_anything(family: Family) {
    let install = format!("{} && {}", family.set_up(), family.install());
    let Some(without) = family.machine() else { return };
    let log = must(Ok(without.run(&install)));
    println!("{log}");
    for sign in family.signs_of_success() {
        assert!(log.contains(sign), "{sign}\n{log}");
    }
    assert!(!log.contains("cannot be authenticated") && !log.contains("not signed"), "{log}");
    assert_eq!(rocm(&must(Ok(without.run(LOGIN)))), [""; 0]);
    assert_eq!(must(Ok(without.run(GENERATOR))), "");
    assert_eq!(must(Ok(without.run("ls /run | grep rdna1 || true"))), "", "no card, no file below /run");
    // Every file is as the package says.
    assert_eq!(must(Ok(without.run(family.verify()))), "");

    let Some(with) = family.machine() else { return };
    let with = with.with_card("0x731f", "0xca");
    must(Ok(with.run(&install)));
    // /run of a container is new at every start, as at a boot: the generator fills it.
    let listing = must(Ok(with.run(&format!("{GENERATOR} > /root/printed && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
    let printed = must(Ok(with.run("set -a; . /root/printed; env")));
    assert_eq!(rocm(&printed), expected());
    let status = must(Ok(with.run(&format!("{GENERATOR} >/dev/null; rdna1-rocm-fix status"))));
    assert!(status.contains("Radeon RX 5600 XT"), "{status}");
}

#[test]
fn apt_installs_by_name_and_only_the_card_changes_anything() {
    installed_by_name_only_the_card_changes_anything(Family::Deb);
}

#[test]
fn dnf_installs_by_name_and_only_the_card_changes_anything() {
    installed_by_name_only_the_card_changes_anything(Family::Rpm);
}

#[test]
fn installing_takes_effect_at_once() {
    for family in Family::ALL {
        let Some(machine) = family.machine() else { return };
        let machine = machine.with_card("0x731f", "0xca");
        // Installation and login in one start of the container, as /run is lost in between.
        let install = format!("{{ {} && {}; }} >/dev/null 2>&1", family.set_up(), family.install());
        assert_eq!(rocm(&must(Ok(machine.run(&format!("{install} && {LOGIN}"))))), expected(), "{family:?}");
    }
}

#[test]
fn a_broken_configuration_fails_no_installation_and_sets_nothing() {
    let file = "/etc/rdna1-rocm-fix/config.d/10.yaml";
    for family in Family::ALL {
        let Some(machine) = family.machine() else { return };
        let machine = machine.with_card("0x731f", "0xca");
        let broken = format!("mkdir -p /etc/rdna1-rocm-fix/config.d && echo 'profil: gemm' > {file}");
        let install = format!("{} && {broken} && {} && {LOGIN}", family.set_up(), family.install());
        let text = must(Ok(machine.run(&install)));
        assert_eq!(rocm(&text), [""; 0], "{text}");
        let status = machine.run("rdna1-rocm-fix status");
        assert_eq!(status.status.code(), Some(1));
        assert!(both(&status).contains(&format!("{file}:1")) && both(&status).contains("profil"), "{}", both(&status));
        // The administrator's own file is no file of the package, and stays.
        must(Ok(machine.run(family.remove())));
        assert_eq!(must(Ok(machine.run(&format!("cat {file}")))), "profil: gemm\n");
    }
}

/// systemd and udev are there, as it seems, and nothing that they are asked
/// works; nor can anything be written below /run.
#[test]
fn what_fails_around_it_fails_no_installation_and_no_removal() {
    let failing = "mkdir -p /run/systemd/system /run/udev && touch /run/rdna1-rocm-fix \
        && python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/udev/control\")' \
        && for name in systemctl udevadm; do \
             printf '#!/bin/sh\\necho called: ${0##*/} $* >>/run/calls\\nexit 1\\n' >/usr/bin/$name; chmod 755 /usr/bin/$name; \
           done";
    for family in Family::ALL {
        let Some(machine) = family.machine() else { return };
        let machine = machine.with_card("0x731f", "0xca");
        // What `refresh` says of /run is an error, and may be shown.
        let [install, remove] =
            [family.install(), family.remove()].map(|it| it.replace("dnf-strict", "dnf --assumeyes"));
        let script = format!(
            "{} && {failing} && {install} 2>&1 && {LOGIN} && echo removing && {remove} 2>&1 && cat /run/calls",
            family.set_up()
        );
        let text = must(Ok(machine.run(&script)));
        assert_eq!(rocm(&text), [""; 0], "{text}");
        for bad in ["scriptlet failed", "returned error", "warning: "] {
            assert!(!text.contains(bad), "{bad}:\n{text}");
        }
        for call in ["systemctl --system daemon-reload", "udevadm trigger", "systemctl stop rdna1-rocm-fix.service"] {
            assert!(text.contains(&format!("called: {call}")), "{family:?} does not call {call}:\n{text}");
        }
        let left = must(Ok(machine.run("ls /usr/bin/rdna1-rocm-fix /run/rdna1-rocm-fix 2>&1 || true")));
        assert_eq!(left.matches("No such file").count(), 2, "{left}");
    }
}
