// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packages of all families from built programs, beside the distributions'
//! tools and beside cargo's packagers, each on the same trees.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use rdna1_payload::{EntryKind, Layout, NAME, Payload};

use super::{Bench, Row};
use crate::artifacts::Kit;
use crate::{dist, host, install};

/// A peer's two commands, one for each family.
struct Peers {
    deb: Command,
    rpm: Command,
}

impl Bench {
    pub(super) fn packages(&self) -> anyhow::Result<Vec<Row>> {
        let products = dist::products(&self.top, &self.bin_dir)?;
        let product = |extension: &str| {
            let found = products.iter().find(|product| product.file_name.ends_with(extension));
            found.with_context(|| format!("dist makes no {extension}"))
        };
        let (deb, rpm) = (product(".deb")?, product(".rpm")?);
        let ours = self.median(|| {
            black_box(dist::products(&self.top, &self.bin_dir)?);
            let kit = Kit::with_programs(&self.top, &self.bin_dir)?;
            black_box(rdna1_nix::sources(kit.inputs(Layout::Nix))?);
            Ok(())
        })?;
        let own = self.peak_memory(&self.ourselves()?)?;
        let (deb_tree, rpm_tree) = (self.dir.join("deb-tree"), self.dir.join("rpm-tree"));
        install::write(&deb.payload, &deb_tree)?;
        install::write(&rpm.payload, &rpm_tree)?;
        let cargos = self.cargo_packagers((&deb.payload, &deb_tree), (&rpm.payload, &rpm_tree))?;
        let distributions = self.distributions(deb, &deb_tree, &rpm_tree)?;
        let mut rows = Vec::new();
        for (name, peers, goal) in [
            ("dpkg-deb + rpmbuild", distributions, "5x (all formats < 300 ms)"),
            ("cargo-deb + cargo-generate-rpm", cargos, ""),
        ] {
            let time = self.time(&peers.deb)? + self.time(&peers.rpm)?;
            let what = format!("deb ({} kB), rpm ({} kB), Nix sources", deb.bytes.len() / 1000, rpm.bytes.len() / 1000);
            rows.push(self.row(what, ours, (name, time), goal));
            let peak = self.peak_memory(&peers.deb)?.max(self.peak_memory(&peers.rpm)?);
            rows.push(Self::memory_row("  the packages, peak memory", own, (name, peak), ""));
        }
        Ok(rows)
    }

