// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of this machine: running them, and installing what is missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Debian packages whose programs the build and the tests use.
pub const PACKAGES: &[&str] = &[
    "apt-utils",
    "bash",
    "busybox",
    "clang-19",
    "clang-tools-19",
    "csh",
    "createrepo-c",
    "dash",
    "debhelper",
    "debian-archive-keyring",
    "docker.io",
    "dpkg-dev",
    "e2fsprogs",
    "faketime",
    "fish",
    "gpg",
    "lld-19",
    "llvm-19",
    "mmdebstrap",
    "nix-bin",
    "pci.ids",
    "pciutils",
    "podman",
    "python3-dotenv",
    "python3-jsonschema",
    "python3-prometheus-client",
    "python3-torch",
    "python3-torchvision",
    "python3-venv",
    "qemu-system-x86",
    "rpm",
    "rpm2cpio",
    "runc",
    "shellcheck",
    "systemd",
    "systemd-container",
    "tcsh",
    "time",
    "udev",
    "umockdev",
    "util-linux",
    "zsh",
];

/// Where `PATH` has a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a program and returns what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} printed something that is not text"))
}

/// Runs a program whose output goes to the terminal.
pub fn run_tool(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Tools that cargo builds where they are not installed: program, crate, release.
/// The packagers are peers of the benchmark alone.
pub const CARGO_TOOLS: [(&str, &str, &str); 5] = [
    ("cargo-deb", "cargo-deb", "3.8.0"),
    ("cargo-deny", "cargo-deny", "0.20.2"),
    ("cargo-generate-rpm", "cargo-generate-rpm", "0.21.1"),
    ("deadnix", "deadnix", "1.3.1"),
    ("nixfmt", "nixfmt_rs", "0.5.3"),
];

/// The path of one of [`CARGO_TOOLS`]; builds it below `target/tools` where it
/// is not installed.
pub fn cargo_tool(top: &Path, program: &str) -> anyhow::Result<PathBuf> {
    let tools = top.join("target/tools");
    let built = tools.join("bin").join(program);
    if built.exists() {
        return Ok(built);
    }
    if Command::new(program).arg("--version").output().is_ok() {
        return Ok(program.into());
    }
    let tool = CARGO_TOOLS.iter().find(|(name, _, _)| *name == program);
    let (_, name, version) = tool.with_context(|| format!("nobody knows which crate has {program}"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut install = Command::new(cargo);
    install.current_dir(top).args(["install", "--quiet", "--locked", name, "--version", version]);
    run_tool(install.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build")))?;
    Ok(built)
}

/// Installs the Debian packages that are missing. Without root it says which
/// ones are; what needs them will then say that it is skipped.
#[allow(clippy::print_stderr, reason = "progress")]
pub fn install_packages() -> anyhow::Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        eprintln!("no apt here: tests that need Debian's programs will say so");
        return Ok(());
    }
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(PACKAGES).stderr(Stdio::null());
    let installed = String::from_utf8(query.output().context("cannot run dpkg-query")?.stdout)?;
    let is_installed = |package: &str| installed.lines().any(|line| line == format!("{package} installed"));
    let missing: Vec<&str> = PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run_tool(
            command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments),
        )
    };
    let result =
        apt(&["update"]).and_then(|()| apt(&[&["install", "--yes", "--no-install-recommends"], &missing[..]].concat()));
    if result.is_err() {
        eprintln!("cannot install {}; as root: apt-get install {}", missing.join(", "), missing.join(" "));
    }
    // Where nothing may be skipped, the tests fail by themselves.
    Ok(())
}
