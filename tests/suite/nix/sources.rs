// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Nix files as such, the package and the flake.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_fs::TempDir;
use rdna1_tests::program::{bin_dir, top, xtask};
use rdna1_tests::tools;
use serde_json::{Value, json};

use super::{configured, copy, enabled, evaluate, nix, nixpkgs, stand_ins};

/// What the flake needs of the checkout to be evaluated: what `cargo xtask
/// generate` writes, and what the package says that it is built from. Of the
/// large directories evaluation only asks whether they are there.
fn sources() -> (Vec<String>, Vec<String>) {
    let package = std::fs::read_to_string(top().join("nix/package.nix")).expect("it is committed");
    let (_, list) = package.split_once("lib.fileset.unions [").expect("it names its sources");
    let (list, _) = list.split_once(']').expect("the list ends");
    let names = list.split_whitespace().map(|path| path.trim_start_matches("../").to_owned());
    let (large, mut small): (Vec<String>, Vec<String>) =
        names.partition(|name| ["crates", "tests"].contains(&name.as_str()));
    small.extend(["default.nix", "flake.nix", "nix", "tests/nix"].map(str::to_owned));
    (small, large)
}

fn nix_files(below: &str) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(top().join(below)).sort_by_file_name();
    let paths = walk.into_iter().map(|entry| entry.expect("the checkout is readable").into_path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "nix")).collect()
}

fn rendered() -> Vec<PathBuf> {
    let mut files = nix_files("nix");
    files.extend(["default.nix", "flake.nix"].map(|name| top().join(name)));
    files
}

fn must(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).expect("it prints text");
    assert!(output.status.success(), "{text}{errors}");
    text
}

#[test]
fn every_file_parses() {
    if !nix() {
        return;
    }
    let files = [rendered(), nix_files("tests/nix")].concat();
    assert!(files.len() > 10, "{files:?}");
    let mut parse = Command::new("nix-instantiate");
    must(parse.env("NIX_REMOTE", "dummy://").arg("--parse").args(files).output().expect("it runs"));
}

/// A tool that `cargo xtask test` builds, or that is installed.
fn cargo_tool(name: &str) -> Option<PathBuf> {
    let built = top().join("target/tools/bin").join(name);
    let found = if built.is_file() { Some(built) } else { tools::find(name) };
    if found.is_none() {
        tools::skip(&format!("not installed: {name} (cargo xtask test --only tools)"));
    }
    found
}

#[test]
fn every_file_is_in_the_official_style() {
    let Some(nixfmt) = cargo_tool("nixfmt") else { return };
    let files = [rendered(), nix_files("tests/nix")].concat();
    must(Command::new(nixfmt).arg("--check").args(files).output().expect("it runs"));
}

#[test]
fn nothing_is_bound_in_vain() {
    let Some(deadnix) = cargo_tool("deadnix") else { return };
    must(Command::new(&deadnix).arg("--fail").args(rendered()).output().expect("it runs"));
    // The stand-in's functions name arguments to refuse others.
    let mut lenient = Command::new(deadnix);
    must(lenient.args(["--fail", "--no-lambda-pattern-names"]).args(nix_files("tests/nix")).output().expect("it runs"));
}

/// An attribute of `default.nix`.
fn default(nixpkgs: &Path, code: &str) -> Value {
    let (file, nixpkgs) = (top().join("default.nix"), nixpkgs.display());
    let expression = format!(
        "let pkgs = import {nixpkgs} {{ system = \"x86_64-linux\"; }}; \
         here = import {} {{ inherit pkgs; }}; in {code}",
        file.display()
    );
    evaluate(&expression).unwrap_or_else(|error| panic!("{code}: {error}"))
}

#[test]
fn without_flakes_there_are_package_module_overlay_and_test() {
    if !nix() {
        return;
    }
    for nixpkgs in nixpkgs() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(default(nixpkgs, "here.rdna1-rocm-fix.name"), json!(format!("rdna1-rocm-fix-{version}")));
        assert_eq!(default(nixpkgs, "here.rdna1-rocm-fix.meta.mainProgram"), json!("rdna1-rocm-fix"));
        assert_eq!(
            default(nixpkgs, "map (l: l.spdxId) here.rdna1-rocm-fix.meta.license"),
            json!(["MIT", "Apache-2.0"])
        );
        assert_eq!(
            default(nixpkgs, "(here.overlays.default pkgs pkgs).rdna1-rocm-fix.name"),
            default(nixpkgs, "here.rdna1-rocm-fix.name")
        );
        // Importing it twice, as a path and through default.nix, is importing it once.
        let twice = format!(
            "{{ imports = [ (import {0}/default.nix {{ pkgs = null; }}).nixosModules.default {0}/nix/module.nix ]; }} {1}",
            top().display(),
            enabled("")
        );
        assert_eq!(configured(nixpkgs, &twice).expect("it evaluates")["refused"], json!([]));
    }
}

