// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate select` from beginning to end, on Debian's PyTorch on the CPU
//! and a machine made of files, with an interpreter that misbehaves as a card
//! would: by gfx choice and profile.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rdna1_core::root::Root;
use rdna1_core::selection::{FILE, Selection};
use rdna1_tests::program::{copy_case, program, top};
use rdna1_tests::tools;
use rdna1_tests::tree::Tree;

/// Debian's Python, which has python3-torch.
const PYTHON: &str = "/usr/bin/python3";

/// A gfx1012: native, 10.1.0 and 10.3.0 all differ on it.
const CARD: &str = "04-rx5500xt-kernel-6.12-rocm-7.13";

/// What a card may do. Without an override nothing can be multiplied; under
/// 10.1.0 each profile has a fault of its own, and bypass has none. It comes
/// with the interpreter, whatever starts it.
const FAULTS: &str = r#"
import os, time
version = os.environ.get("HSA_OVERRIDE_GFX_VERSION")
database = os.environ.get("MIOPEN_USER_DB_PATH", "")
references = "MIOPEN_LOG_LEVEL" not in os.environ
if not references:
    import torch
    right = torch.nn.functional.conv2d
    def product(*arguments, **names): os.abort()
    def convolution(*arguments, **names):
        if "RDNA1_BYPASS" in os.environ:
            return right(*arguments, **names)
        if database.endswith("/gemm"):
            time.sleep(600)
        if database.endswith("/gemm-naive"):
            return right(*arguments, **names) + 0.125
        os.abort()
    torch.nn.functional.conv2d = convolution
    if version is None:
        torch.matmul = product
"#;

fn available() -> bool {
    let there = Command::new(PYTHON).args(["-c", "import torch"]).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        tools::skip("python3-torch is not installed (cargo xtask test installs it)");
    }
    there
}

/// The machine, with the hook of profile bypass where a package puts it.
fn machine() -> Tree {
    let tree = Tree::new();
    copy_case(CARD, tree.root().path());
    tree.link("usr/lib/rdna1-rocm-fix/python", top().join("python"));
    tree
}

