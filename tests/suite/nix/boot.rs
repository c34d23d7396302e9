// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real systemd that has the package and the module's links as NixOS would
//! lay them out, and nothing of ours below /usr. It is Debian's systemd and
//! Debian's shells: what NixOS itself does with the links is not shown here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rdna1_tests::container::{Booted, Container, debian_root};
use rdna1_tests::program::{bin_dir, top, xtask};
use serde_json::Value;

use super::{configured, enabled, nix, stand_ins};
use crate::installed::{expected, must, rocm};

/// Contexts, by the command that shows their environment.
const CONTEXTS: [(&str, &str); 5] = [
    ("system service", "systemd-run --quiet --wait --pipe env"),
    ("user manager", "systemctl start user@0 && systemctl --user --machine=root@ show-environment"),
    ("login shell, bash", "env -i HOME=/root bash --login -c env"),
    ("login shell, zsh", "env -i HOME=/root zsh --login -c env"),
    ("fish", "env -i HOME=/root TERM=dumb fish --login -c env"),
];

/// Where the machine has the package: not below /tmp or a home, which the
/// hardened unit does not see.
const STORE: &str = "/nix/store/00000000000000000000000000000000-rdna1-rocm-fix";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it lies below the root")).expect("the overlay is writable");
    fs::write(path, text).expect("the overlay is writable");
}

/// The machine that a configuration describes, with the package in a directory
/// that stands for its store path.
fn machine(nixos: &Value) -> Option<Container> {
    let out = top().join("target/nix-boot/out");
    let container = Container::new(&debian_root()?).with_bind(&out, STORE);
    let _ = fs::remove_dir_all(&out);
    let mut install = xtask();
    install
        .args(["install", "--layout", "nix", "--bin-dir"])
        .arg(bin_dir())
        .arg("--destdir")
        .arg(&out)
        .args(["--prefix", STORE]);
    must(install.output());

    let etc = container.root().join("etc");
    write(&etc.join("rdna1-rocm-fix/config.yaml"), nixos["configuration"].as_str().expect("a text"));
    let links = nixos["links"].as_object().expect("a set").iter();
    let links = links.map(|(name, target)| (name.clone(), target.as_str().expect("a text").to_owned()));
    let unit = "systemd/system/rdna1-rocm-fix.service";
    let rules = ("udev/rules.d/90-rocm-rdna1.rules", "PACKAGE/lib/udev/rules.d/90-rocm-rdna1.rules");
    let packages = [(unit.to_owned(), format!("PACKAGE/lib/{unit}")), (rules.0.to_owned(), rules.1.to_owned())];
    for (name, target) in links.chain(packages) {
        let at = etc.join(name);
        fs::create_dir_all(at.parent().expect("it lies below /etc")).expect("the overlay is writable");
        symlink(target.replace("PACKAGE", STORE), at).expect("the overlay is writable");
    }
    // Only what the module says: Debian's own files would read profile.d anyway.
    write(&etc.join("profile"), nixos["shells"]["bash"].as_str().expect("a text"));
    write(&etc.join("zsh/zprofile"), nixos["shells"]["zsh"].as_str().expect("a text"));
    Some(container)
}

fn seen(booted: &Booted, command: &str) -> Vec<String> {
    rocm(&must(Ok(booted.run(command))))
}

#[test]
fn a_booted_systemd_takes_everything_from_the_store_and_etc() {
    if !nix() {
        return;
    }
    let nixos = configured(&stand_ins()[0], &enabled("variables.MIOPEN_LOG_LEVEL = 3;")).expect("it evaluates");
    let Some(machine) = machine(&nixos) else { return };
    let booted = machine.boot();
    for (context, command) in CONTEXTS {
        assert_eq!(seen(&booted, command), [""; 0], "{context}, without the card");
    }
    drop(booted);

    let machine = machine.with_card("0x731f", "0xca");
    let booted = machine.boot();
    let mut wanted = expected();
    wanted.push("MIOPEN_LOG_LEVEL=3".into());
    wanted.sort();
    for (context, command) in CONTEXTS {
        assert_eq!(seen(&booted, command), wanted, "{context}");
    }
    // The unit that udev starts runs the program from the store.
    must(Ok(booted.run("rm -r /run/rdna1-rocm-fix && systemctl start rdna1-rocm-fix.service")));
    assert_eq!(seen(&booted, CONTEXTS[2].1), wanted, "after the unit ran");
    let failed = must(Ok(booted.run("systemctl --failed --no-legend")));
    assert_eq!(failed, "", "units failed");
    // All channels are there, though none is where a distribution has it.
    let status: Value =
        serde_json::from_slice(&booted.run(&format!("{STORE}/bin/rdna1-rocm-fix status --json")).stdout)
            .expect("status prints JSON");
    let channels = status["channels"].as_array().expect("a list");
    assert!(!channels.is_empty() && channels.iter().all(|channel| channel["state"] == "in-place"), "{channels:#?}");
}
