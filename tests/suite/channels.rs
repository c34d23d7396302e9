// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reaches which process, in which state of the machine: one table,
//! measured and compared with `docs/channels.md`.
//!
//! `RDNA1_BLESS=1 cargo test -p rdna1-tests channels` writes the table anew; the
//! difference belongs into the review.

use std::fmt::Write as _;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_tests::container::{Booted, Container};
use rdna1_tests::engine;
use rdna1_tests::program::top;
use rdna1_tests::table::Table;

use crate::boot::{SSH, SSH_KEY};
use crate::installed::{deb, expected, must, rocm};

/// How a row's process is started.
const CONTEXTS: [(&str, &str); 25] = [
    ("system service", "systemd-run --quiet --wait --pipe env"),
    (
        "user service, its manager running since before the change",
        "systemd-run --quiet --wait --pipe --user --machine=alice@ env",
    ),
    (
        "the same manager's own environment (what a desktop session is given)",
        "systemctl --user --machine=alice@ show-environment",
    ),
    (
        "user service, its manager started after the change",
        "systemctl start user@1001 && systemd-run --quiet --wait --pipe --user --machine=bob@ env",
    ),
    (
        "a desktop's autostart entry, its manager started after the change",
        "systemctl start user@1001 && systemctl --user --machine=bob@ start app-seen@autostart.service \
         && for _ in $(seq 100); do [ -e /tmp/autostart.env ] && break; sleep 0.1; done; cat /tmp/autostart.env",
    ),
    ("login through PAM (bash)", "systemd-run --quiet --wait --pipe -p PAMName=login -p User=alice bash -lc env"),
    ("login shell, sh", "env -i HOME=/root sh -lc env"),
    ("login shell, bash", "env -i HOME=/root bash -lc env"),
    ("login shell, dash", "env -i HOME=/root dash -lc env"),
    ("login shell, zsh", "env -i HOME=/root zsh -lc env"),
    (
        "login shell, zsh, with the line below",
        "env -i HOME=/root zsh -lc \"emulate sh -c '. /etc/profile.d/rocm-rdna1.sh'; env\"",
    ),
    ("login shell, fish", "env -i HOME=/root TERM=dumb fish -lc env"),
    ("login shell, tcsh", "env -i HOME=/root bash -c 'exec -a -tcsh tcsh -c env'"),
    ("login shell, csh", "echo env | env -i HOME=/root bash -c 'exec -a -csh bsd-csh'"),
    ("`su - USER`", "env -i su - alice -c env"),
    ("`sudo COMMAND` from a login shell", "env -i HOME=/root sh -lc 'sudo env'"),
    ("`sudo -i COMMAND`", "env -i HOME=/root sudo -i env"),
    (SSH[0].0, SSH[0].1),
    (SSH[1].0, SSH[1].1),
    (SSH[2].0, SSH[2].1),
    (
        "cron",
        "rm -f /run/crond.reboot /tmp/cron.env; systemctl restart cron; \
         for _ in $(seq 100); do [ -e /tmp/cron.env ] && break; sleep 0.1; done; cat /tmp/cron.env",
    ),
    ("`rdna1-rocm-fix run -- COMMAND`", "env -i PATH=$PATH HOME=/root rdna1-rocm-fix run -- env"),
    ("`rdna1-rocm-fix env --format dotenv`", DOTENV),
    (BY_FILE, DOTENV),
    (BY_CDI, "env -i PATH=$PATH HOME=/root rdna1-rocm-fix cdi"),
];

const DOTENV: &str = "env -i PATH=$PATH HOME=/root rdna1-rocm-fix env --format dotenv";

/// The rows whose process is in a container of podman's, and the command says
/// what the container is given.
const BY_FILE: &str = "container, podman with that as `--env-file`";
const BY_CDI: &str = "container, podman with `--device rdna1-rocm-fix/gpu=all` after `rdna1-rocm-fix cdi`";

/// Rows that nothing reaches; the document says what to do there.
const NEVER: [&str; 4] = ["login shell, zsh", "`sudo COMMAND` from a login shell", "ssh with a command", "cron"];