/// An interpreter with faults: its own `usercustomize`, which works beside the hook.
fn faulty(tree: &Tree) -> PathBuf {
    tree.write("faults/usercustomize.py", FAULTS);
    let python = tree.at("faults/python");
    let dir = tree.at("faults/user/lib/python3.11/site-packages");
    std::fs::create_dir_all(dir.join("x")).expect("it is ours");
    std::fs::copy(tree.at("faults/usercustomize.py"), dir.join("usercustomize.py")).expect("it is ours");
    let base = tree.at("faults/user");
    let script = format!("#!/bin/sh\nPYTHONUSERBASE={} exec {PYTHON} \"$@\"\n", base.display());
    tree.write("faults/python", script);
    make_executable(&python);
    python
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

fn select(tree: &Tree, python: &Path, arguments: &[&str]) -> Command {
    let mut command = program("rdna1-validate");
    let root = tree.root();
    command.args(["select", "--root"]).arg(root.path()).arg("--python").arg(python);
    command.args(["--device", "cpu", "--record", FILE]).args(arguments);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn recorded(tree: &Tree) -> Option<Selection> {
    Selection::read(&tree.root()).expect("the record is whole")
}

/// The decisions of the case table in crates/rdna1-validate/tests/select.rs,
/// now by the program: a gfx choice under which matrix products crash is left
/// after one candidate, a candidate after its first hang, and so on.
#[test]
fn a_card_with_faults_gets_what_works() {
    if !available() {
        return;
    }
    let tree = machine();
    let python = faulty(&tree);
    let mut command = select(&tree, &python, &["--only", "matmul/f32-512*", "--only", "kernel/[13]x*"]);
    // What the user has set would outrank every candidate.
    command.args(["--timeout", "8", "--json"]).env("HSA_OVERRIDE_GFX_VERSION", "").env("MIOPEN_FIND_MODE", "5");
    let output = command.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let rows: Vec<String> = document["candidates"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| format!("{} {} {}", row["gfx"], row["profile"], row["verdict"]).replace('"', ""))
        .collect();
    assert_eq!(
        rows,
        [
            "native gemm crashed",
            "native gemm-naive not tried",
            "native bypass not tried",
            "native stock not tried",
            "10.1.0 gemm hung",
            "10.1.0 gemm-naive wrong",
            "10.1.0 bypass passed",
            "10.1.0 stock crashed",
            "10.3.0 gemm not tried",
            "10.3.0 gemm-naive not tried",
            "10.3.0 bypass not tried",
            "10.3.0 stock not tried",
            "10.3.0 implicit-gemm not tried",
        ],
        "{}",
        text(&output)
    );
    if crate::schema::available() {
        crate::schema::accepts("docs/schema/select.schema.json", &document.to_string());
    }
    let selection = recorded(&tree).expect("it is recorded");
    let newest = selection.measurements.last().expect("a measurement");
    assert_eq!((newest.process.gfx.to_string().as_str(), newest.process.profile.as_str()), ("10.1.0", "bypass"));
    // It works in single processes only: the machine gets its gfx choice and no profile.
    assert_eq!((newest.machine.as_ref(), selection.profile.as_deref()), (None, None));
    assert_eq!(selection.gfx.map(|gfx| gfx.to_string()).as_deref(), Some("10.1.0"));
    assert_eq!(newest.evidence.len(), rows.len());
    let refresh = program("rdna1-rocm-fix").arg("--root").arg(tree.root().path()).arg("refresh").output();
    assert!(refresh.expect("it runs").status.success());
    let set = std::fs::read_to_string(tree.at("run/rdna1-rocm-fix/env")).expect("it is written");
    assert!(set.contains("HSA_OVERRIDE_GFX_VERSION=\"10.1.0\"") && set.contains("miopen/gemm\""), "{set}");
}

/// Ended at any point, in order or not, it leaves the choice that was in force,
/// or the new one where it had come to its end.
#[test]
fn ended_at_any_point_the_choice_stays() {
    if !available() {
        return;
    }
    let tree = machine();
    tree.write(FILE.trim_start_matches('/'), "cards: [\"0x7340\"]\ngfx: \"10.3.0\"\nprofile: stock\n");
    let before = recorded(&tree).expect("it is there");
    let one = ["--gfx", "native", "--profile", "gemm", "--only", "kernel/1x1"];
    // An undisturbed run says how long it takes, and records.
    let started = Instant::now();
    let scratch = machine();
    let output = select(&scratch, Path::new(PYTHON), &one).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let whole = started.elapsed();
    assert_eq!(recorded(&scratch).expect("it is recorded").profile.as_deref(), Some("gemm"));
    for tenth in [0, 3, 6, 9] {
        let mut child = select(&tree, Path::new(PYTHON), &one)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        std::thread::sleep(whole * tenth / 10 + Duration::from_millis(5));
        child.kill().expect("it is ours");
        let status = child.wait().expect("it is ours");
        let now = recorded(&tree).expect("it is there");
        if now != before {
            // It had come to its end, or close to it.
            assert_eq!(now.profile.as_deref(), Some("gemm"), "neither the old nor the new choice");
            assert!(status.signal() == Some(9) || status.success(), "{status}");
            tree.write(FILE.trim_start_matches('/'), "cards: [\"0x7340\"]\ngfx: \"10.3.0\"\nprofile: stock\n");
        }
    }
    // In order: it says so.
    let child = select(&tree, Path::new(PYTHON), &one).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program runs");
    std::thread::sleep(whole / 3);
    let pid = i32::try_from(child.id()).expect("a process number");
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("it is ours");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("nothing is recorded"), "{}", text(&output));
    assert_eq!(recorded(&tree), Some(before));
}

/// The interpreter that stands in for one with PyTorch and answers that all is
/// right, behind a shell script that may never come to it.
fn stand_in(tree: &Tree, script: &str) -> PathBuf {
    let python = tree.at("stand-in/python");
    let worker = top().join("tests/validate/misbehaving.py");
    tree.write("stand-in/python", format!("#!/bin/sh\n{script}\nexec /usr/bin/python3 {} \"$@\"\n", worker.display()));
    make_executable(&python);
    python
}

/// The verdict of each candidate, and the cases that it passed and was tried with.
fn candidates(output: &Output) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let rows = document["candidates"].as_array().expect("a list").iter();
    let line = |row: &serde_json::Value| {
        format!("{} {} {}/{}", row["gfx"], row["verdict"], row["passed"], row["tried"]).replace('"', "")
    };
    rows.map(line).collect()
}

