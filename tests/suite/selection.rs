// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows from a recorded selection, and when it no longer counts.

use std::path::Path;
use std::process::Output;

use rdna1_core::root::Root;
use rdna1_core::selection::{self, Evidence, MeasuredStack, Measurement, Selection, Winner};
use rdna1_stack::{Stack, Survey};
use rdna1_tests::program::{copy_case, program};
use rdna1_tests::tree::{Tree, policy};
use rdna1_tests::wheel::{ROCM, THEROCK, bundle, venv};

const OWN: &str = "home/u/.local/state/rdna1-rocm-fix/selection.yaml";

/// An RX 5600 XT whose Python in /usr/local has native code, and another one with foreign code.
fn machine() -> Tree {
    let tree = Tree::new();
    copy_case("02-rx5600xt-ready", tree.root().path());
    venv(&tree, "usr/local", "2.11.0", "'7.12.1'", &bundle(THEROCK));
    venv(&tree, "foreign", "2.6.0+rocm6.1", "'6.1.1'", &bundle(ROCM));
    // The running system's printenv, which is the machine's script for a Python.
    script(&tree, "usr/local");
    tree.write("usr/bin/python3.12", "\x7fELF");
    tree.write("usr/lib/rdna1-rocm-fix/python/hook/sitecustomize.py", "");
    tree
}

fn script(tree: &Tree, prefix: &str) {
    use std::os::unix::fs::PermissionsExt;
    tree.write("usr/bin/printenv", format!("#!/{prefix}/bin/python\n"));
    let made = std::fs::set_permissions(tree.at("usr/bin/printenv"), std::fs::Permissions::from_mode(0o755));
    made.expect("it is ours");
}

fn stack(root: &Root) -> Stack {
    let survey = Survey::of_system(root);
    survey.stacks.into_iter().find(|stack| stack.path.starts_with("/usr/local")).expect("it is there")
}

fn winner(gfx: &str, profile: &str) -> Winner {
    Winner { gfx: gfx.parse().expect("a choice"), profile: profile.to_owned() }
}

fn measured(root: &Root, process: Winner, machine: Option<Winner>) -> Measurement {
    let stack = stack(root);
    let fingerprint = stack.process_fingerprint(&Survey::of_rocm(root));
    let kernel = root.read_text("/proc/sys/kernel/osrelease").expect("it is readable").expect("it is there");
    Measurement {
        date: "2026-11-27T19:00:00Z".into(),
        program: "0.1.0".into(),
        kernel: kernel.trim().to_owned(),
        stack: MeasuredStack { name: "torch 2.11.0".into(), path: stack.path, fingerprint },
        suite: "quick".into(),
        evidence: vec![Evidence {
            gfx: process.gfx,
            profile: process.profile.clone(),
            verdict: "passed".into(),
            passed: 24,
            tried: 24,
            seconds: Some(1.5),
            note: None,
        }],
        process,
        machine,
    }
}

fn record(tree: &Tree, file: &str, new: Measurement) {
    let root = tree.root();
    let machine = rdna1_core::machine::Machine::detect(&root, &policy());
    let selection = Selection::with(None, &machine, new);
    tree.write(file.trim_start_matches('/'), serde_yaml::to_string(&selection).expect("it is plain data"));
}

fn run(tree: &Tree, line: &[&str]) -> Output {
    let root = tree.root();
    let mut command = program("rdna1-rocm-fix");
    command.arg("--root").arg(root.path()).arg("run").args(line).env("HOME", "/home/u");
    command.output().expect("the program runs")
}

