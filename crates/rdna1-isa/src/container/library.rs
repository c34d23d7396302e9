// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared libraries and programs: the section with offload bundles.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use object::Endianness;
use object::elf::FileHeader64;
use object::read::ReadCache;
use object::read::elf::{FileHeader, SectionHeader};

use super::{Error, Input};

/// Where HIP's compiler puts device code.
const SECTIONS: [&[u8]; 2] = [b".hip_fatbin", b".hipFatBin"];

/// More than a section table with its names can reasonably need.
const MAX_TABLE: u64 = 64 << 20;

/// Ranges of an ELF file that hold offload bundles.
pub(super) fn bundle_sections(input: &Input) -> Result<Vec<(u64, u64)>, Error> {
    // The cache keeps what is read: the section table and the names of sections.
    // Checked first, as a broken file could ask for anything.
    check_table(input)?;
    let cache = ReadCache::new(Cursor { input, at: 0 });
    let header = FileHeader64::<Endianness>::parse(&cache)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, &cache)?;
    let mut found = Vec::new();
    for section in sections.iter() {
        let named = sections.section_name(endian, section).is_ok_and(|name| SECTIONS.contains(&name));
        if let Some((offset, size)) = section.file_range(endian).filter(|_| named) {
            if offset.checked_add(size).is_none_or(|end| end > input.length()) {
                return Err(Error::Truncated { what: "the section of device code", offset, length: input.length() });
            }
            found.push((offset, offset + size));
        }
    }
    Ok(found)
}

/// The parts of a library that hold device code, by its section table: from and
/// to, in bytes, in the table's order.
///
/// # Errors
/// If the file cannot be read or its section table is broken.
pub fn device_sections(file: File) -> Result<Vec<(u64, u64)>, Error> {
    bundle_sections(&Input::file(file)?)
}

fn check_table(input: &Input) -> Result<(), Error> {
    let header = input.read("the ELF header", 0, 64)?;
    let count = u64::from(u16::from_le_bytes([header[60], header[61]]));
    let each = u64::from(u16::from_le_bytes([header[58], header[59]]));
    if count * each > MAX_TABLE {
        return Err(Error::TooLarge { what: "a section table", size: count * each, limit: MAX_TABLE });
    }
    Ok(())
}

/// An input as the `object` crate wants it.
struct Cursor<'a> {
    input: &'a Input,
    at: u64,
}

impl Read for Cursor<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.input.read_up_to(self.at, out.len() as u64).map_err(std::io::Error::other)?;
        out[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let end = self.input.length();
        self.at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(delta) => end.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.at.checked_add_signed(delta),
        }
        .ok_or_else(|| std::io::Error::other("no such place in the file"))?;
        Ok(self.at)
    }
}
