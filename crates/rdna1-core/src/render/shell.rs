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

/// fish: in single quotes only `\` and `'` are special, both after a `\`. `set`
/// leaves `$status` as it was, so a condition that fails must not come last.
pub(super) fn fish(guard: Guard, set: &[(&VarName, &str)], unset: &[VarName]) -> String {
    let mut out = String::new();
    for name in unset {
        // Never a universal variable: that is the user's own, in a file.
        out += &format!("if set -qg {name}; set -eg {name}; end\n");
    }
    for (name, value) in set {
        let value = value.replace('\\', r"\\").replace('\'', r"\'");
        out += &match guard {
            Guard::None => format!("set -gx {name} '{value}'\n"),
            Guard::UnlessSet => format!("if not set -q {name}; set -gx {name} '{value}'; end\n"),
        };
    }
    out
}

/// A word of csh. History expansion works even in single quotes, where a line
/// break must follow a `\`, and tcsh's `backslash_quote` makes `\` special there
/// too; outside quotes a `\` means the same to every csh under every option.
fn csh_word(value: &str) -> String {
    let mut out = String::from("'");
    for c in value.chars() {
        match c {
            '\'' | '\\' | '!' => out.extend(["'\\", c.encode_utf8(&mut [0; 4]), "'"]),
            '\n' => out += "\\\n",
            _ => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Berkeley csh ends a script at a word of 8 KiB, of which it needs four bytes;
/// it counts `\!` as one.
const LONGEST_CSH_WORD: usize = 8 * 1024 - 5;

pub(super) fn csh_obstacle(value: &str) -> Option<&'static str> {
    let word = csh_word(value).len() - value.matches('!').count();
    (word > LONGEST_CSH_WORD).then_some("csh reads no word of 8 KiB or more, quotes included")
}

/// csh and tcsh.
pub(super) fn csh(guard: Guard, set: &[(&VarName, &str)], unset: &[VarName]) -> String {
    let mut out = String::new();
    for name in unset {
        out += &format!("unsetenv {name}\n");
    }
    for (name, value) in set {
        let word = csh_word(value);
        out += &match guard {
            Guard::None => format!("setenv {name} {word}\n"),
            Guard::UnlessSet => format!("if (! $?{name}) setenv {name} {word}\n"),
        };
    }
    out
}
