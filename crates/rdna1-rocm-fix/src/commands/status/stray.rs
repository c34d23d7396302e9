// SPDX-License-Identifier: MIT OR Apache-2.0
//! Variables that do harm, in the files that give processes their environment:
//! shell start-up files, systemd's units and `environment.d`, definitions of
//! containers in the current directory.
//!
//! Lines are read, not run: a value that a shell would compute is not seen. The
//! files of other users are not looked at.

use rdna1_core::resolve::{EnvironmentHazard, hazard};
use rdna1_core::surroundings::Surroundings;

use super::findings::{Finding, Level};
use crate::context::{Context, Environment};

/// Most files of one directory that are read.
const MAX_FILES: usize = 64;

/// The user's own files, below the home directory.
const HOME: [&str; 8] = [
    ".profile",
    ".bash_profile",
    ".bash_login",
    ".bashrc",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".config/fish/config.fish",
];

/// The machine's files.
const SYSTEM: [&str; 5] =
    ["/etc/environment", "/etc/profile", "/etc/bash.bashrc", "/etc/systemd/system.conf", "/etc/systemd/user.conf"];

/// Directories of such files, and how the names end.
const DIRECTORIES: [(&str, &str); 6] = [
    ("/etc/profile.d", ".sh"),
    ("/etc/environment.d", ".conf"),
    ("/etc/systemd/system.conf.d", ".conf"),
    ("/etc/systemd/user.conf.d", ".conf"),
    ("/etc/systemd/system", ".service"),
    ("/etc/systemd/user", ".service"),
];

/// Definitions of containers.
const CONTAINERS: [&str; 8] = [
    "Dockerfile",
    "Containerfile",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    ".devcontainer/devcontainer.json",
    ".env",
];

/// A harmful setting in a file.
pub(super) struct Stray {
    /// `PATH:LINE`.
    place: String,
    found: EnvironmentHazard,
}

/// What the files set that does harm. Also notes it, and whether there are files
/// that could not be read, for the advisories.
pub(super) fn look(
    context: &Context,
    variables: &Environment,
    cwd: Option<&str>,
    surroundings: &mut Surroundings,
) -> Vec<Stray> {
    let mut strays = Vec::new();
    for path in files(context, variables, cwd) {
        let text = match context.root.read_text(&path) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(_) => {
                surroundings.unread_files = true;
                continue;
            }
        };
        for (number, line) in text.lines().enumerate() {
            for (name, value) in settings(line) {
                let Some(found) = hazard(&context.policy, &name, &value) else { continue };
                surroundings.stray.insert(name);
                strays.push(Stray { place: format!("{path}:{}", number + 1), found });
            }
        }
    }
    strays
}

impl Stray {
    pub(super) fn finding(self) -> Finding {
        let what = format!("{} sets {}={}", self.place, self.found.name, self.found.value);
        let remedy = format!("{} (in that file)", self.found.remedy);
        let mut finding = Finding::new(Level::Warning, "stray-variable", what, remedy);
        finding.happens = Some(self.found.happens);
        finding
    }
}

fn files(context: &Context, variables: &Environment, cwd: Option<&str>) -> Vec<String> {
    let mut files: Vec<String> = SYSTEM.iter().map(|&file| file.to_owned()).collect();
    let mut directories: Vec<(String, &str)> = DIRECTORIES.iter().map(|&(dir, end)| (dir.to_owned(), end)).collect();
    if let Some(home) = variables.get("HOME").filter(|home| home.starts_with('/')) {
        files.extend(HOME.iter().map(|file| format!("{home}/{file}")));
        directories.push((format!("{home}/.config/environment.d"), ".conf"));
        directories.push((format!("{home}/.config/systemd/user"), ".service"));
    }
    let list = |dir: &str, end: &str| -> Vec<String> {
        let names = context.root.list(dir).unwrap_or_default();
        names.iter().filter(|name| name.ends_with(end)).take(MAX_FILES).map(|name| format!("{dir}/{name}")).collect()
    };
    for (dir, end) in directories {
        files.extend(list(&dir, end));
        if end == ".service" {
            // Drop-ins of units.
            files.extend(list(&dir, ".service.d").iter().flat_map(|dir| list(dir, ".conf")));
        }
    }
    files.extend(cwd.into_iter().flat_map(|cwd| CONTAINERS.iter().map(move |file| format!("{cwd}/{file}"))));
    files
}

/// The variables that a line sets, in any of these files' syntaxes: `NAME=value`
/// behind `export`, `ENV`, `Environment=` or `-`; `set -gx NAME value`,
/// `ENV NAME value`, `NAME: value`.
fn settings(line: &str) -> Vec<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return Vec::new();
    }
    let bare = |text: &str| text.trim().trim_matches(|c| matches!(c, '"' | '\'' | ',')).to_owned();
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let pair = |name: &str, value: &str| {
        let name = bare(name);
        is_name(&name).then(|| (name, bare(value)))
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        // fish; the options are letters.
        ["set", options, name, value] if options.starts_with('-') && options.contains('x') => {
            return pair(name, value).into_iter().collect();
        }
        ["setenv" | "ENV", name, value] if !name.contains('=') => return pair(name, value).into_iter().collect(),
        _ => {}
    }
    if let Some((name, value)) = line.split_once(':')
        && let Some(pair) = pair(name, value)
    {
        return vec![pair];
    }
    let line = ["Environment=", "DefaultEnvironment="].iter().find_map(|key| line.strip_prefix(key)).unwrap_or(line);
    line.split([' ', '\t', ';'])
        .filter_map(|word| {
            let word = word.trim_matches(|c| matches!(c, '"' | '\''));
            word.split_once('=').and_then(|(name, value)| pair(name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn every_syntax_is_read() {
        for line in [
            "A_B=1",
            "export A_B=1",
            "export A_B='1'",
            "ENV A_B=1",
            "ENV A_B 1",
            "setenv A_B 1",
            "set -gx A_B 1",
            "Environment=A_B=1",
            "Environment=\"A_B=1\"",
            "DefaultEnvironment=A_B=1",
            "  - A_B=1",
            "  A_B: \"1\"",
            "\"A_B\": \"1\",",
        ] {
            assert_eq!(settings(line), [("A_B".to_owned(), "1".to_owned())], "{line}");
        }
        assert_eq!(settings("export A_B="), [("A_B".to_owned(), String::new())]);
        assert_eq!(settings("# A_B=1"), []);
        assert_eq!(settings("if [ \"$A_B\" = 1 ]; then"), []);
        assert_eq!(settings("a_b=1 --flag=2"), []);
    }
}
