// SPDX-License-Identifier: MIT OR Apache-2.0
//! One card, one variable and one installed file are changed in the unpacked
//! source tarball, each at its one place. One command brings all packaging
//! sources in line, and what is built then has the change in every format.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FromSource, unpacked};
use crate::installed::must;

/// A device id that no card has.
const CARD: &str = "0x7999";

/// The entry of a card with this id and a name of its own.
const NEW_CARD: &str = "\ncards:\n  - device: \"0x7999\"\n    gfx: gfx1010\n    name: Radeon of the test\n    \
    in_libhsakmt_table: true\n    sources: [kernel-ids]\n";

/// The edits: file, what stands there, what is to stand there.
const EDITS: [(&str, &str, &str); 3] = [
    // Another card.
    ("policy/rdna1.yaml", "\ncards:\n", NEW_CARD),
    // A variable that accepts one value more.
    ("policy/rdna1.yaml", "      min: 0\n      max: 7\n", "      min: 0\n      max: 8\n"),
    // A file that is installed.
    ("crates/rdna1-payload/templates/profile.sh.hbs", "\n", "\n# Changed by the test.\n"),
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
#[ignore = "compiles everything: cargo xtask test --only native"]
fn one_edit_reaches_every_format_from_the_source_tarball() {
    let Some(source) = FromSource::new() else { return };
    let tree = unpacked(&source);
    // A target directory of its own: the others' must not see the edits, whose
    // files are as old there. It begins with what they compiled.
    let target = source.dir.join("changed-target");
    let _ = std::fs::remove_dir_all(&target);
    std::fs::create_dir(&target).expect("it is ours");
    if source.target().join("debug").is_dir() {
        must(Command::new("cp").arg("-a").arg(source.target().join("debug")).arg(&target).output());
    }
    let command = |program: &str| {
        let mut command = source.command(program);
        command.current_dir(&tree).env("CARGO_TARGET_DIR", &target);
        // The crates are the tarball's, compiled as the packages' build did.
        command.env("RUSTFLAGS", format!("--remap-path-prefix={}=/crates", tree.join("vendor").display()));
        command
    };
    let build = || {
        let mut cargo = command("cargo");
        // All together: by themselves the programs want other features of the same crates.
        cargo.args(["build", "--quiet", "--offline", "--locked", "--package", "xtask"]);
        cargo.args(packages(&tree).iter().flat_map(|package| ["--package", package]));
        must(cargo.output());
    };
    let bin_dir = target.join("debug").display().to_string();
    let xtask =
        |arguments: &[&str]| command(&format!("{bin_dir}/xtask")).args(arguments).output().expect("unshare runs");
    for (file, old, new) in EDITS {
        let path = tree.join(file);
        let text = read(&path);
        assert!(text.contains(old), "{file} has no {old:?}");
        std::fs::write(path, text.replacen(old, new, 1)).expect("it is ours");
    }
    build();
    assert!(!xtask(&["generate", "--check"]).status.success(), "nothing is stale");
    let changed = must(Ok(xtask(&["generate"])));
    for dir in ["debian/", "nix/", "rpm/"] {
        assert!(changed.contains(&format!("{dir}manifest (was stale)")), "{dir}: {changed}");
    }
    for file in ["debian/rdna1-rocm-fix.rocm-rdna1.udev", "nix/policy.nix"] {
        assert!(changed.contains(&format!("{file} (was stale)")), "{file}: {changed}");
    }
    must(Ok(xtask(&["generate", "--check"])));

    // Nothing else needs an edit: it builds, and everything has all three.
    build();
    let out = tree.join("target/changed");
    let made = out.join("packages").display().to_string();
    must(Ok(xtask(&["dist", "--packages", "--bin-dir", &bin_dir, "--out", &made])));
    let nix = out.join("nix").display().to_string();
    must(Ok(xtask(&["install", "--layout", "nix", "--bin-dir", &bin_dir, "--destdir", &nix])));
    let unpack = |command: &str, name: &str| {
        let to = out.join(name);
        std::fs::create_dir_all(&to).expect("it is ours");
        must(Command::new("sh").args(["-ec", command, "sh"]).arg(&to).current_dir(&made).output());
        to.join("usr")
    };
    let roots: [(PathBuf, PathBuf); 3] = [
        unpack("dpkg-deb --extract *.deb \"$1\"", "deb"),
        unpack("cat *.rpm | rpm2archive - | tar --extract --gzip --directory \"$1\"", "rpm"),
        PathBuf::from(&nix),
    ]
    .map(|usr| (usr.clone(), if usr.ends_with("usr") { usr.with_file_name("etc") } else { usr.join("etc") }));
    for (usr, etc) in &roots {
        assert!(read(&usr.join("lib/udev/rules.d/90-rocm-rdna1.rules")).contains(&format!("|{CARD}")), "{usr:?}");
        assert!(read(&usr.join("share/rdna1-rocm-fix/policy.yaml")).contains("      max: 8\n"), "{usr:?}");
        assert!(read(&etc.join("profile.d/rocm-rdna1.sh")).contains("# Changed by the test.\n"), "{etc:?}");
    }
    finds_the_card(&roots[0].0.join("bin/rdna1-rocm-fix"), &out.join("machine"));
    accepts_the_value(&tree);
}

/// The cargo packages that the spec file builds.
fn packages(tree: &Path) -> Vec<String> {
    let spec = read(&tree.join("rpm/rdna1-rocm-fix.spec"));
    let line = spec.lines().find(|line| line.starts_with("cargo build ")).expect("it builds").to_owned();
    line.split(" --package ").skip(1).map(str::to_owned).collect()
}

/// The program knows the card, on a machine that has one.
fn finds_the_card(program: &Path, machine: &Path) {
    let function = machine.join("sys/bus/pci/devices/0000:03:00.0");
    std::fs::create_dir_all(&function).expect("it is ours");
    for (name, value) in [("vendor", "0x1002"), ("device", CARD), ("class", "0x030000"), ("revision", "0xc1")] {
        std::fs::write(function.join(name), format!("{value}\n")).expect("it is ours");
    }
    let found = must(Command::new(program).arg("--root").arg(machine).arg("detect").output());
    assert!(found.contains("Radeon of the test"), "{found}");
}

/// The NixOS module takes the new value, and not the next.
fn accepts_the_value(tree: &Path) {
    if !super::tools::available(&["nix-instantiate"]) {
        return;
    }
    let refused = |value: u32| {
        let expression = format!(
            "(import {tree}/tests/nix/evaluate.nix {{ nixpkgs = {tree}/tests/nix/nixpkgs; modules = {{ lib }}: [ \
             {{ hardware.rdna1-rocm-fix = {{ enable = true; variables.MIOPEN_LOG_LEVEL = {value}; }}; }} ]; }}).refused",
            tree = tree.display()
        );
        let mut nix = Command::new("nix-instantiate");
        nix.env("NIX_REMOTE", "dummy://").args(["--eval", "--strict", "--json", "--expr", &expression]);
        must(nix.output())
    };
    assert_eq!(refused(8).trim(), "[]");
    assert!(refused(9).contains("MIOPEN_LOG_LEVEL"), "{}", refused(9));
}
