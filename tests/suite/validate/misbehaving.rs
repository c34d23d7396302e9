// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each way in which a worker can misbehave, done by a real process
//! (`tests/validate/misbehaving.py`), and the verdict that it must get.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use assert_fs::TempDir;
use rdna1_tests::program::{case, program, top};
use rdna1_tests::tools;
use serde_json::Value;

/// A convolution, another one, and a control before them.
const CASES: [&str; 3] = ["copy/elements1", "kernel/3x3", "kernel/7x7"];

pub(super) struct Interpreter {
    pub(super) dir: TempDir,
    pub(super) program: PathBuf,
}

impl Interpreter {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let program = dir.path().join("python");
        std::fs::copy(top().join("tests/validate/misbehaving.py"), &program).expect("it can be copied");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it is ours");
        Self { dir, program }
    }

    pub(super) fn command(&self, behaviour: &str, arguments: &[&str]) -> Command {
        let mut command = program("rdna1-validate");
        command.args(["--level", "medium", "--python"]).arg(&self.program).arg("--any-gpu");
        if !arguments.contains(&"--format") {
            command.args(["--format", "json"]);
        }
        if !arguments.contains(&"--timeout") {
            command.args(["--timeout", "2"]);
        }
        command.args(CASES.iter().flat_map(|name| ["--only", name])).args(arguments);
        command.env("RDNA1_TEST_BEHAVIOUR", behaviour).env("TMPDIR", self.dir.path());
        command
    }

    /// Runs it; misbehaves at the first convolution alone.
    fn run(&self, behaviour: &str, arguments: &[&str]) -> Output {
        let once = self.dir.path().join(format!("once-{behaviour}"));
        let mut command = self.command(behaviour, arguments);
        command.env("RDNA1_TEST_ONCE", once).env("RDNA1_TEST_SECONDS", "2.5").output().expect("the program runs")
    }
}

pub(super) fn report(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?} {error}"))
}

pub(super) fn verdicts(report: &Value) -> Vec<&str> {
    report["cases"].as_array().expect("cases").iter().filter_map(|case| case["verdict"].as_str()).collect()
}

