// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask repo`: a signed apt repository of finished packages.
//!
//! Index and signatures are made by the field's own tools, `apt-ftparchive`
//! and `gpg`; what is ours is the layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;

use crate::host::output;

/// The name under which packages are pooled and keys are exported.
const NAME: &str = "rdna1-rocm-fix";

/// The one suite of the repository.
const SUITE: &str = "stable";

/// What to make a repository of.
#[derive(Debug, Args)]
pub struct RepoArgs {
    /// Packages to put in; without any, those that `cargo xtask dist` made.
    #[arg(long = "deb", value_name = "FILE")]
    pub debs: Vec<PathBuf>,
    /// The directory to make; an earlier repository there is replaced.
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

/// Makes the repository; returns its directory.
pub fn run(args: &RepoArgs) -> anyhow::Result<()> {
    let debs = if args.debs.is_empty() { finished_packages(Path::new("target/dist"))? } else { args.debs.clone() };
    let signer = Signer::new(args)?;
    // Made beside its place, so that a repository in use is whole at any time.
    let partial = args.out.with_extension("new");
    remove_tree(&partial)?;
    let apt = partial.join("apt");
    pool(&debs, &apt)?;
    index(&apt)?;
    signer.sign(&apt)?;
    remove_tree(&args.out)?;
    fs::rename(&partial, &args.out)?;
    describe(&args.out.join("apt"))
}

fn finished_packages(dist: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut debs = Vec::new();
    if let Ok(entries) = fs::read_dir(dist) {
        for entry in entries {
            debs.push(entry?.path());
        }
    }
    debs.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    debs.sort();
    ensure!(!debs.is_empty(), "there are no packages in {}; make them with: cargo xtask dist", dist.display());
    Ok(debs)
}

fn remove_tree(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn pool(debs: &[PathBuf], apt: &Path) -> anyhow::Result<()> {
    let pool = apt.join("pool/main/r").join(NAME);
    fs::create_dir_all(&pool)?;
    for deb in debs {
        let name = deb.file_name().with_context(|| format!("{} is no file", deb.display()))?;
        fs::copy(deb, pool.join(name)).with_context(|| format!("cannot copy {}", deb.display()))?;
    }
    Ok(())
}

fn index(apt: &Path) -> anyhow::Result<()> {
    let mut architectures = Vec::new();
    let listing = output(Command::new("apt-ftparchive").args(["packages", "pool"]).current_dir(apt))?;
    for line in listing.lines() {
        if let Some(architecture) = line.strip_prefix("Architecture: ") {
            architectures.push(architecture.to_owned());
        }
    }
    architectures.sort();
    architectures.dedup();
    ensure!(!architectures.is_empty(), "apt-ftparchive found no package");
    for architecture in &architectures {
        let dir = apt.join("dists").join(SUITE).join(format!("main/binary-{architecture}"));
        fs::create_dir_all(&dir)?;
        let listing =
            output(Command::new("apt-ftparchive").args(["--arch", architecture, "packages", "pool"]).current_dir(apt))?;
        fs::write(dir.join("Packages"), &listing)?;
        quiet(Command::new("gzip").args(["-9nk", "Packages"]).current_dir(&dir))?;
    }
    let option = |key: &str, value: &str| format!("APT::FTPArchive::Release::{key}={value}");
    let release = output(
        Command::new("apt-ftparchive")
            .args(["-o", &option("Origin", NAME), "-o", &option("Label", NAME)])
            .args(["-o", &option("Suite", SUITE), "-o", &option("Codename", SUITE)])
            .args(["-o", &option("Components", "main")])
            .args(["-o", &option("Architectures", &architectures.join(" "))])
            .args(["release", &format!("dists/{SUITE}")])
            .current_dir(apt),
    )?;
    fs::write(apt.join("dists").join(SUITE).join("Release"), release)?;
    Ok(())
}

/// A gpg key that signs.
struct Signer {
    home: Option<PathBuf>,
    key: Option<String>,
}

impl Signer {
    fn new(args: &RepoArgs) -> anyhow::Result<Self> {
        if args.gnupg_home.is_some() || args.key.is_some() {
            return Ok(Self { home: args.gnupg_home.clone(), key: args.key.clone() });
        }
        let home = PathBuf::from("target/repo-key");
        let signer = Self { home: Some(home.clone()), key: None };
        if !home.join("pubring.kbx").exists() {
            fs::create_dir_all(&home)?;
            fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            let user = format!("{NAME} repository of this checkout");
            quiet(signer.gpg().args(["--passphrase", "", "--quick-generate-key", &user, "ed25519", "sign", "never"]))?;
        }
        Ok(signer)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]);
        if let Some(home) = &self.home {
            gpg.arg("--homedir").arg(home);
        }
        gpg
    }

    fn sign(&self, apt: &Path) -> anyhow::Result<()> {
        let suite = apt.join("dists").join(SUITE);
        for (mode, to) in [("--clear-sign", "InRelease"), ("--detach-sign", "Release.gpg")] {
            let mut gpg = self.gpg();
            gpg.args(self.key.iter().flat_map(|key| ["--local-user", key.as_str()]));
            gpg.args(["--armor", "--digest-algo", "SHA512", mode, "--output"]).arg(suite.join(to));
            quiet(gpg.arg(suite.join("Release")))?;
        }
        let keyring = apt.join(format!("{NAME}-archive-keyring.asc"));
        let mut gpg = self.gpg();
        gpg.args(["--armor", "--output"]).arg(&keyring).arg("--export").args(&self.key);
        quiet(&mut gpg)?;
        ensure!(fs::metadata(&keyring).is_ok_and(|m| m.len() > 0), "gpg exported no public key");
        Ok(())
    }
}

#[allow(clippy::print_stdout, reason = "the answer of the command")]
fn describe(apt: &Path) -> anyhow::Result<()> {
    let apt = fs::canonicalize(apt)?;
    let place = apt.display();
    let sources = format!(
        "Types: deb\nURIs: file:{place}\nSuites: {SUITE}\nComponents: main\nSigned-By: {place}/{NAME}-archive-keyring.asc\n"
    );
    fs::write(apt.join(format!("{NAME}.sources")), sources)?;
    println!("apt repository: {place}");
    println!("use it with:    sudo cp {place}/{NAME}.sources /etc/apt/sources.list.d/");
    println!("                sudo apt update && sudo apt install {NAME}");
    Ok(())
}

/// Runs a tool for what it writes, not for what it prints.
fn quiet(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(drop)
}
