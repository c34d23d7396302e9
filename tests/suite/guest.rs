// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same as `boot`, where nothing is mounted over anything: guests of QEMU
//! whose kernel finds the card on the bus, or does not, or finds it later.
//!
//! One disk for all boots, made by apt; two guests run side by side.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdna1_tests::container::debian_root;
use rdna1_tests::guest::{Boot, Guest, Image, QEMU};
use rdna1_tests::program::top;
use rdna1_tests::tools;

use crate::boot::times::{RELOAD, Times};
use crate::boot::{CONTEXTS, SSH, SSH_KEY};
use crate::installed::{Family, deb, expected, must, rocm};

/// The service that udev starts.
const SERVICE: &str = "rdna1-rocm-fix.service";

/// A disk with the package, made once.
fn image() -> Option<&'static Image> {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    debian_root()?;
    if !tools::available(&[QEMU, "mke2fs"]) {
        return None;
    }
    Some(IMAGE.get_or_init(|| {
        let machine = deb::machine(&deb::made().repo).expect("there is a root");
        let (set_up, install) = (Family::Deb.set_up(), Family::Deb.install());
        must(Ok(machine.run(&format!(
            "{set_up} && {install} && useradd --create-home --shell /bin/bash alice && passwd -q -d alice"
        ))));
        // What a test process keeps until it ends is never dropped: the disk of the
        // last one goes now.
        let dir = top().join("target/guests");
        let _ = std::fs::remove_dir_all(&dir);
        Image::of(&machine, &dir, "with-package")
    }))
}

/// Boots, and waits until udev has nothing left to do and every job has ended.
fn booted(boot: Boot) -> Option<Guest> {
    let mut guest = boot.start(image()?);
    settle(&mut guest);
    Some(guest)
}

fn settle(guest: &mut Guest) {
    guest.run("systemctl is-system-running --wait; udevadm settle; systemctl is-system-running --wait");
}

/// Asks until the guest says yes.
fn wait_for(guest: &mut Guest, what: &str, script: &str) {
    let start = Instant::now();
    while !guest.run(script).status.success() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        sleep(Duration::from_millis(200));
    }
}

fn seen(guest: &mut Guest, command: &str) -> Vec<String> {
    rocm(&must(Ok(guest.run(command))))
}

fn assert_seen(guest: &mut Guest, expected: &[String]) {
    for (context, command) in CONTEXTS {
        assert_eq!(seen(guest, command), expected, "{context}");
    }
}

/// What alice has by the guest's own sshd, which started with the machine. The
/// key is made when it runs: the disk has nothing of the tests.
fn assert_seen_by_ssh(guest: &mut Guest, expected: &[String]) {
    must(Ok(guest.run(&format!("[ -e /root/.ssh/id_ed25519 ] || {{ {SSH_KEY}; }}"))));
    for (context, command, reached) in SSH {
        assert_eq!(seen(guest, command), if reached { expected } else { &[] }, "{context}");
    }
}

fn property(guest: &mut Guest, property: &str) -> String {
    must(Ok(guest.run(&format!("systemctl show --value --property={property} {SERVICE}")))).trim().to_owned()
}

/// Whether udev has had the service run, and it has ended well.
fn service_ran(guest: &mut Guest) -> bool {
    assert_eq!(property(guest, "Result"), "success");
    property(guest, "ExecMainExitTimestampMonotonic") != "0"
}

/// A process that shows its environment while the machine still boots.
fn probe(section: &str, service: &str, command: &str) -> String {
    format!("[Unit]\n{section}\n[Service]\nType=oneshot\nRemainAfterExit=yes\n{service}\nExecStart={command}\n")
}

