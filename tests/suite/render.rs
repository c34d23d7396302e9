// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment renderers against the programs that read each format:
//! what is written comes back byte by byte, and what is refused is refused
//! because the real program would mangle it.

mod data;
mod dotenv;
mod guard;
mod lint;
mod shells;
mod systemd;
mod systemd_boot;
mod values;

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use proptest::test_runner::{Config, TestRunner};
use rdna1_core::ids::VarName;
use rdna1_core::render::{Format, Guard, RenderError, render};

/// An environment as a process sees it: names and values are bytes.
type Environment = BTreeMap<Vec<u8>, Vec<u8>>;

/// Names for values. Every second one ends with PATH: fish cuts those at colons.
fn named(values: &[String]) -> Vec<(VarName, &str)> {
    let name = |i| if i % 2 == 0 { format!("RDNA1_T{i}") } else { format!("RDNA1_T{i}_PATH") };
    values.iter().enumerate().map(|(i, value)| (var(&name(i)), value.as_str())).collect()
}

fn var(name: &str) -> VarName {
    name.parse().expect("tests use valid names")
}

fn written(format: Format, guard: Guard, set: &[(VarName, &str)]) -> Result<String, RenderError> {
    render(format, guard, set.iter().map(|(name, value)| (name, *value)), &[])
}

fn refuses(format: Format, value: &str) -> bool {
    written(format, Guard::None, &[(var("RDNA1_T"), value)]).is_err()
}

/// What a format takes of some values.
fn accepted(format: Format, values: Vec<String>) -> Vec<String> {
    values.into_iter().filter(|value| !refuses(format, value)).collect()
}

/// A command whose environment is `PATH` alone.
fn command(program: &str) -> Command {
    let file = rdna1_tests::tools::find(program).expect("the test has asked whether it is installed");
    let mut command = Command::new(file);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    command
}

/// Runs a command that must succeed in silence on stderr.
fn quiet(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success() && stderr.is_empty(), "{command:?}: {status}: {stderr}");
    stdout
}

/// What `env -0` printed.
fn parse(nul_separated: &[u8]) -> Environment {
    let entries = nul_separated.split(|b| *b == 0).filter(|entry| !entry.is_empty());
    let pair = |entry: &[u8]| {
        let eq = entry.iter().position(|b| *b == b'=').expect("an entry has a `=`");
        (entry[..eq].to_vec(), entry[eq + 1..].to_vec())
    };
    entries.map(pair).collect()
}

/// Compares one by one, so that a failure shows the value and not 700 of them.
fn assert_carried(reader: &str, found: &Environment, values: &[String]) {
    for (name, value) in named(values) {
        let found = found.get(name.as_str().as_bytes()).map(|bytes| String::from_utf8_lossy(bytes));
        assert!(found.as_deref() == Some(value), "{reader}: {name} should be {}, is {found:.300?}", shown(value));
    }
}

fn shown(value: &str) -> String {
    value.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Runs `check` on random batches of what `format` takes: each batch is one
/// start of the reader, however many values it holds.
fn for_random_batches(cases: u32, format: Format, check: impl Fn(&[String])) {
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&values::batch(), |batch| {
        check(&accepted(format, batch));
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
