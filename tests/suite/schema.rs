// SPDX-License-Identifier: MIT OR Apache-2.0
//! The published JSON schemas, checked by a validator that is not ours.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rdna1_tests::program::{case, program, top};
use rdna1_tests::tools;

/// Debian's Python, where python3-jsonschema is installed; not whatever `python3` is on PATH.
const PYTHON: &str = "/usr/bin/python3";

const VALIDATE: &str = "\
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
kind = jsonschema.validators.validator_for(schema)
kind.check_schema(schema)
errors = list(kind(schema).iter_errors(json.load(sys.stdin)))
print([f'{list(e.absolute_path)}: {e.message[:200]}' for e in errors])
sys.exit(len(errors) > 0)
";

pub(crate) fn available() -> bool {
    let there = Command::new(PYTHON).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        tools::skip("python3-jsonschema is not installed (cargo xtask test installs it)");
    }
    there
}

fn validate(schema: &str, document: &str) -> Output {
    let mut command = Command::new(PYTHON);
    command.args(["-c", VALIDATE]).arg(top().join(schema));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
    child.stdin.take().expect("it is piped").write_all(document.as_bytes()).expect("python reads");
    child.wait_with_output().expect("python ends")
}

pub(crate) fn accepts(schema: &str, document: &str) {
    let output = validate(schema, document);
    assert!(output.status.success(), "{schema}: {}", String::from_utf8_lossy(&output.stdout));
}

pub(crate) fn refuses(schema: &str, document: &str) {
    let output = validate(schema, document);
    assert_eq!(output.status.code(), Some(1), "{schema} accepts {document:.200}");
}

fn as_json(yaml: &str) -> String {
    let value: serde_json::Value = serde_yaml::from_str(yaml).expect("it is YAML");
    value.to_string()
}

#[test]
fn the_policy_fits_its_schema_and_damage_does_not() {
    if !available() {
        return;
    }
    let schema = "policy/rdna1.schema.json";
    let text = rdna1_core::policy::Policy::embedded_yaml();
    accepts(schema, &as_json(text));
    for (from, to) in [
        ("version: 1\n", "version: 1\nvresion: 1\n"),
        ("\"0x731f\"", "\"731f\""),
        ("severity: warning", "severity: terrible"),
        ("    gfx: gfx1010\n", ""),
    ] {
        assert!(text.contains(from), "the policy has changed: no {from:?}");
        refuses(schema, &as_json(&text.replacen(from, to, 1)));
    }
}

#[test]
fn a_configuration_fits_its_schema() {
    if !available() {
        return;
    }
    let schema = "policy/config.schema.json";
    accepts(schema, &as_json("profile: gemm\ngfx: native\nvariables: {MIOPEN_LOG_LEVEL: 5}\nsuppress: [X]\n"));
    for bad in ["profil: gemm", "gfx: 10.3", "variables: [1]", "suppress: x"] {
        refuses(schema, &as_json(bad));
    }
}

#[test]
fn what_the_program_prints_fits_the_documented_schemas() {
    if !available() {
        return;
    }
    let print = |root: &Path, command: &str| {
        let output = program("rdna1-rocm-fix").arg("--root").arg(root).args([command, "--json"]).output();
        String::from_utf8(output.expect("the program runs").stdout).expect("it prints text")
    };
    for name in
        ["02-rx5600xt-ready", "11-apu-with-kfd", "12-apu-rocm-6.2", "26-nvidia-only", "34-disabled", "35-broken-config"]
    {
        let root = case(name);
        accepts("docs/schema/status.schema.json", &print(&root, "status"));
        accepts("docs/schema/detect.schema.json", &print(&root, "detect"));
    }
    refuses("docs/schema/status.schema.json", "{\"version\": 1}");
}

/// `explain --stack` on a directory with libraries that are none but in name.
#[test]
fn what_a_stack_contains_fits_its_schema() {
    if !available() {
        return;
    }
    let root = assert_fs::TempDir::new().expect("a temporary directory");
    let lib = root.path().join("opt/rocm/lib");
    std::fs::create_dir_all(&lib).expect("it is ours");
    // An ELF header without sections is enough.
    let mut bytes = std::fs::read(std::env::current_exe().expect("a test is a file")).expect("it is readable");
    bytes.truncate(64);
    bytes[58..64].fill(0);
    bytes[40..48].fill(0);
    bytes.extend(b"\0MIOPEN_FIND_MODE\0");
    std::fs::write(lib.join("libMIOpen.so"), bytes).expect("it is ours");
    let mut explain = program("rdna1-rocm-fix");
    explain.arg("--root").arg(root.path()).args(["explain", "--stack", "/opt/rocm", "--json"]);
    let output = explain.output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\"confirmed\""), "{text}{}", String::from_utf8_lossy(&output.stderr));
    accepts("docs/schema/explain.schema.json", &text);
    refuses("docs/schema/explain.schema.json", &text.replace("\"confirmed\"", "\"certain\""));
}

/// `isa` on code that the test compiles, `plan` on a model: the documents that
/// need no GPU.
#[test]
fn what_isa_and_plan_print_fits_their_schemas() {
    if !available() {
        return;
    }
    let print = |arguments: &[&str]| {
        let output = program("rdna1-validate").args(arguments).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("it prints text")
    };
    let plan = print(&["plan", "resnet18", "--gfx-target", "gfx1030", "--on", "gfx1010", "--json"]);
    accepts("docs/schema/plan.schema.json", &plan);
    refuses(
        "docs/schema/plan.schema.json",
        &plan.replacen("\"gemm\"", "\"gem\"", 1).replace("\"verdict\": \"gemm\"", "\"verdict\": \"gem\""),
    );
    refuses("docs/schema/plan.schema.json", &plan.replacen("\"version\"", "\"vresion\"", 1));
    let clang = "clang-19";
    if !tools::available(&[clang]) {
        return;
    }
    let dir = assert_fs::TempDir::new().expect("a temporary directory");
    let object = dir.path().join("kernels.co");
    let mut compile = Command::new(clang);
    compile.args(["-target", "amdgcn-amd-amdhsa", "-nogpulib", "-O2", "-x", "cl", "-cl-std=CL2.0", "-mcpu=gfx1030"]);
    let done = compile.arg(top().join("tests/isa/kernels.cl")).arg("-o").arg(&object).status();
    assert!(done.is_ok_and(|status| status.success()), "clang compiles");
    let file = object.display().to_string();
    let isa = print(&["isa", "--stack", &file, "--json"]);
    assert!(isa.contains("flat-offset"), "{isa:.400}");
    accepts("docs/schema/isa.schema.json", &isa);
    refuses("docs/schema/isa.schema.json", &isa.replace("\"flat-offset\"", "\"flat-earth\""));
    let kernels = print(&["isa", "--stack", &file, "--kernel", "through_flat", "--json"]);
    accepts("docs/schema/isa-kernels.schema.json", &kernels);
    refuses("docs/schema/isa-kernels.schema.json", &kernels.replace("\"rule\"", "\"ruel\""));
}