/// The card is there from the start, and the machine's clock has lost its battery.
#[test]
fn with_the_card_every_process_has_the_environment_from_the_first_on() {
    let boot = Boot::default().card("1002:731f:ca").qemu(&["-rtc", "base=1970-01-01"]);
    // Before udev, which starts our service; before the service; and a login at
    // the first moment that logins are let in.
    let early = "DefaultDependencies=no\nBefore=systemd-udevd.service systemd-udev-trigger.service sysinit.target";
    let before = format!("Before={SERVICE} multi-user.target");
    let login = "After=systemd-user-sessions.service systemd-logind.service\nRequires=systemd-logind.service\nBefore=multi-user.target";
    let to = |name: &str| format!("StandardOutput=file:/run/{name}");
    let boot = boot
        .unit("seen-early.service", &probe(early, &to("seen-early"), "/bin/sh -c 'env; cat /run/rdna1-rocm-fix/env'"))
        .unit("seen-before.service", &probe(&before, &to("seen-before"), "/usr/bin/env"))
        .unit(
            "seen-login.service",
            &probe(login, &format!("{}\nPAMName=login\nUser=alice", to("seen-login")), "/bin/bash -lc env"),
        );
    let Some(mut guest) = booted(boot) else { return };

    let bus = must(Ok(guest.run("lspci -nn -d 1002:")));
    assert!(bus.contains("[1002:731f] (rev ca)") && bus.lines().count() == 1, "{bus}");
    let device = must(Ok(guest.run("udevadm info /sys/bus/pci/devices/0000:00:10.0")));
    assert!(
        device.contains("E: PCI_ID=1002:731F") && device.contains(&format!("E: SYSTEMD_WANTS={SERVICE}")),
        "{device}"
    );
    assert!(service_ran(&mut guest), "udev has not started the service");
    assert_seen(&mut guest, &expected());
    assert_seen_by_ssh(&mut guest, &expected());

    // All alike: those that were quicker than udev, and the login.
    let early = must(Ok(guest.run("cat /run/seen-early")));
    let (environment, file) =
        early.split_at(early.find("=\"").map_or(early.len(), |at| early[..at].rfind('\n').unwrap_or(0)));
    assert_eq!(rocm(environment), expected(), "a unit before udev");
    assert_eq!(rocm(&file.replace('"', "")), expected(), "the file for EnvironmentFile=, before udev");
    assert_eq!(seen(&mut guest, "cat /run/seen-before"), expected(), "a unit before the service");
    assert_eq!(seen(&mut guest, "cat /run/seen-login"), expected(), "a login during the boot");
    let when = |guest: &mut Guest, unit: &str| -> u64 {
        let script = format!("systemctl show --value --property=ExecMainStartTimestampMonotonic {unit}");
        must(Ok(guest.run(&script))).trim().parse().expect("a number of microseconds")
    };
    let service = when(&mut guest, SERVICE);
    assert!(when(&mut guest, "seen-early.service") < service, "the early unit was not early");

    // The kernel believed the clock; nothing of ours minds, and the boot is whole.
    let kernel = must(Ok(guest.run("journalctl --boot --dmesg --no-pager")));
    assert!(kernel.contains("setting system clock to 1970-01-01"), "the clock is not at 1970");
    assert_eq!(must(Ok(guest.run("systemctl --failed --no-legend"))).trim(), "", "units failed");
    let journal = must(Ok(guest.run("journalctl --boot --no-pager -p warning -t rdna1-rocm-fix -u rdna1-rocm-fix")));
    assert!(journal.trim().is_empty() || journal.contains("No entries"), "{journal}");
}

