// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packages carry: built programs, and what is made from their
//! command lines and from the checkout's own files.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use rdna1_core::policy::Policy;
use rdna1_payload::{Artifacts, Date, Inputs, Layout, Metadata, Program, names};
use walkdir::WalkDir;

use crate::checkout;

/// Documentation at the top of the checkout that the packages carry as far as it is there.
const DOCS: [&str; 1] = ["README.md"];

/// The Python modules of the checkout; beside them may lie what is not installed.
const PYTHON: &str = "python";

/// The command lines of the programs that users call, by the programs' names.
const COMMAND_LINES: [(&str, CommandLine); 2] =
    [("rdna1-rocm-fix", rdna1_rocm_fix::cli::command), ("rdna1-validate", rdna1_validate::Cli::command)];

/// Makes a program's command line.
type CommandLine = fn() -> clap::Command;

/// Everything that a package generator needs.
#[derive(Debug)]
pub struct Kit {
    policy: Policy,
    artifacts: Artifacts,
    metadata: Metadata,
}

impl Kit {
    /// Without programs: enough for packaging sources.
    pub fn without_programs(top: &Path) -> anyhow::Result<Self> {
        let policy = Policy::embedded()?;
        let mut artifacts = Artifacts::new();
        for name in [names::LICENSE_MIT, names::LICENSE_APACHE, names::CHANGELOG] {
            artifacts.insert(name, checkout::read(&top.join(name))?);
        }
        for name in DOCS {
            let path = top.join(name);
            if path.exists() {
                artifacts.insert(format!("{}{name}", names::DOC), checkout::read(&path)?);
            }
        }
        // Whoever needs it says what writes it.
        if top.join(names::NOTICES).exists() {
            artifacts.insert(names::NOTICES, checkout::read(&top.join(names::NOTICES))?);
        }
        for (name, schema) in schemas() {
            artifacts.insert(name, pretty(&schema)?);
        }
        let changelog = String::from_utf8(artifacts.required(names::CHANGELOG)?.to_vec())?;
        let metadata = Metadata::new(&changelog, checkout::source_date_epoch()?)?;
        let date = Date::from_epoch(metadata.epoch).to_string();
        for program in Program::ALL.iter().filter(|program| program.for_users) {
            let known = COMMAND_LINES.iter().find(|(name, _)| *name == program.name);
            let (_, command) = known.with_context(|| format!("nobody knows the command line of {}", program.name))?;
            document(&mut artifacts, command(), &date)?;
        }
        python(top, &mut artifacts)?;
        Ok(Self { policy, artifacts, metadata })
    }

    /// With the programs of a directory.
    pub fn with_programs(top: &Path, bin_dir: &Path) -> anyhow::Result<Self> {
        let mut kit = Self::without_programs(top)?;
        for program in Program::ALL {
            let path = bin_dir.join(program.name);
            // What is missing is reported by whoever needs it, with the remedy.
            if path.exists() {
                kit.artifacts.insert(format!("{}{}", names::BIN, program.name), checkout::read(&path)?);
            }
        }
        Ok(kit)
    }

    /// With other notices than the checkout's, which may be stale.
    pub fn with_notices(mut self, text: &str) -> Self {
        self.artifacts.insert(names::NOTICES, text);
        self
    }

    /// With a text in the place of everything that compilers and people make
    /// anew all the time: programs, what follows from their command lines, prose.
    pub fn with_filler(&self, text: &str) -> Self {
        let mut artifacts = self.artifacts.clone();
        for name in Program::ALL.into_iter().flat_map(Program::artifacts) {
            artifacts.insert(name, text);
        }
        for prefix in [names::MAN, names::DOC, names::CHANGELOG, names::NOTICES] {
            let found: Vec<String> = self.artifacts.below(prefix).map(|(rest, _)| format!("{prefix}{rest}")).collect();
            found.into_iter().for_each(|name| artifacts.insert(name, text));
        }
        // What is read from the notices stays to be found.
        let terms = self.artifacts.license().map(|terms| format!("{text}\nSPDX-License-Identifier: {terms}\n"));
        artifacts.insert(names::NOTICES, terms.unwrap_or_default());
        Self { policy: self.policy.clone(), artifacts, metadata: self.metadata.clone() }
    }

