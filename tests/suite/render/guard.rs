// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a script does to a shell beside carrying values.

use std::collections::BTreeSet;

use assert_fs::TempDir;
use rdna1_core::ids::VarName;
use rdna1_core::render::{Format, Guard, render};
use rdna1_tests::tools;

use super::shells::{self, Shell};
use super::{Environment, parse, quiet, var, written};

const NAME: &str = "RDNA1_T";
const OURS: &str = "our own $X!";

/// What is there before the script runs: nothing, or a value.
type Before = Option<&'static str>;

/// Runs a check on every shell that is installed; the others are reported.
fn on_every_shell(check: impl Fn(&Shell)) {
    shells::ALL.iter().filter(|shell| tools::available(&[shell.program])).for_each(check);
}

/// The output of a shell that has sourced `script` and goes on with `then`.
fn after(shell: &Shell, before: Before, script: &str, then: &str) -> Vec<u8> {
    let dir = TempDir::new().expect("there is room for a directory");
    let mut command = shell.sourcing(&dir, script, then);
    if let Some(value) = before {
        command.env(NAME, value);
    }
    quiet(&mut command)
}

fn environment(shell: &Shell, before: Before, script: &str) -> Environment {
    let mut environment = parse(&after(shell, before, script, "exec /usr/bin/env -0"));
    // The directory of the test, and what a shell says about its last command.
    environment.retain(|name, _| ![&b"HOME"[..], b"PWD", b"_"].contains(&name.as_slice()));
    environment
}

/// The environment has changed as wanted, and in nothing else.
fn assert_leaves(shell: &Shell, before: Before, script: &str, wanted: Before) {
    let mut expected = environment(shell, before, "");
    expected.remove(NAME.as_bytes());
    expected.extend(wanted.map(|value| (NAME.into(), value.into())));
    assert_eq!(environment(shell, before, script), expected, "{shell:?}: {before:?}");
}

fn assert_succeeds_in_silence(shell: &Shell, before: Before, script: &str) {
    let status = if shell.format == Format::Sh { "exit $?" } else { "exit $status" };
    let said = after(shell, before, script, status);
    assert!(said.is_empty(), "{shell:?}: {before:?}: {}", String::from_utf8_lossy(&said));
}

/// The names of all variables, exported or not.
fn variables(shell: &Shell, script: &str) -> BTreeSet<String> {
    let listing = after(shell, None, script, "set");
    let word = |line: &str| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(str::to_owned);
    String::from_utf8_lossy(&listing).lines().filter_map(word).collect()
}

fn setting(shell: &Shell, guard: Guard) -> String {
    written(shell.format, guard, &[(var(NAME), OURS)]).expect("every shell carries that")
}

fn unsetting(shell: &Shell) -> String {
    let nothing: [(&VarName, &str); 0] = [];
    render(shell.format, Guard::None, nothing, &[var(NAME)]).expect("there is no value to refuse")
}

#[test]
fn without_a_guard_everything_is_set() {
    on_every_shell(|shell| {
        for before in [None, Some("theirs"), Some("")] {
            let script = setting(shell, Guard::None);
            assert_leaves(shell, before, &script, Some(OURS));
            assert_succeeds_in_silence(shell, before, &script);
        }
    });
}

#[test]
fn with_a_guard_what_is_set_stays_even_if_empty() {
    on_every_shell(|shell| {
        for (before, wanted) in [(None, OURS), (Some("theirs"), "theirs"), (Some(""), "")] {
            let script = setting(shell, Guard::UnlessSet);
            assert_leaves(shell, before, &script, Some(wanted));
            assert_succeeds_in_silence(shell, before, &script);
        }
    });
}

/// Berkeley csh ends a script that asks for a name of more than 30 letters, and
/// with it whatever follows.
#[test]
fn a_long_name_is_guarded_too_and_ends_nothing() {
    const LONG: &str = "RDNA1_T_WITH_A_NAME_LIKE_THE_LONGEST_OF_MIOPEN";
    on_every_shell(|shell| {
        let both = [(var(LONG), OURS), (var(NAME), OURS)];
        let script = written(shell.format, Guard::UnlessSet, &both).expect("every shell carries that");
        for (before, wanted) in [(None, OURS), (Some("theirs"), "theirs"), (Some(""), "")] {
            let dir = TempDir::new().expect("there is room for a directory");
            let mut command = shell.sourcing(&dir, &script, "exec /usr/bin/env -0");
            command.envs(before.map(|value| (LONG, value)));
            let found = parse(&quiet(&mut command));
            let value = |name: &str| found.get(name.as_bytes()).map(Vec::as_slice);
            assert_eq!(
                (value(LONG), value(NAME)),
                (Some(wanted.as_bytes()), Some(OURS.as_bytes())),
                "{shell:?}: {before:?}"
            );
        }
    });
}

#[test]
fn unset_lines_unset_and_do_not_mind_what_is_not_there() {
    on_every_shell(|shell| {
        for before in [None, Some("theirs"), Some("")] {
            let script = unsetting(shell);
            assert_leaves(shell, before, &script, None);
            assert_succeeds_in_silence(shell, before, &script);
        }
    });
}

#[test]
fn scripts_leave_no_variable_of_their_own() {
    on_every_shell(|shell| {
        let mut expected = variables(shell, "");
        assert!(!expected.is_empty(), "{shell:?} lists no variables");
        let mut found = variables(shell, &setting(shell, Guard::UnlessSet));
        // csh lists shell variables only, the others exported ones too; `_` is
        // the last command.
        for names in [&mut expected, &mut found] {
            names.retain(|name| name != NAME && name != "_");
        }
        assert_eq!(found, expected, "{shell:?}");
    });
}

/// What a user's own `eval "$(rdna1-rocm-fix env)"` and `| source` do.
#[test]
fn scripts_can_be_evaluated_too() {
    for (shell, how) in [
        (shells::DASH, r#"eval "$(cat "$HOME/script")"; exec /usr/bin/env -0"#),
        (shells::BASH, r#"eval "$(cat "$HOME/script")"; exec /usr/bin/env -0"#),
        (shells::ZSH, r#"eval "$(cat "$HOME/script")"; exec /usr/bin/env -0"#),
        (shells::FISH, "set -e RDNA1_T; cat $HOME/script | source; exec /usr/bin/env -0"),
    ] {
        if tools::available(&[shell.program]) {
            let script = setting(&shell, Guard::None);
            let found = parse(&after(&shell, None, &script, how));
            assert_eq!(found.get(NAME.as_bytes()).map(Vec::as_slice), Some(OURS.as_bytes()), "{shell:?}");
        }
    }
}