fn environment(tree: &Tree) -> String {
    let output = run(tree, &["--", "printenv"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn status(root: &Path) -> serde_json::Value {
    let output = program("rdna1-rocm-fix").arg("--root").arg(root).args(["status", "--json"]).output();
    serde_json::from_slice(&output.expect("the program runs").stdout).expect("it prints JSON")
}

fn findings(document: &serde_json::Value, id: &str) -> Vec<String> {
    let all = document["findings"].as_array().expect("a list").iter();
    all.filter(|finding| finding["id"] == id).filter_map(|f| f["what"].as_str().map(str::to_owned)).collect()
}

/// Its own best for the PyTorch that was measured, the policy's rules for
/// another one, and the machine's where no PyTorch is known.
#[test]
fn a_process_gets_what_was_measured_with_its_pytorch() {
    let tree = machine();
    let new = measured(&tree.root(), winner("native", "bypass"), Some(winner("native", "gemm-naive")));
    record(&tree, selection::FILE, new);
    let own = environment(&tree);
    assert!(own.contains("RDNA1_BYPASS=1\n") && !own.contains("MIOPEN_FIND_MODE"), "{own}");
    script(&tree, "foreign");
    let other = environment(&tree);
    assert!(other.contains("HSA_OVERRIDE_GFX_VERSION=10.3.0\n"), "{other}");
    assert!(other.contains("MIOPEN_DEBUG_CONV_DIRECT=0\n"), "the default profile: {other}");
    tree.write("usr/bin/printenv", "\x7fELF");
    let unknown = environment(&tree);
    assert!(unknown.contains("MIOPEN_USER_DB_PATH=~/.cache/rdna1-rocm-fix/miopen/gemm-naive\n"), "{unknown}");
    assert!(!unknown.contains("HSA_OVERRIDE"), "{unknown}");
}

/// Nobody asked for bypass in so many words: a program that cannot have it starts all the same.
#[test]
fn a_program_that_cannot_have_the_hook_gets_the_machines_profile() {
    let tree = machine();
    let new = measured(&tree.root(), winner("native", "bypass"), Some(winner("native", "gemm-naive")));
    record(&tree, selection::FILE, new);
    std::fs::remove_file(tree.at("usr/lib/rdna1-rocm-fix/python/hook/sitecustomize.py")).expect("it is ours");
    let output = run(&tree, &["--", "printenv"]);
    let set = String::from_utf8_lossy(&output.stdout);
    assert!(set.contains("miopen/gemm-naive\n") && !set.contains("RDNA1_BYPASS"), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("profile gemm-naive is used instead"), "{said}");
    let asked = run(&tree, &["--profile", "bypass", "--", "printenv"]);
    assert_eq!(asked.status.code(), Some(125), "{asked:?}");
}

/// The whole machine never gets a profile that works in single processes only.
#[test]
fn the_machine_follows_after_refresh_and_never_gets_bypass() {
    for (machine_wide, expected) in [(Some(winner("native", "gemm-naive")), "gemm-naive"), (None, "gemm")] {
        let tree = machine();
        let new = measured(&tree.root(), winner("native", "bypass"), machine_wide.clone());
        record(&tree, selection::FILE, new);
        let root = tree.root();
        let refresh = program("rdna1-rocm-fix").arg("--root").arg(root.path()).arg("refresh").output();
        assert!(refresh.as_ref().is_ok_and(|output| output.status.success()), "{refresh:?}");
        let set = std::fs::read_to_string(tree.at("run/rdna1-rocm-fix/env")).expect("it is written");
        assert!(set.contains(&format!("miopen/{expected}")), "{set}");
        // The gfx choice was measured either way.
        assert!(!set.contains("HSA_OVERRIDE_GFX_VERSION"), "{set}");
        let document = status(root.path());
        let left_none = findings(&document, "process-profile-only");
        assert_eq!(left_none.is_empty(), machine_wide.is_some(), "{left_none:?}");
        assert_eq!(document["resolution"]["profile"], expected);
    }
}

#[test]
fn a_users_record_counts_for_what_that_user_runs_and_for_nothing_else() {
    let tree = machine();
    record(&tree, OWN, measured(&tree.root(), winner("native", "stock"), Some(winner("native", "stock"))));
    let set = environment(&tree);
    assert!(!set.contains("MIOPEN_"), "{set}");
    let explained = run(&tree, &["--explain", "--", "printenv"]);
    assert!(String::from_utf8_lossy(&explained.stderr).contains(&format!("profile stock (/{OWN})")), "{explained:?}");
    // The machine's channels do not know it.
    let root = tree.root();
    let refresh =
        program("rdna1-rocm-fix").arg("--root").arg(root.path()).arg("refresh").env("HOME", "/home/u").output();
    assert!(refresh.expect("it runs").status.success());
    let set = std::fs::read_to_string(tree.at("run/rdna1-rocm-fix/env")).expect("it is written");
    assert!(set.contains("miopen/gemm"), "{set}");
    // The user's own goes before the machine's.
    record(&tree, selection::FILE, measured(&tree.root(), winner("native", "gemm"), Some(winner("native", "gemm"))));
    assert!(!environment(&tree).contains("MIOPEN_"));
    // A broken one is an error that says which, as with the machine's files.
    tree.write(OWN, "cards: 5\n");
    let refused = run(&tree, &["--", "printenv"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&refused.stderr).contains(OWN), "{refused:?}");
}

/// What `status` says of the record: whether the machine's gfx choice counts as
/// measured, and why the record is out of date.
fn standing(tree: &Tree) -> (bool, String) {
    let document = status(tree.root().path());
    // It stays in force, as proof or not.
    assert_eq!(document["resolution"]["gfx"]["choice"], "native");
    let stale = findings(&document, "stale-selection").join("\n");
    let why = document["resolution"]["gfx"]["why"].as_str().expect("a text");
    let machine_wide = document["recorded"].as_array().expect("a list").last().expect("a record");
    let reasons = machine_wide["stale"].as_array().expect("a list");
    for reason in reasons {
        assert!(why.contains(reason.as_str().expect("a text")), "{reason} is not in: {why}");
    }
    (document["resolution"]["gfx"]["verified"].as_bool().expect("a truth value"), stale)
}

#[test]
fn a_changed_kernel_or_pytorch_makes_it_stale() {
    let tree = machine();
    let good = measured(&tree.root(), winner("native", "gemm"), Some(winner("native", "gemm")));
    record(&tree, selection::FILE, good.clone());
    assert_eq!(standing(&tree), (true, String::new()));

    tree.write("proc/sys/kernel/osrelease", "6.99.0-new\n");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("6.99.0-new"), "{stale:?}");

    record(&tree, selection::FILE, Measurement { kernel: "6.99.0-new".into(), ..good });
    assert_eq!(standing(&tree), (true, String::new()));
    let library = "usr/local/lib/python3.12/site-packages/torch/lib/libMIOpen.so";
    tree.write(library, "\x7fELF, and something new");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("has changed since"), "{stale:?}");
    // A program that uses it is one that nobody has measured.
    assert!(environment(&tree).contains("MIOPEN_FIND_MODE=2\n"));
}

/// A PyTorch without a MIOpen of its own computes with the machine's.
#[test]
fn another_rocm_under_the_pytorch_makes_it_stale() {
    let tree = machine();
    std::fs::remove_file(tree.at("usr/local/lib/python3.12/site-packages/torch/lib/libMIOpen.so")).expect("it is ours");
    tree.write("opt/rocm/.info/version", "6.4.0\n");
    tree.write("opt/rocm/lib/libMIOpen.so", "\x7fELF");
    record(&tree, selection::FILE, measured(&tree.root(), winner("native", "gemm"), Some(winner("native", "gemm"))));
    assert_eq!(standing(&tree), (true, String::new()));
    tree.write("opt/rocm/lib/libMIOpen.so", "\x7fELF of an update");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("the ROCm that it uses has changed since"), "{stale:?}");
}

