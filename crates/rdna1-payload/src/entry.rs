// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entries of the installed file tree.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::{Metadata, PayloadError};

/// What an entry is; how each package format treats it follows from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A file that belongs to the package alone.
    File,
    /// A file that the administrator may edit, kept on upgrade and removal:
    /// a conffile (deb), `%config(noreplace)` (rpm).
    Config,
    /// A symbolic link.
    Symlink,
    /// A directory that belongs to the package, besides those that its files need.
    Dir,
    /// Documentation that may be left out: `%doc` (rpm).
    Doc,
    /// A licence: `%license` (rpm), which is never left out.
    License,
}

impl EntryKind {
    /// Its name in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Config => "config",
            Self::Symlink => "symlink",
            Self::Dir => "dir",
            Self::Doc => "doc",
            Self::License => "license",
        }
    }

    /// Whether it is a regular file.
    pub fn is_regular(self) -> bool {
        !matches!(self, Self::Symlink | Self::Dir)
    }
}

/// One entry of the installed file tree. Owner and group are always root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, never taken from whoever builds.
    pub mode: u32,
    /// A regular file's content, a link's target; nothing for a directory.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// A file that everyone reads and root writes.
    pub fn file(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), kind: EntryKind::File, mode: 0o644, bytes: bytes.into() }
    }

    /// A program.
    pub fn program(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { mode: 0o755, ..Self::file(path, bytes) }
    }

    /// A configuration file.
    pub fn config(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind: EntryKind::Config, ..Self::file(path, bytes) }
    }

    /// Documentation.
    pub fn doc(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind: EntryKind::Doc, ..Self::file(path, bytes) }
    }

    /// A licence.
    pub fn license(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { kind: EntryKind::License, ..Self::file(path, bytes) }
    }

    /// A directory.
    pub fn dir(path: impl Into<String>) -> Self {
        Self { path: path.into(), kind: EntryKind::Dir, mode: 0o755, bytes: Vec::new() }
    }

    /// A symbolic link.
    pub fn symlink(path: impl Into<String>, target: &str) -> Self {
        Self { path: path.into(), kind: EntryKind::Symlink, mode: 0o777, bytes: target.as_bytes().to_vec() }
    }

    /// SHA-256 of the bytes, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it means something without content, as Python's markers of a
    /// package do. Any other empty file is something that was lost.
    fn may_be_empty(&self) -> bool {
        ["/__init__.py", "/py.typed"].iter().any(|name| self.path.ends_with(name))
    }

    /// What is wrong with it, if anything is.
    fn problem(&self) -> Option<&'static str> {
        let below_etc = self.path.starts_with("/etc/");
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        if !self.path.starts_with('/') || !self.path[1..].split('/').all(plain) {
            Some("is no plain absolute path")
        } else if !self.path.bytes().all(|b| b.is_ascii_graphic()) {
            Some("has characters that package lists cannot carry")
        } else if self.mode & !0o777 != 0 || self.mode & 0o022 != 0 && self.kind != EntryKind::Symlink {
            Some("must be writable by root alone, without special bits")
        } else if below_etc && self.kind.is_regular() && self.kind != EntryKind::Config {
            Some("a file below /etc must be of kind config")
        } else if !below_etc && self.kind == EntryKind::Config {
            Some("a configuration file must lie below /etc")
        } else if self.kind == EntryKind::Dir && !self.bytes.is_empty() {
            Some("a directory has no content")
        } else if self.kind.is_regular() && self.bytes.is_empty() && !self.may_be_empty() {
            Some("is empty")
        } else {
            None
        }
    }
}

/// A file tree and what describes it as a package.
#[derive(Debug, Clone)]
pub struct Payload {
    entries: Vec<Entry>,
    /// The package's name, version, date and descriptions.
    pub metadata: Metadata,
}

impl Payload {
    /// Sorts and checks entries.
    ///
    /// # Errors
    /// An entry contradicts its kind, or two have the same path.
    pub fn new(metadata: Metadata, mut entries: Vec<Entry>) -> Result<Self, PayloadError> {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let twice = entries.windows(2).find(|pair| pair[0].path == pair[1].path);
        let twice = twice.map(|pair| (&pair[0].path, "is there twice"));
        let bad = entries.iter().find_map(|entry| Some((&entry.path, entry.problem()?)));
        match twice.or(bad) {
            Some((path, problem)) => Err(PayloadError::Entry { path: path.clone(), problem }),
            None => Ok(Self { entries, metadata }),
        }
    }

    /// The same tree with further entries.
    ///
    /// # Errors
    /// As for [`Payload::new`].
    pub fn with(self, more: impl IntoIterator<Item = Entry>) -> Result<Self, PayloadError> {
        let mut entries = self.entries;
        entries.extend(more);
        Self::new(self.metadata, entries)
    }

    /// The entries, by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at a path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok().map(|i| &self.entries[i])
    }

    /// The entries of one kind, by path.
    pub fn of_kind(&self, kind: EntryKind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }

    /// Every directory on the way to an entry that is no entry itself, sorted:
    /// `/usr`, `/usr/bin`, …, without the root.
    pub fn parent_dirs(&self) -> BTreeSet<&str> {
        let parents = self.entries.iter().flat_map(|entry| {
            let slashes = entry.path.match_indices('/').skip(1);
            slashes.map(|(i, _)| &entry.path[..i])
        });
        parents.filter(|dir| self.get(dir).is_none()).collect()
    }

    /// One line per entry: mode, kind, SHA-256 (`-` for what has no content), path.
    pub fn manifest(&self) -> String {
        let line = |entry: &Entry| {
            let sum = if entry.kind.is_regular() { entry.sha256() } else { "-".into() };
            let target = match entry.kind {
                EntryKind::Symlink => format!(" -> {}", String::from_utf8_lossy(&entry.bytes)),
                _ => String::new(),
            };
            format!("{:04o} {:<7} {sum:<64} {}{target}\n", entry.mode, entry.kind.as_str(), entry.path)
        };
        self.entries.iter().map(line).collect()
    }
}
