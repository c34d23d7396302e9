// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is concluded from what a worker does: which part of the stack is blamed,
//! which GPU computes, when it is no use to go on.

use std::process::Command;
use std::time::{Duration, Instant};

use rdna1_tests::program::{case, program};
use rdna1_tests::tools;

use super::misbehaving::{Interpreter, nothing_is_left, report, verdicts};

/// Whoever is killed, and cannot start anew, is lost as well.
#[test]
fn a_device_that_is_gone_ends_the_run() {
    let interpreter = Interpreter::new();
    let mut command = interpreter.command("lost-device", &["--only", "*"]);
    let output = command.env("RDNA1_TEST_LOST", interpreter.dir.path().join("lost")).output().expect("it runs");
    let gone = report(&output);
    assert_eq!(gone["end"]["kind"], "stopped", "{}", gone["end"]);
    // The crash, and nine that found no device.
    assert_eq!(gone["timing"]["starts"], 10);
    assert_eq!(verdicts(&gone).iter().filter(|verdict| **verdict == "error").count(), 9);
    assert_eq!(output.status.code(), Some(1));
    let output = interpreter.command("killed", &["--only", "*"]).output().expect("it runs");
    let killed = report(&output);
    assert_eq!((&killed["end"]["kind"], &killed["timing"]["starts"]), (&"stopped".into(), &10.into()));
}

/// With another AMD GPU before it, the card is not number 0.
#[test]
fn the_card_computes_and_no_other_gpu() {
    let interpreter = Interpreter::new();
    let opened = interpreter.dir.path().join("opened");
    let run = |behaviour: &str, more: &[&str]| {
        let mut command = interpreter.command(behaviour, more);
        command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).env("RDNA1_TEST_OPENED", &opened);
        command.output().expect("it runs")
    };
    let on_the_card = run("two-gpus", &["--gfx", "native"]);
    assert_eq!(verdicts(&report(&on_the_card)), ["pass"; 3]);
    assert_eq!(std::fs::read_to_string(&opened).expect("it was opened"), "cuda:1");
    // `command` says --any-gpu; without it another GPU is none.
    let mut command = program("rdna1-validate");
    command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).env("RDNA1_TEST_BEHAVIOUR", "other-gpu");
    let output = command.arg("--python").arg(&interpreter.program).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for says in ["none of the GPUs", "RX 7900 XTX (gfx1100)", "HIP_VISIBLE_DEVICES"] {
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn what_is_no_fault_of_miopen_is_not_put_on_it() {
    let interpreter = Interpreter::new();
    let under_gemm = |behaviour: &str, more: &[&str]| {
        let mut command = interpreter.command(behaviour, &[&["--profile", "gemm"], more].concat());
        command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).env("RDNA1_TEST_SECONDS", "2.5");
        command.env("RDNA1_TEST_ONCE", interpreter.dir.path().join(format!("once-of-{behaviour}")));
        command.env("RDNA1_TEST_TORCH", "2.7.1+rocm6.3");
        let output = command.output().expect("it runs");
        (report(&output), output.status.code())
    };
    for (behaviour, verdict, says) in [
        ("other-solver", "solver", "1 ran by a solver that is ruled out under profile gemm"),
        ("late", "late", "1 came right, but after the time limit"),
        ("out-of-memory", "out-of-memory", "1 did not get the memory"),
    ] {
        let (report, status) = under_gemm(behaviour, &[]);
        assert_eq!((verdicts(&report)[1], status), (verdict, Some(1)), "{behaviour}");
        let summary = report["diagnosis"]["summary"].as_str().expect("text");
        assert!(report["diagnosis"]["broken"].is_null() && summary.contains(says), "{behaviour}: {summary}");
        assert!(!summary.contains("broken"), "{behaviour}: {summary}");
    }
    for (behaviour, only) in [("no-reference", "kernel/1x1"), ("other-start", "kernel/2x2")] {
        let (report, status) = under_gemm(behaviour, &["--only", only]);
        assert!(verdicts(&report).contains(&"no-reference"), "{behaviour}: {report:#}");
        assert_eq!((report["counts"]["failed"].as_u64(), status), (Some(0), Some(3)), "{behaviour}");
        let summary = report["diagnosis"]["summary"].as_str().expect("text");
        assert!(summary.contains("could not be checked") && !summary.contains("broken"), "{behaviour}: {summary}");
    }
}

