// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packages carry: built programs, and what is made from their
//! command lines and from the checkout's own files.

use std::path::Path;

use anyhow::Context;
use clap_complete::Shell;
use rdna1_core::policy::Policy;
use rdna1_payload::{Artifacts, Date, Inputs, Layout, Metadata, Program, names};

use crate::host;

/// Documentation at the top of the checkout that the packages carry as far as it is there.
const DOCS: [&str; 1] = ["README.md"];

/// Everything that a package generator needs.
#[derive(Debug)]
pub struct Kit {
    policy: Policy,
    artifacts: Artifacts,
    metadata: Metadata,
}

impl Kit {
    /// Without programs: enough for packaging sources.
    pub fn without_programs() -> anyhow::Result<Self> {
        let top = host::top();
        let policy = Policy::embedded()?;
        let mut artifacts = Artifacts::new();
        for name in [names::LICENSE_MIT, names::LICENSE_APACHE, names::CHANGELOG] {
            artifacts.insert(name, host::read(&top.join(name))?);
        }
        for name in DOCS {
            let path = top.join(name);
            if path.exists() {
                artifacts.insert(format!("{}{name}", names::DOC), host::read(&path)?);
            }
        }
        let changelog = String::from_utf8(artifacts.required(names::CHANGELOG)?.to_vec())?;
        let metadata = Metadata::new(&changelog, host::source_date_epoch()?)?;
        Ok(Self { policy, artifacts, metadata })
    }

    /// With the programs of a directory.
    pub fn with_programs(bin_dir: &Path) -> anyhow::Result<Self> {
        let mut kit = Self::without_programs()?;
        for program in Program::ALL {
            let path = bin_dir.join(program.name);
            // What is missing is reported by whoever needs it, with the remedy.
            if path.exists() {
                kit.artifacts.insert(format!("{}{}", names::BIN, program.name), host::read(&path)?);
            }
        }
        let date = Date::from_epoch(kit.metadata.epoch).to_string();
        document(&mut kit.artifacts, rdna1_rocm_fix::cli::command(), &date)?;
        Ok(kit)
    }

    /// As the generators take it.
    pub fn inputs(&self, layout: Layout) -> Inputs<'_> {
        Inputs { policy: &self.policy, artifacts: &self.artifacts, metadata: &self.metadata, layout }
    }

    /// What describes the package.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Adds a program's man pages and shell completions.
fn document(artifacts: &mut Artifacts, mut command: clap::Command, date: &str) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, prefix) in [(Shell::Bash, names::BASH), (Shell::Zsh, names::ZSH), (Shell::Fish, names::FISH)] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut script);
        artifacts.insert(format!("{prefix}{name}"), script);
    }
    // Pages for subcommands refer to each other, so all must be there.
    let command = command.disable_help_subcommand(true);
    pages(artifacts, &name, command, date).with_context(|| format!("cannot write the man pages of {name}"))
}

/// Adds the page of a command and those of its subcommands, `a-b.1` for `a b`.
fn pages(artifacts: &mut Artifacts, name: &str, command: clap::Command, date: &str) -> anyhow::Result<()> {
    let subcommands: Vec<clap::Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let mut page = Vec::new();
    let version = env!("CARGO_PKG_VERSION");
    let command = command.name(name.to_owned()).bin_name(name.replacen(rdna1_core::NAME, "", 1)).version(version);
    clap_mangen::Man::new(command).date(date).manual("User Commands").render(&mut page)?;
    artifacts.insert(format!("{}{name}.1", names::MAN), page);
    for sub in subcommands {
        pages(artifacts, &format!("{name}-{}", sub.get_name()), sub, date)?;
    }
    Ok(())
}
