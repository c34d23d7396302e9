// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's view of the payload: packaging sources for `debian/`
//! ([`sources`]), and the finished package, built in process ([`build`]).
//!
//! The package is the same bytes whenever, wherever and by whomever it is
//! built: every name, mode, owner and time is given, none is taken from the
//! file system.

mod archive;
mod changelog;
mod control;
mod copyright;
mod depends;
mod elf;
mod scripts;
pub mod sources;

pub use depends::depends;
pub use elf::{Architecture, Elf};

use rdna1_payload::{Inputs, Layout, Payload, PayloadError, template};

/// Why a package cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// The payload cannot be made.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A template and its data do not fit.
    #[error(transparent)]
    Template(#[from] template::TemplateError),
    /// A program is none that a package can carry.
    #[error("{path}: {problem}")]
    Elf {
        /// Where it would be installed.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A program needs something that no rule maps to a package.
    #[error("{path} needs {what}, and rdna1-deb does not know which Debian package has it: add it to depends.rs")]
    UnknownLibrary {
        /// The program.
        path: String,
        /// The library or symbol version.
        what: String,
    },
    /// A path is too long for the archive format.
    #[error("{0} is too long for a tar archive without extensions (99 bytes)")]
    PathTooLong(String),
    /// Writing into memory failed.
    #[error("cannot write the archive: {0}")]
    Io(#[from] std::io::Error),
}

/// A finished package.
#[derive(Debug, Clone)]
pub struct Deb {
    /// The file name that Debian's archives use.
    pub file_name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What it installs.
    pub payload: Payload,
    /// Its control file.
    pub control: String,
}

/// The installed file tree with the documentation that Debian asks for.
///
/// # Errors
/// An artifact is missing, or templates and data do not fit.
pub fn tree(inputs: Inputs<'_>) -> Result<Payload, DebError> {
    let inputs = Inputs { layout: Layout::Deb, ..inputs };
    let payload = Payload::build(inputs)?;
    let doc = format!("/usr/share/doc/{}", inputs.metadata.name);
    let changelog = rdna1_payload::gzip(changelog::text(inputs.metadata).as_bytes());
    let overrides = format!("/usr/share/lintian/overrides/{}", inputs.metadata.name);
    Ok(payload.with([
        rdna1_payload::Entry::doc(format!("{doc}/copyright"), copyright::text(inputs)?),
        rdna1_payload::Entry::doc(format!("{doc}/changelog.gz"), changelog),
        rdna1_payload::Entry::file(overrides, sources::LINTIAN_OVERRIDES),
    ])?)
}

/// Builds the package.
///
/// # Errors
/// As for [`tree`]; or a program is no ELF file of a known architecture, or
/// needs a library of an unknown package.
pub fn build(inputs: Inputs<'_>) -> Result<Deb, DebError> {
    let payload = tree(inputs)?;
    let elves = elf::find(&payload)?;
    let architecture = elf::architecture(&elves)?;
    let control = control::control(&payload, architecture, &depends(&elves)?);
    let scripts = scripts::all(inputs.policy)?;
    let members = control::members(&payload, &control, &scripts);
    let epoch = inputs.metadata.epoch;
    let bytes = archive::write(epoch, &members, &payload)?;
    let metadata = &payload.metadata;
    let file_name = format!("{}_{}_{}.deb", metadata.name, metadata.version, architecture.debian());
    Ok(Deb { file_name, bytes, payload, control })
}