/// Processes whose command line holds a text.
fn processes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("proc is there").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(format!("{} {line}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

pub(super) fn nothing_is_left(of: &Path, what: &str) {
    let until = Instant::now() + Duration::from_secs(5);
    let text = of.display().to_string();
    while !processes(&text).is_empty() {
        assert!(Instant::now() < until, "{what} leaves behind {:?}", processes(&text));
        std::thread::sleep(Duration::from_millis(20));
    }
    let files = std::fs::read_dir(of).expect("it is ours").flatten();
    let files: Vec<_> =
        files.map(|file| file.file_name()).filter(|name| name.to_string_lossy().contains("validate")).collect();
    assert!(files.is_empty(), "{what} leaves behind {files:?}");
}

#[test]
fn every_misbehaviour_has_a_verdict_and_the_suite_goes_on() {
    let interpreter = Interpreter::new();
    for (behaviour, verdict, says) in [
        ("hang", "timeout", "killed"),
        ("ignore-sigterm", "timeout", "killed"),
        ("late", "late", "after the time limit"),
        ("segv", "crash", "signal 11"),
        ("abort", "crash", "signal 6"),
        ("killed", "out-of-memory", "SIGKILL, not by us"),
        ("exit-0", "no-answer", "exit status 0"),
        ("exit-3", "no-answer", "exit status 3"),
        ("garbage", "garbage", "Segmentation fault in kernel"),
        ("no-json", "garbage", "checks"),
        ("json-nan", "garbage", "NaN"),
        ("wrong-token", "garbage", "0123456789abcdef"),
        ("empty-answer", "garbage", "checks"),
        ("no-checks", "garbage", "nothing about output"),
        ("flood", "garbage", "line break"),
        ("close", "garbage", "closed the pipe"),
        ("child", "timeout", "killed"),
        ("flooding-child", "no-answer", "exit status 3"),
        ("wrong", "wrong", "off by 5.0e-1"),
        ("not-finite", "not-finite", "7 NaN"),
        ("unstable", "unstable", "between two runs"),
        ("shape", "wrong", "[1] instead of [2]"),
        ("exception", "error", "miopenStatusUnknownError"),
        ("out-of-memory", "out-of-memory", "HIP out of memory"),
        ("broken-device", "error", "launch failure"),
    ] {
        let output = interpreter.run(behaviour, &[]);
        let report = report(&output);
        assert_eq!(verdicts(&report), ["pass", verdict, "pass"], "{behaviour}: {report:#}");
        assert_eq!(output.status.code(), Some(1), "{behaviour}");
        let failed = &report["cases"][1];
        assert!(failed["detail"].as_str().expect("a reason").contains(says), "{behaviour}: {failed:#}");
        assert!(failed["remedy"].as_str().is_some_and(|remedy| remedy.len() > 20), "{behaviour}: {failed:#}");
        assert_eq!(report["end"]["kind"], "complete");
        let starts = report["timing"]["starts"].as_u64().expect("a number");
        let same_worker = ["late", "wrong", "not-finite", "unstable", "shape", "exception", "out-of-memory"];
        assert_eq!(starts, if same_worker.contains(&behaviour) { 1 } else { 2 }, "{behaviour}");
        nothing_is_left(interpreter.dir.path(), behaviour);
    }
    assert!(processes("sleep 4711").is_empty(), "a child in a session of its own was left");
}

#[test]
fn the_step_and_the_last_words_are_reported() {
    let interpreter = Interpreter::new();
    let hang = report(&interpreter.run("hang", &[]));
    assert_eq!(hang["cases"][1]["phase"], "grad-input");
    assert_eq!(hang["diagnosis"]["broken"], "convolution");
    let abort = report(&interpreter.run("abort", &[]));
    assert!(abort["cases"][1]["printed"].as_str().expect("it is there").contains("TensileLibrary.dat"));
}

#[test]
fn a_chatty_library_cannot_pass_for_an_answer() {
    let interpreter = Interpreter::new();
    let output = interpreter.run("chatty", &[]);
    assert_eq!(verdicts(&report(&output)), ["pass"; 3]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_nobody_claims_to_do_is_skipped_and_no_success_by_itself() {
    let interpreter = Interpreter::new();
    let output = interpreter.run("unsupported", &[]);
    assert_eq!((verdicts(&report(&output)), output.status.code()), (vec!["pass", "skipped", "pass"], Some(0)));
    let all = interpreter.command("unsupported", &[]).output().expect("it runs");
    assert_eq!(all.status.code(), Some(0), "the control passed");
    let mut command = program("rdna1-validate");
    command.args(["--any-gpu", "--only", "kernel/3x3", "--python"]).arg(&interpreter.program);
    let none = command.env("RDNA1_TEST_BEHAVIOUR", "unsupported").output().expect("it runs");
    assert_eq!(none.status.code(), Some(3), "nothing ran: {none:?}");
}

#[test]
fn who_loses_every_worker_stops() {
    let interpreter = Interpreter::new();
    let output = interpreter.command("segv", &["--only", "*"]).output().expect("it runs");
    let report = report(&output);
    assert_eq!(report["end"]["kind"], "stopped");
    assert_eq!(verdicts(&report).iter().filter(|verdict| **verdict == "crash").count(), 10);
    assert!(report["counts"]["not_run"].as_u64().expect("a number") > 100);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_device_that_cannot_be_opened_is_a_verdict() {
    let interpreter = Interpreter::new();
    let output = interpreter.run("open-hangs", &[]);
    let report = report(&output);
    assert_eq!(verdicts(&report), ["timeout", "not-run", "not-run", "not-run"]);
    assert_eq!((report["diagnosis"]["broken"].as_str(), output.status.code()), (Some("hip"), Some(1)));
    nothing_is_left(interpreter.dir.path(), "open-hangs");
}

#[test]
fn what_cannot_be_run_says_what_to_do() {
    let interpreter = Interpreter::new();
    let card = case("02-rx5600xt-ready");
    for (behaviour, root, says) in [
        ("dies-at-start", None, &["signal 6", "libMIOpen.so.1"][..]),
        ("no-torch", None, &["has no PyTorch", "--python"]),
        ("no-torch", Some(&card), &["has no PyTorch", "torch[device-gfx1010]"]),
        ("cuda-build", Some(&card), &["built for CUDA 12.4", "torch[device-gfx1010]"]),
        ("cpu-build", Some(&card), &["built for the CPU alone", "torch[device-gfx1010]"]),
        ("cpu-build", None, &["built for the CPU alone", "--python"]),
        ("no-device", None, &["sees no GPU", "status"]),
    ] {
        let mut command = interpreter.command(behaviour, &[]);
        command.envs(root.map(|root| ("RDNA1_ROOT", root)));
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{behaviour}: {text}");
        assert!(says.iter().all(|says| text.contains(says)), "{behaviour}: {text}");
        assert!(output.stdout.is_empty());
    }
    let mut command = program("rdna1-validate");
    let output = command.args(["--python", "/no/such/python", "--any-gpu"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let output = program("rdna1-validate").output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "there is no card here: {output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--any-gpu"));
}

#[test]
fn under_gemm_another_solver_fails_and_the_environment_is_that_of_run() {
    let interpreter = Interpreter::new();
    let with_card = |behaviour: &str, profile: &str| {
        let mut command = interpreter.command(behaviour, &["--profile", profile]);
        report(&command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).output().expect("it runs"))
    };
    let gemm = with_card("gemm-solver", "gemm");
    assert_eq!(verdicts(&gemm), ["pass"; 3], "{gemm:#}");
    assert_eq!(gemm["cases"][1]["solvers"][0]["name"], "GemmFwdRest");
    let other = with_card("other-solver", "gemm");
    assert_eq!(verdicts(&other), ["pass", "solver", "solver"]);
    let solver = &other["cases"][1]["solvers"][0];
    assert_eq!((&solver["phase"], &solver["allowed"]), (&"forward".into(), &false.into()));
    assert_eq!(verdicts(&with_card("other-solver", "stock")), ["pass"; 3]);
    let run = program("rdna1-rocm-fix")
        .args(["run", "--profile", "gemm", "--", "/usr/bin/env"])
        .env("RDNA1_ROOT", case("02-rx5600xt-ready"))
        .output()
        .expect("it runs");
    let run = String::from_utf8_lossy(&run.stdout).into_owned();
    let had = gemm["environment"]["variables"].as_array().expect("a list");
    let mut seen = 0;
    for line in run.lines().filter(|line| ["MIOPEN_", "HSA_", "HIP_"].iter().any(|start| line.starts_with(start))) {
        let (name, value) = line.split_once('=').expect("env prints pairs");
        let same = had.iter().find(|variable| variable["name"] == name).expect(name);
        assert_eq!(same["value"], value, "{name}");
        let source = same["source"].as_str().expect("a source");
        assert!(source.starts_with("profile gemm") || source.starts_with("gfx choice"), "{name}: {source}");
        seen += 1;
    }
    assert!(seen > 5, "{run}");
    let level = had.iter().find(|variable| variable["name"] == "MIOPEN_LOG_LEVEL").expect("the validator's own");
    assert!(level["source"].as_str().expect("text").contains("rdna1-validate"));
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
}

#[test]
fn ctrl_c_leaves_nothing_behind_and_tells_what_was_found() {
    let interpreter = Interpreter::new();
    let begun = interpreter.dir.path().join("begun");
    let mut command = interpreter.command("hang-forever", &["--timeout", "600"]);
    command.env("RDNA1_TEST_ONCE", &begun).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it runs");
    let until = Instant::now() + Duration::from_secs(60);
    while !begun.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    interrupt(&child);
    let begin = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    let report = report(&output);
    assert_eq!(verdicts(&report), ["pass", "not-run", "not-run"]);
    assert_eq!((&report["end"]["kind"], output.status.code()), (&"interrupted".into(), Some(3)));
    nothing_is_left(interpreter.dir.path(), "an interrupted run");
}

#[test]
fn a_worker_that_cannot_be_killed_ends_the_run() {
    if !Path::new("/dev/fuse").exists() {
        return tools::skip("there is no /dev/fuse, and nothing else makes a process unkillable");
    }
    if !tools::is_root() {
        return;
    }
    let interpreter = Interpreter::new();
    let mount = interpreter.dir.path().join("silent");
    std::fs::create_dir(&mount).expect("it is ours");
    let mut server = Command::new("/usr/bin/python3");
    server.arg(top().join("tests/validate/silent_fs.py")).arg(&mount);
    let mut server = server.stdout(Stdio::piped()).spawn().expect("python runs");
    let mut line = [0; 8];
    let mounted = std::io::Read::read_exact(&mut server.stdout.take().expect("it is piped"), &mut line);
    let output = mounted.is_ok().then(|| {
        let mut command = interpreter.command("stuck", &[]);
        command.env("RDNA1_TEST_STUCK", &mount).output().expect("it runs")
    });
    // Its end frees whoever waits for it.
    server.kill().expect("it is ours");
    server.wait().expect("it ends");
    let _ = Command::new("umount").arg("-l").arg(&mount).status();
    let Some(output) = output else { return tools::skip("a FUSE file system cannot be mounted here") };
    let report = report(&output);
    assert_eq!(verdicts(&report), ["pass", "stuck", "not-run"], "{report:#}");
    let stuck = &report["cases"][1];
    assert!(stuck["detail"].as_str().expect("a reason").contains("state is D"), "{stuck:#}");
    assert!(stuck["remedy"].as_str().expect("a remedy").contains("reboot"));
    assert!(report["end"]["why"].as_str().expect("a reason").contains("reboot"));
    assert_eq!(output.status.code(), Some(1));
}
