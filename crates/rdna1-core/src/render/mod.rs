// SPDX-License-Identifier: MIT OR Apache-2.0
//! An environment in the syntax of whoever will read it. Each syntax has its
//! own quoting and its own limits; what it cannot carry is an error, never a
//! mangled value.

mod data;
mod shell;

use std::fmt;
use std::str::FromStr;

use crate::ids::VarName;

/// A syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// POSIX shells: sh, bash, dash, zsh, busybox.
    Sh,
    /// fish.
    Fish,
    /// csh and tcsh.
    Csh,
    /// systemd's environment generators and `EnvironmentFile=`.
    Systemd,
    /// environment.d(5), which also expands variables.
    EnvironmentD,
    /// `KEY=value` lines that docker and podman (`--env-file`), compose and
    /// python-dotenv all read alike.
    Dotenv,
    /// One JSON object.
    Json,
}

impl Format {
    /// Every format with its name on the command line.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Sh, "sh"),
        (Self::Fish, "fish"),
        (Self::Csh, "csh"),
        (Self::Systemd, "systemd"),
        (Self::EnvironmentD, "environment.d"),
        (Self::Dotenv, "dotenv"),
        (Self::Json, "json"),
    ];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(format, _)| format == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(_, name)| *name == s).map(|(format, _)| *format).ok_or_else(|| {
            let names = Self::ALL.map(|(_, name)| name);
            format!("there is no format `{s}`; allowed are {}", names.join(", "))
        })
    }
}

/// Whether a shell script overrides what is set when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// It sets every variable: the resolution has looked at the environment.
    None,
    /// It leaves alone what is set by then, even to nothing.
    UnlessSet,
}

/// A value that a format cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of {name} cannot be written in the format `{format}`: {problem}")]
pub struct RenderError {
    /// The variable.
    pub name: VarName,
    /// The format.
    pub format: Format,
    /// What is in the way.
    pub problem: &'static str,
}

/// Writes variables, in order, and for shells also what to unset first.
///
/// `guard` concerns the shells; the other formats are data and have no conditions.
///
/// # Errors
/// The first value that the format cannot carry.
pub fn render<'a>(
    format: Format,
    guard: Guard,
    set: impl IntoIterator<Item = (&'a VarName, &'a str)>,
    unset: &[VarName],
) -> Result<String, RenderError> {
    let set: Vec<(&VarName, &str)> = set.into_iter().collect();
    for (name, value) in &set {
        if let Some(problem) = obstacle(format, name, value) {
            return Err(RenderError { name: (*name).clone(), format, problem });
        }
    }
    Ok(match format {
        Format::Sh => shell::sh(guard, &set, unset),
        Format::Fish => shell::fish(guard, &set, unset),
        Format::Csh => shell::csh(guard, &set, unset),
        Format::Systemd => data::systemd(&set),
        Format::EnvironmentD => data::environment_d(&set),
        Format::Dotenv => data::dotenv(&set),
        Format::Json => data::json(&set),
    })
}

/// Linux's MAX_ARG_STRLEN: `NAME=value` with the NUL byte that ends it.
const LONGEST_VARIABLE: usize = 128 * 1024;

/// What keeps a format from carrying a value.
fn obstacle(format: Format, name: &VarName, value: &str) -> Option<&'static str> {
    if value.contains('\0') {
        return Some("no environment can hold a NUL byte");
    }
    if name.as_str().len() + value.len() + 2 > LONGEST_VARIABLE {
        return Some("Linux starts no program with a variable of more than 128 KiB");
    }
    match format {
        Format::Sh | Format::Fish | Format::Json => None,
        Format::Csh => shell::csh_obstacle(value),
        Format::Systemd => data::systemd_obstacle(value),
        Format::EnvironmentD => data::environment_d_obstacle(value),
        Format::Dotenv => data::dotenv_obstacle(name, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, guard: Guard, value: &str) -> Result<String, RenderError> {
        let names: [VarName; 2] = ["A".parse().expect("valid"), "B".parse().expect("valid")];
        render(format, guard, [(&names[0], value)], &names[1..])
    }

    /// What the real readers make of it is in tests/suite/render.
    #[test]
    fn each_format_has_its_own_quoting() {
        for (format, guard, value, expected) in [
            (Format::Sh, Guard::None, "it's $x", "unset B\nexport A='it'\\''s $x'\n"),
            (Format::Sh, Guard::UnlessSet, "1", "unset B\n[ -n \"${A+x}\" ] || export A='1'\n"),
            (Format::Fish, Guard::None, r"it's \", "if set -qg B; set -eg B; end\nset -gx A 'it\\'s \\\\'\n"),
            (
                Format::Fish,
                Guard::UnlessSet,
                "1",
                "if set -qg B; set -eg B; end\nif not set -q A; set -gx A '1'; end\n",
            ),
            (Format::Csh, Guard::None, "a!\nb", "unsetenv B\nsetenv A 'a'\\!'\\\nb'\n"),
            (Format::Csh, Guard::UnlessSet, "1", "unsetenv B\nif (! $?A) setenv A '1'\n"),
            (Format::Systemd, Guard::None, "\"$x`\\\n", "A=\"\\\"\\$x\\`\\\\\n\"\n"),
            (Format::EnvironmentD, Guard::None, "$x", "A=\"\\$\\$x\"\n"),
            (Format::Dotenv, Guard::None, "a b", "A=a b\n"),
            (Format::Json, Guard::None, "\"", "{\n  \"A\": \"\\\"\"\n}\n"),
        ] {
            assert_eq!(written(format, guard, value).as_deref(), Ok(expected), "{format}");
        }
    }

    #[test]
    fn formats_have_one_name_each() {
        for (format, name) in Format::ALL {
            assert_eq!(name.parse(), Ok(format));
            assert_eq!(format.to_string(), name);
        }
        assert!("bash".parse::<Format>().is_err_and(|message| message.contains("environment.d")));
    }
}
