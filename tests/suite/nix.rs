// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NixOS module, the package and the flake in the hands of the real Nix.
//!
//! Evaluated against the stand-in of `tests/nix/nixpkgs`, and besides against
//! what `NIX_PATH` names: a whole `nixpkgs`, or as `nixpkgs-lib` the directory
//! `lib` of one, which then takes the place of the stand-in's.

mod boot;
mod module;
mod refused;
mod sources;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rdna1_tests::program::top;
use rdna1_tests::tools;
use serde_json::Value;

/// Whether Nix is installed; if not, reports the skip.
fn nix() -> bool {
    tools::available(&["nix", "nix-instantiate"])
}

/// Nix's command for evaluation, which needs no store.
fn instantiate() -> Command {
    let mut command = Command::new("nix-instantiate");
    command.env("NIX_REMOTE", "dummy://").args(["--eval", "--strict", "--json"]);
    command
}

/// Directories that have nixpkgs' entry points.
fn nixpkgs() -> Vec<&'static Path> {
    static WHOLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| on_nix_path("nixpkgs"));
    stand_ins().iter().chain(whole).map(PathBuf::as_path).collect()
}

/// Those of them that build nothing, so that what they make can be looked into.
fn stand_ins() -> &'static [PathBuf] {
    static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let stand_in = top().join("tests/nix/nixpkgs");
        let mut found = vec![stand_in.clone()];
        if let Some(lib) = on_nix_path("nixpkgs-lib") {
            let mixed = top().join("target/nix-with-real-lib");
            copy(&stand_in, &mixed);
            copy(&lib, &mixed.join("lib"));
            found.push(mixed);
        }
        found
    })
}

fn on_nix_path(name: &str) -> Option<PathBuf> {
    let output = Command::new("nix-instantiate").env("NIX_REMOTE", "dummy://").args(["--find-file", name]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let status = Command::new("cp").args(["--recursive", "--dereference"]).arg(from).arg(to).status();
    assert!(status.expect("cp runs").success(), "cannot copy {}", from.display());
}

/// Evaluates an expression; the error is Nix's own text.
fn evaluate(expression: &str) -> Result<Value, String> {
    // Some are longer than an argument may be.
    let mut child = instantiate()
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nix-instantiate runs");
    child.stdin.take().expect("it is piped").write_all(expression.as_bytes()).expect("Nix reads all of it");
    let output = child.wait_with_output().expect("nix-instantiate ends");
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("Nix prints JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What the module makes of a list of modules, as Nix code.
fn configured(nixpkgs: &Path, modules: &str) -> Result<Value, String> {
    evaluate(&configured_code(nixpkgs, modules))
}

fn configured_code(nixpkgs: &Path, modules: &str) -> String {
    let evaluate = top().join("tests/nix/evaluate.nix");
    format!("import {} {{ nixpkgs = {}; modules = {{ lib }}: [ {modules} ]; }}", evaluate.display(), nixpkgs.display())
}

/// A module that enables ours with these settings.
fn enabled(settings: &str) -> String {
    format!("{{ hardware.rdna1-rocm-fix = {{ enable = true; {settings} }}; }}")
}

/// A text as Nix code.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{text}\"")
}

/// The texts of a JSON list.
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|item| item.as_str().expect("a text")).collect()
}
