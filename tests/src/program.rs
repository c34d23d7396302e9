// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The top of the checkout.
pub fn top() -> PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The directory of the built programs. They are built on first use, in the
/// profile of the tests, unless `RDNA1_BIN_DIR` names a directory.
///
/// # Panics
/// If they cannot be built.
pub fn bin_dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        if let Some(dir) = std::env::var_os("RDNA1_BIN_DIR") {
            return dir.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "rdna1-rocm-fix", "--package", "rdna1-validate"])
            .current_dir(top())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the program does not build");
        let exe = std::env::current_exe().expect("a test has a path");
        // target/debug/deps/suite-… lies two levels below the programs.
        exe.ancestors().nth(2).expect("tests lie in target/debug/deps").to_owned()
    })
}

/// A command that runs one of our programs with an empty environment.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(bin_dir().join(name));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// A command that runs `cargo xtask` of this checkout.
///
/// # Panics
/// If it cannot be built.
pub fn xtask() -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    BUILT.get_or_init(|| {
        let status = Command::new(&cargo).args(["build", "--quiet", "--package", "xtask"]).current_dir(top()).status();
        assert!(status.expect("cargo runs").success(), "xtask does not build");
    });
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "xtask", "--"]).current_dir(top());
    command
}

/// The machine of a case folder.
///
/// # Panics
/// If there is no such case.
pub fn case(name: &str) -> PathBuf {
    let root = top().join("tests/cases").join(name).join("root");
    assert!(root.is_dir(), "there is no case {name}");
    root
}

/// Copies a case's machine to a directory that a test may change.
///
/// # Panics
/// If it cannot be copied.
pub fn copy_case(name: &str, to: &std::path::Path) {
    let status = Command::new("cp").arg("--archive").arg(case(name).join(".")).arg(to).status();
    assert!(status.expect("cp runs").success(), "cannot copy case {name}");
}