    /// This program, as it makes packages from built programs.
    fn ourselves(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["dist", "--packages", "--bin-dir"]).arg(&self.bin_dir);
        command.arg("--out").arg(self.dir.join("ours")).current_dir(&self.top);
        Ok(command)
    }

    /// The median time of a command that can be repeated.
    fn time(&self, command: &Command) -> anyhow::Result<Duration> {
        self.command(|| {
            let mut again = Command::new(command.get_program());
            again.args(command.get_args());
            if let Some(dir) = command.get_current_dir() {
                again.current_dir(dir);
            }
            again
        })
    }

    /// dpkg-deb with our control files, and rpmbuild with the committed spec
    /// file, whose own build steps give way to a copy of the tree.
    fn distributions(&self, deb: &dist::Product, deb_tree: &Path, rpm_tree: &Path) -> anyhow::Result<Peers> {
        let file = self.dir.join("ours.deb");
        fs::write(&file, &deb.bytes)?;
        // A copy: the other peer's tree has no control files.
        let tree = self.dir.join("dpkg-tree");
        host::run_tool(Command::new("cp").arg("--archive").arg(deb_tree).arg(&tree))?;
        host::run_tool(Command::new("dpkg-deb").arg("--control").arg(&file).arg(tree.join("DEBIAN")))?;
        let mut deb = Command::new("dpkg-deb");
        deb.args(["--root-owner-group", "--build"]).arg(&tree).arg(self.dir.join("peer.deb"));
        let spec = fs::read_to_string(self.top.join("rpm/rdna1-rocm-fix.spec"))?;
        let (head, rest) = spec.split_once("%prep\n").context("the spec file has no %prep")?;
        let (_, tail) = rest.split_once("%preun\n").context("the spec file has no %preun")?;
        let file = self.dir.join("bench.spec");
        fs::write(&file, format!("{head}%install\ncp -a {}/. %{{buildroot}}\n\n%preun\n{tail}", rpm_tree.display()))?;
        let mut rpm = Command::new("rpmbuild");
        rpm.args(["-bb", "--quiet", "--nodeps", "--define"]);
        rpm.arg(format!("_topdir {}", self.dir.join("rpmbuild").display()));
        // The same compression, so that not the compressors are compared.
        rpm.args(["--define", "_binary_payload w9.zstdio"]).arg(file);
        Ok(Peers { deb, rpm })
    }

    /// The two packagers that Rust projects use, each with a manifest that names
    /// the same files, modes and configuration files.
    fn cargo_packagers(&self, deb: (&Payload, &Path), rpm: (&Payload, &Path)) -> anyhow::Result<Peers> {
        let project = self.dir.join("cargo-project");
        fs::create_dir_all(project.join("src"))?;
        fs::write(project.join("src/main.rs"), "fn main() {}\n")?;
        let mut manifest = format!(
            "[package]\nname = {NAME:?}\nversion = \"0.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\n\
             description = \"a peer\"\nauthors = [\"a peer <peer@example.org>\"]\n\n[workspace]\n\n\
             [package.metadata.deb]\ndepends = \"\"\nassets = [\n"
        );
        for (path, source, mode) in files(deb) {
            writeln!(manifest, "  [{source:?}, {path:?}, \"{mode:o}\"],")?;
        }
        manifest += "]\nconf-files = [";
        for entry in deb.0.of_kind(EntryKind::Config) {
            write!(manifest, "{:?}, ", entry.path)?;
        }
        manifest += "]\n\n[package.metadata.generate-rpm]\nassets = [\n";
        for (path, source, mode) in files(rpm) {
            let is_config = rpm.0.get(&path).is_some_and(|entry| entry.kind == EntryKind::Config);
            let config = if is_config { ", config = \"noreplace\"" } else { "" };
            writeln!(manifest, "  {{ source = {source:?}, dest = {path:?}, mode = \"{mode:o}\"{config} }},")?;
        }
        fs::write(project.join("Cargo.toml"), manifest + "]\n")?;
        let mut deb = Command::new(host::cargo_tool(&self.top, "cargo-deb")?);
        deb.args(["--no-build", "--no-strip", "--quiet", "--output"]).arg(self.dir.join("cargo.deb"));
        let mut rpm = Command::new(host::cargo_tool(&self.top, "cargo-generate-rpm")?);
        rpm.args(["--auto-req", "disabled", "--payload-compress", "zstd", "--output"]).arg(self.dir.join("cargo.rpm"));
        deb.current_dir(&project);
        rpm.current_dir(&project);
        Ok(Peers { deb, rpm })
    }

    pub(super) fn installed_size(&self) -> anyhow::Result<Row> {
        let products = dist::products(&self.top, &self.bin_dir)?;
        let product = products.first().context("dist makes at least one package")?;
        let bytes: usize = product.payload.entries().iter().map(|entry| entry.bytes.len()).sum();
        let ours = format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        Ok(Row { what: "installed size".into(), ours, peer: String::new(), ratio: None, goal: "under 12 MiB" })
    }
}

/// Path, place in the tree and mode of each regular file.
fn files((payload, tree): (&Payload, &Path)) -> Vec<(String, PathBuf, u32)> {
    let regular = payload.entries().iter().filter(|entry| entry.kind.is_regular());
    regular.map(|entry| (entry.path.clone(), tree.join(entry.path.trim_start_matches('/')), entry.mode)).collect()
}