#[test]
fn a_card_that_is_plugged_in_later_is_found_and_let_go_again() {
    let Some(mut guest) = booted(Boot::default()) else { return };
    assert_seen(&mut guest, &[]);
    assert_seen_by_ssh(&mut guest, &[]);
    assert!(!service_ran(&mut guest), "the service has run without a card");
    assert_eq!(must(Ok(guest.run("ls /run | grep rdna1-rocm || true"))).trim(), "");

    let card = guest.plug("1002:731f:c1");
    wait_for(&mut guest, "the card's arrival", "test -e /run/rdna1-rocm-fix/env.sh");
    settle(&mut guest);
    assert!(service_ran(&mut guest));
    for (context, command) in CONTEXTS.iter().filter(|(context, _)| *context != "user manager") {
        assert_eq!(seen(&mut guest, command), expected(), "after the card has come: {context}");
    }
    assert_seen_by_ssh(&mut guest, &expected());

    guest.unplug(&card);
    wait_for(&mut guest, "the card's leave", "! lspci -n | grep 1002:731f && ! test -e /run/rdna1-rocm-fix/env.sh");
    settle(&mut guest);
    for (context, command) in CONTEXTS.iter().filter(|(context, _)| *context != "user manager") {
        assert_eq!(seen(&mut guest, command), [""; 0], "after the card has gone: {context}");
    }
}

#[test]
fn with_a_wrong_id_nothing_happens() {
    // Navi 21 by AMD, and Navi 10's number under another vendor.
    let Some(mut guest) = booted(Boot::default().card("1002:73bf:c1").card("1022:731f:c1")) else { return };
    let bus = must(Ok(guest.run("lspci -n")));
    assert!(bus.contains("1002:73bf") && bus.contains("1022:731f"), "{bus}");
    // As long as anybody might take.
    sleep(Duration::from_secs(5));
    settle(&mut guest);
    assert!(!service_ran(&mut guest), "the service has run for a card that is none");
    assert_seen(&mut guest, &[]);
    let wanted = must(Ok(guest.run("udevadm info --export-db | grep rdna1 || true")));
    assert_eq!(wanted.trim(), "", "udev has taken something for a card");
}

#[test]
fn two_cards_are_one_machine() {
    let boot = Boot::default().card("1002:731f:ca").card("1002:7340:c5").qemu(&Guest::REBOOTS);
    let Some(mut guest) = booted(boot) else { return };
    let found = must(Ok(guest.run("rdna1-rocm-fix detect --json")));
    assert!(found.contains("\"0x731f\"") && found.contains("\"0x7340\""), "{found}");
    assert!(service_ran(&mut guest));
    assert_seen(&mut guest, &expected());
    assert_eq!(must(Ok(guest.run("systemctl --failed --no-legend"))).trim(), "", "units failed");

    // An eGPU: an override for all GPUs would hit it too.
    let other = guest.plug("1002:73bf:c1");
    wait_for(&mut guest, "the other GPU's arrival", "! grep HSA_OVERRIDE_GFX_VERSION= /run/rdna1-rocm-fix/env");
    settle(&mut guest);
    let without: Vec<String> = expected().into_iter().filter(|line| !line.starts_with("HSA_")).collect();
    assert_eq!(seen(&mut guest, CONTEXTS[0].1), without, "beside another GPU");
    guest.unplug(&other);
    wait_for(&mut guest, "the other GPU's leave", "grep HSA_OVERRIDE_GFX_VERSION= /run/rdna1-rocm-fix/env");
    settle(&mut guest);
    assert_eq!(seen(&mut guest, CONTEXTS[0].1), expected(), "alone again");

    // The next boot finds a broken configuration. Its kernel log takes the reason,
    // and that is in the journal although there was none yet.
    must(Ok(guest.run("echo 'profile: [' > /etc/rdna1-rocm-fix/config.yaml")));
    guest.reboot();
    settle(&mut guest);
    assert_seen(&mut guest, &[]);
    let journal = must(Ok(guest.run("journalctl --boot --dmesg --no-pager")));
    let reason = "nothing is set, because /etc/rdna1-rocm-fix/config.yaml:";
    assert!(journal.lines().any(|line| line.contains("rdna1-rocm-fix") && line.contains(reason)), "{journal}");
    // And udev's service says so where administrators look first.
    let failed = must(Ok(guest.run("systemctl --failed --no-legend --plain")));
    assert!(failed.trim().starts_with(SERVICE) && failed.trim().lines().count() == 1, "{failed}");
}

