// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask generate`: the packaging sources that are rendered from the
//! policy and committed, and the check that they are not stale.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rdna1_payload::{Layout, names};
use walkdir::WalkDir;

use crate::artifacts::{self, Kit};
use crate::{install, notices};

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing; fail if anything is stale, missing or not generated.
    #[arg(long)]
    check: bool,
}

/// Directories in which every file is generated.
const OWNED: [&str; 4] = ["debian", "docs/schema", "nix", "rpm"];

/// What debhelper leaves in `debian/` when someone builds there.
const LEFT_BY_BUILDS: [&str; 6] = [
    "debian/rdna1-rocm-fix/",
    "debian/.debhelper/",
    "debian/cargo-home/",
    "debian/files",
    "debian/debhelper-",
    "debian/rdna1-rocm-fix.",
];

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Generated {
    executable: bool,
    bytes: Vec<u8>,
}

/// Runs the task.
pub fn run(top: &Path, args: &Args) -> anyhow::Result<()> {
    if args.check {
        return check(top);
    }
    let wanted = wanted(top)?;
    write(top, &wanted, &findings(top, &wanted)?)
}

/// Fails if a generated file is stale, missing, or not generated at all.
pub fn check(top: &Path) -> anyhow::Result<()> {
    let findings = findings(top, &wanted(top)?)?;
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(|(path, finding)| format!("  {finding}: {path}")).collect();
    bail!("generated files are not up to date; run `cargo xtask generate`\n{}", lines.join("\n"))
}

/// Every generated file, by its path in the checkout.
fn wanted(top: &Path) -> anyhow::Result<BTreeMap<String, Generated>> {
    let notices = notices::text(top)?;
    let kit = Kit::without_programs(top)?.with_notices(&notices);
    let mut wanted = BTreeMap::new();
    wanted.insert(names::NOTICES.to_owned(), Generated { executable: false, bytes: notices.into_bytes() });
    for (path, file) in rdna1_deb::sources::debian(kit.inputs(Layout::Deb))? {
        let generated = Generated { executable: file.mode & 0o100 != 0, bytes: file.text.into_bytes() };
        wanted.insert(format!("debian/{path}"), generated);
    }
    for (path, text) in rdna1_nix::sources(kit.inputs(Layout::Nix))? {
        wanted.insert(path.to_owned(), Generated { executable: false, bytes: text.into_bytes() });
    }
    for (path, text) in rdna1_rpm::sources::rpm(kit.inputs(Layout::Rpm))? {
        wanted.insert(format!("rpm/{path}"), Generated { executable: false, bytes: text.into_bytes() });
    }
    for (dir, layout) in [("debian", Layout::Deb), ("nix", Layout::Nix), ("rpm", Layout::Rpm)] {
        let generated = Generated { executable: false, bytes: manifest(&kit, layout)?.into_bytes() };
        wanted.insert(format!("{dir}/manifest"), generated);
    }
    for (name, schema) in artifacts::schemas() {
        let generated = Generated { executable: false, bytes: artifacts::pretty(&schema)?.into_bytes() };
        // Beside the file that it is about, under that file's name.
        let name = if name == names::POLICY_SCHEMA { "rdna1.schema.json" } else { name };
        wanted.insert(format!("policy/{name}"), generated);
    }
    for (name, schema) in rdna1_rocm_fix::schema::documents().into_iter().chain(rdna1_validate::schema::documents()) {
        let generated = Generated { executable: false, bytes: artifacts::pretty(&schema)?.into_bytes() };
        wanted.insert(format!("docs/schema/{name}"), generated);
    }
    Ok(wanted)
}

/// What a package installs: mode, kind, SHA-256, path. Without sums of what
/// compilers, command lines and prose decide, so that it says what the policy
/// and the templates have made.
fn manifest(kit: &Kit, layout: Layout) -> anyhow::Result<String> {
    let tree = |filler: &str| install::tree(kit.with_filler(filler).inputs(layout), "/nix/store/rdna1-rocm-fix");
    let (one, other) = (tree("one")?, tree("other")?);
    let pairs = one.entries().iter().zip(other.entries());
    let line = |(one, other): (&rdna1_payload::Entry, &rdna1_payload::Entry)| {
        let known = one.kind.is_regular() && one.bytes == other.bytes;
        let sum = if known { one.sha256() } else { "-".to_owned() };
        format!("{:04o} {:<7} {sum:<64} {}\n", one.mode, one.kind.as_str(), one.path)
    };
    let lines: String = pairs.map(line).collect();
    Ok(format!("# Written by `cargo xtask generate`: what the package installs.\n{lines}"))
}

