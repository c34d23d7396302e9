// SPDX-License-Identifier: MIT OR Apache-2.0
//! The .deb file: an `ar` archive of two compressed tar archives (deb(5)).

use std::collections::BTreeMap;
use std::io::{self, Write};

use rdna1_payload::{EntryKind, Payload};
use tar::{EntryType, Header};

use crate::DebError;
use crate::control::Member;

/// Half the time of the next step, for one per cent more bytes.
const LEVEL: u32 = 5;

/// Compresses an archive. Every dpkg reads gzip; lintian and Debian's archive
/// refuse zstd, and xz takes more than ten times as long.
///
/// flate2 must run on miniz_oxide here: zlib-rs and zlib-ng hash with whatever
/// instructions the CPU has, and their output differs from machine to machine.
fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    // Without a builder flate2 writes neither name nor time.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Most bytes that an entry's name may have in a tar header; one is for the final NUL.
const NAME_MAX: usize = 99;

/// Writes the package.
pub(crate) fn write(epoch: u64, control: &[Member], payload: &Payload) -> Result<Vec<u8>, DebError> {
    let control = compress(&control_tar(epoch, control)?)?;
    let data = compress(&data_tar(epoch, payload)?)?;
    let mut archive = ar::Builder::new(Vec::new());
    for (name, bytes) in [("debian-binary", &b"2.0\n"[..]), ("control.tar.gz", &control), ("data.tar.gz", &data)] {
        let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        header.set_mtime(epoch);
        header.set_mode(0o100_644);
        archive.append(&header, bytes)?;
    }
    Ok(archive.into_inner()?)
}

fn control_tar(epoch: u64, members: &[Member]) -> Result<Vec<u8>, DebError> {
    let mut tar = Tar::new(epoch);
    tar.dir("", 0o755)?;
    for (name, mode, bytes) in members {
        tar.file(&format!("/{name}"), *mode, bytes)?;
    }
    tar.finish()
}

fn data_tar(epoch: u64, payload: &Payload) -> Result<Vec<u8>, DebError> {
    let mut tar = Tar::new(epoch);
    tar.dir("", 0o755)?;
    // Every directory is named before what lies in it, and in dpkg's order: by
    // the names on the way, not by the letters of the path.
    let parts = |path: &'_ str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let mut all: BTreeMap<Vec<String>, (&str, Option<&rdna1_payload::Entry>)> =
        payload.parent_dirs().into_iter().map(|dir| (parts(dir), (dir, None))).collect();
    all.extend(payload.entries().iter().map(|entry| (parts(&entry.path), (entry.path.as_str(), Some(entry)))));
    for (path, entry) in all.into_values() {
        match entry {
            None => tar.dir(path, 0o755)?,
            Some(entry) => match entry.kind {
                EntryKind::Dir => tar.dir(path, entry.mode)?,
                EntryKind::Symlink => tar.symlink(path, &entry.bytes)?,
                EntryKind::File | EntryKind::Config | EntryKind::Doc | EntryKind::License => {
                    tar.file(path, entry.mode, &entry.bytes)?;
                }
            },
        }
    }
    tar.finish()
}

/// A tar archive in which everything belongs to root and is equally old.
struct Tar {
    builder: tar::Builder<Vec<u8>>,
    epoch: u64,
}

impl Tar {
    fn new(epoch: u64) -> Self {
        Self { builder: tar::Builder::new(Vec::new()), epoch }
    }

    fn header(&self, path: &str, kind: EntryType, mode: u32, size: usize) -> Result<Header, DebError> {
        let mut header = Header::new_gnu();
        // dpkg's own form, `./usr/bin/x`; tar's set_path would take the dot away.
        let name = format!(".{path}");
        if name.len() > NAME_MAX {
            return Err(DebError::PathTooLong(path.to_owned()));
        }
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_mtime(self.epoch);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        Ok(header)
    }

    fn append(&mut self, mut header: Header, bytes: &[u8]) -> Result<(), DebError> {
        header.set_cksum();
        Ok(self.builder.append(&header, bytes)?)
    }

    fn dir(&mut self, path: &str, mode: u32) -> Result<(), DebError> {
        let header = self.header(&format!("{path}/"), EntryType::Directory, mode, 0)?;
        self.append(header, &[])
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<(), DebError> {
        let header = self.header(path, EntryType::Regular, mode, bytes.len())?;
        self.append(header, bytes)
    }

    fn symlink(&mut self, path: &str, target: &[u8]) -> Result<(), DebError> {
        let mut header = self.header(path, EntryType::Symlink, 0o777, 0)?;
        if target.len() > NAME_MAX {
            return Err(DebError::PathTooLong(path.to_owned()));
        }
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        self.append(header, &[])
    }

    fn finish(self) -> Result<Vec<u8>, DebError> {
        Ok(self.builder.into_inner()?)
    }
}
