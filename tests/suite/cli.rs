// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program as a user calls it.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_tests::program::{case, copy_case, program};

const EARLY: &str = "01-rx5600xt-early-boot";
const READY: &str = "02-rx5600xt-ready";
const NONE: &str = "26-nvidia-only";

fn on(root: &Path, arguments: &[&str]) -> Command {
    let mut command = program("rdna1-rocm-fix");
    command.arg("--root").arg(root).args(arguments);
    command
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("the program runs")
}

fn stdout(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program prints text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn machine(name: &str) -> TempDir {
    let dir = TempDir::new().expect("there is a temporary directory");
    copy_case(name, dir.path());
    dir
}

#[test]
fn run_gives_the_command_the_environment_and_nothing_else() {
    let root = case(READY);
    let listing = stdout(on(&root, &["run", "--", "env"]).env("MINE", "kept"));
    for line in ["MIOPEN_DEBUG_CONV_GEMM=1", "MIOPEN_FIND_MODE=2", "HSA_OVERRIDE_GFX_VERSION=10.3.0", "MINE=kept"] {
        assert!(listing.lines().any(|l| l == line), "{line} is missing:\n{listing}");
    }
    let native = stdout(&mut on(&root, &["run", "--gfx", "native", "--profile", "stock", "--", "env"]));
    assert!(!native.contains("MIOPEN_") && !native.contains("HSA_"), "{native}");
    let none = stdout(&mut on(&case(NONE), &["run", "--", "env"]));
    assert!(!none.contains("MIOPEN_"), "{none}");
}

#[test]
fn run_never_overwrites_what_the_user_set() {
    let mut command = on(&case(READY), &["run", "--explain", "--", "env"]);
    let output = output(command.env("MIOPEN_FIND_MODE", "1").env("HSA_OVERRIDE_GFX_VERSION", ""));
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(listing.contains("MIOPEN_FIND_MODE=1\n") && listing.contains("HSA_OVERRIDE_GFX_VERSION=\n"), "{listing}");
    assert!(stderr(&output).contains("left alone MIOPEN_FIND_MODE"), "{}", stderr(&output));
}

#[test]
fn run_says_what_it_was_asked_for_and_did_not_do() {
    let root = case(READY);
    let mut command = on(&root, &["run", "--gfx", "native", "--profile", "gemm", "--", "true"]);
    let output = output(command.env("HSA_OVERRIDE_GFX_VERSION", "10.3.0").env("MIOPEN_FIND_MODE", "1"));
    let said = stderr(&output);
    assert!(said.contains("HSA_OVERRIDE_GFX_VERSION stays 10.3.0") && said.contains("--gfx native"), "{said}");
    assert!(said.contains("MIOPEN_FIND_MODE stays \"1\""), "{said}");
}

#[test]
fn run_takes_back_the_machine_wide_profile_for_another_one() {
    let dir = machine(READY);
    stdout(&mut on(dir.path(), &["refresh"]));
    let session =
        std::fs::read_to_string(dir.path().join("run/rdna1-rocm-fix/applied.json")).expect("refresh wrote it");
    assert!(session.contains("\"MIOPEN_FIND_MODE\": \"2\""), "{session}");
    let mut command = on(dir.path(), &["run", "--profile", "stock", "--gfx", "native", "--", "env"]);
    // As a login under the machine-wide profile has it, and one value of the user's own.
    command.env("MIOPEN_FIND_MODE", "2").env("MIOPEN_DEBUG_CONV_FFT", "1").env("HSA_OVERRIDE_GFX_VERSION", "10.3.0");
    let listing = stdout(&mut command);
    assert!(!listing.contains("FIND_MODE") && !listing.contains("HSA_"), "{listing}");
    assert!(listing.contains("MIOPEN_DEBUG_CONV_FFT=1"), "{listing}");
}

#[test]
fn run_passes_exit_status_signals_and_arguments_through() {
    let root = case(EARLY);
    for status in [0, 1, 42, 255] {
        let output = output(&mut on(&root, &["run", "--", "sh", "-c", &format!("exit {status}")]));
        assert_eq!(output.status.code(), Some(status));
    }
    let killed = output(&mut on(&root, &["run", "--", "sh", "-c", "kill -TERM $$"]));
    assert_eq!(killed.status.signal(), Some(15));
    // The command has taken this program's place: a signal to the one reaches the other.
    let mut child = on(&root, &["run", "--", "sleep", "60"]).spawn().expect("it runs");
    std::thread::sleep(std::time::Duration::from_millis(200));
    let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).expect("it still runs");
    assert_eq!(name.trim(), "sleep");
    child.kill().expect("it is ours");
    assert_eq!(child.wait().expect("it is ours").signal(), Some(9));
    let echoed = stdout(&mut on(&root, &["run", "printf", "%s|", "--profile", "-x", "a b", ""]));
    assert_eq!(echoed, "--profile|-x|a b||");
}

