// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compressed offload bundles: a header and one zlib or zstd stream of a plain bundle.
//!
//! Format: "Compressed and Decompressed Bundles" in clang's documentation of the
//! offload bundler. Version 1 has 4-byte sizes and lacks the file size, version 2
//! has both sizes in 4 bytes, version 3 in 8.

use std::io::Read;

use super::bundle::{self, Entry};
use super::input::Reader;
use super::{Error, Input, MAX_OBJECT};

/// How a compressed bundle starts.
pub(super) const MAGIC: &[u8] = b"CCOB";

/// No bundle of real code is larger when decompressed.
const MAX_BUNDLE: u64 = 16 << 30;

/// The header of a compressed bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Where the stream starts, from the start of the header.
    data: u64,
    /// Size of header and stream; version 1 does not tell.
    size: Option<u64>,
    /// Size of the bundle within.
    uncompressed: u64,
    zstd: bool,
}

fn header(input: &Input, offset: u64) -> Result<Header, Error> {
    let broken = |what: &str| Error::Compressed { offset, what: what.to_owned() };
    let bytes = input.read_up_to(offset, 32)?;
    let number = |at: usize, size: usize| -> Result<u64, Error> {
        let part = bytes.get(at..at + size).ok_or_else(|| broken("its header is cut off"))?;
        Ok(part.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    };
    let (version, method) = (number(4, 2)?, number(6, 2)?);
    let zstd = match method {
        0 => false,
        1 => true,
        _ => return Err(broken("its compression method is unknown")),
    };
    // Behind the sizes there are 8 bytes of a hash.
    let header = match version {
        1 => Header { data: 20, size: None, uncompressed: number(8, 4)?, zstd },
        2 => Header { data: 24, size: Some(number(8, 4)?), uncompressed: number(12, 4)?, zstd },
        3 => Header { data: 32, size: Some(number(8, 8)?), uncompressed: number(16, 8)?, zstd },
        _ => return Err(broken("its version is unknown")),
    };
    if header.uncompressed > MAX_BUNDLE {
        return Err(Error::TooLarge { what: "a bundle", size: header.uncompressed, limit: MAX_BUNDLE });
    }
    let end = header.size.map(|size| (size, offset.checked_add(size)));
    match end {
        Some((size, _)) if size < header.data => Err(broken("its size is smaller than its header")),
        Some((_, end)) if end.is_none_or(|end| end > input.length()) => {
            Err(Error::Truncated { what: "a compressed bundle", offset, length: input.length() })
        }
        _ => Ok(header),
    }
}

/// Where a bundle ends, by its header.
pub(super) fn end(input: &Input, offset: u64) -> Option<u64> {
    header(input, offset).ok()?.size.map(|size| offset + size)
}

/// The table of a bundle, and where the bundle ends if its header tells. No
/// more is unpacked than the table needs.
pub(super) fn table(input: &Input, offset: u64) -> Result<(Vec<Entry>, Option<u64>), Error> {
    let header = header(input, offset)?;
    let size = header.size.map_or(u64::MAX, |size| size - header.data);
    let mut compressed = input.reader(offset + header.data, size);
    let mut stream = open(&header, offset, &mut compressed)?.take(header.uncompressed);
    let entries = bundle::table(offset, |size| {
        let mut bytes = vec![0; size];
        let read = stream.read_exact(&mut bytes);
        read.map_err(|error| Error::Compressed { offset, what: error.to_string() })?;
        Ok(bytes)
    })?;
    Ok((entries, header.size.map(|size| offset + size)))
}

/// The unpacked bytes of a bundle.
fn open<'a>(header: &Header, offset: u64, compressed: &'a mut Reader<'_>) -> Result<Box<dyn Read + 'a>, Error> {
    let broken = |error: &dyn std::fmt::Display| Error::Compressed { offset, what: error.to_string() };
    Ok(if header.zstd {
        Box::new(ruzstd::decoding::StreamingDecoder::new(compressed).map_err(|error| broken(&error))?)
    } else {
        Box::new(flate2::read::ZlibDecoder::new(compressed))
    })
}

/// Reads the entries of a bundle: `wanted` chooses, `visit` gets the bytes. One
/// pass; no more is held than one entry. Returns where the bundle ends.
pub(super) fn read(
    input: &Input,
    offset: u64,
    wanted: &mut dyn FnMut(&Entry) -> bool,
    visit: &mut dyn FnMut(&Entry, Vec<u8>),
) -> Result<u64, Error> {
    let header = header(input, offset)?;
    let size = header.size.map_or(u64::MAX, |size| size - header.data);
    let mut compressed = input.reader(offset + header.data, size);
    let broken = |error: &dyn std::fmt::Display| Error::Compressed { offset, what: error.to_string() };
    let mut stream = open(&header, offset, &mut compressed)?.take(header.uncompressed);
    let mut at = 0_u64;
    let mut entries = bundle::table(offset, |size| {
        let mut bytes = vec![0; size];
        stream.read_exact(&mut bytes).map_err(|error| broken(&error))?;
        at += size as u64;
        Ok(bytes)
    })?;
    entries.sort_by_key(|entry| entry.offset);
    for entry in entries {
        if !wanted(&entry) {
            continue;
        }
        if entry.size > MAX_OBJECT {
            return Err(Error::TooLarge { what: "a code object", size: entry.size, limit: MAX_OBJECT });
        }
        let Some(gap) = entry.offset.checked_sub(at) else {
            return Err(broken(&"its entries overlap"));
        };
        let skipped = std::io::copy(&mut stream.by_ref().take(gap), &mut std::io::sink());
        let skipped = skipped.map_err(|error| broken(&error))?;
        let mut bytes = Vec::new();
        let read = stream.by_ref().take(entry.size).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        if skipped < gap || (read as u64) < entry.size {
            return Err(broken(&"it ends within an entry"));
        }
        at = entry.offset + entry.size;
        visit(&entry, bytes);
    }
    if let Some(size) = header.size {
        return Ok(offset + size);
    }
    // Version 1: where the stream ends, or a little behind it, as decoders read ahead;
    // no further bundle begins there, as bundles are aligned.
    std::io::copy(&mut stream, &mut std::io::sink()).map_err(|error| broken(&error))?;
    drop(stream);
    Ok(compressed.position())
}
