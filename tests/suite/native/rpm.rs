// SPDX-License-Identifier: MIT OR Apache-2.0
//! The spec file against the package that is built in process: rpmbuild makes
//! the same of it, header field by header field.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use rdna1_tests::program::{bin_dir, top, xtask};
use rdna1_tests::tools::available;

use super::FromSource;
use crate::installed::rpm::{Made, machine, made, rpmbuild, spec_with_tree, unpack};
use crate::installed::{must, package};

fn repo(made: &Made) -> PathBuf {
    made.repo.clone()
}

/// Header fields that may differ, and why. Everything else is equal: files,
/// modes, owners, kinds, sums, dates, dependencies, scriptlets, texts, changelog.
const EXPLAINED: [(&[&str], &str); 7] = [
    (&["Buildhost", "Cookie", "Rpmversion", "Platform", "Optflags"], "who built it, with what"),
    (&["Sourcepkgid", "Sourcerpm"], "built in process, it comes from no source package"),
    (
        &["Payloaddigest", "Sha1header", "Sha256header", "Sigmd5", "Sigsize", "Archivesize"],
        "sums and sizes of the archive itself",
    ),
    (&["Dirnames", "Dirindexes"], "order of a table; the paths are compared one by one"),
    (&["Classdict", "Fileclass", "Filecolors"], "what file(1) says of each file; nothing is decided by it here"),
    (
        &["Dependsdict", "Filedependsn", "Filedependsx"],
        "which file brought which dependency; the dependencies are equal",
    ),
    (&["Preunprog", "Postunprog", "Posttransprog"], "rpm takes /bin/sh where nothing is said"),
];

/// Every field of a package's header, by name.
fn header(rpm: &Path) -> BTreeMap<String, String> {
    let xml = must(Command::new("rpm").args(["--query", "--xml", "--package"]).arg(rpm).output());
    let fields = xml.split("<rpmTag name=\"").skip(1);
    fields
        .filter_map(|field| field.split_once("\">"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A line for every file, sorted.
fn files(rpm: &Path) -> Vec<String> {
    let format = "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags} \
                  %{FILEMTIMES} %{FILEDIGESTS}\n]";
    let listing = must(Command::new("rpm").args(["--query", "--queryformat", format, "--package"]).arg(rpm).output());
    let mut lines: Vec<String> = listing.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Asserts that a package of rpmbuild's is the one that is built in process:
/// the same files to the last bit, also where it compiled the programs itself.
fn compare(native: &Path) {
    let made = package("rpm");
    let (ours, theirs) = (header(&made), header(native));
    assert!(ours.len() > 40, "{ours:?}");
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differ: Vec<_> = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name)).collect();
    let explained = |name: &str| EXPLAINED.iter().find(|(names, _)| names.contains(&name));
    let value = |header: &BTreeMap<String, String>, name| header.get(name).cloned().unwrap_or_default();
    let unexplained: Vec<_> = differ.iter().filter(|name| explained(name).is_none()).collect();
    let shown = unexplained.iter().map(|name| (name, value(&ours, **name), value(&theirs, **name)));
    assert!(unexplained.is_empty(), "{:#?}", shown.collect::<Vec<_>>());
    println!("{} header fields, {} files; they differ in:", ours.len(), files(native).len());
    for (names, why) in EXPLAINED {
        let names: Vec<_> = names.iter().filter(|name| differ.iter().any(|differ| differ == *name)).copied().collect();
        if !names.is_empty() {
            println!("  {}: {why}", names.join(", "));
        }
    }
    assert_eq!(files(&made), files(native));
}

/// From the same files; without the compiler.
#[test]
fn rpmbuild_makes_the_same_package_of_the_spec_file() {
    if machine(repo).is_none() {
        return;
    }
    let dir = made().dir.join("spec");
    let tree = dir.join("tree");
    unpack(&made().rpm, &tree);
    compare(&rpmbuild(&dir, &spec_with_tree(&tree)));
}

#[test]
fn shellcheck_likes_the_scriptlets() {
    if machine(repo).is_none() || !available(&["shellcheck"]) {
        return;
    }
    for scriptlet in ["PREUN", "POSTUN", "POSTTRANS"] {
        let format = format!("%{{{scriptlet}}}\n");
        let text = must(Command::new("rpm").args(["-q", "--queryformat", &format, "-p"]).arg(&made().rpm).output());
        assert!(text.ends_with("exit 0\n"), "{scriptlet}: {text}");
        let file = made().dir.join(scriptlet);
        std::fs::write(&file, text).expect("target is writable");
        must(Command::new("shellcheck").args(["--shell=sh", "--severity=style"]).arg(file).output());
    }
}

/// Neither the time nor the builder's umask, time zone or place gets into them.
#[test]
fn packages_of_both_families_are_the_same_bytes_whoever_builds_them() {
    let dist = |name: &str, umask: &str| {
        let out = top().join("target").join(name);
        let _ = std::fs::remove_dir_all(&out);
        let mut xtask = xtask();
        xtask.args(["dist", "--packages", "--bin-dir"]).arg(bin_dir()).arg("--out").arg(&out);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]).arg(xtask.get_program());
        command.args(xtask.get_args()).current_dir(top()).env("TZ", format!("X{}", umask.trim_start_matches('0')));
        must(command.output());
        std::fs::read_to_string(out.join("SHA256SUMS")).expect("dist writes it")
    };
    let first = dist("reproducible/a", "022");
    assert_eq!(first.lines().count(), 2, "{first}");
    // The build time in packages has a resolution of one second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(dist("reproducible/b/elsewhere", "077"), first);
}

/// From the source tarball, without network.
#[test]
#[ignore = "compiles everything: cargo xtask test --only native"]
fn rpmbuild_builds_the_same_package_from_the_source_tarball() {
    let Some(source) = FromSource::new() else { return };
    if !available(&["rpm", "rpmbuild"]) {
        return;
    }
    let mut build = source.command("rpmbuild");
    build.args(["-ba", "--nodeps", "--define", "_binary_payload w9.zstdio"]);
    build.args(["--define", &format!("_topdir {}", source.dir.display())]).arg(top().join("rpm/rdna1-rocm-fix.spec"));
    must(build.output());
    let name = package("rpm").file_name().expect("a package has a name").to_owned();
    compare(&source.dir.join("RPMS/x86_64").join(name));
    assert!(source.dir.join(format!("SRPMS/rdna1-rocm-fix-{}-1.src.rpm", env!("CARGO_PKG_VERSION"))).exists());
}
