// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths of a machine that lies below a root: links are followed inside it.

use std::collections::VecDeque;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use rdna1_core::root::{FILE_MAX, Problem, Root};
use rustix::fs::OFlags;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// A machine's files, links resolved as on the machine itself.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a>(pub &'a Root);

impl Place<'_> {
    /// The path without links; `None` if there is no such file, or the links
    /// lead in a circle.
    pub fn real(self, path: &str) -> Option<String> {
        let parts = |path: &Path| -> Vec<String> {
            path.components()
                .filter_map(|part| match part {
                    Component::Normal(name) => name.to_str().map(str::to_owned),
                    Component::ParentDir => Some("..".to_owned()),
                    _ => None,
                })
                .collect()
        };
        let mut left: VecDeque<String> = parts(Path::new(path)).into();
        let (mut done, mut links) = (String::new(), 0);
        while let Some(part) = left.pop_front() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{done}/{part}");
            match std::fs::read_link(self.0.join(&next)) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        done.clear();
                    }
                    for part in parts(&target).into_iter().rev() {
                        left.push_front(part);
                    }
                }
                Err(_) => done = next,
            }
        }
        let done = if done.is_empty() { "/".to_owned() } else { done };
        self.0.join(&done).symlink_metadata().is_ok().then_some(done)
    }

    /// What there is to know of a file, links followed.
    pub(crate) fn metadata(self, path: &str) -> Option<Metadata> {
        self.0.join(&self.real(path)?).symlink_metadata().ok()
    }

    pub(crate) fn is_file(self, path: &str) -> bool {
        self.metadata(path).is_some_and(|metadata| metadata.is_file())
    }

    pub(crate) fn is_dir(self, path: &str) -> bool {
        self.metadata(path).is_some_and(|metadata| metadata.is_dir())
    }

    /// The names in a directory, sorted; empty where it is missing or unreadable.
    pub(crate) fn names(self, path: &str) -> Vec<String> {
        self.real(path).and_then(|path| self.0.list(&path).ok()).unwrap_or_default()
    }

    /// A text file; `None` if there is none.
    pub(crate) fn text(self, path: &str) -> Result<Option<String>, Problem> {
        let Some(real) = self.real(path) else { return Ok(None) };
        let Some(file) = self.open(&real)? else { return Ok(None) };
        let fail = |problem: String| Problem { path: path.to_owned(), problem };
        let mut bytes = Vec::new();
        let read = file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| fail(format!("cannot be read: {error}")))?;
        if bytes.len() > FILE_MAX {
            return Err(fail(format!("is larger than {FILE_MAX} bytes")));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| fail("is not UTF-8 text".into()))
    }

    /// Opens a regular file without ever blocking; `None` if there is none.
    pub(crate) fn open(self, path: &str) -> Result<Option<File>, Problem> {
        let fail = |problem: String| Problem { path: path.to_owned(), problem };
        let Some(real) = self.real(path) else { return Ok(None) };
        // A pipe would make an ordinary open wait for its writer.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.0.join(&real));
        let file = file.map_err(|error| fail(format!("cannot be opened: {error}")))?;
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(file)),
            Ok(_) => Err(fail("is no regular file".into())),
            Err(error) => Err(fail(format!("cannot be read: {error}"))),
        }
    }
}

/// The directory of a path.
pub(crate) fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// The last component of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
