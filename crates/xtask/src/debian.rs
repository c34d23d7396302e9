// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Debian 13 root for the tests, from the machine's own apt mirror.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::host::{output, run_tool};

/// The release under test.
const RELEASE: &str = "trixie";

/// What the root has besides the minimum: a bootable systemd, the shells whose
/// users we reach, Debian's own checker, and the other family's package manager
/// and checker.
const PACKAGES: &[&str] = &[
    "cron",
    "csh",
    "openssh-server",
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "dbus-user-session",
    "dnf",
    "fish",
    "libpam-systemd",
    "lintian",
    // For guests of QEMU; containers do not look at it.
    "linux-image-cloud-amd64",
    "man-db",
    "pciutils",
    "rpm",
    "rpmlint",
    "sudo",
    "tcsh",
    "zsh",
];

/// What the root of the validator and the engine has besides the minimum; the last is
/// for PyTorch's own tests. It is a root of its own, because a gigabyte more would slow
/// down every test that walks through the other.
const TORCH: &[&str] = &["python3-torch", "python3-torchvision", "python3-setuptools"];

/// Makes the root below `target/`, or takes the one that is there; returns its path.
pub fn root(top: &Path) -> anyhow::Result<PathBuf> {
    make(top, "debian-root", PACKAGES)
}

/// As [`root`], the one with the release's PyTorch.
pub fn torch_root(top: &Path) -> anyhow::Result<PathBuf> {
    make(top, "debian-torch-root", TORCH)
}

fn make(top: &Path, name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let dir = top.join("target").join(name);
    let recipe = format!("{RELEASE} {}\n", packages.join(" "));
    let stamp = top.join("target").join(format!("{name}.recipe"));
    if dir.is_dir() && fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(dir);
    }
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
        _ => {}
    }
    let mirror = mirror()?;
    run_tool(
        Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", &format!("--include={}", packages.join(",")), RELEASE])
            .arg(&dir)
            .arg(&mirror),
    )
    .context("cannot make a Debian root")?;
    fs::write(stamp, recipe)?;
    Ok(dir)
}

/// The address from which this machine's apt takes Debian's main archive.
fn mirror() -> anyhow::Result<String> {
    let format = "$(CODENAME) $(COMPONENT) $(ORIGIN) $(REPO_URI)";
    let targets = output(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let mirror = targets.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            [name, "main", "Debian", uri] if name == codename => Some(uri.to_owned()),
            _ => None,
        }
    });
    ensure!(mirror.is_some(), "apt knows no Debian archive: is this Debian, and has `apt-get update` run?");
    mirror.context("just checked")
}
