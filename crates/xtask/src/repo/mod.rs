// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask repo`: signed repositories of finished packages, for apt and
//! for dnf.
//!
//! Indexes and signatures are made by the field's own tools (`apt-ftparchive`,
//! `createrepo_c`, `rpmsign`, `gpg`); what is ours is the layout.

mod apt;
mod dnf;
mod signer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::host::{self, output};
use signer::Signer;

/// The name under which packages are pooled and keys are exported.
const NAME: &str = "rdna1-rocm-fix";

/// What to make repositories of.
#[derive(Debug, Args)]
pub struct RepoArgs {
    /// Debian packages to put in; without any packages, all that `cargo xtask dist` made.
    #[arg(long = "deb", value_name = "FILE")]
    pub debs: Vec<PathBuf>,
    /// RPM packages to put in; they are signed there, the files themselves stay as they are.
    #[arg(long = "rpm", value_name = "FILE")]
    pub rpms: Vec<PathBuf>,
    /// The directory to make; earlier repositories there are replaced.
    #[arg(long, value_name = "DIR", default_value = "target/repo")]
    pub out: PathBuf,
    /// gpg's home directory with the signing key; without it a key is made
    /// below target/ and kept there for the next time.
    #[arg(long, value_name = "DIR")]
    pub gnupg_home: Option<PathBuf>,
    /// The key to sign with, as gpg names it; without it, gpg's default.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// Makes the repositories, `apt/` and `rpm/`, as far as there are packages.
pub fn run(args: &RepoArgs) -> anyhow::Result<()> {
    let (mut debs, mut rpms) = (args.debs.clone(), args.rpms.clone());
    if debs.is_empty() && rpms.is_empty() {
        let dist = Path::new("target/dist");
        (debs, rpms) = (finished_packages(dist, "deb")?, finished_packages(dist, "rpm")?);
        let missing = debs.is_empty() && rpms.is_empty();
        ensure!(!missing, "there are no packages in {}; make them with: cargo xtask dist", dist.display());
        // Nobody named them: each family's own machines need no tools of the other.
        skip_without(&mut debs, &["apt-ftparchive"], "apt-utils");
        skip_without(&mut rpms, &["createrepo_c", "rpmsign"], "createrepo-c rpm");
        ensure!(!(debs.is_empty() && rpms.is_empty()), "no repository can be made here");
    }
    let signer = Signer::new(args)?;
    // Made beside its place, so that a repository in use is whole at any time.
    let partial = args.out.with_extension("new");
    remove_tree(&partial)?;
    if !debs.is_empty() {
        apt::make(&debs, &partial.join("apt"), &signer)?;
    }
    if !rpms.is_empty() {
        dnf::make(&rpms, &partial.join("rpm"), &signer)?;
    }
    remove_tree(&args.out)?;
    fs::rename(&partial, &args.out)?;
    if !debs.is_empty() {
        apt::describe(&args.out.join("apt"))?;
    }
    if !rpms.is_empty() {
        dnf::describe(&args.out.join("rpm"))?;
    }
    Ok(())
}

/// Leaves packages out, and says so, where a tool is missing.
#[allow(clippy::print_stderr, reason = "progress")]
fn skip_without(packages: &mut Vec<PathBuf>, tools: &[&str], debian_packages: &str) {
    let missing: Vec<&str> = tools.iter().copied().filter(|tool| host::find(tool).is_none()).collect();
    if !missing.is_empty() && !packages.is_empty() {
        eprintln!("left out: {} of them, for want of {}", packages.len(), missing.join(", "));
        eprintln!("  to have them: sudo apt install {debian_packages}");
        packages.clear();
    }
}

fn finished_packages(dist: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    if let Ok(entries) = fs::read_dir(dist) {
        for entry in entries {
            packages.push(entry?.path());
        }
    }
    packages.retain(|path| path.extension().is_some_and(|found| found == extension));
    packages.sort();
    Ok(packages)
}

fn remove_tree(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Copies packages into a directory of the repository; returns their places.
fn pool(packages: &[PathBuf], dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let copy = |package: &PathBuf| {
        let to = dir.join(package.file_name().with_context(|| format!("{} is no file", package.display()))?);
        fs::copy(package, &to).with_context(|| format!("cannot copy {}", package.display()))?;
        Ok(to)
    };
    packages.iter().map(copy).collect()
}

/// Runs a tool for what it writes, not for what it prints.
fn quiet(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}
