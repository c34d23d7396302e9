// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which targets a file has code for, by the tables of its bundles alone.

use std::collections::BTreeSet;
use std::fs::File;

use super::files::{Found, is_for_gpu, next_bundle, target_name};
use super::{Error, Input, bundle, compressed, library, object};

/// How much is searched at once for the next bundle, at first: bundles follow
/// one another at page boundaries.
const NEAR: u64 = 8 << 10;

/// How much of a file is searched in vain, all in all, before it is given up.
/// Bundles follow one another with less than a page between them; what has more
/// is no library that a compiler made, and its section may be terabytes of nothing.
pub const SEARCH_LIMIT: u64 = 64 << 20;

/// The targets that a file has device code for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Their names, `gfx1030` for instance.
    pub names: BTreeSet<String>,
    /// How many bundles and code objects were looked at.
    pub looked_at: usize,
    /// Whether there are more, which were not looked at.
    pub more: bool,
}

/// Reads the tables of at most `limit` bundles. Device code itself is not read,
/// so that a library of gigabytes costs a few kilobytes per bundle, and
/// [`SEARCH_LIMIT`] bounds what a broken one costs.
///
/// # Errors
/// If the file cannot be read, or its section table or a bundle is broken.
pub fn targets(file: File, limit: usize) -> Result<Targets, Error> {
    let input = Input::file(file)?;
    let mut found = Targets::default();
    let mut left = SEARCH_LIMIT;
    let start = input.read_up_to(0, 64)?;
    if object::is_code_object(&start) {
        found.names.extend(object::target(&start).map(|target| target.to_string()));
        found.looked_at = 1;
    } else if start.starts_with(bundle::MAGIC) || start.starts_with(compressed::MAGIC) {
        section(&input, 0, input.length(), limit, &mut left, &mut found)?;
    } else if start.starts_with(b"\x7fELF\x02\x01") {
        for (from, to) in library::bundle_sections(&input)? {
            section(&input, from, to, limit, &mut left, &mut found)?;
        }
    }
    Ok(found)
}

fn section(input: &Input, from: u64, to: u64, limit: usize, left: &mut u64, found: &mut Targets) -> Result<(), Error> {
    let mut at = from;
    while at < to {
        let until = to.min(at.saturating_add(*left));
        let Some(Found { offset, is_compressed }) = next_bundle(input, at, until, NEAR)? else {
            *left -= until - at;
            found.more |= until < to;
            break;
        };
        *left -= offset - at;
        if found.looked_at == limit {
            found.more = true;
            break;
        }
        found.looked_at += 1;
        let (entries, end) = if is_compressed {
            compressed::table(input, offset)?
        } else {
            let entries = bundle::read_table(input, offset)?;
            let end = entries.iter().map(|entry| offset.saturating_add(entry.offset).saturating_add(entry.size)).max();
            (entries, end)
        };
        let gpu = entries.iter().filter(|entry| is_for_gpu(entry));
        found.names.extend(gpu.map(|entry| target_name(&entry.id).to_owned()));
        // Where the first version of the compressed form ends, only unpacking tells.
        let Some(end) = end else {
            found.more = true;
            break;
        };
        at = end.max(offset + bundle::MAGIC.len() as u64);
    }
    Ok(())
}
