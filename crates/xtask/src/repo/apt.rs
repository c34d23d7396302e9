// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository for apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use super::signer::Signer;
use super::{NAME, pool, quiet};
use crate::host::output;

/// The one suite of the repository.
const SUITE: &str = "stable";

/// Makes it of Debian packages.
pub(super) fn make(debs: &[PathBuf], apt: &Path, signer: &Signer) -> anyhow::Result<()> {
    pool(debs, &apt.join("pool/main/r").join(NAME))?;
    index(apt)?;
    let suite = apt.join("dists").join(SUITE);
    let release = suite.join("Release");
    signer.sign("--clear-sign", &release, &suite.join("InRelease"))?;
    signer.sign("--detach-sign", &release, &suite.join("Release.gpg"))?;
    signer.export(&apt.join(format!("{NAME}-archive-keyring.asc")))
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

/// Writes the source entry and says how to use it.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub(super) fn describe(apt: &Path) -> anyhow::Result<()> {
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
