// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reports of many machines: metrics that a real parser accepts, and comparisons.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rdna1_tests::program::program;
use rdna1_tests::tools;
use rdna1_tests::tree::Tree;
use serde_json::{Value, json};

/// Debian's Python, where python3-prometheus-client is installed.
const PYTHON: &str = "/usr/bin/python3";

/// Parses as Prometheus' own client library does, and prints every sample.
const PARSE: &str = "\
import sys, json
from prometheus_client.parser import text_string_to_metric_families as parse
samples = [[s.name, s.labels, s.value] for family in parse(sys.stdin.read()) for s in family.samples]
names = [(name, tuple(sorted(labels.items()))) for name, labels, _ in samples]
assert len(names) == len(set(names)), 'a sample is there twice'
print(json.dumps(samples))
";

/// A report as the program writes it, from which variants are made.
fn report(change: impl FnOnce(&mut Value)) -> Value {
    let case = |name: &str, verdict: &str| {
        json!({
            "name": name, "family": name.split('/').next(), "about": "a convolution", "layer": "convolution",
            "verdict": verdict, "detail": null, "remedy": null, "phase": null,
            "checks": [{"quantity": "output", "error": 1e-7, "limit": 4e-6, "reduction": 9, "largest": 1.0, "nan": 0,
                        "inf": 0, "run_to_run": 0.0, "shape": null, "passed": true}],
            "solvers": [], "seconds": 0.25, "torch_seconds": 0.125, "printed": null,
        })
    };
    let mut report = json!({
        "version": 1, "program": "0.1.0", "started": "2026-11-01T10:00:00Z", "level": "quick", "passed": true,
        "end": {"kind": "complete"},
        "diagnosis": {"broken": null, "summary": "everything that was run is right", "reasons": []},
        "counts": {"selected": 3, "passed": 3, "failed": 0, "skipped": 0, "not_run": 0},
        "timing": {"wall": 12.5, "torch": 9.0, "waiting_for_references": 1.0, "lost": 0.0, "own": 0.5, "references": 4.0, "starts": 1},
        "machine": {"cards": [{"name": "Radeon RX 5600 XT", "gfx": "gfx1010", "device": "0x731f", "vram_bytes": 6442450944_u64}],
                    "kernel": "6.8.0-60-generic", "system": "Debian GNU/Linux 13", "cpus": 8},
        "interpreter": {"path": "/usr/bin/python3", "chosen_by": "PATH", "python": "3.13.5"},
        "software": {"torch": "2.11.0+rocm7.12.0", "torch_path": "~/v/torch", "hip": "7.12.26100", "cuda": null,
                     "miopen_or_cudnn": 3005000, "torchvision": null, "arch_list": ["gfx1010"], "rocm": "7.12",
                     "stack_fingerprint": "00"},
        "device": {"kind": "cuda", "name": "AMD Radeon RX 5600 XT", "arch": "gfx1010:xnack-", "memory_bytes": 6425673728_u64,
                   "multiprocessors": 18, "visible": 1},
        "environment": {"profile": "gemm", "profile_source": "default", "gfx": "native", "gfx_reason": null,
                        "bypass": false, "variables": [], "remarks": []},
        "cases": [case("kernel/3x3", "pass"), case("kernel/5x5", "pass"), case("size/44x44", "pass")],
    });
    change(&mut report);
    report
}

