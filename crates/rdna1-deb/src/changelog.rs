// SPDX-License-Identifier: MIT OR Apache-2.0
//! CHANGELOG.md in Debian's form.

use rdna1_payload::{Metadata, template};

/// The text of `debian/changelog`.
pub(crate) fn text(metadata: &Metadata) -> String {
    let mut out = String::new();
    for release in &metadata.changelog {
        out += &format!("{} ({}) unstable; urgency=medium\n", metadata.name, release.version);
        for section in &release.sections {
            out += &format!("\n  [ {} ]\n", section.title);
            for item in &section.items {
                // A changelog is read as plain text; Markdown's code marks are noise there.
                for (i, line) in template::wrap(&item.replace('`', "'"), 74).iter().enumerate() {
                    let mark = if i == 0 { "  * " } else { "    " };
                    out += &format!("{mark}{line}\n");
                }
            }
        }
        if release.sections.is_empty() {
            out += "\n  * No changes worth a note.\n";
        }
        out += &format!("\n -- {}  {}\n\n", metadata.maintainer, release.date.rfc2822());
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
