// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packages install, as a value.
//!
//! [`Payload::build`] makes the file tree from the policy, the [`Artifacts`]
//! (programs, man pages, completions, licences) and the package's
//! [`Metadata`]. The package formats only write it down: whether a file is
//! configuration, documentation or neither follows from its [`EntryKind`].

mod artifacts;
pub mod changelog;
mod config_example;
mod date;
pub mod elf;
mod entry;
mod metadata;
pub mod scripts;
pub mod template;
mod tree;

#[cfg(test)]
mod tests;

pub use artifacts::{Artifacts, Program, names};
pub use date::Date;
pub use entry::{Entry, EntryKind, Payload};
pub use metadata::{Metadata, NAME};
pub use tree::{Inputs, Layout, OUT, gzip};

/// Why a payload cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Something that goes into the packages was not given.
    #[error("{name} is missing: {remedy}")]
    MissingArtifact {
        /// Which.
        name: String,
        /// What makes it.
        remedy: &'static str,
    },
    /// An entry is not what its kind asks for, or there twice.
    #[error("{path}: {problem}")]
    Entry {
        /// Where it would be installed.
        path: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A program is none that a package can carry.
    #[error("{path}: {problem}")]
    Elf {
        /// Where it would be installed.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A template and its data do not fit.
    #[error(transparent)]
    Template(#[from] template::TemplateError),
    /// CHANGELOG.md cannot be read.
    #[error(transparent)]
    Changelog(#[from] changelog::ChangelogError),
}
