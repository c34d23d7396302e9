// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package in the hands of the real apt and dpkg of Debian 13.

#![allow(clippy::print_stdout, reason = "the transcripts of apt and lintian are worth reading")]

use std::path::Path;
use std::process::Command;

use rdna1_tests::container::debian_root;

use crate::installed::{INSTALL, SET_UP, both, expected, machine, made, must, new_key, repository, rocm};

const LOGIN: &str = "env -i HOME=/root sh -lc env";
const GENERATOR: &str = "env -i /usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix";

#[test]
fn apt_installs_by_name_and_only_the_card_changes_anything() {
    let Some(without) = machine(&made().repo) else { return };
    let log = must(Ok(without.run(&format!("{SET_UP} && {INSTALL}"))));
    println!("{log}");
    assert!(!log.contains("cannot be authenticated") && !log.contains("not signed"), "{log}");
    assert!(log.contains("Setting up rdna1-rocm-fix"), "{log}");
    assert_eq!(rocm(&must(Ok(without.run(LOGIN)))), [""; 0]);
    assert_eq!(must(Ok(without.run(GENERATOR))), "");
    assert_eq!(must(Ok(without.run("ls /run | grep rdna1 || true"))), "", "no card, no file below /run");

    let Some(with) = machine(&made().repo) else { return };
    let with = with.with_card("0x731f", "0xca");
    must(Ok(with.run(&format!("{SET_UP} && {INSTALL}"))));
    // /run of a container is new at every start, as at a boot: the generator fills it.
    let listing = must(Ok(with.run(&format!("{GENERATOR} > /root/printed && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
    let printed = must(Ok(with.run("set -a; . /root/printed; env")));
    assert_eq!(rocm(&printed), expected());
    let status = must(Ok(with.run(&format!("{GENERATOR} >/dev/null; rdna1-rocm-fix status"))));
    assert!(status.contains("Radeon RX 5600 XT"), "{status}");
}

#[test]
fn installing_takes_effect_at_once() {
    let Some(machine) = machine(&made().repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    // Installation and login in one start of the container, as /run is lost in between.
    let listing = must(Ok(machine.run(&format!("{{ {SET_UP} && {INSTALL}; }} >/dev/null 2>&1 && {LOGIN}"))));
    assert_eq!(rocm(&listing), expected());
}

#[test]
fn a_tampered_package_and_a_wrong_key_are_refused() {
    let Some(_) = debian_root() else { return };
    let copy = |name: &str| {
        let to = made().dir.join(name);
        must(Command::new("cp").arg("-a").arg(&made().repo).arg(&to).output());
        to
    };
    let refused = |repo: &Path, script: &str, why: &str| {
        let machine = machine(repo).expect("checked above");
        let output = machine.run(script);
        assert!(!output.status.success(), "accepted:\n{}", both(&output));
        assert!(both(&output).contains(why), "{}", both(&output));
        let present = must(Ok(machine.run("ls /usr/bin/rdna1-rocm-fix 2>&1 || true")));
        assert!(present.contains("No such file"), "{present}");
    };
    let whole = format!("{SET_UP} && {INSTALL}");

    let package = copy("tampered-package");
    let deb = package.join("pool/main/r/rdna1-rocm-fix").join(made().deb.file_name().expect("a package has a name"));
    let mut bytes = std::fs::read(&deb).expect("it was copied");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&deb, bytes).expect("it is our copy");
    refused(&package, &whole, "Hash Sum mismatch");

    let index = copy("tampered-index");
    let packages = index.join("dists/stable/main/binary-amd64/Packages");
    let text = std::fs::read_to_string(&packages).expect("it was copied").replace("Version: ", "Version: 9");
    std::fs::write(&packages, text).expect("it is our copy");
    must(Command::new("gzip").args(["-9nkf"]).arg(&packages).output());
    refused(&index, &whole, "Hash Sum mismatch");

    let release = copy("tampered-release");
    let signed = release.join("dists/stable/InRelease");
    let text = std::fs::read_to_string(&signed).expect("it was copied").replace("Label: rdna1", "Label: rdna2");
    std::fs::write(signed, text).expect("it is our copy");
    refused(&release, &whole, "is not signed");

    let other = new_key(&made().dir.join("other-key"));
    let wrong = repository(&made().dir.join("wrong-key"), &made().deb, &other);
    let right = made().repo.join("rdna1-rocm-fix-archive-keyring.asc");
    std::fs::copy(right, wrong.join("rdna1-rocm-fix-archive-keyring.asc")).expect("it is ours");
    refused(&wrong, &whole, "is not signed");
}

#[test]
fn an_upgrade_keeps_what_the_administrator_changed() {
    let Some(machine) = machine(&made().older) else { return };
    let machine = machine.with_card("0x731f", "0xca").with_bind(&made().repo, "/srv/newer");
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    let version = "dpkg-query --show --showformat '${Version}' rdna1-rocm-fix";
    assert_eq!(must(Ok(machine.run(version))), "0.0.1");
    must(Ok(machine.run("echo 'profile: gemm-naive' >> /etc/rdna1-rocm-fix/config.yaml")));
    let upgrade = "sed -i s,/srv/repo,/srv/newer, /etc/apt/sources.list.d/rdna1-rocm-fix.sources && apt-get update \
                   && apt-get install --yes --only-upgrade -o Dpkg::Options::=--force-confold rdna1-rocm-fix";
    let listing = must(Ok(machine.run(&format!("{{ {upgrade}; }} >/dev/null 2>&1 && {LOGIN}"))));
    assert_ne!(must(Ok(machine.run(version))), "0.0.1");
    let config = must(Ok(machine.run("cat /etc/rdna1-rocm-fix/config.yaml")));
    assert!(config.contains("profile: gemm-naive") && config.contains("as an older release"), "{config}");
    assert!(rocm(&listing).iter().any(|line| line.contains("DIRECT_OCL")), "{listing}");
    assert!(!rocm(&listing).contains(&"MIOPEN_DEBUG_CONV_DIRECT=0".into()), "{listing}");
}

#[test]
fn an_upgrade_renews_what_nobody_changed() {
    let Some(machine) = machine(&made().older) else { return };
    let machine = machine.with_bind(&made().repo, "/srv/newer");
    must(Ok(machine.run(&format!("{SET_UP} && {INSTALL}"))));
    let upgrade = "sed -i s,/srv/repo,/srv/newer, /etc/apt/sources.list.d/rdna1-rocm-fix.sources && apt-get update \
                   && apt-get install --yes rdna1-rocm-fix";
    must(Ok(machine.run(upgrade)));
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
    let purge = machine.run("apt-get purge --yes rdna1-rocm-fix && find /run /etc /var/lib -xdev -name '*rdna1*' -not -path '/var/lib/dpkg/*' -not -path '/var/lib/apt/*'");
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
fn a_broken_configuration_fails_no_installation_and_sets_nothing() {
    let Some(machine) = machine(&made().repo) else { return };
    let machine = machine.with_card("0x731f", "0xca");
    must(Ok(machine.run(SET_UP)));
    must(Ok(machine
        .run("mkdir -p /etc/rdna1-rocm-fix/config.d && echo 'profil: gemm' > /etc/rdna1-rocm-fix/config.d/10.yaml")));
    let text = must(Ok(machine.run(&format!("{INSTALL} && {LOGIN}"))));
    assert_eq!(rocm(&text), [""; 0], "{text}");
    let status = machine.run("rdna1-rocm-fix status");
    assert_eq!(status.status.code(), Some(1));
    let page = both(&status);
    assert!(page.contains("/etc/rdna1-rocm-fix/config.d/10.yaml:1") && page.contains("profil"), "{page}");
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
