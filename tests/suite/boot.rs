// SPDX-License-Identifier: MIT OR Apache-2.0
//! What processes see on a machine whose real systemd has booted.

mod broken;
mod mixed;
pub mod times;

use rdna1_tests::container::{Booted, Container};

use crate::installed::{Family, expected, must, rocm};

/// A machine with the package and a user, not yet booted.
fn installed(family: Family) -> Option<Container> {
    let machine = family.machine()?;
    let (set_up, install) = (family.set_up(), family.install());
    must(Ok(machine.run(&format!("{set_up} && {install} && useradd --create-home --shell /bin/bash alice"))));
    Some(machine)
}

/// Every context, by the command that shows its environment.
pub const CONTEXTS: [(&str, &str); 6] = [
    ("system service", "systemd-run --quiet --wait --pipe env"),
    ("user manager", "systemctl start user@1000 && systemctl --user --machine=alice@ show-environment"),
    ("login through PAM", "systemd-run --quiet --wait --pipe -p PAMName=login -p User=alice bash -lc env"),
    ("login shell, sh", "env -i HOME=/root sh -lc env"),
    ("login shell, tcsh", "env -i HOME=/root bash -c 'exec -a -tcsh tcsh -c env'"),
    ("fish", "env -i HOME=/root TERM=dumb fish -c env"),
];

/// Lets root in as alice by a key, which is made on the machine.
pub const SSH_KEY: &str = "install -d -m 700 /root/.ssh && install -d -m 700 -o alice -g alice /home/alice/.ssh \
     && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 \
     && install -o alice -g alice -m 600 /root/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys \
     && printf 'StrictHostKeyChecking no\\nLogLevel ERROR\\nBatchMode yes\\n' > /root/.ssh/config";

/// What reaches a process by the machine's own sshd, on its loopback interface,
/// and whether the environment does.
pub const SSH: [(&str, &str, bool); 3] = [
    ("ssh without a command", "echo env | ssh -T alice@127.0.0.1", true),
    ("ssh with a command", "ssh alice@127.0.0.1 env", false),
    ("ssh with a command, through `run`", "ssh alice@127.0.0.1 rdna1-rocm-fix run -- env", true),
];

fn seen(booted: &Booted, command: &str) -> Vec<String> {
    rocm(&must(Ok(booted.run(command))))
}

#[test]
fn with_the_card_every_context_has_the_environment() {
    Family::ALL.into_iter().for_each(with_the_card);
}

fn with_the_card(family: Family) {
    let Some(machine) = installed(family) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    let booted = machine.boot();
    for (context, command) in CONTEXTS {
        assert_eq!(seen(&booted, command), expected(), "{family:?}, {context}");
    }
    // A reload, which every installation of some package brings, changes nothing.
    must(Ok(booted.run("systemctl daemon-reload && systemctl daemon-reload")));
    assert_eq!(seen(&booted, CONTEXTS[0].1), expected(), "after a reload");
    let failed = must(Ok(booted.run("systemctl --failed --no-legend")));
    assert_eq!(failed, "", "units failed");
}

#[test]
fn what_administrator_and_user_have_set_stays() {
    let Some(machine) = installed(Family::Deb) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(
        "mkdir -p /etc/systemd/system.conf.d /home/alice/.config/environment.d \
         && printf '[Manager]\\nDefaultEnvironment=MIOPEN_FIND_MODE=5\\n' > /etc/systemd/system.conf.d/mine.conf \
         && echo MIOPEN_DEBUG_CONV_FFT=1 > /home/alice/.config/environment.d/mine.conf \
         && chown -R alice: /home/alice/.config",
    )));
    let booted = machine.boot();
    let with = |changes: &[(&str, &str)]| -> Vec<String> {
        let changed = |line: String| changes.iter().fold(line, |line, (from, to)| line.replace(from, to));
        expected().into_iter().map(changed).collect()
    };
    let mode = ("MIOPEN_FIND_MODE=2", "MIOPEN_FIND_MODE=5");
    assert_eq!(seen(&booted, CONTEXTS[0].1), with(&[mode]), "system.conf.d");
    must(Ok(booted.run("systemctl daemon-reload")));
    assert_eq!(seen(&booted, CONTEXTS[0].1), with(&[mode]), "system.conf.d, after a reload");
    let unit = "systemd-run --quiet --wait --pipe -p Environment=MIOPEN_DEBUG_CONV_GEMM=0 env";
    assert_eq!(seen(&booted, unit), with(&[mode, ("CONV_GEMM=1", "CONV_GEMM=0")]), "a unit's own");
    assert_eq!(seen(&booted, CONTEXTS[1].1), with(&[mode, ("FFT=0", "FFT=1")]), "the user's environment.d");
    let shell = "env -i HOME=/root MIOPEN_DEBUG_CONV_WINOGRAD= sh -lc env";
    assert_eq!(seen(&booted, shell), with(&[("WINOGRAD=0", "WINOGRAD=")]), "set to nothing before the login");
}

