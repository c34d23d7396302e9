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
pub use signer::Signer;

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
    /// The key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Where the directory will be published [default: it is used where it lies].
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
}

/// Whose key signs.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// gpg's home directory with the signing key. Without it and --key, a test
    /// key is made below target/ and kept there for the next time.
    #[arg(long, value_name = "DIR")]
    pub gnupg_home: Option<PathBuf>,
    /// The key to sign with, as gpg names it [default: gpg's own].
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
}

/// What a repository is made of, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Debian packages.
    pub debs: &'a [PathBuf],
    /// RPM packages.
    pub rpms: &'a [PathBuf],
    /// Where it will be published; without it, it is used where it lies.
    pub base_url: Option<&'a str>,
    /// The date of the indexes, in seconds since 1970; without it, now.
    pub epoch: Option<u64>,
}

impl Plan<'_> {
    /// Where one of the repositories is read from.
    fn url(&self, dir: &Path, name: &str) -> String {
        match self.base_url {
            Some(base) => format!("{}/{name}", base.trim_end_matches('/')),
            None => format!("file://{}", dir.display()),
        }
    }
}

/// Makes the repositories, `apt/` and `rpm/`, as far as there are packages.
pub fn run(args: &RepoArgs) -> anyhow::Result<()> {
    let (mut debs, mut rpms) = (args.debs.clone(), args.rpms.clone());
    if debs.is_empty() && rpms.is_empty() {
        let dist = Path::new("target/dist");
        (debs, rpms) = (finished_packages(dist, "deb")?, finished_packages(dist, "rpm")?);
        let missing = debs.is_empty() && rpms.is_empty();
        ensure!(!missing, "there are no packages in {}; make them with: cargo xtask dist", dist.display());
        (debs, rpms) = that_can_be_indexed(debs, rpms);
        ensure!(!(debs.is_empty() && rpms.is_empty()), "no repository can be made here");
    }
    let plan = Plan { debs: &debs, rpms: &rpms, base_url: args.base_url.as_deref(), epoch: None };
    make(plan, &args.out, &Signer::new(&args.key)?)
}

/// Makes the repositories, `apt/` and `rpm/`, and says how to use them.
pub fn make(plan: Plan<'_>, out: &Path, signer: &Signer) -> anyhow::Result<()> {
    // Made beside its place, so that a repository in use is whole at any time.
    let partial = out.with_extension("new");
    remove_tree(&partial)?;
    if !plan.debs.is_empty() {
        apt::make(plan, &partial.join("apt"), signer)?;
    }
    if !plan.rpms.is_empty() {
        dnf::make(plan, &partial.join("rpm"), signer)?;
    }
    remove_tree(out)?;
    fs::rename(&partial, out)?;
    if !plan.debs.is_empty() {
        apt::describe(plan, &out.join("apt"))?;
    }
    if !plan.rpms.is_empty() {
        dnf::describe(plan, &out.join("rpm"))?;
    }
    Ok(())
}

/// The packages of those families whose tools are here: each family's own
/// machines need no tools of the other.
pub fn that_can_be_indexed(mut debs: Vec<PathBuf>, mut rpms: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    skip_without(&mut debs, &["apt-ftparchive"], "apt-utils");
    skip_without(&mut rpms, &["createrepo_c", "rpmsign"], "createrepo-c rpm");
    (debs, rpms)
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
