// SPDX-License-Identifier: MIT OR Apache-2.0
//! Formats that are data, read by systemd, container engines and programs.

use std::collections::BTreeMap;

use crate::ids::VarName;

/// systemd takes no control characters but tab and line feed in an environment.
pub(super) fn systemd_obstacle(value: &str) -> Option<&'static str> {
    let refused = |c: char| c.is_ascii_control() && c != '\t' && c != '\n';
    value.contains(refused).then_some("systemd takes no control characters but tab and line feed")
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

/// Readers of env files differ: docker takes a line literally, others know
/// quotes, escapes, comments and expansion. Only what all of them read alike passes.
pub(super) fn dotenv_obstacle(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("readers disagree on an empty value")
    } else if value.contains(|c: char| c.is_control()) {
        Some("an env file has no line breaks or control characters in values")
    } else if value.trim() != value {
        Some("readers disagree on blanks at the ends of a value")
    } else if value.contains(['\'', '"', '`', '\\', '$', '#']) {
        Some("readers disagree on quotes, backslashes, $ and #")
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
