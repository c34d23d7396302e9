// SPDX-License-Identifier: MIT OR Apache-2.0
//! Formats that are data, read by systemd, container engines and programs.

use std::collections::BTreeMap;

use crate::ids::VarName;

/// systemd takes valid UTF-8 except noncharacters, and drops everything that a
/// generator printed or an `EnvironmentFile=` holds because of one of them.
/// Control characters pass (seen with 252 and 257).
pub(super) fn systemd_obstacle(value: &str) -> Option<&'static str> {
    let noncharacter = |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    value.contains(noncharacter).then_some("systemd takes no Unicode noncharacters")
}

/// systemd's own generator reads environment.d and prints what it found for the
/// manager, control characters as escapes that the manager does not undo (257).
pub(super) fn environment_d_obstacle(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("environment.d ignores an empty value")
    } else if value.contains(|c: char| c.is_ascii_control()) {
        Some("environment.d garbles tabs, line breaks and other control characters")
    } else {
        systemd_obstacle(value)
    }
}

/// In double quotes systemd reads `\` before `"`, `\`, `` ` `` and `$` as an escape.
fn quoted(value: &str) -> String {
    let mut out = String::from('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

pub(super) fn systemd(set: &[(&VarName, &str)]) -> String {
    set.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect()
}

/// environment.d expands `$X` after unquoting; `$$` stands for one `$`.
pub(super) fn environment_d(set: &[(&VarName, &str)]) -> String {
    set.iter().map(|(name, value)| format!("{name}={}\n", quoted(&value.replace('$', "$$")))).collect()
}

/// docker and podman read with Go's `bufio.Scanner`, whose buffer of 64 KiB
/// must also hold the line break.
const LONGEST_ENV_FILE_LINE: usize = 64 * 1024 - 1;

/// Readers of env files differ: docker and podman take a line literally, compose
/// and python-dotenv trim it and know quotes, comments and expansion. There is no
/// quoting that all of them undo, so only what they read alike unquoted passes.
pub(super) fn dotenv_obstacle(name: &VarName, value: &str) -> Option<&'static str> {
    // Python counts the four separators as blanks, Unicode does not.
    let blank = |c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f');
    let comment = value.match_indices('#').any(|(at, _)| value[..at].ends_with(blank));
    if value.contains(['\n', '\r']) {
        Some("a line of an env file cannot hold a line break")
    } else if value.starts_with(blank) || value.ends_with(blank) {
        Some("some readers trim blanks at the ends of a value")
    } else if value.starts_with(['\'', '"']) {
        Some("some readers take a quote at the start of a value away")
    } else if value.contains('$') {
        Some("some readers expand $")
    } else if comment {
        Some("for some readers a # after a blank starts a comment")
    } else if name.as_str().len() + 1 + value.len() > LONGEST_ENV_FILE_LINE {
        Some("docker and podman read no line of 64 KiB or more")
    } else {
        None
    }
}

pub(super) fn dotenv(set: &[(&VarName, &str)]) -> String {
    set.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

pub(super) fn json(set: &[(&VarName, &str)]) -> String {
    let object: BTreeMap<&str, &str> = set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    // A map of strings has no way to fail.
    let mut text = serde_json::to_string_pretty(&object).unwrap_or_default();
    text.push('\n');
    text
}
