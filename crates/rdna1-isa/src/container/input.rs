// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to read from: a file, without holding it in memory, or a buffer.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::Error;

/// A file or a buffer.
#[derive(Debug)]
pub struct Input {
    bytes: Bytes,
    length: u64,
}

#[derive(Debug)]
enum Bytes {
    File(RefCell<File>),
    Memory(Vec<u8>),
}

impl Input {
    /// An open file.
    ///
    /// # Errors
    /// If its size cannot be told.
    pub fn file(mut file: File) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { bytes: Bytes::File(RefCell::new(file)), length })
    }

    /// A buffer.
    pub fn memory(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self { bytes: Bytes::Memory(bytes), length }
    }

    /// Its length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A part of it.
    ///
    /// # Errors
    /// If it does not lie within the input.
    pub(super) fn read(&self, what: &'static str, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
        let end = offset.checked_add(size).filter(|&end| end <= self.length);
        if end.is_none() {
            return Err(Error::Truncated { what, offset, length: self.length });
        }
        let size = usize::try_from(size).map_err(|_| Error::TooLarge { what, size, limit: u64::MAX })?;
        let mut buffer = vec![0; size];
        self.read_into(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// As [`Self::read`], but what there is where the input ends earlier.
    pub(super) fn read_up_to(&self, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
        let size = size.min(self.length.saturating_sub(offset));
        if size == 0 {
            return Ok(Vec::new());
        }
        self.read("data", offset, size)
    }

    fn read_into(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        match &self.bytes {
            Bytes::File(file) => {
                let mut file = file.borrow_mut();
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(buffer)?;
            }
            Bytes::Memory(bytes) => {
                // `read` has checked that this lies within.
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..buffer.len())).unwrap_or_default();
                buffer[..part.len()].copy_from_slice(part);
            }
        }
        Ok(())
    }

    /// A reader of a part of it, with a buffer.
    pub(super) fn reader(&self, offset: u64, size: u64) -> Reader<'_> {
        let end = offset.saturating_add(size).min(self.length);
        Reader { input: self, offset, end, buffer: Vec::new(), used: 0 }
    }
}

impl Reader<'_> {
    /// Where the next byte comes from.
    pub(super) fn position(&self) -> u64 {
        self.offset - (self.buffer.len() - self.used) as u64
    }
}

/// How much a [`Reader`] reads at once.
const CHUNK: u64 = 1 << 18;

/// Reads a part of an input in order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    input: &'a Input,
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.used == self.buffer.len() {
            let size = CHUNK.min(self.end.saturating_sub(self.offset));
            self.buffer = self.input.read_up_to(self.offset, size).map_err(std::io::Error::other)?;
            self.offset += self.buffer.len() as u64;
            self.used = 0;
        }
        let part = &self.buffer[self.used..];
        let size = part.len().min(out.len());
        out[..size].copy_from_slice(&part[..size]);
        self.used += size;
        Ok(size)
    }
}