fn compare(tree: &Tree, reports: &[Value], arguments: &[&str]) -> Output {
    let mut command = program("rdna1-validate");
    command.arg("compare").args(arguments);
    for (i, report) in reports.iter().enumerate() {
        let file = tree.at(format!("{i}.json"));
        std::fs::write(&file, report.to_string()).expect("it is ours");
        command.arg(file);
    }
    command.output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn fail(report: &mut Value, place: usize, verdict: &str) {
    report["cases"][place]["verdict"] = json!(verdict);
    report["counts"] = json!({"selected": 3, "passed": 2, "failed": 1, "skipped": 0, "not_run": 0});
    report["passed"] = json!(false);
}

#[test]
fn what_passed_where_and_what_got_worse() {
    let tree = Tree::new();
    let first = report(|_| {});
    let newer_kernel = report(|r| {
        r["started"] = json!("2026-11-09T10:00:00Z");
        r["machine"]["kernel"] = json!("6.17.1");
        fail(r, 2, "timeout");
    });
    let other_profile = report(|r| {
        r["environment"]["profile"] = json!("stock");
        fail(r, 0, "wrong");
    });
    let other_card = report(|r| {
        r["machine"]["cards"][0]["name"] = json!("Radeon RX 5500 XT");
        r["started"] = json!("2026-11-20T10:00:00Z");
        fail(r, 1, "crash");
    });
    // In any order; the reports say when they are from.
    let output = compare(&tree, &[newer_kernel, other_card, first.clone(), other_profile], &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    if crate::schema::available() {
        crate::schema::accepts("docs/schema/compare.schema.json", &document.to_string());
    }
    let files: Vec<&str> =
        document["runs"].as_array().expect("a list").iter().filter_map(|r| r["file"].as_str()).collect();
    let order: Vec<&str> = files.iter().filter_map(|file| Path::new(file).file_name()?.to_str()).collect();
    assert_eq!(order, ["1.json", "2.json", "0.json", "3.json"]);
    assert_eq!(document["passed_everywhere"], 0);
    let regressions = document["regressions"].as_array().expect("a list");
    // Another card or profile is no earlier state of the same thing.
    assert_eq!(regressions.len(), 1, "{regressions:?}");
    assert_eq!(regressions[0]["cases"], json!(["size/44x44"]));
    assert_eq!(regressions[0]["changed"], json!(["kernel 6.8.0-60-generic -> 6.17.1"]));
    let difference = |case: &str| -> Value {
        let all = document["differences"].as_array().expect("a list");
        all.iter().find(|d| d["case"] == case).map(|d| d["verdicts"].clone()).unwrap_or_default()
    };
    assert_eq!(difference("size/44x44"), json!(["pass", "pass", "timeout", "pass"]));
    assert_eq!(difference("kernel/5x5"), json!(["crash", "pass", "pass", "pass"]));
    let same = compare(&tree, &[first.clone(), first], &[]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    assert!(text(&same).contains("the 3 cases that passed in every run"), "{}", text(&same));
}

#[test]
fn what_is_no_report_is_named() {
    let tree = Tree::new();
    let good = report(|_| {});
    for (bad, says) in [
        (json!({"version": 1}), "is no report"),
        (json!({"version": 99}), "version 1 of the form; it has 99"),
        (json!([1, 2]), "it has none"),
        (report(|r| r["cases"] = json!("many")), "is no report"),
    ] {
        let output = compare(&tree, &[good.clone(), bad.clone()], &[]);
        assert_eq!(output.status.code(), Some(3), "{bad}: {}", text(&output));
        assert!(text(&output).contains("1.json") && text(&output).contains(says), "{bad}: {}", text(&output));
    }
    for path in ["/no/such/file", "/", "/dev/zero"] {
        let output = program("rdna1-validate").args(["compare", path]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{path}: {}", text(&output));
    }
    let none = program("rdna1-validate").arg("compare").output().expect("it runs");
    assert_eq!(none.status.code(), Some(2));
}

/// From a real run on the CPU, read by Prometheus' own client library; the file
/// appears as a whole, under a name that the collector reads.
#[test]
fn metrics_are_what_prometheus_reads() {
    let there = |module: &str| {
        let import = format!("import {module}");
        let status = Command::new(PYTHON).args(["-c", &import]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !there("torch") || !there("prometheus_client") {
        tools::skip("python3-torch or python3-prometheus-client is not installed (cargo xtask test installs them)");
        return;
    }
    let tree = Tree::new();
    let file = tree.at("collector/rdna1.prom");
    let mut command = program("rdna1-validate");
    command.args([
        "--device",
        "cpu",
        "--python",
        PYTHON,
        "--only",
        "kernel/[13]x*",
        "--format",
        "prometheus",
        "--report",
    ]);
    let output = command.arg(&file).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let metrics = std::fs::read_to_string(&file).expect("it is written");
    assert_eq!(metrics, String::from_utf8_lossy(&output.stdout));
    let left: Vec<_> = std::fs::read_dir(tree.at("collector")).expect("it is ours").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let mut parser = Command::new(PYTHON);
    let mut parser =
        parser.args(["-c", PARSE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
    std::io::Write::write_all(&mut parser.stdin.take().expect("it is piped"), metrics.as_bytes())
        .expect("python reads");
    let parsed = parser.wait_with_output().expect("python ends");
    assert!(parsed.status.success(), "{metrics}");
    let samples: Vec<(String, Value, f64)> = serde_json::from_slice(&parsed.stdout).expect("it prints JSON");
    let value = |name: &str, label: &str, wanted: &str| {
        let name = format!("rdna1_validate_{name}");
        let mut found =
            samples.iter().filter(|(n, labels, _)| *n == name && (label.is_empty() || labels[label] == wanted));
        found.next().map(|(_, _, value)| *value)
    };
    assert_eq!(value("passed", "", ""), Some(1.0));
    assert_eq!(value("cases", "outcome", "passed"), Some(2.0));
    assert_eq!(value("case_passed", "case", "kernel/3x3"), Some(1.0));
    assert_eq!(value("layer_broken", "layer", "rocBLAS"), Some(0.0));
    assert!(value("case_error_ratio", "case", "kernel/1x1").is_some_and(|ratio| ratio < 1.0), "{metrics}");
    assert!(value("start_time_seconds", "", "").is_some_and(|time| time > 1.7e9), "{metrics}");
    // Prometheus' own linter, where it is installed.
    if tools::find("promtool").is_some() {
        let mut lint = Command::new("promtool");
        let mut lint = lint.args(["check", "metrics"]).stdin(Stdio::piped()).spawn().expect("promtool runs");
        std::io::Write::write_all(&mut lint.stdin.take().expect("it is piped"), metrics.as_bytes()).expect("it reads");
        assert!(lint.wait().expect("it ends").success(), "{metrics}");
    }
}
