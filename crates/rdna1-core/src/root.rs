// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place where files are read: below a root directory, in bounded
//! amounts, without ever blocking.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

/// Most bytes that one sysfs attribute may have; the kernel's own limit is a page.
const ATTRIBUTE_MAX: usize = 4096;

/// Most bytes that a file of ours (configuration, policy) may have.
pub const FILE_MAX: usize = 1 << 20;

/// Something that could not be read or understood, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// The file, as seen from inside the root.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A directory that stands for a whole machine; `/` for this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// A machine whose files lie below `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether this is the running machine itself.
    pub fn is_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where an absolute path of the machine lies.
    pub fn join(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The root directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads a text file of at most [`FILE_MAX`] bytes; `None` if there is none.
    ///
    /// # Errors
    /// The file exists and cannot be read, is no regular file, is too large or is not UTF-8.
    pub fn read_text(&self, path: &str) -> Result<Option<String>, Problem> {
        let fail = |problem: String| Problem { path: path.to_owned(), problem };
        let file = match open(&self.join(path), OFlags::RDONLY) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(fail(format!("cannot be opened: {}", describe(error)))),
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| fail(format!("cannot be read: {}", describe(e))))?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(fail("is no regular file".into()));
        }
        let bytes = read_bounded(&file, FILE_MAX).map_err(|e| fail(format!("cannot be read: {}", describe(e))))?;
        if bytes.len() > FILE_MAX {
            return Err(fail(format!("is larger than {FILE_MAX} bytes")));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| fail("is not UTF-8 text".into()))
    }

    /// Reads the beginning of a file, at most `max` bytes; `None` if there is none.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn read_start(&self, path: &str, max: usize) -> Result<Option<Vec<u8>>, Problem> {
        let fail = |error| Problem { path: path.to_owned(), problem: format!("cannot be read: {}", describe(error)) };
        let file = match open(&self.join(path), OFlags::RDONLY) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut bytes = read_bounded(&file, max).map_err(fail)?;
        bytes.truncate(max);
        Ok(Some(bytes))
    }

    /// The names in a directory, sorted; empty if there is none.
    ///
    /// # Errors
    /// The directory exists and cannot be listed.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Problem> {
        self.dir(path)?.map_or(Ok(Vec::new()), |dir| dir.names())
    }

    /// Opens a directory; `None` if there is none.
    ///
    /// # Errors
    /// It exists and cannot be opened.
    pub fn dir(&self, path: &str) -> Result<Option<Directory>, Problem> {
        match open(&self.join(path), OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => Ok(Some(Directory { fd, path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => {
                Err(Problem { path: path.to_owned(), problem: format!("cannot be opened: {}", describe(error)) })
            }
        }
    }

    /// What the current user may do with a device node.
    pub fn device_node(&self, path: &str) -> DeviceNode {
        let full = self.join(path);
        let stat = rustix::fs::stat(&full).ok();
        DeviceNode {
            path: path.to_owned(),
            exists: stat.is_some(),
            mode: stat.map(|s| s.st_mode & 0o7777),
            owner: stat.map(|s| s.st_uid),
            group: stat.map(|s| s.st_gid),
            accessible: stat.is_some()
                && rustix::fs::accessat(CWD, &full, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS).is_ok(),
        }
    }
}

/// A device node and whether the current user may open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceNode {
    /// Its path.
    pub path: String,
    /// Whether it exists.
    pub exists: bool,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Numeric owner.
    pub owner: Option<u32>,
    /// Numeric group.
    pub group: Option<u32>,
    /// Whether the current user may read and write it.
    pub accessible: bool,
}

/// An open directory below a [`Root`].
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: String,
}

impl Directory {
    /// The names in it, sorted; names that are not UTF-8 are left out, as no
    /// file that this program reads has one.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, Problem> {
        let fail =
            |error| Problem { path: self.path.clone(), problem: format!("cannot be listed: {}", describe(error)) };
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if let Some(name) = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads an attribute: a small text, without its final line break.
    /// `None` if it does not exist.
    ///
    /// # Errors
    /// It exists and cannot be read, is too large or is not UTF-8.
    pub fn attribute(&self, name: &str) -> Result<Option<String>, Problem> {
        let fail = |problem: String| Problem { path: format!("{}/{name}", self.path), problem };
        // No fstat: a fifo or a device opened without blocking yields nothing,
        // an error or bytes that no parser takes, and this runs 10,000 times.
        let file = match rustix::fs::openat(&self.fd, name, READ, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(fail(format!("cannot be opened: {}", describe(error)))),
        };
        let bytes = read_bounded(&file, ATTRIBUTE_MAX).map_err(|e| fail(format!("cannot be read: {}", describe(e))))?;
        if bytes.len() > ATTRIBUTE_MAX {
            return Err(fail(format!("is larger than {ATTRIBUTE_MAX} bytes")));
        }
        let mut text = String::from_utf8(bytes).map_err(|_| fail("is not text".into()))?;
        text.truncate(text.trim_end_matches('\n').len());
        Ok(Some(text))
    }

    /// The last component of a symbolic link's target; `None` if there is no such link.
    pub fn link_name(&self, name: &str) -> Option<String> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new()).ok()?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Whether something of that name is there, whatever it is; also if that
    /// cannot be told.
    pub fn has(&self, name: &str) -> bool {
        !matches!(rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT | Errno::NOTDIR))
    }

    /// The names in a directory below this one; empty where it is missing or unreadable.
    pub fn names_in(&self, name: &str) -> Vec<String> {
        rustix::fs::openat(&self.fd, name, READ | OFlags::DIRECTORY, Mode::empty())
            .ok()
            .and_then(|fd| Self { fd, path: format!("{}/{name}", self.path) }.names().ok())
            .unwrap_or_default()
    }
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, flags | READ, Mode::empty())
}

/// Reads until the end, or until one byte more than `max`.
fn read_bounded(file: &OwnedFd, max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 512];
    while bytes.len() <= max {
        match rustix::io::read(file, &mut chunk[..]) {
            Ok(0) => break,
            Ok(n) => {
                bytes.extend_from_slice(&chunk[..n]);
                // Regular files and sysfs give less than was asked for only at
                // their end; asking again would double the calls of a scan.
                if n < chunk.len() {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

fn describe(error: Errno) -> String {
    io::Error::from(error).to_string()
}