/// An environment that lies where nobody looks for one, until it is deleted.
#[test]
fn a_pytorch_that_is_gone_is_no_proof() {
    let tree = machine();
    venv(&tree, "srv/ml", "2.11.0", "'7.12.1'", &bundle(THEROCK));
    let root = tree.root();
    let of = |dir: &str| {
        let stack = Survey::at(&root, dir).stacks.into_iter().next().expect("it is there");
        let mut new = measured(&root, winner("native", "gemm"), Some(winner("native", "gemm")));
        new.stack.fingerprint = stack.process_fingerprint(&Survey::of_rocm(&root));
        new.stack.path = stack.path;
        record(&tree, selection::FILE, new);
    };
    of("/srv/ml");
    assert_eq!(standing(&tree), (true, String::new()));
    tree.write("srv/ml/lib/python3.12/site-packages/torch/lib/libtorch_hip.so", "something new");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("has changed since"), "{stale:?}");
    std::fs::remove_dir_all(tree.at("srv/ml")).expect("it is ours");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("site-packages is gone"), "{stale:?}");
    // The same of one that a survey would find.
    of("/usr/local");
    assert_eq!(standing(&tree), (true, String::new()));
    std::fs::remove_dir_all(tree.at("usr/local/lib/python3.12/site-packages/torch")).expect("it is ours");
    let (verified, stale) = standing(&tree);
    assert!(!verified && stale.contains("site-packages is gone"), "{stale:?}");
}

/// Records of other PyTorch builds stay, one each, and not without end.
#[test]
fn a_record_keeps_the_newest_of_each_pytorch() {
    let tree = machine();
    let root = tree.root();
    let machine = rdna1_core::machine::Machine::detect(&root, &policy());
    let of = |fingerprint: usize, path: usize| Measurement {
        stack: MeasuredStack { name: "x".into(), path: format!("/{path}"), fingerprint: format!("{fingerprint}") },
        ..measured(&root, winner("native", "gemm"), None)
    };
    let mut selection = None;
    for i in 0..20 {
        selection = Some(Selection::with(selection, &machine, of(i, i)));
    }
    let kept = |selection: &Option<Selection>| -> Vec<String> {
        selection.iter().flat_map(|s| s.measurements.iter().map(|m| m.stack.fingerprint.clone())).collect()
    };
    assert_eq!(kept(&selection), ["12", "13", "14", "15", "16", "17", "18", "19"]);
    // The same place with another content, the same content in another place.
    let selection = Selection::with(selection, &machine, of(99, 15));
    assert_eq!(kept(&Some(selection.clone())), ["12", "13", "14", "16", "17", "18", "19", "99"]);
    let other_cards = Selection { cards: vec!["0x7340".parse().expect("an id")], ..selection };
    let selection = Some(Selection::with(Some(other_cards), &machine, of(1, 1)));
    assert_eq!(kept(&selection), ["1"]);
}
