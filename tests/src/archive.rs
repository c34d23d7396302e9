// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packages of Debian's archive, as material to test on.
//!
//! They are fetched by apt itself from the mirror that this machine uses, into a
//! root of their own, so that nothing is installed and the machine's lists and
//! configuration stay as they are. apt verifies the signatures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::program::top;
use crate::tools;

/// Debian's keys, as package debian-archive-keyring installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The directory into which a package of a release was unpacked; fetched on
/// first use and kept below `target/`. `None`, with a report, where it cannot be had.
///
/// # Panics
/// As [`tools::skip`].
pub fn unpacked(release: &str, package: &str) -> Option<PathBuf> {
    if !tools::available(&["apt-get", "dpkg-deb"]) {
        return None;
    }
    let dir = top().join("target/debian-packages").join(release);
    let done = dir.join(package);
    // Tests run at once; the first one fetches.
    static FETCHING: Mutex<()> = Mutex::new(());
    let _lock = FETCHING.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(&dir).expect("target is writable");
    if done.is_dir() {
        return Some(done);
    }
    match fetch(&dir, release, package) {
        Ok(deb) => {
            let partial = dir.join(format!("{package}.partial"));
            let _ = std::fs::remove_dir_all(&partial);
            let status = Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&partial).status();
            assert!(status.is_ok_and(|status| status.success()), "{} does not unpack", deb.display());
            std::fs::write(partial.join("VERSION"), version(&deb)).expect("target is writable");
            std::fs::remove_file(deb).expect("it is ours");
            std::fs::rename(&partial, &done).expect("it is ours");
            Some(done)
        }
        Err(why) => {
            tools::skip(&format!("{package} of Debian {release} cannot be fetched: {why}"));
            None
        }
    }
}

/// A source package's upstream tarball, likewise. `None`, with a report, where it
/// cannot be had.
///
/// # Panics
/// As [`tools::skip`].
pub fn source(release: &str, package: &str) -> Option<PathBuf> {
    if !tools::available(&["apt-get"]) {
        return None;
    }
    let dir = top().join("target/debian-sources").join(release).join(package);
    std::fs::create_dir_all(&dir).expect("target is writable");
    let tarball = || {
        let entries = std::fs::read_dir(&dir).ok()?;
        let mut names = entries.flatten().map(|entry| entry.path());
        names.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".orig.tar.")))
    };
    if let Some(done) = tarball() {
        return Some(done);
    }
    let fetched = root(&dir, "deb-src", release).and_then(|root| {
        apt(&root, &dir, &["update"])?;
        apt(&root, &dir, &["source", "--download-only", "--tar-only", package])
    });
    if let Err(why) = fetched {
        tools::skip(&format!("the source of {package} of Debian {release} cannot be fetched: {why}"));
    }
    tarball()
}

fn version(deb: &Path) -> String {
    let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('_').nth(1).unwrap_or_default().to_owned()
}

/// A root of apt's own, for one release.
fn root(dir: &Path, kind: &str, release: &str) -> Result<PathBuf, String> {
    let root = dir.join("apt");
    for sub in ["lists/partial", "cache/archives/partial", "etc", "state"] {
        std::fs::create_dir_all(root.join(sub)).map_err(|error| error.to_string())?;
    }
    let sources = format!("{kind} [signed-by={KEYRING}] {} {release} main\n", mirror()?);
    let write = |path: &str, text: &str| std::fs::write(root.join(path), text).map_err(|error| error.to_string());
    write("etc/sources.list", &sources)?;
    write("state/status", "")?;
    Ok(root)
}

fn fetch(dir: &Path, release: &str, package: &str) -> Result<PathBuf, String> {
    let root = root(dir, "deb", release)?;
    apt(&root, dir, &["update"])?;
    apt(&root, dir, &["download", package])?;
    let start = format!("{package}_");
    let entries = std::fs::read_dir(dir).map_err(|error| error.to_string())?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&start) && name.ends_with(".deb")
        })
        .ok_or_else(|| "apt left no file".to_owned())
}

fn apt(root: &Path, dir: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.current_dir(dir).env("LC_ALL", "C.UTF-8").arg("-qq");
    for (option, path) in [
        ("Dir::Etc::sourcelist", "etc/sources.list"),
        ("Dir::Etc::sourceparts", "etc/none"),
        ("Dir::State::lists", "lists"),
        ("Dir::State::status", "state/status"),
        ("Dir::Cache", "cache"),
    ] {
        command.arg("-o").arg(format!("{option}={}", root.join(path).display()));
    }
    // What is fetched here is material; how old the index may be does not matter,
    // and a mirror's copy of unstable can be older than its date of expiry.
    command.args(["-o", "Acquire::Languages=none", "-o", "Acquire::Check-Valid-Until=false"]);
    // The sandbox user cannot write below a checkout in someone's home.
    command.args(["-o", "APT::Sandbox::User=root"]).args(arguments);
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// The address from which this machine's apt takes Debian's main archive.
fn mirror() -> Result<String, String> {
    let mut command = Command::new("apt-get");
    let format = "$(COMPONENT) $(ORIGIN) $(LABEL) $(REPO_URI)";
    command.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("main Debian Debian "));
    line.map(str::to_owned).ok_or_else(|| "apt knows no Debian archive, or `apt-get update` has not run".to_owned())
}