/// Neither the worker nor those that compute references come to Python at all.
#[test]
fn an_interpreter_that_hangs_at_its_start_is_given_up() {
    let tree = machine();
    let python = stand_in(&tree, "exec sleep 600");
    let file = FILE.trim_start_matches('/');
    tree.write(file, "cards: [\"0x7340\"]\ngfx: \"10.3.0\"\nprofile: stock\n");
    let before = std::fs::read(tree.at(file)).expect("it is there");
    // The limit of a case, and that of a reference, ten times as long, have no part in it.
    let mut command = select(&tree, &python, &["--only", "kernel/1x1", "--start-timeout", "2", "--timeout", "3600"]);
    let output = command.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("does not get as far as importing PyTorch") && said.contains("--start-timeout"), "{said}");
    assert_eq!(std::fs::read(tree.at(file)).expect("it is there"), before);
}

/// One that hangs under one gfx choice costs the candidate that has it.
#[test]
fn a_start_that_hangs_under_one_gfx_choice_costs_that_candidate() {
    let tree = machine();
    let python = stand_in(&tree, "case \"$HSA_OVERRIDE_GFX_VERSION\" in 10.1.0) exec sleep 600;; esac");
    let one = ["--profile", "gemm", "--all", "--only", "kernel/1x1", "--start-timeout", "5", "--json"];
    let output = select(&tree, &python, &one).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let expected = ["native passed 1/1", "10.1.0 hung 0/0", "10.3.0 passed 1/1"];
    assert_eq!(candidates(&output), expected, "{}", text(&output));
    let recorded = recorded(&tree).and_then(|selection| selection.gfx).map(|gfx| gfx.to_string());
    assert_eq!(recorded.as_deref(), Some("native"));
}

/// What the CPU cannot compute is no fault of the candidate.
#[test]
fn a_reference_that_fails_is_not_held_against_a_candidate() {
    let tree = machine();
    let python = stand_in(&tree, "");
    let one = ["--gfx", "native", "--profile", "gemm", "--only", "matmul/f32-512*", "--only", "kernel/1x1", "--json"];
    let output = select(&tree, &python, &one).env("RDNA1_TEST_BEHAVIOUR", "no-product").output();
    let output = output.expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(candidates(&output), ["native passed 1/1"], "{}", text(&output));
}

#[test]
fn what_cannot_be_measured_is_said_and_not_recorded() {
    let tree = machine();
    let refused = |arguments: &[&str], status: i32, says: &str| {
        let mut command = program("rdna1-validate");
        let output = command.args(["select", "--root"]).arg(tree.root().path()).args(arguments).output();
        let output = output.expect("the program runs");
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{arguments:?}: no {says:?} in {}", text(&output));
    };
    refused(&["--profile", "gem"], 3, "allowed are gemm, gemm-naive");
    refused(&["--gfx", "11.0.0"], 3, "10.3.0");
    refused(&["--only", "nothing*"], 3, "no case fits");
    refused(&["--profile", "implicit-gemm", "--gfx", "native"], 4, "nothing to try");
    refused(&["--timeout", "never"], 2, "seconds");
    refused(&["--python", "/bin/false", "--only", "kernel/1x1"], 3, "error");
    tree.write("etc/rdna1-rocm-fix/config.yaml", "enabled: false\n");
    refused(&[], 3, "switched off in /etc/rdna1-rocm-fix/config.yaml");
    tree.write("etc/rdna1-rocm-fix/config.yaml", "profil: gemm\n");
    refused(&[], 3, "config.yaml");
    assert_eq!(Selection::read(&Root::new(tree.root().path())).expect("it is readable"), None);
}