/// Boots of a guest of each kind, and cards plugged in.
const BOOTS: usize = 5;

/// A time that a command in the guest prints as a number.
fn number(guest: &mut Guest, script: &str) -> u64 {
    let text = must(Ok(guest.run(script)));
    text.trim().parse().unwrap_or_else(|_| panic!("{script}: no number: {text}"))
}

/// How long a card is there before every new process has the environment: from
/// the kernel's word to udev's rules, to the start of the service, to its end.
#[derive(Default)]
struct Window([Times; 3]);

impl Window {
    fn add(&mut self, guest: &mut Guest) {
        let kernel = "journalctl --boot --dmesg --output=json --no-pager --grep='1002:731f.*class' | tail -n1 \
                      | grep -o '\"_SOURCE_MONOTONIC_TIMESTAMP\":\"[0-9]*' | grep -o '[0-9]*$'";
        let udev = "udevadm info --query=property --property=USEC_INITIALIZED --value \
                    $(dirname $(grep -lx 0x731f /sys/bus/pci/devices/*/device))";
        let service =
            |which: &str| format!("systemctl show --value --property=ExecMain{which}TimestampMonotonic {SERVICE}");
        let start = number(guest, kernel);
        for (times, end) in self.0.iter_mut().zip([udev, &service("Start"), &service("Exit")]) {
            times.add(Duration::from_micros(number(guest, end).abs_diff(start)));
        }
    }

    #[allow(clippy::print_stdout, reason = "this is what it is for")]
    fn print(&self, what: &str) {
        println!("{what}, from the kernel's word on:");
        for (times, end) in self.0.iter().zip(["udev has taken it up", "the service starts", "the service ends"]) {
            println!("  {}", times.line(end));
        }
    }
}

/// No test, as in `boot::times`: `cargo xtask bench --boots` runs it.
#[test]
#[ignore = "measures for minutes; cargo xtask bench --boots runs it"]
#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn boots_of_a_guest() {
    let Some(with) = image() else { return };
    let bare = deb::machine(&deb::made().repo).expect("there is a root");
    let without = Image::of(&bare, &top().join("target/guests"), "bare");
    let mut times: [Times; 2] = Default::default();
    let (mut at_boot, mut plugged) = (Window::default(), Window::default());
    let mut reloaded = Times::default();
    for _ in 0..BOOTS {
        for (image, times) in [&without, with].into_iter().zip(&mut times) {
            let mut guest = Boot::default().card("1002:731f:ca").start(image);
            settle(&mut guest);
            let finish = "systemctl show --value --property=FinishTimestampMonotonic";
            times.add(Duration::from_micros(number(&mut guest, finish)));
            if std::ptr::eq(image, with) {
                at_boot.add(&mut guest);
            }
        }
    }
    let mut guest = Boot::default().start(with);
    settle(&mut guest);
    for _ in 0..BOOTS {
        let card = guest.plug("1002:731f:c1");
        wait_for(&mut guest, "the card's arrival", "test -e /run/rdna1-rocm-fix/env.sh");
        settle(&mut guest);
        plugged.add(&mut guest);
        reloaded.add(Duration::from_nanos(number(&mut guest, RELOAD)));
        guest.unplug(&card);
        wait_for(&mut guest, "the card's leave", "! test -e /run/rdna1-rocm-fix/env.sh");
        settle(&mut guest);
    }
    println!("an emulated machine (QEMU without KVM), from the kernel's start to systemd's last job:");
    println!("  {}", times[0].line("without the package, with the card"));
    println!("  {}", times[1].line("with both"));
    println!("  {}", times[1].against(&times[0]));
    at_boot.print("a card that is there at boot");
    plugged.print("a card that is plugged in");
    println!("  {}", reloaded.line("for comparison, a bare reload"));
}
