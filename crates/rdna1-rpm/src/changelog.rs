// SPDX-License-Identifier: MIT OR Apache-2.0
//! CHANGELOG.md in RPM's form.

use rdna1_payload::{Metadata, template};

use crate::{RELEASE, version};

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `Tue Nov 24 2026`.
    pub day: String,
    /// Noon of that day, UTC: what rpmbuild takes, so that it is the same day
    /// nearly everywhere.
    pub seconds: u64,
    /// Who released what.
    pub title: String,
    /// The changes.
    pub text: String,
}

/// The releases, newest first.
pub(crate) fn entries(metadata: &Metadata) -> Vec<Entry> {
    let entry = |release: &rdna1_payload::changelog::Release| {
        let mut lines = Vec::new();
        for section in &release.sections {
            for item in &section.items {
                // A changelog is read as plain text; Markdown's code marks are noise there.
                let item = format!("{}: {}", section.title, item.replace('`', "'"));
                for (i, line) in template::wrap(&item, 77).iter().enumerate() {
                    lines.push(format!("{}{line}", if i == 0 { "- " } else { "  " }));
                }
            }
        }
        if lines.is_empty() {
            lines.push("- No changes worth a note.".to_owned());
        }
        Entry {
            day: release.date.ctime(),
            seconds: release.date.epoch() + 12 * 60 * 60,
            title: format!("{} - {}-{RELEASE}", metadata.maintainer, version(&release.version)),
            text: lines.join("\n"),
        }
    };
    metadata.changelog.iter().map(entry).collect()
}
