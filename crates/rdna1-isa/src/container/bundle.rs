// SPDX-License-Identifier: MIT OR Apache-2.0
//! Offload bundles: one code object per target behind a small table.
//!
//! Format: "Clang Offload Bundler" in clang's documentation.

use super::{Error, Input};

/// How a plain bundle starts.
pub(super) const MAGIC: &[u8] = b"__CLANG_OFFLOAD_BUNDLE__";

/// No real bundle has more entries: LLVM knows about 60 AMD targets.
const MAX_ENTRIES: u64 = 1024;
/// No real id is longer.
const MAX_ID: u64 = 1024;

/// An entry of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Offset from the start of the bundle.
    pub(super) offset: u64,
    /// Size.
    pub(super) size: u64,
    /// Kind, triple and target, such as `hipv4-amdgcn-amd-amdhsa--gfx1030`.
    pub(super) id: String,
}

/// The table of a bundle, taken from a source of bytes in order.
pub(super) fn table(offset: u64, mut next: impl FnMut(usize) -> Result<Vec<u8>, Error>) -> Result<Vec<Entry>, Error> {
    let broken = |what| Error::Bundle { offset, what };
    if next(MAGIC.len())? != MAGIC {
        return Err(broken("it does not start as one"));
    }
    let mut number = || -> Result<u64, Error> {
        let bytes = next(8)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| broken("its table is cut off"))
    };
    let count = number()?;
    if count > MAX_ENTRIES {
        return Err(broken("it claims to have more entries than there are targets"));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let mut number = || -> Result<u64, Error> {
            let bytes = next(8)?;
            bytes.try_into().map(u64::from_le_bytes).map_err(|_| broken("its table is cut off"))
        };
        let (start, size, length) = (number()?, number()?, number()?);
        if length > MAX_ID {
            return Err(broken("an id is too long"));
        }
        let id = next(length as usize)?;
        if start.checked_add(size).is_none() {
            return Err(broken("an entry has no end"));
        }
        entries.push(Entry { offset: start, size, id: String::from_utf8_lossy(&id).into_owned() });
    }
    Ok(entries)
}

/// The table of a plain bundle in an input.
pub(super) fn read_table(input: &Input, offset: u64) -> Result<Vec<Entry>, Error> {
    let mut at = offset;
    table(offset, |size| {
        let bytes = input.read("the table of an offload bundle", at, size as u64)?;
        at += size as u64;
        Ok(bytes)
    })
}
