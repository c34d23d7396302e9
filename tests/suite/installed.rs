// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines on which the package is, or can be, installed by the real apt.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use rdna1_tests::container::{Container, debian_root};
use rdna1_tests::program::{top, xtask};

/// Where a container sees a repository.
const REPO: &str = "/srv/repo";

/// Makes the repository known to apt.
pub const SET_UP: &str = "cp /srv/repo/inside.sources /etc/apt/sources.list.d/rdna1-rocm-fix.sources && apt-get update";

/// Installs the package by its name.
pub const INSTALL: &str = "apt-get install --yes rdna1-rocm-fix";

/// Packages and repositories, made once for all tests.
pub struct Made {
    /// The package under test.
    pub deb: PathBuf,
    /// A repository with it.
    pub repo: PathBuf,
    /// A repository with an older version of it.
    pub older: PathBuf,
    /// Where they lie.
    pub dir: PathBuf,
}

pub fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = top().join("target/debian-test");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("target is writable");
        let deb = package();
        let key = new_key(&dir.join("key"));
        let repo = repository(&dir.join("repo"), &deb, &key);
        let older = repository(&dir.join("older"), &older_package(&dir, &deb), &key);
        Made { deb, repo, older, dir }
    })
}

/// The package that `cargo xtask dist` made; it is made now if there is none.
fn package() -> PathBuf {
    let dist = std::env::var_os("RDNA1_DIST").map_or_else(|| top().join("target/dist"), PathBuf::from);
    let find = || {
        let entries = std::fs::read_dir(&dist).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"))
    };
    find().unwrap_or_else(|| {
        must(xtask().arg("dist").arg("--out").arg(&dist).output());
        find().expect("dist makes a package")
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

pub fn new_key(home: &Path) -> PathBuf {
    std::fs::create_dir_all(home).expect("target is writable");
    must(Command::new("chmod").arg("700").arg(home).output());
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--homedir"]).arg(home).args(["--passphrase", "", "--quick-generate-key"]);
    must(gpg.args(["test of rdna1-rocm-fix", "ed25519", "sign", "never"]).output());
    home.to_owned()
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

pub fn must(output: std::io::Result<Output>) -> String {
    let output = output.expect("the program runs");
    let text = both(&output);
    assert!(output.status.success(), "{}\n{text}", output.status);
    text
}

pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A Debian machine that has the repository but nothing of ours yet; without the
/// machine's own sources, as nothing may come from anywhere else.
pub fn machine(repo: &Path) -> Option<Container> {
    let container = Container::new(&debian_root()?).with_bind(repo, REPO);
    must(Ok(container.run("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")));
    Some(container)
}

/// The lines of ROCm's variables in an environment listing, sorted.
pub fn rocm(listing: &str) -> Vec<String> {
    let ours = |line: &&str| ["MIOPEN_", "HIP_", "HSA_"].iter().any(|prefix| line.starts_with(prefix));
    let mut lines: Vec<String> = listing.lines().filter(ours).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What the default profile sets on an RX 5600 XT where nothing else is known:
/// the setting that the owner asked for, with the find mode that works.
pub fn expected() -> Vec<String> {
    [
        "HIP_FORCE_COARSE_GRAIN=1",
        "HSA_OVERRIDE_GFX_VERSION=10.3.0",
        "MIOPEN_DEBUG_CONV_DIRECT=0",
        "MIOPEN_DEBUG_CONV_FFT=0",
        "MIOPEN_DEBUG_CONV_GEMM=1",
        "MIOPEN_DEBUG_CONV_IMPLICIT_GEMM=0",
        "MIOPEN_DEBUG_CONV_WINOGRAD=0",
        "MIOPEN_FIND_MODE=2",
        "MIOPEN_USER_DB_PATH=~/.cache/rdna1-rocm-fix/miopen/gemm",
    ]
    .map(str::to_owned)
    .to_vec()
}