    /// As the generators take it.
    pub fn inputs(&self, layout: Layout) -> Inputs<'_> {
        Inputs { policy: &self.policy, artifacts: &self.artifacts, metadata: &self.metadata, layout }
    }
}

/// Adds the Python modules: what Python imports, without tests, benchmarks and caches.
fn python(top: &Path, artifacts: &mut Artifacts) -> anyhow::Result<()> {
    let dir = top.join(PYTHON);
    if !dir.is_dir() {
        return Ok(());
    }
    let unwanted = |name: &str| name.starts_with('.') || ["bench", "tests", "__pycache__"].contains(&name);
    let walk = WalkDir::new(&dir).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !entry.file_name().to_str().is_none_or(unwanted)) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_file() && (name.ends_with(".py") || name.ends_with(".pyi") || name == "py.typed") {
            let path = entry.path().strip_prefix(&dir)?.to_str().context("a module's name is no text")?;
            artifacts.insert(format!("{}{path}", names::PYTHON), checkout::read(entry.path())?);
        }
    }
    Ok(())
}

/// The schemas of the files that people write, by artifact name.
pub fn schemas() -> [(&'static str, serde_json::Value); 2] {
    use rdna1_core::schema;
    [(names::POLICY_SCHEMA, schema::policy()), (names::CONFIG_SCHEMA, schema::config())]
}

/// A JSON document for people, too.
pub fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Adds a program's man pages and shell completions.
fn document(artifacts: &mut Artifacts, mut command: clap::Command, date: &str) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    // Gives the subcommands their full names, `rdna1-rocm-fix run`. Before the
    // completions, which add a `help` subcommand for each of them.
    let mut documented = command.clone().disable_help_subcommand(true);
    documented.build();
    pages(artifacts, &documented, date).with_context(|| format!("cannot write the man pages of {name}"))?;
    for (shell, prefix) in [(Shell::Bash, names::BASH), (Shell::Zsh, names::ZSH), (Shell::Fish, names::FISH)] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut script);
        artifacts.insert(format!("{prefix}{name}"), script);
    }
    Ok(())
}

/// Adds the pages of a command and of its subcommands, `a-b.1` for `a b`.
fn pages(artifacts: &mut Artifacts, command: &clap::Command, date: &str) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone())
        .date(date)
        .source(format!("{} {}", rdna1_core::NAME, env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    page.render(&mut text)?;
    artifacts.insert(format!("{}{}", names::MAN, page.get_filename()), text);
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| pages(artifacts, sub, date))
}

#[cfg(test)]
mod tests {
    use assert_fs::TempDir;
    use assert_fs::prelude::*;

    use super::*;

    #[test]
    fn python_modules_are_taken_and_what_lies_beside_them_is_not() {
        let top = TempDir::new().expect("a temporary directory");
        for name in [
            "rdna1/__init__.py",
            "rdna1/a.py",
            "rdna1/py.typed",
            "hook/sitecustomize.py",
            "pyproject.toml",
            "bench/layers.py",
            "tests/test_a.py",
            "rdna1/__pycache__/a.cpython-312.pyc",
            "rdna1/.hidden.py",
        ] {
            top.child("python").child(name).write_str("").expect("it can be written");
        }
        let mut artifacts = Artifacts::new();
        python(top.path(), &mut artifacts).expect("it can be read");
        let found: Vec<&str> = artifacts.below(names::PYTHON).map(|(path, _)| path).collect();
        assert_eq!(found, ["hook/sitecustomize.py", "rdna1/__init__.py", "rdna1/a.py", "rdna1/py.typed"]);
        python(&top.path().join("none"), &mut artifacts).expect("there need be none");
    }
}
