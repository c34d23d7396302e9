// SPDX-License-Identifier: MIT OR Apache-2.0
//! systemd reads without being booted: `systemd-analyze verify` runs the
//! environment generators as a manager does, one after the other, each with
//! what the ones before it printed. The last one here is a probe.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::render::{Format, Guard};
use rdna1_tests::tools;

use super::{
    Environment, accepted, assert_carried, command, for_random_batches, named, parse, refuses, values, written,
};

/// systemd's own generator for environment.d(5).
const ENVIRONMENT_D: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

fn executable(dir: &TempDir, name: &str, script: &str) {
    let file = dir.child(name);
    file.write_str(script).expect("a script is written");
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o755)).expect("it becomes executable");
}

/// What a manager has after `text`, which some generator printed.
fn read(dir: &TempDir) -> Environment {
    let unit = dir.child("probe.service");
    unit.write_str("[Service]\nExecStart=/bin/true\n").expect("a unit is written");
    executable(dir, "generators/90-probe", "#!/bin/sh\nexec env -0 >\"$RDNA1_OUT\"\n");
    let out = dir.child("out");
    let mut analyze = command("systemd-analyze");
    analyze.args(["verify", "--man=no"]).arg(unit.path()).env("RDNA1_OUT", out.path());
    analyze.env("SYSTEMD_ENVIRONMENT_GENERATOR_PATH", dir.path().join("generators"));
    analyze.env("XDG_CONFIG_HOME", dir.path()).env("HOME", dir.path());
    let said = analyze.output().expect("systemd-analyze starts").stderr;
    // Where it refuses what a generator printed, it runs no more of them.
    let Ok(found) = std::fs::read(out.path()) else {
        assert!(!said.is_empty(), "systemd-analyze ran no generator and gave no reason");
        return Environment::new();
    };
    parse(&found)
}

/// `text` as the output of an environment generator.
fn from_generator(text: &str) -> Environment {
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("text").write_str(text).expect("a text is written");
    executable(&dir, "generators/10-ours", &format!("#!/bin/sh\nexec cat {}\n", dir.path().join("text").display()));
    read(&dir)
}

/// `text` as a file in environment.d, read by systemd's own generator.
fn from_environment_d(text: &str) -> Environment {
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("environment.d/90-ours.conf").write_str(text).expect("a text is written");
    std::fs::create_dir(dir.path().join("generators")).expect("there is room for a directory");
    symlink(ENVIRONMENT_D, dir.path().join("generators/30-theirs")).expect("a link is made");
    read(&dir)
}

fn available() -> bool {
    if !Path::new(ENVIRONMENT_D).exists() {
        tools::skip("not installed: systemd's environment-d-generator");
        return false;
    }
    tools::available(&["systemd-analyze"])
}

fn carries_everything(format: Format, read: impl Fn(&str) -> Environment) {
    let carries = |values: &[String]| {
        let text = written(format, Guard::None, &named(values)).expect("only accepted values come here");
        assert_carried(&format!("systemd, {format}"), &read(&text), values);
    };
    if available() {
        carries(&accepted(format, values::table()));
        for_random_batches(10, format, carries);
    }
}

#[test]
fn generator_output_is_carried() {
    carries_everything(Format::Systemd, from_generator);
}

#[test]
fn environment_d_is_carried() {
    carries_everything(Format::EnvironmentD, from_environment_d);
}

/// A variable set earlier must not be seen by a value with a `$` in it.
#[test]
fn environment_d_expands_nothing() {
    if available() {
        let values = ["one", "$RDNA1_T0", "${RDNA1_T0}", "$$RDNA1_T0", "${RDNA1_NONE:-x}"].map(str::to_owned);
        let text = written(Format::EnvironmentD, Guard::None, &named(&values)).expect("these are fine");
        assert_carried("environment.d", &from_environment_d(&text), &values);
    }
}

/// Reads one value, written without asking whether the format takes it, and
/// a second variable behind it.
fn unchecked(format: Format, value: &str) -> (Option<String>, bool) {
    let text = format!("RDNA1_T0=\"{value}\"\nRDNA1_T1=\"x\"\n");
    let found = if format == Format::Systemd { from_generator(&text) } else { from_environment_d(&text) };
    let value = found.get(&b"RDNA1_T0"[..]).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (value, found.contains_key(&b"RDNA1_T1"[..]))
}

/// Noncharacters cost not only their own variable but all the others too.
#[test]
fn noncharacters_have_to_be_refused() {
    if !available() {
        return;
    }
    for value in ["\u{fdd0}", "\u{fdef}", "\u{fffe}", "\u{ffff}", "\u{1fffe}", "\u{10ffff}"] {
        for format in [Format::Systemd, Format::EnvironmentD] {
            assert!(refuses(format, value), "{format} takes {value:?}");
            assert_eq!(unchecked(format, value), (None, false), "{format} can do {value:?} after all");
        }
    }
    for neighbour in ["\u{fdcf}", "\u{fdf0}", "\u{fffd}", "\u{10000}", "\u{10fffd}"] {
        assert!(!refuses(Format::Systemd, neighbour) && !refuses(Format::EnvironmentD, neighbour), "{neighbour:?}");
    }
}

#[test]
fn environment_d_has_to_refuse_control_characters_and_the_empty_value() {
    if !available() {
        return;
    }
    assert!(refuses(Format::EnvironmentD, "") && !refuses(Format::Systemd, ""));
    assert_eq!(unchecked(Format::EnvironmentD, ""), (None, true));
    for (value, garbled) in
        [("a\nb", "a\\nb"), ("a\tb", "a\\tb"), ("\r", "\\r"), ("\u{1}", "\\001"), ("\u{7f}", "\\177")]
    {
        assert!(refuses(Format::EnvironmentD, value) && !refuses(Format::Systemd, value), "{value:?}");
        assert_eq!(unchecked(Format::EnvironmentD, value).0.as_deref(), Some(garbled));
    }
    assert!(!refuses(Format::EnvironmentD, "\u{85}"));
}
