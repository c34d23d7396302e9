// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `isa` found in a stack is kept by content, and what the rest makes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_fs::TempDir;
use rdna1_core::root::Root;
use rdna1_stack::check::{self, Cache};
use rdna1_stack::{Place, Survey};
use rdna1_tests::program::{case, copy_case, program, top};
use rdna1_tests::tree::Tree;
use rdna1_tests::{tools, wheel};
use serde_json::Value;

use super::{assemble, have_llvm, must, workdir};

const OBJCOPY: &str = "llvm-objcopy-19";

/// A kernel's name as rocBLAS's generator gives it.
fn generated(types: &str) -> String {
    format!("Cijk_Ailk_Bljk_{types}_MT64x32x8_ISA1030_K1")
}

/// Code for a target with one function under another name.
fn code(dir: &Path, rule: &str, function: &str, types: &str, target: &str) -> PathBuf {
    let rules = top().join("tests/isa/rules");
    let source = fs::read_to_string(rules.join(format!("{rule}.s"))).expect("it is there");
    // That function alone: the others of the file would count as well.
    let (_, body) = source.split_once(&format!("\nfunction {function}\n")).expect("it is in the file");
    let (body, _) = body.split_once(&format!("endfunction {function}\n")).expect("it ends");
    let one = dir.join(format!("{rule}-{function}.s"));
    let include = rules.join("functions.inc");
    let text =
        format!(".include {:?}\nfunction {function}\n{body}endfunction {function}\n", include.display().to_string());
    fs::write(&one, text).expect("target is writable");
    let object = assemble(dir, &one, "gfx1030");
    let out = dir.join(format!("{types}-{target}.co"));
    let name = generated(types);
    must(Command::new(OBJCOPY).arg(format!("--redefine-sym={function}={name}")).arg(&object).arg(&out).output());
    // The target is the low byte of the flags.
    if let Some(flag) = [("gfx1010", 0x33), ("gfx1012", 0x35)].into_iter().find(|(name, _)| *name == target) {
        let mut bytes = fs::read(&out).expect("just made");
        bytes[48] = flag.1;
        fs::write(&out, bytes).expect("target is writable");
    }
    out
}

/// A machine with an RX 5600 XT and a ROCm whose rocBLAS has fp32 and fp16 for
/// gfx1030, and fp32 without a hit for gfx1010.
fn machine(name: &str) -> (TempDir, PathBuf) {
    let dir = workdir(name);
    let root = TempDir::new().expect("a temporary directory");
    must(Command::new("cp").arg("--archive").arg(case("02-rx5600xt-ready").join(".")).arg(root.path()).output());
    let rocm = root.path().join("opt/rocm-6.4.0");
    let kernels = rocm.join("lib/rocblas/library");
    fs::create_dir_all(&kernels).expect("a temporary directory is writable");
    fs::create_dir_all(rocm.join(".info")).expect("a temporary directory is writable");
    for (file, text) in [(".info/version", "6.4.0\n"), ("lib/libamdhip64.so.6.4.43484", ""), ("lib/libMIOpen.so.1", "")]
    {
        fs::write(rocm.join(file), text).expect("a temporary directory is writable");
    }
    for (rule, function, types, target) in [
        ("vmem-scalar-write", "hit_descriptor", "SB", "gfx1030"),
        ("missing-instruction", "hit_dot2c", "HHS_BH", "gfx1030"),
        ("missing-instruction", "clean", "SB", "gfx1010"),
    ] {
        let object = code(&dir, rule, function, types, target);
        fs::copy(object, kernels.join(format!("Kernels_{types}_{target}.co"))).expect("it is there");
    }
    (root, rocm)
}

