// SPDX-License-Identifier: MIT OR Apache-2.0
//! The repository for dnf and zypper. Both each package and the index are
//! signed: the index so that no older or other package can be slipped in, the
//! packages so that a downloaded file can be checked by itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::signer::Signer;
use super::{NAME, Plan, pool, quiet};

/// Makes it of RPM packages.
pub(super) fn make(plan: Plan<'_>, dir: &Path, signer: &Signer) -> anyhow::Result<()> {
    for package in pool(plan.rpms, &dir.join("packages"))? {
        signer.sign_rpm(&package)?;
    }
    // No databases: dnf has not read them for years.
    let mut createrepo = Command::new("createrepo_c");
    createrepo.args(["--quiet", "--no-database", "--checksum", "sha256"]);
    if let Some(epoch) = plan.epoch {
        createrepo.args(["--set-timestamp-to-revision", &format!("--revision={epoch}")]);
    }
    quiet(createrepo.arg(dir))?;
    let index = dir.join("repodata/repomd.xml");
    signer.sign("--detach-sign", &index, &dir.join("repodata/repomd.xml.asc"))?;
    signer.export(&dir.join(key_name()))
}

/// The name that the family gives to key files.
fn key_name() -> String {
    format!("RPM-GPG-KEY-{NAME}")
}

/// Writes the `.repo` file and says how to use it.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub(super) fn describe(plan: Plan<'_>, dir: &Path) -> anyhow::Result<()> {
    let dir = fs::canonicalize(dir)?;
    let (place, url) = (dir.display(), plan.url(&dir, "rpm"));
    let repo = format!(
        "[{NAME}]\nname={NAME}\nbaseurl={url}\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n\
         gpgkey={url}/{}\n",
        key_name()
    );
    fs::write(dir.join(format!("{NAME}.repo")), repo)?;
    println!("dnf repository: {place}");
    println!("use it with:    sudo cp {place}/{NAME}.repo /etc/yum.repos.d/");
    println!("                sudo dnf install {NAME}");
    Ok(())
}
