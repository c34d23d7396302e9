// SPDX-License-Identifier: MIT OR Apache-2.0
//! What describes the package.

use crate::PayloadError;
use crate::changelog::{self, ChangelogError, Release};

/// The package's name.
pub const NAME: &str = rdna1_core::NAME;

/// What describes the package, the same in every format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: &'static str,
    /// Its version, the workspace's.
    pub version: &'static str,
    /// One line without a final full stop.
    pub summary: &'static str,
    /// Paragraphs, not broken into lines.
    pub description: Vec<&'static str>,
    /// Who makes it: name and address.
    pub maintainer: &'static str,
    /// The project's own terms, as an SPDX expression; those of the programs are
    /// [`Artifacts::license`](crate::Artifacts::license).
    pub license: &'static str,
    /// Oldest Rust that builds it.
    pub rust_version: &'static str,
    /// Every release, newest first; the first is this one.
    pub changelog: Vec<Release>,
    /// The date of everything that is built, in seconds since 1970.
    pub epoch: u64,
}

impl Metadata {
    /// Reads the changelog. The newest release's day is the date of everything,
    /// unless `source_date_epoch` (the environment's `SOURCE_DATE_EPOCH`) is given.
    ///
    /// # Errors
    /// The changelog has not its form, or is not about this version.
    pub fn new(changelog: &str, source_date_epoch: Option<u64>) -> Result<Self, PayloadError> {
        let changelog = changelog::parse(changelog)?;
        let version = env!("CARGO_PKG_VERSION");
        let newest = changelog.first().ok_or(ChangelogError::Empty)?;
        if newest.version != version {
            let found = newest.version.clone();
            return Err(ChangelogError::Version { found, expected: version.to_owned() }.into());
        }
        Ok(Self {
            name: NAME,
            version,
            summary: "ROCm environment for AMD RDNA1 graphics cards",
            description: vec![
                "Detects AMD RDNA1 graphics cards (Navi 10, 12 and 14) and sets the \
                 environment variables with which ROCm programs such as PyTorch compute \
                 convolutions on them by matrix multiplication, where MIOpen's other \
                 algorithms fail or hang. It does so at boot, at login and when a card \
                 appears, for services, sessions and shells, and only on machines that \
                 have such a card.",
                "The program rdna1-rocm-fix shows what is set and why, runs single commands \
                 in that environment, and prints it for containers.",
            ],
            maintainer: env!("CARGO_PKG_AUTHORS"),
            license: env!("CARGO_PKG_LICENSE"),
            rust_version: env!("CARGO_PKG_RUST_VERSION"),
            epoch: source_date_epoch.unwrap_or(newest.date.epoch()),
            changelog,
        })
    }

    /// The description's paragraphs, each broken into lines of at most `width` characters.
    pub fn description_lines(&self, width: usize) -> Vec<Vec<String>> {
        self.description.iter().map(|paragraph| crate::template::wrap(paragraph, width)).collect()
    }
}