fn run(program_name: &str, root: &Path, arguments: &[&str]) -> (String, String, i32) {
    let output = program(program_name).env("RDNA1_ROOT", root).args(arguments).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

fn status(root: &Path) -> Value {
    let (out, err, _) = run("rdna1-rocm-fix", root, &["status", "--json"]);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

fn finding(document: &Value, id: &str) -> Option<Value> {
    let all = document["findings"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|finding| finding["id"] == id)
}

#[test]
fn what_was_found_is_kept_and_told_by_status_plan_and_the_advisories() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let (root, rocm) = machine("kept");
    let root = root.path();
    let before = status(root);
    assert_eq!(before["device_code"][0]["checked"], false, "{}", before["device_code"]);
    assert!(finding(&before, "device-code").is_none());

    let (out, err, code) = run("rdna1-validate", root, &["isa", "--on", "gfx1010"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    // The table of libraries has a line for each of their data types.
    let table = out.split_once("Kernels_HHS_BH_gfx1030.co").expect("it is one of two").1;
    let line = table.lines().nth(1).unwrap_or_default();
    assert!(line.starts_with("    fp16 with fp32 sums ") && line.trim_end().ends_with(" 1         0       0"), "{out}");
    let cache = root.join("var/cache/rdna1-rocm-fix/isa");
    let records: Vec<_> = fs::read_dir(&cache).expect("root keeps it there").flatten().collect();
    assert_eq!(records.len(), 1);
    let text = fs::read_to_string(records[0].path()).expect("it can be read");
    assert!(!text.contains(&*root.to_string_lossy()) && !text.contains("/opt"), "no paths in it: {text}");

    let after = status(root);
    let found = finding(&after, "device-code").unwrap_or_else(|| panic!("{}", after["findings"]));
    assert_eq!(found["level"], "warning");
    let happens = found["happens"].as_str().unwrap_or_default();
    assert!(
        happens.contains("fp16 with fp32 sums: of 1 functions 1 with instructions that the card lacks"),
        "{happens}"
    );
    let remedy = found["do"].as_str().unwrap_or_default();
    assert!(remedy.contains("prefer gfx native") && remedy.contains("keep away from fp16 with fp32 sums"), "{remedy}");
    let advisory = finding(&after, "foreign-code").expect("10.3.0 is in force");
    assert!(advisory["happens"].as_str().is_some_and(|text| text.contains(" Here, ROCm 6.4.0 in ")), "{advisory}");

    // The plan warns by data type: of half precision, not of what is clean.
    let plan =
        |arguments: &[&str]| run("rdna1-validate", root, &[&["plan", "resnet18", "--json"][..], arguments].concat());
    let notes = |(out, err, _): (String, String, i32)| {
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        document["device_code"].clone()
    };
    let half = notes(plan(&["--gfx-target", "gfx1030", "--on", "gfx1010", "--data-type", "f16"]));
    assert_eq!(half[0]["data_type"], "f16", "{half}");
    assert!(half[0]["found"][0].as_str().is_some_and(|text| text.contains("lacks")), "{half}");
    let single = notes(plan(&["--gfx-target", "gfx1030", "--data-type", "f32"]));
    assert!(single[0]["found"][0].as_str().is_some_and(|text| text.contains("workarounds")), "{single}");
    assert_eq!(notes(plan(&["--gfx-target", "gfx1010"])), Value::Array(Vec::new()));

    // Another file in place of one: what was found no longer counts.
    let kernels = rocm.join("lib/rocblas/library");
    fs::copy(kernels.join("Kernels_SB_gfx1010.co"), kernels.join("Kernels_HHS_BH_gfx1030.co")).expect("it is there");
    assert_eq!(status(root)["device_code"][0]["checked"], false);
}

#[test]
fn the_safer_code_comes_first_and_broken_records_are_none() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let (root, _) = machine("safer");
    let root = Root::new(root.path());
    let place = Place(&root);
    let stack = Survey::of_system(&root).stacks.remove(0);
    let card = "gfx1010".parse().expect("a target");
    let cache = Cache::of(&root, &Default::default(), true);
    assert_eq!(check::known(place, &cache, &stack, card), None);
    let made = check::check(place, &stack, card).expect("an RDNA1 card");
    // Whatever root's umask is, everybody may read it.
    let before = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    let kept = check::keep(place, &cache, &stack, card, &made);
    rustix::process::umask(before);
    kept.expect("it can be written");
    for dir in cache.written_to().ancestors().take(2) {
        let mode = fs::metadata(dir).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{}", dir.display());
    }
    let known = check::known(place, &cache, &stack, card).expect("it was kept");
    assert_eq!(known, made.checked);
    // Root does not believe a home directory, which may be another user's.
    let mut theirs = std::collections::BTreeMap::<String, String>::new();
    theirs.insert("HOME".into(), root.join("/home/u").display().to_string());
    fs::create_dir_all(root.join("/home/u/.cache/rdna1-rocm-fix")).expect("it is ours");
    let moved = root.join("/home/u/.cache/rdna1-rocm-fix/isa");
    fs::rename(cache.written_to(), &moved).expect("it is ours");
    assert_eq!(check::known(place, &Cache::of(&root, &theirs, true), &stack, card), None);
    assert!(check::known(place, &Cache::of(&root, &theirs, false), &stack, card).is_some());
    fs::rename(&moved, cache.written_to()).expect("it is ours");
    // A check of files that were replaced meanwhile is not kept under the new ones' name.
    let kernels = root.join("/opt/rocm-6.4.0/lib/rocblas/library/Kernels_SB_gfx1010.co");
    let sound = fs::read(&kernels).expect("it is there");
    fs::write(&kernels, [&sound[..], b"new"].concat()).expect("it is ours");
    let problem = check::keep(place, &cache, &stack, card, &made).expect_err("the files are others");
    assert!(problem.problem.contains("changed while it was read"), "{problem:?}");
    fs::write(&kernels, &sound).expect("it is ours");
    // For another card there is another record.
    assert_eq!(check::known(place, &cache, &stack, "gfx1012".parse().expect("a target")), None);
    for damage in ["", "{", "[]", "{\"version\":1}", &"x".repeat(2 << 20)] {
        for record in fs::read_dir(cache.written_to()).expect("it is there").flatten() {
            fs::write(record.path(), damage).expect("it is ours");
        }
        assert_eq!(check::known(place, &cache, &stack, card), None, "{damage:.10}");
    }
}

/// A card's machine with a PyTorch of its own: what its libtorch has code for, and
/// its rocBLAS's kernels by rule, function, data type and target.
fn with_pytorch(card: &str, torch: &[&str], kernels: &[(&str, &str, &str, &str)]) -> Tree {
    let tree = Tree::new();
    copy_case(card, tree.root().path());
    tree.write("usr/bin/python3.12", "\x7fELF");
    wheel::venv(&tree, "usr/local", "2.6.0+rocm6.1", "'6.1.40091'", &wheel::bundle(torch));
    let dir = workdir(&format!("pytorch-{card}"));
    for (rule, function, types, target) in kernels {
        let object = fs::read(code(&dir, rule, function, types, target)).expect("just made");
        let library = "usr/local/lib/python3.12/site-packages/torch/lib/rocblas/library";
        tree.write(format!("{library}/Kernels_{types}_{target}.co"), object);
    }
    tree
}

/// As in official wheels: rocBLAS has clean code for the card, PyTorch itself has
/// none, so that without the override nothing would start.
#[test]
fn a_choice_that_pytorch_has_no_code_for_is_not_named() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let kernels =
        [("vmem-scalar-write", "hit_descriptor", "SB", "gfx1030"), ("missing-instruction", "clean", "SB", "gfx1010")];
    let root = |torch: &[&str]| with_pytorch("02-rx5600xt-ready", torch, &kernels);
    let tree = root(wheel::ROCM);
    let (out, err, code) = run("rdna1-validate", tree.root().path(), &["isa"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let found = finding(&status(tree.root().path()), "device-code").expect("10.3.0 is in force and has hits");
    assert!(!found["do"].as_str().unwrap_or_default().contains("prefer"), "{found}");
    // What is said of a library that lacks the card's own code is said once.
    let object = self::code(&workdir("once"), "vmem-scalar-write", "hit_descriptor", "SB", "gfx1030");
    let section = wheel::bundle_of(&[("gfx1030", &fs::read(object).expect("just made"))]);
    tree.write("usr/local/lib/python3.12/site-packages/torch/lib/libtorch_hip.so", wheel::library(&section));
    let (out, err, status_code) = run("rdna1-validate", tree.root().path(), &["isa"]);
    assert_eq!((status_code, err.as_str()), (0, ""), "{out}");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words.matches("but not in libtorch_hip.so").count(), 1, "{out}");
    assert!(!words.contains("use it, with no HSA_OVERRIDE_GFX_VERSION"), "{out}");
    // Where PyTorch has that code as well, it is in use to begin with.
    let tree = root(&["gfx1010", "gfx1030"]);
    must(program("rdna1-validate").env("RDNA1_ROOT", tree.root().path()).arg("isa").output());
    let document = status(tree.root().path());
    assert_eq!(document["device_code"][0]["gfx"], "native", "{document}");
}

/// PyTorch's own kernels have names that tell no data type, and count.
#[test]
fn kernels_that_are_no_matrix_products_are_warned_of() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let tree = with_pytorch("02-rx5600xt-ready", wheel::ROCM, &[]);
    let dir = workdir("torch-kernel");
    let object = assemble(&dir, &top().join("tests/isa/rules/missing-instruction.s"), "gfx1030");
    let kernel = fs::read(object).expect("just made");
    tree.write("usr/local/lib/python3.12/site-packages/torch/lib/native_gfx1030.co", kernel);
    let (out, err, code) = run("rdna1-validate", tree.root().path(), &["isa"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let found = finding(&status(tree.root().path()), "device-code").expect("it has hits");
    assert!(found["do"].as_str().is_some_and(|text| text.contains("no matrix products")), "{found}");
}

/// `select` begins with the card's own code, and with gfx1010's where a check found
/// only that to be without hits; the check is for the card of the machine unless told otherwise.
#[test]
fn select_begins_with_what_was_found_to_be_clean() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let kernels = [
        ("vmem-scalar-write", "hit_descriptor", "SB", "gfx1030"),
        ("vmem-scalar-write", "hit_descriptor", "SB", "gfx1012"),
        ("missing-instruction", "clean", "SB", "gfx1010"),
    ];
    let tree = with_pytorch("04-rx5500xt-kernel-6.12-rocm-7.13", &["gfx1010", "gfx1012", "gfx1030"], &kernels);
    let order = || -> Vec<String> {
        let (out, err, code) =
            run("rdna1-validate", tree.root().path(), &["select", "--list", "--python", "/usr/local/bin/python"]);
        assert_eq!(code, 0, "{out}{err}");
        let mut choices: Vec<String> = Vec::new();
        for line in out.lines() {
            let choice =
                ["native", "10.1.0", "10.3.0"].into_iter().find(|choice| line.contains(&format!("gfx {choice}")));
            if let Some(choice) = choice.filter(|choice| choices.last().is_none_or(|last| last != choice)) {
                choices.push(choice.to_owned());
            }
        }
        choices
    };
    assert_eq!(order(), ["native", "10.1.0", "10.3.0"]);
    let (out, err, code) = run("rdna1-validate", tree.root().path(), &["isa"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("on a gfx1012 card"), "{out}");
    assert_eq!(order(), ["10.1.0", "native", "10.3.0"]);
}
