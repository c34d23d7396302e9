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

/// Berkeley csh ends a script at `$?NAME` with a name that is longer, so that what
/// follows would be lost (measured); `setenv` takes any length.
const LONGEST_CSH_NAME: usize = 30;

/// As `if (! $?NAME) setenv …`. What only one of the two shells can do is read by
/// that one alone: the other never evaluates the text. Berkeley csh starts
/// processes for it, for which there is no other way.
fn csh_unless_long_name_is_set(name: &VarName, word: &str) -> String {
    format!(
        "if ($?tcsh) eval 'set rdna1_set = $?{name}'\n\
         if (! $?tcsh) eval 'set rdna1_set = `printenv {name} | wc -l`'\n\
         if ($rdna1_set == 0) setenv {name} {word}\n\
         unset rdna1_set\n"
    )
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
            Guard::UnlessSet if name.as_str().len() > LONGEST_CSH_NAME => csh_unless_long_name_is_set(name, &word),
            Guard::UnlessSet => format!("if (! $?{name}) setenv {name} {word}\n"),
        };
    }
    out
}