/// Rows of programs of the package itself: they fail once it is gone.
fn is_ours(context: &str) -> bool {
    context.contains("run`") || context.starts_with("`rdna1-rocm-fix") || [BY_FILE, BY_CDI].contains(&context)
}

/// The environment in a container that is given what our program printed.
fn in_container(context: &str, printed: &str) -> String {
    let dir = TempDir::new().expect("there is room for a directory");
    let (file, options) = if context == BY_CDI {
        ("cdi.json", ["--device", "rdna1-rocm-fix/gpu=all"])
    } else {
        ("env", ["--env-file", "env"])
    };
    dir.child(file).write_str(printed).expect("the directory is writable");
    must(Ok(engine::podman(dir.path(), &options)))
}

/// What udev starts when a card appears or goes; there is no udev in this container.
const UDEV: &str = "systemctl start rdna1-rocm-fix.service";

/// A state of the machine, by what happens after the boot.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    CardAdded,
    CardRemoved,
    PackageRemoved,
    PackageUpgraded,
    Refreshed,
    NodesKnown,
}

/// A column: heading, cards at boot, and what happens then.
const STATES: [(&str, &[&str], Change); 9] = [
    ("card present", &["0x731f"], Change::Nothing),
    ("card absent", &["0x73bf"], Change::Nothing),
    ("card added while running", &[], Change::CardAdded),
    ("card removed", &["0x731f"], Change::CardRemoved),
    ("package removed, no reboot", &["0x731f"], Change::PackageRemoved),
    ("package upgraded while running", &["0x731f"], Change::PackageUpgraded),
    ("`gfx: native` configured, `refresh`", &["0x731f"], Change::Refreshed),
    ("other AMD card beside it, KFD has not numbered them", &["0x73bf", "0x731f"], Change::Nothing),
    ("the same, KFD has numbered them", &["0x73bf", "0x731f"], Change::NodesKnown),
];

/// A machine with the package from its repository and everything that the rows need.
fn machine(older: bool) -> Option<Container> {
    let made = deb::made();
    let machine = deb::machine(if older { &made.older } else { &made.repo })?.with_bind(&made.repo, "/srv/newer");
    must(Ok(machine.run(&format!(
        "{} && {} && useradd --create-home --shell /bin/bash alice && useradd --create-home bob \
         && passwd -q -d alice && {SSH_KEY} \
         && mkdir -p /etc/xdg/autostart /opt/rocm/.info && echo 6.4.2 > /opt/rocm/.info/version \
         && printf '[Desktop Entry]\\nType=Application\\nName=seen\\nExec=sh -c \"env > /tmp/autostart.new; mv /tmp/autostart.new /tmp/autostart.env\"\\n' \
            > /etc/xdg/autostart/seen.desktop \
         && echo '@reboot alice env > /tmp/cron.new && mv /tmp/cron.new /tmp/cron.env' > /etc/cron.d/seen",
        deb::SET_UP,
        deb::INSTALL
    ))));
    Some(machine)
}

/// The cell: what of ours the process saw.
fn cell(booted: &Booted, context: &str, command: &str, gone: bool) -> String {
    let output = booted.run(command);
    if context == BY_CDI && !gone && output.status.code() == Some(1) {
        assert!(output.stdout.is_empty(), "half a specification");
        return "no specification".into();
    }
    if gone && is_ours(context) {
        assert!(!output.status.success(), "{context}: the program has outlived its package");
        return "no program".into();
    }
    let seen = if [BY_FILE, BY_CDI].contains(&context) && output.status.success() {
        rocm(&in_container(context, &String::from_utf8_lossy(&output.stdout)))
    } else {
        rocm(&must(Ok(output)))
    };
    let all = expected();
    let missing: Vec<&String> = all.iter().filter(|line| !seen.contains(line)).collect();
    let more: Vec<&String> = seen.iter().filter(|line| !all.contains(line)).collect();
    match (missing.len(), more.len()) {
        (0, 0) => "all".into(),
        (n, 0) if n == all.len() => "none".into(),
        _ => {
            let name = |line: &&String| line.split('=').next().unwrap_or_default().to_owned();
            let without: Vec<String> = missing.iter().map(name).collect();
            let plus: Vec<String> = more.iter().map(|line| format!("`{line}`")).collect();
            let mut text = String::from("all");
            let _ = write!(text, " but {}", without.join(", "));
            if !plus.is_empty() {
                let _ = write!(text, ", and {}", plus.join(", "));
            }
            text
        }
    }
}

