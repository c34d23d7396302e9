// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian machines and what apt installs on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rdna1_tests::container::{Container, debian_root};
use rdna1_tests::program::xtask;

use super::{REPO, fresh_dir, must, new_key, package};

/// Makes the repository known to apt.
pub const SET_UP: &str = "cp /srv/repo/inside.sources /etc/apt/sources.list.d/rdna1-rocm-fix.sources && apt-get update";

/// Installs the package by its name.
pub const INSTALL: &str = "apt-get install --yes rdna1-rocm-fix";

/// Takes the newer repository in place of the older one.
pub const NEWER: &str =
    "sed -i s,/srv/repo,/srv/newer, /etc/apt/sources.list.d/rdna1-rocm-fix.sources && apt-get update";

/// Prints the version that is there.
pub const VERSION: &str = "dpkg-query --show --showformat '${Version}' rdna1-rocm-fix";

/// Packages and repositories, made once for all tests.
pub struct Made {
    /// The package under test.
    pub deb: PathBuf,
    /// A repository with it.
    pub repo: PathBuf,
    /// A repository with an older version of it.
    pub older: PathBuf,
    /// The home of the key that signed both.
    pub key: PathBuf,
    /// Where they lie.
    pub dir: PathBuf,
}

pub fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = fresh_dir("debian-test");
        let deb = package("deb");
        let key = new_key(&dir.join("key"));
        let repo = repository(&dir.join("repo"), &deb, &key);
        let older = repository(&dir.join("older"), &older_package(&dir, &deb), &key);
        Made { deb, repo, older, key, dir }
    })
}

/// The same package under a smaller version number, with another default
/// configuration: what an upgrade starts from.
fn older_package(dir: &Path, deb: &Path) -> PathBuf {
    let tree = dir.join("older-tree");
    must(Command::new("dpkg-deb").arg("--raw-extract").arg(deb).arg(&tree).output());
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).expect("a package has a control file");
    let older: String = text
        .lines()
        .map(|line| if line.starts_with("Version: ") { "Version: 0.0.1\n".into() } else { format!("{line}\n") })
        .collect();
    assert_ne!(older, text, "the control file has a version");
    std::fs::write(control, older).expect("it is our copy");
    let config = tree.join("etc/rdna1-rocm-fix/config.yaml");
    let text = std::fs::read_to_string(&config).expect("the package has a configuration");
    std::fs::write(config, format!("# as an older release shipped it\n{text}")).expect("it is our copy");
    let out = dir.join("rdna1-rocm-fix_0.0.1_amd64.deb");
    must(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(tree).arg(&out).output());
    out
}

/// A signed repository of one package, with the source entry that a container needs.
pub fn repository(out: &Path, deb: &Path, key: &Path) -> PathBuf {
    let mut command = xtask();
    must(command.arg("repo").arg("--deb").arg(deb).arg("--out").arg(out).arg("--gnupg-home").arg(key).output());
    let apt = out.join("apt");
    let sources = std::fs::read_to_string(apt.join("rdna1-rocm-fix.sources")).expect("repo writes it");
    let here = apt.canonicalize().expect("it is there").display().to_string();
    assert!(sources.contains(&here), "{sources}");
    std::fs::write(apt.join("inside.sources"), sources.replace(&here, REPO)).expect("it is ours");
    apt
}

/// A Debian machine that has the repository but nothing of ours yet; without the
/// machine's own sources, as nothing may come from anywhere else.
pub fn machine(repo: &Path) -> Option<Container> {
    let container = Container::new(&debian_root()?).with_bind(repo, REPO);
    must(Ok(container.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")));
    Some(container)
}
