// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control archive: who the package is, what it needs, what to run.

use md5::{Digest, Md5};
use rdna1_payload::{EntryKind, Metadata, Payload};

use crate::elf::Architecture;
use crate::scripts::Script;

/// A member of the control archive: name, mode, content.
pub(crate) type Member = (String, u32, Vec<u8>);

/// Debian's section for administration utilities.
pub(crate) const SECTION: &str = "admin";

/// The control file.
pub(crate) fn control(payload: &Payload, architecture: Architecture, depends: &str) -> String {
    let metadata = &payload.metadata;
    let fields = [
        ("Package", metadata.name.to_owned()),
        ("Version", metadata.version.to_owned()),
        ("Architecture", architecture.debian().to_owned()),
        ("Maintainer", metadata.maintainer.to_owned()),
        ("Installed-Size", installed_size(payload).to_string()),
        ("Depends", depends.to_owned()),
        ("Section", SECTION.to_owned()),
        ("Priority", "optional".to_owned()),
        ("Description", description(metadata)),
    ];
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    fields.map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// The description in the form of a control file, without a final line break.
pub(crate) fn description(metadata: &Metadata) -> String {
    let paragraphs = metadata.description_lines(76);
    let paragraphs = paragraphs.iter().map(|lines| lines.iter().map(|line| format!("\n {line}")).collect::<String>());
    format!("{}{}", metadata.summary, paragraphs.collect::<Vec<_>>().join("\n ."))
}

/// In KiB, by the rule of dpkg-gencontrol: each file rounded up, all else one.
fn installed_size(payload: &Payload) -> usize {
    let size =
        |entry: &rdna1_payload::Entry| if entry.kind.is_regular() { entry.bytes.len().div_ceil(1024) } else { 1 };
    // The root directory counts too.
    payload.entries().iter().map(size).sum::<usize>() + payload.parent_dirs().len() + 1
}

/// Everything in the control archive, by name.
pub(crate) fn members(payload: &Payload, control: &str, scripts: &[Script]) -> Vec<Member> {
    let line = |entry: &rdna1_payload::Entry| format!("{}\n", entry.path);
    let conffiles: String = payload.of_kind(EntryKind::Config).map(line).collect();
    let mut members = vec![
        ("conffiles".to_owned(), 0o644, conffiles.into_bytes()),
        ("control".to_owned(), 0o644, control.as_bytes().to_vec()),
        ("md5sums".to_owned(), 0o644, md5sums(payload).into_bytes()),
    ];
    members.extend(scripts.iter().map(|script| (script.name.to_owned(), 0o755, script.text.clone().into_bytes())));
    members.retain(|(_, _, bytes)| !bytes.is_empty());
    members.sort();
    members
}

/// Checksums of what the administrator has no business to edit, for `dpkg -V`.
fn md5sums(payload: &Payload) -> String {
    let files = payload.entries().iter().filter(|entry| entry.kind.is_regular() && entry.kind != EntryKind::Config);
    let line = |entry: &rdna1_payload::Entry| {
        let sum: String = Md5::digest(&entry.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{sum}  {}\n", entry.path.trim_start_matches('/'))
    };
    files.map(line).collect()
}
