// SPDX-License-Identifier: MIT OR Apache-2.0
//! `debian/` against the package that is built in process: debhelper makes the
//! same of it, member by member.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_fs::TempDir;
use rdna1_tests::program::top;
use rdna1_tests::tools;

use super::{FromSource, as_on_a_build_machine, unpacked};
use crate::installed::{must, package};

/// What may differ, and why. Everything else is equal to the last bit: names,
/// modes, owners, dates, order and contents of what is installed, the control
/// file, conffiles, sums and maintainer scripts with their modes.
const EXPLAINED: [&str; 2] = [
    "compression: dpkg-deb takes xz, we gzip, which is ten times as fast",
    "Installed-Size: dpkg-gencontrol also counts the control files that are there by then, a few KiB",
];

/// Most KiB of control files.
const CONTROL_SIZE: u64 = 16;

/// A package in pieces.
#[derive(Debug, PartialEq, Eq)]
struct Pieces {
    /// `tar`'s long listing of what is installed: mode, owner, size, date, path.
    listing: String,
    /// Every installed file.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Every file of the control archive, with its mode: the control file,
    /// conffiles, sums, maintainer scripts.
    control: BTreeMap<PathBuf, (u32, String)>,
}

fn pieces(deb: &Path) -> Pieces {
    let dir = TempDir::new().expect("a temporary directory");
    let (tree, control) = (dir.path().join("tree"), dir.path().join("control"));
    must(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&tree).output());
    must(Command::new("dpkg-deb").arg("--control").arg(deb).arg(&control).output());
    let list = "dpkg-deb --fsys-tarfile \"$1\" | tar --list --verbose --full-time --utc";
    let listing = must(Command::new("sh").args(["-ec", list, "sh"]).arg(deb).output());
    let read = |path: &Path| std::fs::read(path).expect("it was unpacked");
    let mode = |path: &Path| std::fs::metadata(path).expect("it was unpacked").permissions().mode() & 0o7777;
    let text = |path: &Path| (mode(path), String::from_utf8(read(path)).expect("control files are text"));
    Pieces {
        listing,
        files: below(&tree).map(|(name, path)| (name, read(&path))).collect(),
        control: below(&control).map(|(name, path)| (name, text(&path))).collect(),
    }
}

/// The regular files below a directory, by their names in there.
fn below(dir: &Path) -> impl Iterator<Item = (PathBuf, PathBuf)> + '_ {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.expect("it was unpacked"));
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.map(move |path| (path.strip_prefix(dir).expect("it lies below").to_owned(), path))
}

/// Asserts that a package of debhelper's is the one that is built in process.
fn compare(native: &Path) {
    let (ours, theirs) = (pieces(&package("deb")), pieces(native));
    assert!(ours.files.len() > 20, "{:?}", ours.files.keys());
    let differ = |a: &str, b: &str| a.lines().zip(b.lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a}\n{b}"));
    assert!(ours.listing == theirs.listing, "{:?}", differ(&ours.listing, &theirs.listing));
    let (own_size, own) = without_size(ours.control);
    let (their_size, their) = without_size(theirs.control);
    assert!((own_size..own_size + CONTROL_SIZE).contains(&their_size), "{own_size} KiB, {their_size} KiB");
    for (name, file) in &own {
        assert_eq!(Some(file), their.get(name), "{}", name.display());
    }
    assert_eq!(own.len(), their.len());
    for (path, bytes) in &ours.files {
        assert!(theirs.files.get(path) == Some(bytes), "{} differs", path.display());
    }
    assert_eq!(ours.files.len(), theirs.files.len());
    println!("{} control files, {} files; they differ in:", own.len(), ours.files.len());
    for what in EXPLAINED {
        println!("  {what}");
    }
}

/// The size that the control file states, in KiB, and the control archive without it.
fn without_size(mut files: BTreeMap<PathBuf, (u32, String)>) -> (u64, BTreeMap<PathBuf, (u32, String)>) {
    let (_, control) = files.get_mut(Path::new("control")).expect("a package has a control file");
    let (before, rest) = control.split_once("Installed-Size: ").expect("it states the size");
    let (size, after) = rest.split_once('\n').expect("lines end");
    let size = size.parse().expect("a number");
    *control = format!("{before}{after}");
    (size, files)
}

/// Runs dpkg-buildpackage in a source tree; returns the package.
fn dpkg_buildpackage(mut command: Command, tree: &Path) -> PathBuf {
    // Debian 12, which CI has, has no compiler that is new enough; ours is.
    command.args(["--build=binary", "--no-sign", "--no-check-builddeps"]).current_dir(tree);
    let log = must(command.output());
    assert!(!log.contains("warning: "), "{log}");
    tree.with_file_name(package("deb").file_name().expect("a package has a name"))
}

/// In the place of cargo: the programs are built, the tests have passed, and
/// what `cargo xtask install` would write is there.
const CARGO: &str = r#"#!/bin/sh
set -e
case "$1" in
build | test) ;;
run)
    while [ "$1" != --destdir ]; do shift; done
    mkdir -p "$2"
    cp -a "$RDNA1_TREE/." "$2"
    ;;
*) exit 9 ;;
esac
"#;

/// From the same files; without the compiler.
#[test]
fn debhelper_makes_the_same_package_of_the_sources() {
    if !tools::available(&["dh", "dpkg-buildpackage"]) {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let tree = dir.path().join("installed");
    must(Command::new("dpkg-deb").arg("--extract").arg(package("deb")).arg(&tree).output());
    let programs = dir.path().join("bin");
    std::fs::create_dir(&programs).expect("it is ours");
    std::fs::write(programs.join("cargo"), CARGO).expect("it is ours");
    must(Command::new("chmod").arg("755").arg(programs.join("cargo")).output());
    let source = dir.path().join("source");
    must(Command::new("cp").args(["-a", "--parents", "debian"]).arg(dir.path()).current_dir(top()).output());
    std::fs::create_dir_all(source.join("vendor/crate")).expect("it is ours");
    std::fs::rename(dir.path().join("debian"), source.join("debian")).expect("it is ours");
    // What cargo wants to find again.
    let original = source.join("vendor/crate/Cargo.toml.orig");
    std::fs::write(&original, "").expect("it is ours");
    let mut command = Command::new("dpkg-buildpackage");
    as_on_a_build_machine(&mut command, &programs);
    command.env("RDNA1_TREE", &tree);
    compare(&dpkg_buildpackage(command, &source));
    assert!(original.exists(), "debian/rules clean removes files of crates");
}

/// From the source tarball, without network.
#[test]
#[ignore = "compiles everything: cargo xtask test --only native"]
fn dpkg_buildpackage_builds_the_same_package_from_the_source_tarball() {
    let Some(source) = FromSource::new() else { return };
    if !tools::available(&["dh", "dpkg-buildpackage"]) {
        return;
    }
    let tree = unpacked(&source);
    compare(&dpkg_buildpackage(source.command("dpkg-buildpackage"), &tree));
}
