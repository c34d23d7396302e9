// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line, and what reports hold.

use std::path::Path;
use std::process::Command;

use rdna1_tests::program::{program, top};
use rdna1_tests::tools;
use rdna1_tests::wheel::version_py;

use assert_fs::TempDir;

fn listed(arguments: &[&str]) -> Vec<String> {
    let output = program("rdna1-validate").arg("--list").args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn levels_grow_and_globs_select() {
    let (quick, medium, long) = (listed(&[]), listed(&["--level", "medium"]), listed(&["--level", "long"]));
    assert!(quick.iter().all(|name| medium.contains(name)) && medium.iter().all(|name| long.contains(name)));
    assert!(medium.len() >= 150 && long.len() > medium.len(), "{} and {}", medium.len(), long.len());
    let only = listed(&["--level", "medium", "--only", "size/4*", "--only", "copy/*"]);
    assert!(only.iter().all(|name| name.starts_with("size/4") || name.starts_with("copy/")) && only.len() > 5);
    let none = program("rdna1-validate").args(["--only", "no/such"]).output().expect("it runs");
    assert_eq!(none.status.code(), Some(4));
    for wrong in [
        &["--level", "slow"][..],
        &["--timeout", "0"],
        &["--only", "[a"],
        &["--gfx", "navi"],
        &["--format", "xml"],
        &["--any-gpu", "--profile", "gem"],
        &["--level", "medium", "plan"],
    ] {
        let output = program("rdna1-validate").args(wrong).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let root = top().join("tests/cases/02-rx5600xt-ready/root").display().to_string();
    let output = program("rdna1-validate").args(["--root", &root, "plan", "resnet18"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// An earlier report is all that there is until a new one is whole.
#[test]
fn a_report_is_replaced_as_a_whole() {
    let dir = TempDir::new().expect("a temporary directory");
    let (file, link) = (dir.path().join("r.json"), dir.path().join("link.json"));
    std::fs::write(&file, "the old one").expect("it is ours");
    std::os::unix::fs::symlink("r.json", &link).expect("it is ours");
    let read = || std::fs::read_to_string(&file).expect("it is there");
    let output = program("rdna1-validate").args(["--report"]).arg(&file).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "there is no card here: {output:?}");
    assert_eq!(read(), "the old one");
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is ours").count(), 2, "and nothing beside it");
    run("text", &dir, &["--report", &link.display().to_string()]);
    assert!(read().starts_with('{') && link.is_symlink(), "{:.40}", read());
    // What is no file stays what it is.
    run("text", &dir, &["--report", "/dev/null"]);
    assert!(!Path::new("/dev/null").is_file() && Path::new("/dev/null").exists());
}

/// A run with an interpreter that answers that everything is right but one thing.
fn run(format: &str, dir: &TempDir, more: &[&str]) -> String {
    let mut command = program("rdna1-validate");
    command.arg("--any-gpu").args(["--only", "copy/elements1", "--only", "kernel/3x3", "--format", format]);
    command.arg("--python").arg(top().join("tests/validate/misbehaving.py")).args(more);
    command.env("RDNA1_TEST_BEHAVIOUR", "exception").env("HOME", dir.path()).env("USER", "maxmustermann");
    command.env("MIOPEN_USER_DB_PATH", dir.path().join("db")).env("HIP_VISIBLE_DEVICES", "maxmustermann");
    command.env("ROCR_VISIBLE_DEVICES", "GPU-0f1e2d3c4b5a6978");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn reports_fit_the_schema_and_hold_nothing_private() {
    let dir = TempDir::new().expect("a temporary directory");
    let json = run("json", &dir, &[]);
    crate::schema::accepts("docs/schema/report.schema.json", &json);
    let home = dir.path().display().to_string();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("proc is there");
    assert!(json.contains("GPU-SERIAL"), "{json}");
    for private in [home.as_str(), "maxmustermann", host.trim(), "0f1e2d3c4b5a6978"] {
        assert!(!json.contains(private) || private.len() < 3 || private == "localhost", "{private}: {json}");
    }
    assert!(json.contains("~/db") && json.contains("miopenStatusUnknownError"));
    let document: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let check = &document["cases"][0]["checks"][0];
    assert!(check["error"].is_f64() && check["limit"].is_f64() && check["nan"].is_u64(), "real numbers: {check}");
    let damaged = json.replacen("\"verdict\": \"pass\"", "\"verdict\": \"splendid\"", 1);
    assert_ne!(damaged, json);
    crate::schema::refuses("docs/schema/report.schema.json", &damaged);
}

#[test]
fn text_and_junit_say_the_same() {
    let dir = TempDir::new().expect("a temporary directory");
    let files = ["report.json", "report.xml", "report.txt"].map(|name| dir.path().join(name));
    let text = run("text", &dir, &[]);
    assert!(text.contains("ERROR kernel/3x3") && text.contains("1 of 2 cases passed, 1 failed"), "{text}");
    let junit = run("junit", &dir, &[]);
    assert!(junit.contains("tests=\"2\"") && junit.contains("errors=\"1\"") && junit.contains("kernel/3x3"), "{junit}");
    for file in &files {
        run("text", &dir, &["--report", &file.display().to_string()]);
    }
    let [json, xml, page] = files.map(|file| std::fs::read_to_string(file).expect("it was written"));
    assert!(json.starts_with('{') && xml.starts_with("<?xml"), "{json:.40} {xml:.40}");
    assert!(page.contains("ERROR kernel/3x3") && !page.contains('\u{1b}'), "{page}");
    let output = program("rdna1-validate").args(["--any-gpu", "--report", "/no/such/dir/x"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "before anything is computed: {output:?}");
}

#[test]
fn the_named_interpreter_goes_before_the_active_and_that_before_the_systems() {
    let dir = TempDir::new().expect("a temporary directory");
    let environment = |name: &str| {
        let bin = dir.path().join(name).join("bin");
        std::fs::create_dir_all(&bin).expect("it is ours");
        std::fs::copy(top().join("tests/validate/misbehaving.py"), bin.join("python")).expect("it can be copied");
        dir.path().join(name)
    };
    let (venv, conda) = (environment("venv"), environment("conda"));
    let chosen = |named: bool, variables: &[(&str, &std::path::Path)]| {
        let mut command = program("rdna1-validate");
        command.args(["--any-gpu", "--only", "copy/elements1", "--format", "json"]).envs(variables.iter().copied());
        if named {
            command.arg("--python").arg(top().join("tests/validate/misbehaving.py"));
        }
        let output = command.output().expect("it runs");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        report["interpreter"]["chosen_by"].as_str().expect("text").to_owned()
    };
    let both = [("VIRTUAL_ENV", venv.as_path()), ("CONDA_PREFIX", conda.as_path())];
    assert_eq!(chosen(true, &both), "--python");
    assert_eq!(chosen(false, &both), "VIRTUAL_ENV");
    assert_eq!(chosen(false, &both[1..]), "CONDA_PREFIX");
}

/// Where the first Python of `PATH` has no PyTorch, the system's is taken if it has.
#[test]
fn the_systems_python_is_taken_where_the_paths_has_no_pytorch() {
    let torch = Command::new("/usr/bin/python3").args(["-c", "import torch"]).output();
    if !torch.is_ok_and(|output| output.status.success()) {
        return tools::skip("python3-torch is not installed (cargo xtask test installs it)");
    }
    let dir = TempDir::new().expect("a temporary directory");
    let venv = Command::new("/usr/bin/python3").args(["-m", "venv", "--without-pip"]).arg(dir.path()).status();
    assert!(venv.is_ok_and(|status| status.success()), "python3-venv is installed");
    let mut command = program("rdna1-validate");
    command.args(["--device", "cpu", "--only", "copy/elements1", "--format", "json"]);
    let output = command.env("PATH", format!("{}/bin:/usr/bin:/bin", dir.path().display())).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&text);
    assert_eq!((&report["interpreter"]["chosen_by"], output.status.code()), (&"system".into(), Some(0)), "{text}");
}

/// Without an active environment: the first of `PATH`, if it has a PyTorch.
#[test]
fn the_paths_python_is_taken_where_it_has_a_pytorch() {
    let dir = TempDir::new().expect("a temporary directory");
    let at = |path: &str| dir.path().join(path);
    let torch = at("lib/python3.11/site-packages/torch");
    std::fs::create_dir_all(at("bin")).expect("it is ours");
    std::fs::copy(top().join("tests/validate/misbehaving.py"), at("bin/python3.11")).expect("it can be copied");
    std::os::unix::fs::symlink("python3.11", at("bin/python3")).expect("it is ours");
    let chosen = || {
        let mut command = program("rdna1-validate");
        command.args(["--any-gpu", "--only", "copy/elements1", "--format", "json"]);
        command.env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()));
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        match serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            Ok(report) => report["interpreter"]["chosen_by"].as_str().expect("text").to_owned(),
            Err(_) => text,
        }
    };
    std::fs::create_dir_all(&torch).expect("it is ours");
    std::fs::write(torch.join("version.py"), version_py("2.7.1+rocm6.3", "'6.3'")).expect("it is ours");
    assert_eq!(chosen(), "PATH");
}
