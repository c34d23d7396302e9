// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shell scripts. Values stand in single quotes, where each shell has the
//! fewest rules.

use super::Guard;
use crate::ids::VarName;

/// POSIX shells. Works under `set -eu` and leaves no variable of its own.
pub(super) fn sh(guard: Guard, set: &[(&VarName, &str)], unset: &[VarName]) -> String {
    let mut out = String::new();
    for name in unset {
        out += &format!("unset {name}\n");
    }
    for (name, value) in set {
        let value = value.replace('\'', r"'\''");
        out += &match guard {
            Guard::None => format!("export {name}='{value}'\n"),
            Guard::UnlessSet => format!("[ -n \"${{{name}+x}}\" ] || export {name}='{value}'\n"),
        };
    }
    out
}

/// fish: in single quotes only `\` and `'` are special, both after a `\`.
pub(super) fn fish(guard: Guard, set: &[(&VarName, &str)], unset: &[VarName]) -> String {
    let mut out = String::new();
    for name in unset {
        out += &format!("set -e {name}\n");
    }
    for (name, value) in set {
        let value = value.replace('\\', r"\\").replace('\'', r"\'");
        out += &match guard {
            Guard::None => format!("set -gx {name} '{value}'\n"),
            Guard::UnlessSet => format!("set -q {name}; or set -gx {name} '{value}'\n"),
        };
    }
    out
}

/// csh and tcsh: history expansion works even in single quotes, and a line
/// break must follow a `\`.
pub(super) fn csh(guard: Guard, set: &[(&VarName, &str)], unset: &[VarName]) -> String {
    let mut out = String::new();
    for name in unset {
        out += &format!("unsetenv {name}\n");
    }
    for (name, value) in set {
        let value = value.replace('\'', r"'\''").replace('!', r"\!").replace('\n', "\\\n");
        out += &match guard {
            Guard::None => format!("setenv {name} '{value}'\n"),
            Guard::UnlessSet => format!("if (! $?{name}) setenv {name} '{value}'\n"),
        };
    }
    out
}
