// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `isa` found in a stack is kept by content, and what the rest makes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_fs::TempDir;
use rdna1_core::root::Root;
use rdna1_stack::check::{self, Cache};
use rdna1_stack::{Place, Survey};
use rdna1_tests::program::{case, program, top};
use rdna1_tests::tools;
use serde_json::Value;

use super::{assemble, have_llvm, must, workdir};

const OBJCOPY: &str = "llvm-objcopy-19";

/// A kernel's name as rocBLAS's generator gives it.
fn generated(types: &str) -> String {
    format!("Cijk_Ailk_Bljk_{types}_MT64x32x8_ISA1030_K1")
}

/// Code for a target with one function under another name.
fn code(dir: &Path, rule: &str, function: &str, types: &str, target: &str) -> PathBuf {
    let object = assemble(dir, &top().join(format!("tests/isa/rules/{rule}.s")), "gfx1030");
    let out = dir.join(format!("{types}-{target}.co"));
    let name = generated(types);
    must(Command::new(OBJCOPY).arg(format!("--redefine-sym={function}={name}")).arg(&object).arg(&out).output());
    if target == "gfx1010" {
        // The target is the low byte of the flags.
        let mut bytes = fs::read(&out).expect("just made");
        bytes[48] = 0x33;
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

#[test]
fn what_was_found_is_kept_and_told_by_status_plan_and_the_advisories() {
    if !have_llvm() || !tools::available(&[OBJCOPY]) {
        return;
    }
    let (root, rocm) = machine("kept");
    let root = root.path();
    let status = || {
        let (out, err, _) = run("rdna1-rocm-fix", root, &["status", "--json"]);
        serde_json::from_str::<Value>(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
    };
    let finding = |document: &Value, id: &str| {
        let all = document["findings"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|finding| finding["id"] == id)
    };
    let before = status();
    assert_eq!(before["device_code"][0]["checked"], false, "{}", before["device_code"]);
    assert!(finding(&before, "device-code").is_none());

    let (out, err, code) = run("rdna1-validate", root, &["isa", "--on", "gfx1010"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let cache = root.join("var/cache/rdna1-rocm-fix/isa");
    let records: Vec<_> = fs::read_dir(&cache).expect("root keeps it there").flatten().collect();
    assert_eq!(records.len(), 1);
    let text = fs::read_to_string(records[0].path()).expect("it can be read");
    assert!(!text.contains(&*root.to_string_lossy()) && !text.contains("/opt"), "no paths in it: {text}");

    let after = status();
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
    assert_eq!(status()["device_code"][0]["checked"], false);
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
    let (checked, _) = check::check(place, &stack, card).expect("an RDNA1 card");
    check::keep(place, &cache, &stack, card, &checked).expect("it can be written");
    let known = check::known(place, &cache, &stack, card).expect("it was kept");
    assert_eq!(known, checked);
    let mut choices = ["10.3.0", "native"].map(|text| text.parse().expect("a choice"));
    check::safer_first(&mut choices, Some(&known), card, |choice| *choice);
    assert_eq!(choices.map(|choice: rdna1_core::gfx::GfxChoice| choice.to_string()), ["native", "10.3.0"]);
    // For another card there is another record.
    assert_eq!(check::known(place, &cache, &stack, "gfx1012".parse().expect("a target")), None);
    for damage in ["", "{", "[]", "{\"version\":1}", &"x".repeat(2 << 20)] {
        for record in fs::read_dir(cache.written_to()).expect("it is there").flatten() {
            fs::write(record.path(), damage).expect("it is ours");
        }
        assert_eq!(check::known(place, &cache, &stack, card), None, "{damage:.10}");
    }
}