/// Dilation under `cudnn.benchmark`: `gemm` has no solver for it, as docs/miopen.md says.
#[test]
fn what_the_profile_is_known_to_refuse_is_no_failure() {
    let interpreter = Interpreter::new();
    let run = |profile: &str, torch: &str| {
        let mut command =
            interpreter.command("refuses-dilation", &["--profile", profile, "--only", "benchmark/dilation2"]);
        command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).env("RDNA1_TEST_TORCH", torch);
        let output = command.output().expect("it runs");
        (report(&output), output.status.code())
    };
    let (refused, status) = run("gemm", "2.7.1+rocm6.3");
    assert_eq!((verdicts(&refused), status), (vec!["pass", "pass", "pass", "refused"], Some(0)), "{refused:#}");
    assert_eq!((&refused["passed"], &refused["counts"]["refused"]), (&true.into(), &1.into()));
    let detail = refused["cases"][3]["detail"].as_str().expect("a reason");
    assert!(detail.contains("profile gemm does not serve it") && detail.contains("gemm-naive does"), "{detail}");
    let summary = refused["diagnosis"]["summary"].as_str().expect("text");
    assert!(summary.contains("1 refused under profile gemm, as its rules say"), "{summary}");
    for (profile, torch) in [("gemm", "2.6.0"), ("gemm-naive", "2.7.1")] {
        let (broken, status) = run(profile, torch);
        assert_eq!((verdicts(&broken)[3], status), ("error", Some(1)), "{profile}, {torch}");
    }
}

#[test]
fn a_solver_that_nothing_shows_is_not_assumed() {
    let interpreter = Interpreter::new();
    let run = |behaviour: &str, profile: &str| {
        let mut command = interpreter.command(behaviour, &["--profile", profile]);
        let output = command.env("RDNA1_ROOT", case("02-rx5600xt-ready")).output().expect("it runs");
        (report(&output), output.status.code())
    };
    let (silent, status) = run("", "gemm");
    assert_eq!((verdicts(&silent), status), (vec!["pass"; 3], Some(3)));
    assert_eq!((&silent["passed"], &silent["shown"]), (&false.into(), &serde_json::json!({"steps": 0, "of": 6})));
    let summary = silent["diagnosis"]["summary"].as_str().expect("text");
    assert!(summary.contains("nothing shows whether it obeys under profile gemm"), "{summary}");
    assert_eq!(run("", "stock").1, Some(0), "which rules nothing out");
    let (partly, status) = run("gemm-solver", "gemm");
    assert_eq!((&partly["shown"], status), (&serde_json::json!({"steps": 2, "of": 6}), Some(0)));
    assert!(partly["diagnosis"]["summary"].as_str().expect("text").contains("shown for 2 of 6 steps"));
    // Where it was found before, the execution alone is logged, and is enough.
    let (executed, status) = run("executes-gemm", "gemm");
    assert_eq!((&executed["shown"], status), (&serde_json::json!({"steps": 6, "of": 6}), Some(0)));
    assert_eq!(executed["diagnosis"]["summary"], "everything that was computed is right");
    assert_eq!(verdicts(&run("executes-direct", "gemm").0), ["pass", "solver", "solver"]);
    assert_eq!(verdicts(&run("executes-direct", "gemm-naive").0), ["pass"; 3]);
}

/// Runs a command line on a terminal of its own and prints all that is seen there.
const ON_A_TERMINAL: &str = r#"
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen, end = b"", time.monotonic() + 300
while True:
    if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
        os.kill(pid, 9)
        sys.exit(f"no end: {seen}")
    try:
        read = os.read(fd, 4096)
    except OSError:  # Linux says so at the end.
        break
    if not read:
        break
    seen += read
os.waitpid(pid, 0)
os.write(1, seen)
"#;

/// The case that runs and how far it is, as long as it runs; failures stay, the bar goes.
#[test]
fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    if !tools::available(&["python3"]) {
        return;
    }
    let interpreter = Interpreter::new();
    let line = interpreter.command("late", &["--format", "text"]);
    let mut command = Command::new("python3");
    command.args(["-c", ON_A_TERMINAL]).arg(line.get_program()).args(line.get_args()).env_clear();
    command.envs(line.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let once = |name: &str| interpreter.dir.path().join(name);
    let output = command.env("RDNA1_TEST_SECONDS", "2.5").env("RDNA1_TEST_ONCE", once("a")).output().expect("it runs");
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["1/3", "kernel/3x3", "LATE kernel/3x3", "2 of 3 cases passed"] {
        assert!(seen.contains(part), "no {part:?} in {seen:?}");
    }
    let last = seen.split("2 of 3 cases passed").last().unwrap_or_default();
    assert!(!last.contains("/3"), "the bar is there after the end: {seen:?}");
    let mut command = interpreter.command("late", &["--format", "text"]);
    let output = command.env("RDNA1_TEST_SECONDS", "2.5").env("RDNA1_TEST_ONCE", once("b")).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.trim(), "LATE kernel/3x3", "into a file or pipe go the failures alone");
}

/// A reference that is still being computed is not waited for.
#[test]
fn what_ends_early_does_not_wait_for_references() {
    let interpreter = Interpreter::new();
    let begun = interpreter.dir.path().join("begun");
    let mut command = interpreter.command("slow-reference", &["--only", "device/*", "--timeout", "600"]);
    // The device cannot be opened: nothing is left to compare.
    std::fs::write(interpreter.dir.path().join("lost"), "").expect("it is ours");
    command.env("RDNA1_TEST_LOST", interpreter.dir.path().join("lost")).env("RDNA1_TEST_OPENED", &begun);
    let begin = Instant::now();
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(begin.elapsed() < Duration::from_secs(120), "a reference may take 6000 s; it took {:?}", begin.elapsed());
    nothing_is_left(interpreter.dir.path(), "an early end");
}
