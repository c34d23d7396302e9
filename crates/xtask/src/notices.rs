// SPDX-License-Identifier: MIT OR Apache-2.0
//! THIRD-PARTY-NOTICES: the copyright notices and licences of the crates that
//! are linked into the programs, as their authors wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::crates::{self, Crate};

/// How files with notices begin their names.
const NAMES: [&str; 5] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE"];

const RULE: &str = "================================================================================";

/// The text of the file. Its head states the terms of the programs as a whole.
pub fn text(top: &Path) -> anyhow::Result<String> {
    let crates = crates::linked(top)?;
    let mut out = format!(
        "Notices of others' work in the programs of {name}\n\n\
         Written by `cargo xtask generate`. The programs of {name} contain the\n\
         crates below and Rust's standard library (MIT OR Apache-2.0, The Rust Project\n\
         Developers, https://github.com/rust-lang/rust). The terms of the programs as a\n\
         whole:\n\n\
         SPDX-License-Identifier: {}\n\n",
        expression(&crates),
        name = rdna1_payload::NAME,
    );
    // Who uses which text: many are the same to the letter.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates.iter().filter(|one| one.is_foreign()) {
        out += &format!("{}: {}\n", one.id(), one.license);
        let found = texts_of(&one.dir)?;
        ensure!(!found.is_empty(), "crate {} brings no licence text; its notice has to be found by hand", one.id());
        for text in found {
            texts.entry(text).or_default().push(one.id());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, users)| (users, text)).collect();
    texts.sort();
    for (users, text) in texts {
        let users = rdna1_payload::template::wrap(&users.join(", "), RULE.len()).join("\n");
        out += &format!("\n{RULE}\n{users}\n{RULE}\n\n{text}\n");
    }
    Ok(out)
}

/// The terms of all crates together: each must be kept.
fn expression(crates: &[Crate]) -> String {
    let own = env!("CARGO_PKG_LICENSE");
    let mut all: Vec<&str> = crates.iter().map(|one| one.license.as_str()).filter(|license| *license != own).collect();
    all.sort_unstable();
    all.dedup();
    // The same choice in another order is the same choice.
    let choice = |license: &str| {
        let mut choice: Vec<String> = license.split(" OR ").map(str::to_owned).collect();
        choice.sort();
        choice
    };
    let mut seen = vec![choice(own)];
    let mut parts = vec![own];
    for license in all {
        if !seen.contains(&choice(license)) {
            seen.push(choice(license));
            parts.push(license);
        }
    }
    let parenthesised = |part: &str| if part.contains(" OR ") { format!("({part})") } else { part.to_owned() };
    parts.into_iter().map(parenthesised).collect::<Vec<_>>().join(" AND ")
}

/// The notices at the top of a crate, without blanks at line ends.
fn texts_of(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        // `UNLICENSE` is among them.
        if path.is_file() && NAMES.iter().any(|start| name.trim_start_matches("UN").starts_with(start)) {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text).replace('\u{c}', "");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        Ok(lines.join("\n").trim_matches('\n').to_owned())
    };
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_joined_and_repeated_nowhere() {
        let one = |license: &str| Crate {
            name: "x".into(),
            version: "1.0.0".into(),
            license: license.into(),
            repository: None,
            checksum: None,
            dir: ".".into(),
            needs: Vec::new(),
        };
        let crates = ["MIT", "Apache-2.0 OR MIT", "MIT OR Apache-2.0", "Unlicense OR MIT", "MIT"].map(one);
        assert_eq!(expression(&crates), "(MIT OR Apache-2.0) AND MIT AND (Unlicense OR MIT)");
    }
}
