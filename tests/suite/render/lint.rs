// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scripts are good style, too: linters and the shells' own syntax checks.

use std::process::Stdio;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::render::{Format, Guard, render};
use rdna1_tests::tools;

use super::{accepted, command, named, quiet, values, var};

/// Unsets one variable and sets others.
fn script(format: Format, guard: Guard, values: Vec<String>) -> String {
    let values = accepted(format, values);
    let set = named(&values);
    let set = set.iter().map(|(name, value)| (name, *value));
    render(format, guard, set, &[var("RDNA1_GONE")]).expect("only accepted values come here")
}

/// A checker that says nothing and succeeds.
fn accepts(program: &str, args: &[&str], format: Format, values: &[String]) {
    if !tools::available(&[program]) {
        return;
    }
    let dir = TempDir::new().expect("there is room for a directory");
    let file = dir.child("script");
    for guard in [Guard::None, Guard::UnlessSet] {
        file.write_str(&script(format, guard, values.to_vec())).expect("a script is written");
        let mut checker = command(program);
        let said = quiet(checker.args(args).arg(file.path()).env("HOME", dir.path()).stdin(Stdio::null()));
        assert!(said.is_empty(), "{program}: {}", String::from_utf8_lossy(&said));
    }
}

/// Not the whole table: shellcheck warns of values that look like mistakes,
/// such as a `$X` in single quotes, which is what is meant here.
#[test]
fn shellcheck_likes_what_the_policy_sets() {
    let usual = ["1", "10.3.0", "/var/lib/rdna1-rocm-fix/miopen", "a b", "it's", "", "#1;2&3|4*?~!"].map(str::to_owned);
    accepts("shellcheck", &["-s", "sh", "-S", "style"], Format::Sh, &usual);
}

#[test]
fn dash_checks_the_syntax() {
    accepts("dash", &["-n"], Format::Sh, &values::table());
}

#[test]
fn bash_checks_the_syntax() {
    accepts("bash", &["-n"], Format::Sh, &values::table());
}

#[test]
fn fish_checks_the_syntax() {
    accepts("fish", &["--no-config", "-n"], Format::Fish, &values::table());
}

#[test]
fn tcsh_checks_the_syntax() {
    accepts("tcsh", &["-f", "-n"], Format::Csh, &values::table());
}