/// What is wrong with the generated files of a checkout, by path.
fn findings(top: &Path, wanted: &BTreeMap<String, Generated>) -> anyhow::Result<BTreeMap<String, &'static str>> {
    let mut findings = BTreeMap::new();
    for (path, file) in wanted {
        let there = top.join(path);
        let finding = match fs::read(&there) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("missing"),
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            Ok(bytes) if bytes != file.bytes => Some("stale"),
            // git keeps no other permission than this one.
            Ok(_) => (is_executable(&there)? != file.executable).then_some("wrong mode"),
        };
        findings.extend(finding.map(|finding| (path.clone(), finding)));
    }
    for dir in OWNED.map(|dir| top.join(dir)).iter().filter(|dir| dir.exists()) {
        for entry in WalkDir::new(dir).sort_by_file_name() {
            let entry = entry?;
            let path = entry.path().strip_prefix(top)?.to_string_lossy().into_owned();
            if !entry.file_type().is_dir() && !wanted.contains_key(&path) && !is_left_by_build(&path) {
                findings.insert(path, "extra");
            }
        }
    }
    Ok(findings)
}

fn is_left_by_build(path: &str) -> bool {
    LEFT_BY_BUILDS.iter().any(|prefix| path.starts_with(prefix))
        // Only these of debhelper's; our own begin alike.
        && (!path.starts_with("debian/rdna1-rocm-fix.")
            || [".substvars", ".debhelper", ".debhelper.log"].iter().any(|suffix| path.ends_with(suffix)))
}

fn is_executable(path: &Path) -> anyhow::Result<bool> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(metadata.permissions().mode() & 0o100 != 0)
}

/// Brings the checkout in line; says on standard output what changed.
#[allow(clippy::print_stdout, reason = "a task for people reports what it did")]
fn write(
    top: &Path,
    wanted: &BTreeMap<String, Generated>,
    findings: &BTreeMap<String, &'static str>,
) -> anyhow::Result<()> {
    for (path, finding) in findings {
        let full: PathBuf = top.join(path);
        match wanted.get(path) {
            None => fs::remove_file(&full).with_context(|| format!("cannot remove {path}"))?,
            Some(file) => {
                let mode = if file.executable { 0o755 } else { 0o644 };
                fs::create_dir_all(full.parent().unwrap_or(top))
                    .and_then(|()| fs::write(&full, &file.bytes))
                    .and_then(|()| fs::set_permissions(&full, Permissions::from_mode(mode)))
                    .with_context(|| format!("cannot write {path}"))?;
            }
        }
        println!("{path} (was {finding})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use assert_fs::TempDir;
    use assert_fs::prelude::*;

    use super::*;

    #[test]
    fn the_committed_files_are_those_of_the_generators() {
        check(&crate::checkout::top()).expect("generated files are up to date");
    }

    #[test]
    fn stale_missing_extra_and_wrong_mode_are_told_apart() {
        let top = TempDir::new().expect("a temporary directory");
        let file = |executable| Generated { executable, bytes: b"new".to_vec() };
        let wanted = BTreeMap::from([
            ("debian/missing".to_owned(), file(false)),
            ("debian/rules".to_owned(), file(true)),
            ("debian/stale".to_owned(), file(false)),
        ]);
        for (path, text) in [
            ("debian/rules", "new"),
            ("debian/stale", "old"),
            ("debian/patches/extra", "x"),
            ("debian/rdna1-rocm-fix/usr/bin/x", "built"),
            ("debian/rdna1-rocm-fix.substvars", "built"),
        ] {
            top.child(path).write_str(text).expect("it can be written");
        }
        let found = findings(top.path(), &wanted).expect("they can be read");
        let expected = [
            ("debian/missing", "missing"),
            ("debian/patches/extra", "extra"),
            ("debian/rules", "wrong mode"),
            ("debian/stale", "stale"),
        ];
        assert_eq!(found, expected.map(|(path, finding)| (path.to_owned(), finding)).into());
        write(top.path(), &wanted, &found).expect("they can be written");
        assert!(findings(top.path(), &wanted).expect("they can be read").is_empty());
    }
}
