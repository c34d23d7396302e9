// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packaging sources in the hands of the distributions' own tools, debhelper
//! and rpmbuild, against the packages that are built in process. Twice for each
//! family: of built programs, which is quick, and from the source tarball, which
//! compiles everything and is a step of its own: `cargo xtask test --only native`.

#![allow(clippy::print_stdout, reason = "what was skipped and what differs is worth reading")]

mod deb;
mod one_truth;
mod rpm;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rdna1_tests::program::{top, xtask};
use rdna1_tests::tools;

use crate::installed::{fresh_dir, must};

/// Builds from the source tarball, without network.
///
/// All unpack it at the same place, one after the other, and share cargo's target
/// directory: what the first compiled the others find there, as all call cargo in
/// the same way. So everything is compiled once.
struct FromSource {
    dir: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl FromSource {
    /// The caller's turn; nothing where it cannot run.
    fn new() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        static DIR: OnceLock<PathBuf> = OnceLock::new();
        if !tools::available(&["git", "tar", "unshare"]) || !tools::is_root() {
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = DIR.get_or_init(|| {
            let dir = fresh_dir("native-test");
            must(xtask().arg("source").arg("--out").arg(dir.join("SOURCES")).output());
            std::fs::create_dir_all(dir.join("BUILD")).expect("target is writable");
            dir
        });
        Some(Self { dir: dir.clone(), _turn: turn })
    }

    fn tarball(&self) -> PathBuf {
        self.dir.join(format!("SOURCES/rdna1-rocm-fix-{}.tar.gz", env!("CARGO_PKG_VERSION")))
    }

    /// A command as on a build machine: no network, nothing of a test that
    /// cargo runs, and the compiler itself instead of rustup, which would look
    /// for it in a home directory that debhelper hides.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--net", program]);
        as_on_a_build_machine(&mut command, &toolchain());
        command.env("CARGO_TARGET_DIR", self.target());
        // Tasks and tests leave no trace in the packages.
        command.env("CARGO_PROFILE_DEV_DEBUG", "none");
        command
    }

    /// Where all of them compile.
    fn target(&self) -> PathBuf {
        self.dir.join("shared-target")
    }
}

/// The tarball, unpacked anew at the place of all builds.
fn unpacked(source: &FromSource) -> PathBuf {
    let build = source.dir.join("BUILD");
    let name = format!("rdna1-rocm-fix-{}", env!("CARGO_PKG_VERSION"));
    let _ = std::fs::remove_dir_all(build.join(&name));
    let mut tar = Command::new("tar");
    must(tar.arg("--extract").arg("--file").arg(source.tarball()).arg("--directory").arg(&build).output());
    build.join(name)
}

/// The directory of the compiler and cargo.
fn toolchain() -> PathBuf {
    let sysroot = must(Command::new("rustc").args(["--print", "sysroot"]).current_dir(top()).output());
    Path::new(sysroot.trim()).join("bin")
}

/// Takes away what cargo tells its tests, and puts a directory first on `PATH`.
fn as_on_a_build_machine(command: &mut Command, programs: &Path) {
    let of_cargo = |name: &OsString| ["CARGO", "RUST"].iter().any(|start| name.to_string_lossy().starts_with(start));
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_cargo(name)) {
        command.env_remove(name);
    }
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let path = std::iter::once(programs.to_owned()).chain(system);
    command.env("PATH", std::env::join_paths(path).expect("no colon in it"));
}