#[test]
fn shell_fragments_pass_shellcheck() {
    if !nix() || !tools::available(&["shellcheck"]) {
        return;
    }
    let nixos = configured(&stand_ins()[0], &enabled("")).expect("it evaluates");
    let install = default(&stand_ins()[0], "here.rdna1-rocm-fix.args.installPhase");
    for (shell, fragment) in [("sh", &nixos["shells"]["bash"]), ("bash", &install)] {
        let dir = TempDir::new().expect("a temporary directory");
        let file = dir.path().join("fragment");
        // `out` is Nix's, and what is sourced is not here.
        let text = format!("export out=x\n{}", fragment.as_str().expect("a text"));
        std::fs::write(&file, text).expect("it is ours");
        let mut shellcheck = Command::new("shellcheck");
        must(shellcheck.args(["--exclude=SC1091", "--shell", shell]).arg(file).output().expect("it runs"));
    }
}

#[test]
fn the_vm_test_evaluates_and_its_script_is_python() {
    if !nix() || !tools::available(&["python3"]) {
        return;
    }
    for nixpkgs in stand_ins() {
        let node = "here.tests.vm.nodes.machine";
        assert_eq!(default(nixpkgs, &format!("{node}.hardware.rdna1-rocm-fix.enable")), json!(true));
        assert_eq!(default(nixpkgs, &format!("map (a: a.message) {node}.assertions")), json!([]));
        let script = default(nixpkgs, "here.tests.vm.testScript");
        let mut python = Command::new("python3");
        python.args(["-c", "import sys; compile(sys.argv[1], 'testScript', 'exec')"]);
        must(python.arg(script.as_str().expect("a text")).output().expect("it runs"));
    }
}

#[test]
fn the_flake_has_its_outputs() {
    if !nix() {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let checkout = dir.path().join("checkout");
    let (small, large) = sources();
    for name in small {
        let to = checkout.join(&name);
        std::fs::create_dir_all(to.parent().expect("it lies below")).expect("it is ours");
        copy(&top().join(name), &to);
    }
    for name in large {
        std::fs::create_dir_all(checkout.join(name)).expect("it is ours");
    }
    let flake = format!("path:{}", checkout.display());
    for nixpkgs in stand_ins() {
        let nix = |arguments: &[&str]| {
            let mut command = Command::new("nix");
            command.env("HOME", dir.path()).env_remove("NIX_PATH").env_remove("NIX_REMOTE");
            command.args(["--extra-experimental-features", "nix-command flakes", "--offline"]);
            command.arg("--store").arg(dir.path().join("store")).args(arguments);
            let at = format!("path:{}", nixpkgs.display());
            command.args(["--no-write-lock-file", "--override-input", "nixpkgs", &at]);
            must(command.output().expect("nix runs"))
        };
        nix(&["flake", "check", "--no-build", &flake]);
        let shown: Value = serde_json::from_str(&nix(&["flake", "show", "--json", &flake])).expect("it prints JSON");
        let keys = |value: &Value| value.as_object().expect("a set").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&shown), ["checks", "formatter", "nixosModules", "overlays", "packages"]);
        assert_eq!(keys(&shown["nixosModules"]), ["default", "rdna1-rocm-fix"]);
        for system in ["aarch64-linux", "x86_64-linux"] {
            assert_eq!(keys(&shown["packages"][system]), ["default", "rdna1-rocm-fix"]);
            assert_eq!(keys(&shown["checks"][system]), ["format", "package", "vm"]);
        }
        // The module brings the flake's own package.
        let module = "m: let nixos = import NIXPKGS/nixos/lib/eval-config.nix { system = \"x86_64-linux\"; \
             modules = [ m { hardware.rdna1-rocm-fix.enable = true; } ]; }; \
             in map (p: p.name) nixos.config.systemd.packages"
            .replace("NIXPKGS", &nixpkgs.display().to_string());
        let target = format!("{flake}#nixosModules.default");
        let names = nix(&["eval", "--impure", "--json", &target, "--apply", &module]);
        assert!(names.contains(&format!("\"rdna1-rocm-fix-{}\"", env!("CARGO_PKG_VERSION"))), "{names}");
    }
}

#[test]
fn what_the_module_links_is_in_the_package() {
    if !nix() {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let out = dir.path().join("out");
    let mut install = xtask();
    install.args(["install", "--layout", "nix", "--bin-dir"]).arg(bin_dir()).arg("--destdir").arg(&out);
    must(install.output().expect("cargo runs"));
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, &enabled("")).expect("it evaluates");
        let links = nixos["links"].as_object().expect("a set");
        assert_eq!(links.len(), 3);
        for link in links.values() {
            let path = link.as_str().and_then(|link| link.strip_prefix("PACKAGE/")).expect("it is in the package");
            assert!(out.join(path).is_file(), "{path} is not installed");
        }
    }
    let read = |path: &str| std::fs::read_to_string(out.join(path)).expect(path);
    let unit = read("lib/systemd/system/rdna1-rocm-fix.service");
    assert!(unit.contains(&format!("ExecStart={}/bin/rdna1-rocm-fix refresh", out.display())), "{unit}");
    // NixOS refuses to build a system whose udev rules run anything else.
    let rules = read("lib/udev/rules.d/90-rocm-rdna1.rules");
    let runs: Vec<&str> = rules.split("RUN+=\"").skip(1).collect();
    assert!(!runs.is_empty() && runs.iter().all(|run| run.starts_with("/run/current-system/systemd/bin/")), "{rules}");
    assert!(out.join("bin/rdna1-rocm-fix").is_file() && !out.join("usr").exists());
}
