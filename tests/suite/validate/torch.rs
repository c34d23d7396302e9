// SPDX-License-Identifier: MIT OR Apache-2.0
//! The suite on real PyTorch: Debian 12's (`python3-torch` 1.13 of this
//! machine) and Debian 13's (2.6, in the test root), on the CPU; and with a
//! broken convolution in it.

use std::process::{Command, Output};

use assert_fs::TempDir;
use rdna1_tests::chroot::Chroot;
use rdna1_tests::program::{bin_dir, program, top};
use rdna1_tests::tools;
use serde_json::Value;

/// Debian's own Python.
const PYTHON: &str = "/usr/bin/python3";

/// Whether Debian's PyTorch is here; if not, reports the skip.
fn has_torch() -> bool {
    let there = Command::new(PYTHON).args(["-c", "import torch, torchvision"]).output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        tools::skip("python3-torch and python3-torchvision are not installed (cargo xtask test installs them)");
    }
    there
}

fn suite(arguments: &[&str]) -> Command {
    let mut command = program("rdna1-validate");
    command.args(["--device", "cpu", "--python", PYTHON, "--format", "json"]).args(arguments);
    // A core may be shared with other tests: nothing here is about time.
    command.args(["--timeout", "600"]);
    command
}

fn report(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"))
}

/// What must hold of a run of everything that a PyTorch can do on the CPU.
fn everything_is_right(report: &Value, torch: &str, at_least: u64) {
    let failed = report["cases"].as_array().expect("cases").iter();
    let failed: Vec<&Value> =
        failed.filter(|case| !["pass", "skipped"].contains(&case["verdict"].as_str().unwrap_or(""))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(report["passed"], true);
    assert!(report["software"]["torch"].as_str().expect("a version").starts_with(torch), "{}", report["software"]);
    assert!(report["counts"]["passed"].as_u64().expect("a number") >= at_least, "{}", report["counts"]);
    assert_eq!(report["device"]["kind"], "cpu");
    assert!(report["diagnosis"]["summary"].as_str().expect("text").contains("nothing about the card"));
    for case in report["cases"].as_array().expect("cases").iter().filter(|case| case["verdict"] == "skipped") {
        // The CPU of old PyTorch has no half precision; nothing else may be left out.
        let why = case["detail"].as_str().expect("a reason");
        assert!(why.contains("Half") || why.contains("AutocastCPU"), "{why}");
    }
}

#[test]
fn the_whole_suite_on_debian_12() {
    if !has_torch() {
        return;
    }
    let output = suite(&["--level", "medium"]).output().expect("it runs");
    let report = report(&output);
    everything_is_right(&report, "1.13", 200);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report["timing"]["starts"], 1, "one interpreter for all of them");
    let models = report["cases"].as_array().expect("cases").iter().filter(|case| case["layer"] == "model");
    assert_eq!(models.filter(|case| case["verdict"] == "pass").count(), 12, "six models, inference and training");
}

