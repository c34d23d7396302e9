// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository for apt.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use rdna1_payload::Date;

use super::signer::Signer;
use super::{NAME, Plan, pool, quiet};
use crate::host::output;

/// The one suite of the repository.
const SUITE: &str = "stable";

/// Makes it of Debian packages.
pub(super) fn make(plan: Plan<'_>, apt: &Path, signer: &Signer) -> anyhow::Result<()> {
    pool(plan.debs, &apt.join("pool/main/r").join(NAME))?;
    index(apt, plan.epoch)?;
    let suite = apt.join("dists").join(SUITE);
    let release = suite.join("Release");
    signer.sign("--clear-sign", &release, &suite.join("InRelease"))?;
    signer.sign("--detach-sign", &release, &suite.join("Release.gpg"))?;
    signer.export(&apt.join(keyring()))
}

/// The name of the file with the public key.
fn keyring() -> String {
    format!("{NAME}-archive-keyring.asc")
}

fn index(apt: &Path, epoch: Option<u64>) -> anyhow::Result<()> {
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
    let mut ftparchive = Command::new("apt-ftparchive");
    if let Some(epoch) = epoch {
        ftparchive.args(["-o", &option("Date", &Date::from_epoch(epoch).rfc2822())]);
    }
    let release = output(
        ftparchive
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
pub(super) fn describe(plan: Plan<'_>, apt: &Path) -> anyhow::Result<()> {
    let apt = fs::canonicalize(apt)?;
    let place = apt.display();
    let signed_by = if plan.base_url.is_some() {
        // The key itself: who adds the source needs no further file.
        let key = fs::read_to_string(apt.join(keyring()))?;
        let line = |line: &str| if line.is_empty() { "\n .".to_owned() } else { format!("\n {line}") };
        key.trim_end().lines().map(line).collect()
    } else {
        format!(" {place}/{}", keyring())
    };
    let uri = plan.url(&apt, "apt").replace("file://", "file:");
    let sources = format!("Types: deb\nURIs: {uri}\nSuites: {SUITE}\nComponents: main\nSigned-By:{signed_by}\n");
    fs::write(apt.join(format!("{NAME}.sources")), sources)?;
    println!("apt repository: {place}");
    println!("use it with:    sudo cp {place}/{NAME}.sources /etc/apt/sources.list.d/");
    println!("                sudo apt update && sudo apt install {NAME}");
    Ok(())
}
