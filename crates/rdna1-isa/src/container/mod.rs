// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what users have to code objects: ELF files, offload bundles plain and
//! compressed, shared libraries with such bundles, wheels, directories.
//!
//! Everything here reads bytes that nobody vouches for: sizes are checked
//! against the file before anything is allocated, decompression is bounded, and
//! whatever does not fit is an [`Error`].

mod bundle;
mod compressed;
mod files;
mod input;
mod library;
mod object;
mod targets;
mod wheel;

pub use files::{Visit, can_hold_code, walk};
pub use input::Input;
pub use library::device_sections;
pub use object::{CodeObject, Function, Kernel};
pub use targets::{SEARCH_LIMIT, Targets, targets};

use std::path::PathBuf;

/// The largest code object that is read; LLVM's own for all of rocBLAS are below 20 MB.
pub const MAX_OBJECT: u64 = 1 << 30;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The ELF structure is broken.
    #[error("not a sound ELF file: {0}")]
    Elf(#[from] ::object::read::Error),
    /// An offload bundle is broken.
    #[error("broken offload bundle at {offset:#x}: {what}")]
    Bundle {
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A compressed bundle is broken.
    #[error("broken compressed bundle at {offset:#x}: {what}")]
    Compressed {
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A wheel is broken.
    #[error("not a sound zip archive: {0}")]
    Zip(#[from] rawzip::Error),
    /// More than is ever needed.
    #[error("{what} of {size} bytes is larger than the {limit} bytes that are read at most")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Part of a file that lies behind its end.
    #[error("the file ends at {length:#x}, within {what} at {offset:#x}")]
    Truncated {
        /// What would be there.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Where the file ends.
        length: u64,
    },
}

/// A file, or part of one, that could not be read; the rest is not affected.
#[derive(Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub error: Error,
}