#[test]
fn the_whole_suite_on_debian_13() {
    let Some(chroot) = Chroot::with_torch() else { return };
    std::fs::copy(bin_dir().join("rdna1-validate"), chroot.place().join("rdna1-validate")).expect("it can be copied");
    let mut command = chroot.command(chroot.inside("rdna1-validate"));
    command.args(["--device", "cpu", "--level", "medium", "--format", "json", "--timeout", "600", "--python", PYTHON]);
    let output = command.output().expect("unshare runs");
    let report = report(&output);
    everything_is_right(&report, "2.6", 240);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_broken_convolution_is_caught_and_the_controls_say_where() {
    if !has_torch() {
        return;
    }
    for (fault, verdict, says) in [
        ("wrong-weights", "wrong", "of the largest value"),
        ("slightly-wrong", "wrong", "of the largest value"),
        ("nan", "not-finite", "NaN"),
        ("unstable", "unstable", "between two runs"),
        ("wrong-gradient", "wrong", "grad-input"),
        ("endless", "timeout", "killed"),
        ("crash", "crash", "signal 6"),
    ] {
        let mut command = program("rdna1-validate");
        let arguments = ["copy/elements1", "elementwise/f32", "without-miopen/3x3", "kernel/3x3"];
        command.args(["--device", "cpu", "--python", PYTHON, "--format", "json", "--timeout"]);
        // Long enough for a shared core, where nothing is meant to hang.
        command.arg(if fault == "endless" { "5" } else { "120" });
        command.args(arguments.iter().flat_map(|name| ["--only", name]));
        command.env("PYTHONPATH", top().join("tests/validate/inject")).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = command.env("RDNA1_TEST_FAULT", fault).output().expect("it runs");
        let report = report(&output);
        let verdicts: Vec<&str> =
            report["cases"].as_array().expect("cases").iter().filter_map(|case| case["verdict"].as_str()).collect();
        assert_eq!(verdicts, ["pass", "pass", "pass", verdict], "{fault}: {report:#}");
        assert!(report["cases"][3]["detail"].as_str().expect("a reason").contains(says), "{fault}: {report:#}");
        assert_eq!(report["diagnosis"]["broken"], "convolution");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// A model that trains with wrong gradients learns all the same, by what is right in
/// them; what its gradients promise it does not.
#[test]
fn a_training_with_wrong_gradients_is_caught() {
    if !has_torch() {
        return;
    }
    let mut command = suite(&["--level", "medium", "--only", "training/resnet18", "--only", "training/vgg16"]);
    command.env("PYTHONPATH", top().join("tests/validate/inject")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.env("RDNA1_TEST_FAULT", "gradient-of-other-filters").output().expect("it runs");
    let report = report(&output);
    let cases = report["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 2);
    for case in cases {
        assert_eq!(case["verdict"], "wrong", "{case:#}");
        let detail = case["detail"].as_str().expect("a reason");
        assert!(detail.contains("of the decline that the gradients promise is missing"), "{detail}");
    }
    assert_eq!(output.status.code(), Some(1));
}

/// What the worker does by itself, with the PyTorch of this machine.
#[test]
fn the_workers_own_functions() {
    if !has_torch() {
        return;
    }
    let mut command = Command::new(PYTHON);
    command.arg(top().join("tests/validate/worker_checks.py"));
    command.arg(top().join("crates/rdna1-validate/worker/worker.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("ok ").count(), 6);
}

#[test]
fn a_model_of_the_users() {
    if !has_torch() {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let source = "import torch\n\
        def good():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), torch.randn(1, 3, 9, 9)\n\
        def bad():\n    raise ValueError('no weights here')\n\
        class Named(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n        \
        self.conv = torch.nn.Conv2d(3, 4, 3)\n        self.register_buffer('mask', torch.ones(1, dtype=torch.bool))\n    \
        def forward(self, x, on):\n        return {'out': self.conv(x) * on, 'aux': None}\n\
        def named():\n    return Named(), (torch.randn(1, 3, 9, 9), torch.ones(1, dtype=torch.bool))\n\
        def frozen():\n    return good()[0].requires_grad_(False), torch.randn(1, 3, 9, 9)\n\
        class Zero(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n        \
        self.w = torch.nn.Parameter(torch.zeros(4))\n    def forward(self, x):\n        return self.w * x.mean()\n\
        def zero():\n    return Zero(), torch.randn(1, 3, 9, 9)\n\
        def large():\n    from torchvision import models\n    return models.resnet18(num_classes=10)\n\
        def nan():\n    return torch.nn.ReLU(), torch.full([4], float('nan'))\n";
    std::fs::write(dir.path().join("mine.py"), source).expect("it is ours");
    let run = |model: &str| {
        let mut command = suite(&["--only", "copy/elements1", "--model", model]);
        command.current_dir(dir.path()).output().expect("it runs")
    };
    let good = run("mine:good");
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    assert_eq!(report(&good)["counts"]["passed"], 3);
    let model = |name: &str| {
        let output = run(name);
        let report = report(&output);
        let verdicts: Vec<String> = report["cases"].as_array().expect("cases")[1..]
            .iter()
            .map(|case| {
                format!("{} {}", case["verdict"].as_str().expect("text"), case["detail"].as_str().unwrap_or(""))
            })
            .collect();
        (verdicts, output.status.code())
    };
    assert_eq!(model("mine:named"), (vec!["pass ".to_owned(), "pass ".to_owned()], Some(0)));
    // A learning rate that suits small models is far too high for this one.
    assert_eq!(model("mine:large"), (vec!["pass ".to_owned(), "pass ".to_owned()], Some(0)));
    for (name, first, second, status) in [
        ("mine:frozen", "pass ", "skipped Unsupported: the model has no parameter that could be trained", Some(0)),
        ("mine:zero", "pass ", "skipped Unsupported: the model's answer is 0 from the beginning", Some(0)),
        (
            "mine:nan",
            "no-reference ValueError: in float32 on the CPU the model's own answer is not finite",
            "skipped",
            Some(3),
        ),
    ] {
        let (verdicts, got) = model(name);
        assert!(verdicts[0].starts_with(first) && verdicts[1].starts_with(second), "{name}: {verdicts:?}");
        assert_eq!(got, status, "{name}");
    }
    let bad = run("mine:bad");
    assert_eq!(bad.status.code(), Some(1), "the training has no reference to miss");
    assert!(String::from_utf8_lossy(&bad.stdout).contains("no weights here"));
    assert_eq!(suite(&["--model", "mine"]).output().expect("it runs").status.code(), Some(2));
}