#[test]
fn run_says_why_it_did_not_run() {
    let root = case(READY);
    let missing = output(&mut on(&root, &["run", "--", "no-such-command"]));
    assert_eq!(missing.status.code(), Some(127), "{}", stderr(&missing));
    let directory = output(&mut on(&root, &["run", "--", "/"]));
    assert_eq!(directory.status.code(), Some(126), "{}", stderr(&directory));
    for (arguments, says) in [
        (&["run", "--profile", "gem", "--", "true"][..], "allowed are gemm"),
        (&["run", "--gfx", "9.4.0", "--", "true"], "allowed are auto, native"),
        (&["run", "--profile", "implicit-gemm", "--gfx", "native", "--", "true"], "does not work under"),
        (&["run", "--profile", "bypass", "--", "true"], "needs the Python hook"),
    ] {
        let refused = output(&mut on(&root, arguments));
        assert_eq!(refused.status.code(), Some(125), "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{arguments:?}: {}", stderr(&refused));
    }
    assert_eq!(output(&mut on(&root, &["run"])).status.code(), Some(2));
}

#[test]
fn refresh_writes_what_shells_read_and_takes_it_back() {
    let dir = machine(READY);
    let state = dir.child("run/rdna1-rocm-fix");
    stdout(&mut on(dir.path(), &["refresh"]));
    for file in ["env.sh", "env.csh", "env.fish", "env", "applied.json"] {
        let text = std::fs::read_to_string(state.child(file).path()).expect(file);
        assert!(text.contains("MIOPEN_DEBUG_CONV_GEMM"), "{file}: {text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&state.child(file).metadata().expect(file).permissions());
        assert_eq!(mode & 0o777, 0o644, "{file} must be readable for every login");
    }
    dir.child("etc/rdna1-rocm-fix/config.yaml").write_str("enabled: false\n").expect("it is ours");
    stdout(&mut on(dir.path(), &["refresh"]));
    assert!(!state.exists(), "something is left below /run");
    dir.child("etc/rdna1-rocm-fix/config.yaml").write_str("profile: stock\ngfx: native\n").expect("it is ours");
    stdout(&mut on(dir.path(), &["refresh"]));
    assert!(!state.exists(), "something is left below /run");
}

#[test]
fn what_is_below_run_never_stays_stale() {
    let dir = machine(READY);
    stdout(&mut on(dir.path(), &["refresh"]));
    let config = dir.child("etc/rdna1-rocm-fix/config.yaml");
    config.write_str("profil: gemm\n").expect("it is ours");
    let refused = output(&mut on(dir.path(), &["refresh"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("config.yaml:1"), "{}", stderr(&refused));
    assert!(!dir.child("run/rdna1-rocm-fix").exists(), "the old environment is still in force");
    // A value that one of the files cannot carry: nothing is set rather than a part.
    config.write_str("variables:\n  MIOPEN_CUSTOM_CACHE_DIR: \"/a\\uFFFEb\"\n").expect("it is ours");
    let refused = output(&mut on(dir.path(), &["refresh"]));
    assert!(!refused.status.success() && stderr(&refused).contains("MIOPEN_CUSTOM_CACHE_DIR"), "{}", stderr(&refused));
    assert!(!dir.child("run/rdna1-rocm-fix").exists(), "half an environment is in force");
}

#[test]
fn a_damaged_record_of_what_was_set_is_no_obstacle() {
    let dir = machine(READY);
    stdout(&mut on(dir.path(), &["refresh"]));
    let record = dir.child("run/rdna1-rocm-fix/applied.json");
    dir.child("etc/profile.d/rocm-rdna1.sh").write_str("# as installed\n").expect("it is ours");
    for damage in ["", "{", "[]", "{\"variables\": {\"A B\": \"1\"}}", "\0"] {
        record.write_str(damage).expect("it is ours");
        let page = stdout(&mut on(dir.path(), &["status"]));
        assert!(page.contains("refresh"), "status does not say that it is out of date:\n{page}");
        stdout(&mut on(dir.path(), &["refresh"]));
        assert!(std::fs::read_to_string(record.path()).is_ok_and(|text| text.contains("MIOPEN")));
    }
}

fn generator(root: &Path) -> Command {
    let mut command = program("rdna1-rocm-fix-generator");
    command.env("RDNA1_ROOT", root);
    command
}

#[test]
fn the_boot_entry_prints_all_or_nothing_and_never_fails() {
    let dir = machine(EARLY);
    let text = stdout(&mut generator(dir.path()));
    assert!(text.lines().any(|line| line == "MIOPEN_DEBUG_CONV_DIRECT=\"0\""), "{text}");
    assert!(dir.child("run/rdna1-rocm-fix/env.sh").exists(), "the first login would find nothing");
    // What the kernel's command line or an earlier generator set is left alone.
    let text = stdout(generator(dir.path()).env("MIOPEN_FIND_MODE", "5"));
    assert!(!text.contains("FIND_MODE") && text.contains("MIOPEN_DEBUG_CONV_GEMM"), "{text}");
    let text = stdout(&mut generator(&case(NONE)));
    assert_eq!(text, "", "no card");

    dir.child("etc/rdna1-rocm-fix/config.yaml").write_binary(b"\xff\xfe").expect("it is ours");
    let text = stdout(&mut generator(dir.path()));
    assert_eq!(text, "", "a configuration that is not text");
    assert!(!dir.child("run/rdna1-rocm-fix").exists(), "the old environment is still in force");
    assert_eq!(stdout(&mut generator(Path::new("/nonexistent"))), "", "no machine at all");
}

#[test]
fn the_boot_entry_prints_what_refresh_writes() {
    for name in
        [EARLY, READY, "09-two-generations", "11-apu-with-kfd", "12-apu-rocm-6.2", "32-drop-ins", "38-selection"]
    {
        let dir = machine(name);
        let printed = stdout(&mut generator(dir.path()));
        stdout(&mut on(dir.path(), &["refresh", "--no-reload"]));
        let written = std::fs::read_to_string(dir.child("run/rdna1-rocm-fix/env").path()).unwrap_or_default();
        assert_eq!(printed, written, "{name}");
    }
}

#[test]
fn the_boot_entry_leaves_nothing_stale_where_a_value_cannot_be_written() {
    let dir = machine(EARLY);
    stdout(&mut generator(dir.path()));
    let config = dir.child("etc/rdna1-rocm-fix/config.yaml");
    config.write_str("variables:\n  MIOPEN_CUSTOM_CACHE_DIR: \"/a\\uFFFEb\"\n").expect("it is ours");
    assert_eq!(stdout(&mut generator(dir.path())), "");
    assert!(!dir.child("run/rdna1-rocm-fix").exists(), "login shells keep the old environment");
}

#[test]
fn the_boot_entry_serves_systemd_even_if_run_cannot_be_written() {
    let dir = machine(EARLY);
    dir.child("run").write_str("no directory").expect("it is ours");
    let output = output(&mut generator(dir.path()));
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("MIOPEN_DEBUG_CONV_GEMM"), "services get nothing");
}

#[test]
fn the_boot_entry_ends_by_itself_where_something_hangs() {
    // Whoever should read its output does not, and the pipe is full.
    let (reader, mut writer) = std::io::pipe().expect("there are pipes");
    std::io::Write::write_all(&mut writer, &[b'#'; 65536]).expect("an empty pipe takes its capacity");
    let dir = machine(EARLY);
    let mut child = generator(dir.path()).stdout(writer).spawn().expect("it runs");
    let status = child.wait().expect("it ends");
    drop(reader);
    // The kernel's alarm, whose default is to end the process.
    assert_eq!(status.signal(), Some(14), "{status}");
}

#[test]
fn a_pipe_in_place_of_a_file_blocks_nothing() {
    for file in
        ["etc/rdna1-rocm-fix/config.yaml", "etc/rdna1-rocm-fix/policy.yaml", "var/lib/rdna1-rocm-fix/selection.yaml"]
    {
        let dir = machine(EARLY);
        let path = dir.child(file);
        std::fs::create_dir_all(path.path().parent().expect("it has one")).expect("it is ours");
        let made = Command::new("mkfifo").arg(path.path()).status();
        assert!(made.expect("mkfifo runs").success());
        let page = output(&mut on(dir.path(), &["status", "--json"]));
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        assert!(page.contains(file) && page.contains("no regular file"), "{file}: {page}");
        assert_eq!(stdout(&mut generator(dir.path())), "");
    }
}

#[test]
fn an_administrator_can_replace_the_policy_and_a_broken_one_sets_nothing() {
    let dir = machine(EARLY);
    let policy = dir.child("etc/rdna1-rocm-fix/policy.yaml");
    let text = rdna1_core::policy::Policy::embedded_yaml().replace("\"0x731f\"", "\"0x7fff\"");
    policy.write_str(&text).expect("it is ours");
    let detect = output(&mut on(dir.path(), &["detect"]));
    assert_eq!(detect.status.code(), Some(1), "the built-in policy is still in force");
    policy.write_str("version: 1\ncardz: []\n").expect("it is ours");
    let page = output(&mut on(dir.path(), &["status"]));
    assert_eq!(page.status.code(), Some(1));
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("policy.yaml:2") && page.contains("cardz"), "{page}");
    assert_eq!(stdout(&mut generator(dir.path())), "");
}

#[test]
fn the_profile_is_set_and_reset_for_the_machine() {
    let dir = machine(READY);
    let mine = "# mine\ngfx: native\n";
    dir.child("etc/rdna1-rocm-fix/config.yaml").write_str(mine).expect("it is ours");
    stdout(&mut on(dir.path(), &["profile", "set", "gemm-naive"]));
    let script = dir.child("run/rdna1-rocm-fix/env.sh");
    let text = std::fs::read_to_string(script.path()).expect("set refreshes");
    assert!(text.contains("DIRECT_OCL") && !text.contains("HSA_OVERRIDE"), "{text}");
    stdout(&mut on(dir.path(), &["profile", "reset"]));
    assert!(!std::fs::read_to_string(script.path()).expect("reset refreshes").contains("DIRECT_OCL"));
    let file = std::fs::read_to_string(dir.child("etc/rdna1-rocm-fix/config.yaml").path()).expect("it is there");
    assert_eq!(file, mine, "the administrator's file was touched");
    for (profile, says) in [("bypass", "single processes"), ("nonsense", "allowed are"), ("", "allowed are")] {
        let refused = output(&mut on(dir.path(), &["profile", "set", profile]));
        assert!(!refused.status.success() && stderr(&refused).contains(says), "{profile}: {}", stderr(&refused));
        assert!(!dir.child("etc/rdna1-rocm-fix/config.d/50-profile.yaml").exists(), "{profile} was written");
    }
    dir.child("etc/rdna1-rocm-fix/config.d/90-mine.yaml").write_str("profile: stock\n").expect("it is ours");
    let overruled = output(&mut on(dir.path(), &["profile", "set", "gemm"]));
    assert!(stderr(&overruled).contains("90-mine.yaml comes later"), "{}", stderr(&overruled));
}

#[test]
fn a_snapshot_is_the_same_machine() {
    for name in [EARLY, READY, NONE, "11-apu-with-kfd", "19-sriov-host", "32-drop-ins"] {
        let dir = TempDir::new().expect("there is a temporary directory");
        let snapshot = dir.child("snapshot");
        let root = case(name);
        stdout(&mut on(&root, &["snapshot", &snapshot.path().display().to_string()]));
        let detect = |root: &Path| String::from_utf8(output(&mut on(root, &["detect", "--json"])).stdout);
        assert_eq!(detect(snapshot.path()), detect(&root), "{name}");
        assert_eq!(stdout(&mut on(snapshot.path(), &["env"])), stdout(&mut on(&root, &["env"])), "{name}");
        let again = output(&mut on(&root, &["snapshot", &snapshot.path().display().to_string()]));
        assert!(!again.status.success() && stderr(&again).contains("exists already"), "{}", stderr(&again));
    }
}

#[test]
fn colours_are_for_terminals_and_pipes_may_close() {
    let root = case(READY);
    let page = stdout(on(&root, &["status"]).env("TERM", "xterm-256color"));
    assert!(!page.contains('\u{1b}'), "colours in a pipe");
    let forced = stdout(on(&root, &["status"]).env("TERM", "xterm-256color").env("CLICOLOR_FORCE", "1"));
    assert!(forced.contains('\u{1b}'), "a terminal would get none");
    let mut child =
        on(&root, &["status", "--all"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(stderr(&output), "", "a closed pipe is no error");
}

#[test]
fn no_line_of_the_status_page_is_wider_than_a_terminal() {
    for name in [EARLY, READY, "11-apu-with-kfd", "35-broken-config"] {
        let page = output(&mut on(&case(name), &["status", "--all"]));
        let page = String::from_utf8_lossy(&page.stdout).into_owned();
        let prose = page.lines().filter(|line| line.contains(' ') && !line.contains('='));
        let wide: Vec<&str> = prose.filter(|line| line.chars().count() > 90).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
    }
}

#[test]
fn every_variable_of_the_policy_can_be_explained() {
    let policy = rdna1_core::policy::Policy::embedded().expect("the policy is valid");
    let root = case(READY);
    for variable in &policy.variables {
        let page = stdout(&mut on(&root, &["explain", variable.name.as_str()]));
        let read = if variable.is_inert() { "Read by nothing" } else { "Read by" };
        assert!(page.contains(read) && page.contains("Source ("), "{page}");
    }
    let unknown = output(&mut on(&root, &["explain", "find_mode"]));
    assert!(stderr(&unknown).contains("did you mean"), "{}", stderr(&unknown));
}

#[test]
fn wrong_calls_end_with_status_2_and_say_what_is_allowed() {
    for (arguments, says) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["env", "--format", "xml"], "environment.d"),
        (&["env", "--gfx", "gfx1030"], "nor `native`"),
        (&["detect", "--jsn"], "unexpected argument"),
    ] {
        let output = output(&mut on(Path::new("/"), arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    let output = output(&mut on(Path::new("/no/such/root"), &["status"]));
    assert!(!output.status.success() && stderr(&output).contains("no such directory"), "{}", stderr(&output));
}
