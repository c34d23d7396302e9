// SPDX-License-Identifier: MIT OR Apache-2.0
//! By what a stack is recognised again.

use std::io::{Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use crate::place::{Place, file_name};

/// How much of a library's beginning and end is read: the beginning has the
/// build id, the end the section table.
const PART: u64 = 4096;

/// A sum over facts and libraries.
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a fact; the label keeps one fact from being taken for another.
    pub(crate) fn fact(&mut self, label: &str, value: &str) {
        for part in [label, value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    /// Adds a library; one that cannot be read counts as absent.
    pub(crate) fn library(&mut self, place: Place<'_>, path: &str) {
        let Ok(Some(mut file)) = place.open(path) else { return };
        let Ok(length) = file.seek(SeekFrom::End(0)) else { return };
        self.fact("library", file_name(path));
        self.fact("size", &length.to_string());
        for start in [0, length.saturating_sub(PART)] {
            let mut bytes = Vec::new();
            if file.seek(SeekFrom::Start(start)).is_ok() && file.by_ref().take(PART).read_to_end(&mut bytes).is_ok() {
                self.0.update(&bytes);
            }
        }
    }

    /// The first 16 bytes, in hexadecimal.
    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
