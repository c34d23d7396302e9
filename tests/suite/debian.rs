// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package in the hands of the real apt and dpkg of Debian 13.

#![allow(clippy::print_stdout, reason = "the transcript of lintian is worth reading")]

mod freshness;
mod refused;

use crate::installed::deb::{INSTALL, NEWER, SET_UP, VERSION, machine, made};
use crate::installed::{Family, LOGIN, both, expected, must, rocm};

#[test]
fn an_upgrade_keeps_what_the_administrator_changed() {
    let Some(machine) = Family::Deb.older_machine() else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    assert_eq!(must(Ok(machine.run(VERSION))), "0.0.1");
    must(Ok(machine.run("echo 'profile: gemm-naive' >> /etc/rdna1-rocm-fix/config.yaml")));
    let upgrade =
        format!("{NEWER} && apt-get install --yes --only-upgrade -o Dpkg::Options::=--force-confold rdna1-rocm-fix");
    let listing = must(Ok(machine.run(&format!("{{ {upgrade}; }} >/dev/null 2>&1 && {LOGIN}"))));
    assert_ne!(must(Ok(machine.run(VERSION))), "0.0.1");
    let config = must(Ok(machine.run("cat /etc/rdna1-rocm-fix/config.yaml")));
    assert!(config.contains("profile: gemm-naive") && config.contains("as an older release"), "{config}");
    assert!(rocm(&listing).iter().any(|line| line.contains("DIRECT_OCL")), "{listing}");
    assert!(!rocm(&listing).contains(&"MIOPEN_DEBUG_CONV_DIRECT=0".into()), "{listing}");
}

#[test]
fn an_upgrade_renews_what_nobody_changed() {
    let Some(machine) = Family::Deb.older_machine() else { return };
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    must(Ok(machine.run(&format!("{NEWER} && {INSTALL}"))));
    let config = must(Ok(machine.run("cat /etc/rdna1-rocm-fix/config.yaml")));
    assert!(!config.contains("as an older release"), "{config}");
}

#[test]
fn removal_ends_all_effect_at_once_and_purge_leaves_not_one_file() {
    let Some(machine) = machine(&made().repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    let list = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
                -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log \\) -prune -o -print | sort";
    let before = must(Ok(machine.run(list)));
    // All in one start, so that /run is the same and what removal does to it shows.
    let script = format!(
        "{INSTALL} >/dev/null 2>&1 && {LOGIN} | grep -c MIOPEN_ && echo 'extra: file' > /etc/rdna1-rocm-fix/config.d/90-mine.yaml \
         && apt-get remove --yes rdna1-rocm-fix >/dev/null 2>&1 && ls /etc/profile.d/rocm-rdna1.sh \
         && {{ {LOGIN} | grep -c MIOPEN_ || true; }} && ls -d /run/rdna1-rocm-fix 2>&1 || true"
    );
    let text = must(Ok(machine.run(&script)));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["7", "/etc/profile.d/rocm-rdna1.sh", "0"], "{text}");
    assert!(lines[3].contains("No such file"), "{text}");
    // As `rdna1-validate isa` and `select` leave them.
    must(Ok(machine.run(
        "for file in cache/rdna1-rocm-fix/isa/0.json lib/rdna1-rocm-fix/selection.json; do install -D /dev/null /var/$file; done",
    )));
    let purge = machine.run("apt-get purge --yes rdna1-rocm-fix && find /run /etc /var/lib /var/cache -xdev -name '*rdna1*' -not -path '/var/lib/dpkg/*' -not -path '/var/lib/apt/*' -not -path '/var/cache/apt/*'");
    let left = must(Ok(purge));
    let left: Vec<&str> = left.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(left, ["/etc/apt/sources.list.d/rdna1-rocm-fix.sources"]);
    assert_eq!(must(Ok(machine.run(list))), before, "files differ after purge");
}

#[test]
fn the_package_installs_where_systemd_and_udev_are_not() {
    let Some(machine) = machine(&made().repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    // As in a minimal chroot: the programs are not even there.
    let script = format!(
        "rm -f /usr/bin/systemctl /usr/bin/udevadm /usr/bin/timeout && {INSTALL} && {LOGIN} \
         && apt-get install --yes --reinstall rdna1-rocm-fix && apt-get purge --yes rdna1-rocm-fix"
    );
    let text = must(Ok(machine.run(&script)));
    assert_eq!(rocm(&text), expected(), "{text}");
    for bad in ["error processing", "not found", "warning:"] {
        assert!(!text.contains(bad), "{bad}:\n{text}");
    }
}

#[test]
fn lintian_has_nothing_to_say() {
    let Some(machine) = machine(&made().repo) else { return };
    let machine = machine.with_bind(made().deb.parent().expect("a file lies in a directory"), "/srv/dist");
    let name = made().deb.file_name().expect("a package has a name").to_string_lossy().into_owned();
    let output = machine.run(&format!(
        "lintian --version && lintian --fail-on error,warning,info --display-info --pedantic --show-overrides --tag-display-limit 0 /srv/dist/{name}"
    ));
    println!("{}", both(&output));
    assert!(output.status.success(), "{}", both(&output));
    let said = both(&output);
    let told: Vec<&str> =
        said.lines().filter(|line| ["E:", "W:", "I:", "P:"].iter().any(|p| line.starts_with(p))).collect();
    assert!(told.is_empty(), "{told:#?}");
}
