// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines on which the package is, or can be, installed by the real package
//! managers: apt with the deb ([`deb`]), dnf with the rpm ([`rpm`]).

pub mod deb;
mod effect;
mod interrupted;
pub mod rpm;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rdna1_tests::container::Container;
use rdna1_tests::program::{top, xtask};

/// Where a container sees a repository.
const REPO: &str = "/srv/repo";

/// The environment of a login shell that got none.
pub const LOGIN: &str = "env -i HOME=/root sh -lc env";

/// Lists files of ours, besides the records of the package managers and what the
/// tests put there.
pub const OURS: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /var/cache -o -path /srv \
    -o -path /var/lib/dpkg -o -path /var/lib/apt \\) -prune \
    -o \\( -name '*rdna1*' -not -name rdna1-rocm-fix.sources -not -name rdna1-rocm-fix.repo \\) -print; \
    ls -d /run/rdna1* 2>/dev/null || true";

/// What the generator prints for systemd.
pub const GENERATOR: &str = "env -i /usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix";

/// A family of distributions, by its packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian with apt.
    Deb,
    /// Fedora and its relatives with dnf.
    Rpm,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deb, Self::Rpm];

    /// A machine of the family that can install the package.
    pub fn machine(self) -> Option<Container> {
        match self {
            Self::Deb => deb::machine(&deb::made().repo),
            Self::Rpm => rpm::machine(|made| made.repo.clone()),
        }
    }

    /// A machine that can install an older version, and then [`Self::upgrade`].
    pub fn older_machine(self) -> Option<Container> {
        let (machine, newer) = match self {
            Self::Deb => (deb::machine(&deb::made().older)?, &deb::made().repo),
            Self::Rpm => (rpm::machine(|made| made.older.clone())?, &rpm::made().repo),
        };
        Some(machine.with_bind(newer, "/srv/newer"))
    }

    /// Upgrades from the newer repository.
    fn upgrade(self) -> String {
        match self {
            Self::Deb => format!("{} && {}", deb::NEWER, deb::INSTALL),
            Self::Rpm => rpm::UPGRADE.to_owned(),
        }
    }

    /// Prints the version that is there.
    fn version(self) -> &'static str {
        match self {
            Self::Deb => deb::VERSION,
            Self::Rpm => rpm::VERSION,
        }
    }

    /// Makes the repository known.
    pub fn set_up(self) -> &'static str {
        match self {
            Self::Deb => deb::SET_UP,
            Self::Rpm => rpm::SET_UP,
        }
    }

    /// Installs the package by its name.
    pub fn install(self) -> &'static str {
        match self {
            Self::Deb => deb::INSTALL,
            Self::Rpm => rpm::INSTALL,
        }
    }

    /// What the package manager says of an installation from a repository that
    /// it trusts.
    fn signs_of_success(self) -> &'static [&'static str] {
        match self {
            Self::Deb => &["Setting up rdna1-rocm-fix"],
            Self::Rpm => &["Importing GPG key", "Complete!"],
        }
    }

    /// Prints what of the installed files is not as the package says.
    fn verify(self) -> &'static str {
        match self {
            Self::Deb => "dpkg --verify rdna1-rocm-fix",
            Self::Rpm => "rpm --verify rdna1-rocm-fix",
        }
    }

    /// Removes it.
    pub fn remove(self) -> &'static str {
        match self {
            Self::Deb => "DEBIAN_FRONTEND=noninteractive apt-get remove --yes rdna1-rocm-fix",
            Self::Rpm => rpm::REMOVE,
        }
    }
}

/// The package that `cargo xtask dist` made; it is made now if there is none.
pub fn package(extension: &str) -> PathBuf {
    let dist = std::env::var_os("RDNA1_DIST").map_or_else(|| top().join("target/dist"), PathBuf::from);
    let find = || {
        let entries = std::fs::read_dir(&dist).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == extension))
    };
    find().unwrap_or_else(|| {
        must(xtask().arg("dist").arg("--out").arg(&dist).output());
        find().expect("dist makes a package")
    })
}

/// An empty directory below target/.
pub fn fresh_dir(name: &str) -> PathBuf {
    let dir = top().join("target").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("target is writable");
    dir
}

/// A copy of a directory, beside it.
pub fn copy(dir: &Path, name: &str) -> PathBuf {
    let to = dir.with_file_name(name);
    must(Command::new("cp").arg("-a").arg(dir).arg(&to).output());
    to
}

/// Damages a file in its middle.
pub fn flip_a_bit(file: &Path) {
    let mut bytes = std::fs::read(file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("it is our copy");
}

pub fn new_key(home: &Path) -> PathBuf {
    std::fs::create_dir_all(home).expect("target is writable");
    must(Command::new("chmod").arg("700").arg(home).output());
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--homedir"]).arg(home).args(["--passphrase", "", "--quick-generate-key"]);
    must(gpg.args(["test of rdna1-rocm-fix", "ed25519", "sign", "never"]).output());
    home.to_owned()
}

/// The home of a key whose time is over: it was made in the summer of 2020, as
/// far as it knows, and was good until the end of that year.
pub fn expired_key(home: &Path) -> PathBuf {
    std::fs::create_dir_all(home).expect("target is writable");
    std::fs::write(home.join("gpg.conf"), "faked-system-time 20200701T000000!\n").expect("target is writable");
    must(Command::new("chmod").arg("700").arg(home).output());
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--homedir"]).arg(home).args(["--passphrase", "", "--quick-generate-key"]);
    must(gpg.args(["expired test of rdna1-rocm-fix", "ed25519", "sign", "2020-12-31"]).output());
    home.to_owned()
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