/// One column, measured on a machine that boots for it.
fn column(cards: &[&str], change: Change) -> Option<Vec<String>> {
    let mut machine = machine(matches!(change, Change::PackageUpgraded))?;
    for card in cards {
        machine = machine.with_card(card, "0xca");
    }
    machine = machine.with_kfd();
    let booted = machine.boot();
    let driver_comes = |machine: &Container| {
        machine.kfd_takes_the_cards();
        must(Ok(booted
            .run(&format!("mkdir -p /dev/dri && touch /dev/kfd /dev/dri/renderD128 /dev/dri/renderD129 && {UDEV}"))));
    };
    // One card: as on any machine, the driver comes while it boots. Beside
    // another one, that is what a column is about.
    if let ["0x731f"] = cards {
        driver_comes(&machine);
    }
    must(Ok(booted.run("systemctl start user@1000")));
    let mut gone = false;
    match change {
        Change::Nothing => {}
        Change::CardAdded => {
            machine = machine.with_card("0x731f", "0xca");
            driver_comes(&machine);
        }
        Change::CardRemoved => {
            machine.remove_cards();
            must(Ok(booted.run(UDEV)));
        }
        Change::PackageRemoved => {
            must(Ok(booted.run("DEBIAN_FRONTEND=noninteractive apt-get remove --yes rdna1-rocm-fix")));
            gone = true;
        }
        Change::PackageUpgraded => {
            must(Ok(booted.run(
                "export DEBIAN_FRONTEND=noninteractive; \
                 sed 's,/srv/repo,/srv/newer,' /srv/newer/inside.sources > /etc/apt/sources.list.d/rdna1-rocm-fix.sources \
                 && apt-get update && apt-get install --yes rdna1-rocm-fix \
                 && ! dpkg-query --show rdna1-rocm-fix | grep -F 0.0.1",
            )));
        }
        Change::NodesKnown => driver_comes(&machine),
        Change::Refreshed => {
            must(Ok(booted.run("echo 'gfx: native' > /etc/rdna1-rocm-fix/config.yaml && rdna1-rocm-fix refresh")));
        }
    }
    let cells = CONTEXTS.iter().map(|(context, command)| cell(&booted, context, command, gone)).collect();
    drop(booted);
    drop(machine);
    Some(cells)
}

#[test]
fn the_committed_table_is_what_processes_see() {
    if !engine::available() {
        return;
    }
    let mut columns = Vec::new();
    for (_, cards, change) in STATES {
        let Some(cells) = column(cards, change) else { return };
        columns.push(cells);
    }
    // What no blessing can change: the card decides.
    for ((context, _), cell) in CONTEXTS.iter().zip(&columns[0]) {
        let expected = if NEVER.contains(context) { "none" } else { "all" };
        assert_eq!(cell, expected, "card present: {context}");
    }
    assert!(columns[1].iter().all(|cell| ["none", "no specification"].contains(&cell.as_str())), "card absent");
    let mixed = |row: usize| [columns[7][row].as_str(), columns[8][row].as_str()];
    assert!(mixed(0)[0].contains("but HSA_OVERRIDE_GFX_VERSION") && !mixed(0)[0].contains('='), "before KFD's numbers");
    assert!(mixed(0)[1].contains("`HSA_OVERRIDE_GFX_VERSION_2=10.3.0`"), "with KFD's numbers");
    let mut table = Table::new(std::iter::once("process").chain(STATES.iter().map(|(heading, ..)| *heading)));
    for (row, (context, _)) in CONTEXTS.iter().enumerate() {
        table.row(std::iter::once(*context).chain(columns.iter().map(|cells| cells[row].as_str())));
    }
    table.assert_committed(&top().join("docs/channels.md"), "measured: cargo test -p rdna1-tests channels");
}
