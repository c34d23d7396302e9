// SPDX-License-Identifier: MIT OR Apache-2.0
//! RPM's view of the payload: packaging sources for `rpm/` ([`sources`]), and
//! the finished package, built in process ([`build`]).
//!
//! The package is the same bytes whenever, wherever and by whomever it is
//! built: every name, mode, owner and time is given, none is taken from the
//! file system. It is not signed; `cargo xtask repo` signs a copy.

mod changelog;
mod package;
mod requires;
mod scripts;
pub mod sources;

pub use requires::requires;

use rdna1_payload::{Entry, Inputs, Layout, Metadata, Payload, PayloadError, elf, template};

/// Why a package cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RpmError {
    /// The payload cannot be made.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A template and its data do not fit.
    #[error(transparent)]
    Template(#[from] template::TemplateError),
    /// A date is none that the format can carry: it counts seconds in 32 bits.
    #[error("{0} seconds after 1970 is too late for an RPM package")]
    Date(u64),
    /// The date is still to come.
    #[error("{0} seconds after 1970 is in the future: date the release in CHANGELOG.md, or SOURCE_DATE_EPOCH, today")]
    Future(u64),
    /// The package's parts do not fit together.
    #[error("cannot write the package: {0}")]
    Write(String),
}

/// A finished package.
#[derive(Debug, Clone)]
pub struct Rpm {
    /// The file name that repositories use.
    pub file_name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What it installs.
    pub payload: Payload,
}

/// How often this version was packaged: the version is the project's own, so
/// every new package is a new version.
const RELEASE: &str = "1";

/// Packages that it is of use with or that are of use to it, but that it works
/// without. Nothing stronger: every machine has systemd and udev, and a
/// container, where only `run` and `env` work, should not be given them.
const SUGGESTS: [&str; 2] = ["systemd", "udev"];
const ENHANCES: [&str; 1] = ["rocm-runtime"];

/// Directories that belong to the distribution's packages `filesystem` and
/// `setup`, which are everywhere. All others on the way to our files may be
/// there because of us alone (no fish, no systemd in a container), so the
/// package owns them, as other packages do, and the last one to go removes them.
const DISTRIBUTION_DIRS: [&str; 10] = [
    "/etc",
    "/etc/profile.d",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/share",
    "/usr/share/doc",
    "/usr/share/licenses",
    "/usr/share/man",
    "/usr/share/man/man1",
];

/// The version in RPM's form, in which `-` separates the release and `~` stands
/// before what comes earlier than nothing: `1.0.0-rc.1` is `1.0.0~rc.1`.
fn version(version: &str) -> String {
    version.replace('-', "~")
}

/// The description, in lines that every tool shows unbroken.
fn description(metadata: &Metadata) -> String {
    let paragraphs = metadata.description_lines(79);
    paragraphs.iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n")
}

/// Who makes it, without the address.
fn vendor(metadata: &Metadata) -> &str {
    metadata.maintainer.split(" <").next().unwrap_or(metadata.maintainer)
}

/// The installed file tree with all directories that are the package's.
///
/// # Errors
/// An artifact is missing, or templates and data do not fit.
pub fn tree(inputs: Inputs<'_>) -> Result<Payload, RpmError> {
    let payload = Payload::build(Inputs { layout: Layout::Rpm, ..inputs })?;
    let dirs: Vec<Entry> =
        payload.parent_dirs().into_iter().filter(|dir| !DISTRIBUTION_DIRS.contains(dir)).map(Entry::dir).collect();
    Ok(payload.with(dirs)?)
}

/// Builds the package.
///
/// # Errors
/// As for [`tree`]; or a program is no ELF file of a known architecture, or the
/// date does not fit.
pub fn build(inputs: Inputs<'_>) -> Result<Rpm, RpmError> {
    let payload = tree(inputs)?;
    let elves = elf::find(&payload)?;
    let architecture = elf::architecture(&elves)?.rpm();
    let scripts = scripts::all(inputs.policy)?;
    let bytes = package::write(&payload, inputs.artifacts.license()?, architecture, &requires(&elves), &scripts)?;
    let metadata = &payload.metadata;
    let file_name = format!("{}-{}-{RELEASE}.{architecture}.rpm", metadata.name, version(metadata.version));
    Ok(Rpm { file_name, bytes, payload })
}

#[cfg(test)]
mod tests;
