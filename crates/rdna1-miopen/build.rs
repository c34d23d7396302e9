//! Builds what `rdna1-miopen` embeds: the simulated HIP runtime as a shared
//! object and the query program, both from `../rdna1-fakehip`.
//!
//! They are not Cargo dependencies, because the shared object needs a linker
//! version script of its own (see `rdna1-fakehip`), and because a program that
//! carries them needs to find nothing beside itself: neither a test in
//! `target/`, nor the validator where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rdna1-fakehip");
    for name in ["src", "exports.map"] {
        println!("cargo::rerun-if-changed={}", sources.join(name).display());
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let (library, program) = (out.join("fakehip.so"), out.join("query"));
    // MIOpen exists for this platform only. Elsewhere both are empty, and who
    // wants to ask the library is told so; the rules work everywhere.
    let here = ["CARGO_CFG_TARGET_ARCH", "CARGO_CFG_TARGET_OS", "CARGO_CFG_TARGET_ENV"].map(variable);
    if here != ["x86_64", "linux", "gnu"] {
        fs::write(library, "").expect("OUT_DIR is writable");
        fs::write(program, "").expect("OUT_DIR is writable");
        return;
    }
    let archive = out.join("libfakehip.a");
    run(rustc(&sources, &["--crate-name=rdna1_fakehip", "--crate-type=staticlib"], "src/lib.rs")
        .arg("-o")
        .arg(&archive));
    let map = format!("-Wl,--version-script={}", sources.join("exports.map").display());
    let mut link = Command::new(env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into()));
    link.args(["-shared", "-nostartfiles", &map, "-Wl,--gc-sections,--strip-all,--build-id=none,-z,now"]);
    link.arg("-Wl,--whole-archive").arg(&archive).arg("-Wl,--no-whole-archive");
    run(link.args(["-lgcc_s", "-lc", "-o"]).arg(&library));
    // It is a copy of the standard library, several times what is left of it.
    fs::remove_file(archive).expect("OUT_DIR is writable");
    let name = "--crate-name=rdna1_miopen_query";
    run(rustc(&sources, &[name, "-Cstrip=symbols"], "src/query/main.rs").arg("-o").arg(&program));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The same compiler that Cargo uses; always optimised, as both are on the way
/// of thousands of questions even in a debug build.
fn rustc(sources: &Path, arguments: &[&str], file: &str) -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    rustc.args(["--edition=2024", "-Copt-level=2", "-Cpanic=abort", "-Ccodegen-units=1"]).args(arguments);
    // The same bytes from every checkout.
    rustc.arg(format!("--remap-path-prefix={}=rdna1-fakehip", sources.display()));
    rustc.arg("--target").arg(variable("TARGET"));
    rustc.arg(sources.join(file));
    rustc
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("cannot run {:?}: {e}", command.get_program()));
    assert!(status.success(), "{command:?} failed: {status}");
}
