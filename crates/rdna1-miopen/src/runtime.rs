// SPDX-License-Identifier: MIT OR Apache-2.0
//! The embedded simulated runtime and query program, as files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, io};

/// The shared object that plays HIP, rocBLAS, ROCTX and the compiler.
const FAKEHIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fakehip.so"));

/// The program that loads MIOpen.
const QUERY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/query"));

/// Where Linux has its file system in memory. Programs need not be allowed to run there.
const MEMORY: &str = "/dev/shm";

/// Both in a directory that is removed with this value.
#[derive(Debug)]
pub struct Runtime {
    dir: tempfile::TempDir,
}

impl Runtime {
    /// Writes them.
    ///
    /// # Errors
    /// On another platform than MIOpen's, and where nothing can be written.
    pub fn new() -> Result<Self, Error> {
        if FAKEHIP.is_empty() {
            return Err(Error::Platform);
        }
        let dir = tempfile::Builder::new().prefix("rdna1-miopen-").tempdir();
        let dir = dir.map_err(|source| Error::Io { what: "cannot make a temporary directory".into(), source })?;
        let runtime = Self { dir };
        for (path, bytes) in [(runtime.library(), FAKEHIP), (runtime.program(), QUERY)] {
            fs::write(&path, bytes).map_err(io("cannot write", &path))?;
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).map_err(io("cannot write", &path))?;
        }
        Ok(runtime)
    }

    /// The shared object.
    pub(crate) fn library(&self) -> PathBuf {
        self.dir.path().join("fakehip.so")
    }

    /// The query program.
    pub(crate) fn program(&self) -> PathBuf {
        self.dir.path().join("query")
    }

    /// A directory in which the shared object has the names under which a
    /// library wants it. The loader sees that all are one file.
    pub(crate) fn names(&self, wanted: &[String]) -> Result<tempfile::TempDir, Error> {
        let dir = self.scratch()?;
        for name in wanted {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink(self.library(), &path).map_err(io("cannot link", &path))?;
        }
        Ok(dir)
    }

    /// A fresh directory on the disk, from which programs may run.
    pub(crate) fn on_disk(&self) -> Result<tempfile::TempDir, Error> {
        let parent: &Path = self.dir.path();
        tempfile::tempdir_in(parent).map_err(io("cannot make a directory in", parent))
    }

    /// A fresh directory: MIOpen writes its databases and sources somewhere. In
    /// memory where that can be: it writes a hundred headers for each kernel of
    /// implicit GEMM, five times as fast there.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, Error> {
        let memory = tempfile::Builder::new().prefix("rdna1-miopen-").tempdir_in(MEMORY);
        memory.or_else(|_| self.on_disk())
    }
}

/// A real shared library for tests that damage one.
#[cfg(test)]
pub(crate) fn tests_library() -> &'static [u8] {
    FAKEHIP
}
