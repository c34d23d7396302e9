// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wheels: zip archives, whose libraries are unpacked one at a time into a
//! nameless temporary file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use rawzip::{CompressionMethod, ZipArchive};

use super::{Error, Input};

/// How a zip archive with at least one member starts.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// No member of a real wheel is larger.
const MAX_MEMBER: u64 = 8 << 30;

/// Hands each member whose name is wanted to `visit`.
pub(super) fn members(
    file: File,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(&str, Result<Input, Error>),
) -> Result<(), Error> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer)?;
    let mut entries = archive.entries(&mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry()? {
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        if !entry.is_dir() && wanted(&name) {
            found.push((name, entry.wayfinder(), entry.compression_method(), entry.uncompressed_size_hint()));
        }
    }
    for (name, wayfinder, method, size) in found {
        let unpacked = || -> Result<Input, Error> {
            if size > MAX_MEMBER {
                return Err(Error::TooLarge { what: "a member of a wheel", size, limit: MAX_MEMBER });
            }
            let entry = archive.get_entry(wayfinder)?;
            let reader = entry.reader();
            let mut content: Box<dyn Read + '_> = match method {
                CompressionMethod::STORE => Box::new(reader),
                CompressionMethod::DEFLATE => Box::new(flate2::read::DeflateDecoder::new(reader)),
                _ => return Err(std::io::Error::other("its compression method is not of wheels").into()),
            };
            let mut out = tempfile::tempfile()?;
            std::io::copy(&mut content.by_ref().take(size), &mut out)?;
            out.flush()?;
            out.seek(SeekFrom::Start(0))?;
            Input::file(out)
        };
        visit(&name, unpacked());
    }
    Ok(())
}