#[test]
fn without_the_card_no_context_has_anything() {
    Family::ALL.into_iter().for_each(without_the_card);
}

fn without_the_card(family: Family) {
    let Some(machine) = installed(family) else { return };
    // Not RDNA1, though near: Navi 21 and Fiji.
    let machine = machine.with_card("0x73bf", "0xc1").with_card("0x7300", "0xc8");
    let booted = machine.boot();
    for (context, command) in CONTEXTS {
        assert_eq!(seen(&booted, command), [""; 0], "{context}");
    }
    assert_eq!(must(Ok(booted.run("ls /run | grep rdna1 || true"))), "");
}

#[test]
fn the_hardened_service_refreshes_and_tells_systemd() {
    let Some(machine) = installed(Family::Deb) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    let booted = machine.boot();
    let start = "systemctl start rdna1-rocm-fix.service";
    must(Ok(booted.run(&format!("echo 'profile: stock' > /etc/rdna1-rocm-fix/config.yaml && {start}"))));
    for (context, command) in CONTEXTS.iter().filter(|(context, _)| *context != "user manager") {
        assert_eq!(seen(&booted, command), ["HSA_OVERRIDE_GFX_VERSION=10.3.0"], "{context}");
    }
    // The last card goes: nothing is left, and the service is no failure.
    machine.remove_cards();
    must(Ok(booted.run(start)));
    assert_eq!(seen(&booted, CONTEXTS[0].1), [""; 0]);
    assert_eq!(must(Ok(booted.run("ls /run/rdna1-rocm-fix 2>/dev/null || true"))), "");
    // It comes back.
    let machine = machine.with_card("0x7340", "0xc5");
    must(Ok(booted.run(&format!("echo 'gfx: native' > /etc/rdna1-rocm-fix/config.yaml && {start}"))));
    let native: Vec<String> = expected().into_iter().filter(|line| !line.starts_with("HSA_")).collect();
    assert_eq!(seen(&booted, CONTEXTS[0].1), native);
    drop(booted);
    drop(machine);
}

#[test]
fn removing_the_package_clears_a_running_machine() {
    Family::ALL.into_iter().for_each(removal_and_installation);
}

fn removal_and_installation(family: Family) {
    let Some(machine) = installed(family) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    let booted = machine.boot();
    assert_eq!(seen(&booted, CONTEXTS[0].1), expected());
    must(Ok(booted.run(family.remove())));
    for (context, command) in CONTEXTS.iter().filter(|(context, _)| *context != "user manager") {
        assert_eq!(seen(&booted, command), [""; 0], "{context}");
    }
    must(Ok(booted.run(&format!("export DEBIAN_FRONTEND=noninteractive; {}", family.install()))));
    assert_eq!(seen(&booted, CONTEXTS[0].1), expected(), "installed on a running machine");
}

#[test]
fn units_pass_systemds_own_checks() {
    let Some(machine) = installed(Family::Deb) else { return };
    let text = must(Ok(machine.run(
        "systemd-analyze verify /usr/lib/systemd/system/rdna1-rocm-fix.service \
         && udevadm verify /usr/lib/udev/rules.d/90-rocm-rdna1.rules",
    )));
    assert!(text.contains("Success: 1") && !text.contains("rdna1-rocm-fix.service:"), "{text}");
    let security = must(Ok(machine
        .run("systemd-analyze security --offline=true --threshold=20 /usr/lib/systemd/system/rdna1-rocm-fix.service")));
    assert!(security.contains("OK"), "{security}");
}
