// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shells source what was written and then become `env -0`.

use std::process::Command;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::render::{Format, Guard};
use rdna1_tests::tools;

use super::written;
use super::{Environment, accepted, assert_carried, command, for_random_batches, named, parse, quiet, refuses, values};

/// A shell, and what it is given so that it sources the file `FILE`.
#[derive(Debug)]
pub struct Shell {
    #[allow(dead_code)]
    pub program: &'static str,
    args: &'static [&'static str],
    pub format: Format,
    /// What stands before and after the sourcing.
    before: &'static str,
}

pub const DASH: Shell = Shell { program: "dash", args: &["-c"], format: Format::Sh, before: "set -eu;" };
pub const BASH: Shell = Shell { program: "bash", ..DASH };
pub const BASH_POSIX: Shell = Shell { args: &["--posix", "-c"], ..BASH };
pub const ZSH: Shell = Shell { program: "zsh", args: &["-f", "-c"], ..DASH };
/// Options that a user may have set, and that change what quotes mean.
pub const ZSH_QUOTES: Shell = Shell { before: "setopt rc_quotes ksh_arrays err_exit;", ..ZSH };
pub const BUSYBOX: Shell = Shell { program: "busybox", args: &["sh", "-c"], ..DASH };
pub const FISH: Shell = Shell { program: "fish", args: &["--no-config", "-c"], format: Format::Fish, before: "" };
pub const TCSH: Shell = Shell { program: "tcsh", args: &["-f", "-e", "-c"], format: Format::Csh, before: "" };
pub const TCSH_QUOTES: Shell = Shell { before: "set backslash_quote;", ..TCSH };
/// Debian's package csh: the old Berkeley one.
pub const CSH: Shell = Shell { program: "bsd-csh", ..TCSH };

#[allow(dead_code)]
pub const ALL: &[Shell] = &[DASH, BASH, BASH_POSIX, ZSH, ZSH_QUOTES, BUSYBOX, FISH, TCSH, TCSH_QUOTES, CSH];

impl Shell {
    /// The shell after sourcing `script`, about to run `then`.
    pub fn sourcing(&self, dir: &TempDir, script: &str, then: &str) -> Command {
        let file = dir.child("script");
        file.write_str(script).expect("a script is written");
        let source = if self.format == Format::Sh { "." } else { "source" };
        let mut shell = command(self.program);
        // Some shells need a home, none may find a user's own settings there.
        shell.args(self.args).env("HOME", dir.path());
        shell.arg(format!("{} {source} {}; {then}", self.before, file.path().display()));
        shell
    }

    fn reads(&self, locale: &str, script: &str) -> Environment {
        let dir = TempDir::new().expect("there is room for a directory");
        let mut shell = self.sourcing(&dir, script, "exec /usr/bin/env -0");
        parse(&quiet(shell.env("LC_ALL", locale)))
    }

    fn carries(&self, locale: &str, guard: Guard, values: &[String]) {
        let script = written(self.format, guard, &named(values)).expect("only accepted values come here");
        assert_carried(&format!("{self:?} in {locale}"), &self.reads(locale, &script), values);
    }

    fn carries_everything(&self) {
        if !tools::available(&[self.program]) {
            return;
        }
        let table = accepted(self.format, values::table());
        for locale in ["C", "C.UTF-8"] {
            // tcsh takes time in the square of the number of variables.
            for part in table.chunks(400) {
                self.carries(locale, Guard::None, part);
                self.carries(locale, Guard::UnlessSet, part);
            }
            for_random_batches(12, self.format, |batch| self.carries(locale, Guard::UnlessSet, batch));
        }
    }
}

/// One test per shell, so that they run in parallel and fail by name.
macro_rules! carries_everything {
    ($($test:ident: $shell:ident,)*) => { $(
        #[test]
        fn $test() {
            $shell.carries_everything();
        }
    )* };
}

carries_everything! {
    dash: DASH,
    bash: BASH,
    bash_posix: BASH_POSIX,
    zsh: ZSH,
    zsh_with_other_quotes: ZSH_QUOTES,
    busybox: BUSYBOX,
    fish: FISH,
    tcsh: TCSH,
    tcsh_with_other_quotes: TCSH_QUOTES,
    csh: CSH,
}

/// One character more than the longest value that is taken ends a script of
/// Berkeley csh, whatever the character costs in quotes.
#[test]
fn csh_has_to_refuse_long_words() {
    if !tools::available(&[CSH.program]) {
        return;
    }
    for (c, longest) in [("x", 8185), ("é", 4092), ("'", 2046), ("\\", 2046), ("!", 2728), ("\n", 4092)] {
        assert!(refuses(Format::Csh, &c.repeat(longest + 1)), "{c:?} is taken too often");
        CSH.carries("C.UTF-8", Guard::UnlessSet, &[c.repeat(longest)]);
        let dir = TempDir::new().expect("there is room for a directory");
        let quoted = if c == "\n" { "\\\n".into() } else { format!("'\\{c}'") };
        let quoted = if ["x", "é"].contains(&c) { c } else { &quoted };
        let script = format!("setenv RDNA1_T '{}'\n", quoted.repeat(longest + 1));
        let said = CSH.sourcing(&dir, &script, "exit").output().expect("csh starts").stderr;
        assert_eq!(String::from_utf8_lossy(&said), "Word too long.\n", "after {longest} times {c:?}");
    }
}
