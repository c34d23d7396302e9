// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong when a library is asked.

use std::path::{Path, PathBuf};

/// Why MIOpen could not be asked. Each names what was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This build carries no simulated runtime.
    #[error(
        "MIOpen can only be asked on x86-64 Linux with the GNU C library; plans from the rules alone work everywhere"
    )]
    Platform,
    /// No library where one was named.
    #[error("there is no libMIOpen in {} (looked for libMIOpen.so* in {})", .dir.display(), .looked.join(", "))]
    NoLibrary {
        /// The directory that was named.
        dir: PathBuf,
        /// Where it was looked for, relative to that.
        looked: Vec<String>,
    },
    /// A file that is no MIOpen for this machine.
    #[error("{} is no usable MIOpen: {problem}", .path.display())]
    NotMiopen {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The library could not be loaded, or refused to begin.
    #[error("{} did not answer: {problem}{}", .path.display(), noted(.stderr))]
    Refused {
        /// The library.
        path: PathBuf,
        /// What it, or the loader, said.
        problem: String,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// The process that asked it died.
    #[error("{} ended the query process ({how}) at {at}{}", .path.display(), noted(.stderr))]
    Crashed {
        /// The library.
        path: PathBuf,
        /// Exit status or signal.
        how: String,
        /// The problem that was being asked.
        at: String,
        /// The last lines of its standard error.
        stderr: String,
    },
    /// No answer in time.
    #[error("{} gave no answer within {seconds} s, at {at}", .path.display())]
    TimedOut {
        /// The library.
        path: PathBuf,
        /// The limit.
        seconds: u64,
        /// The problem that was being asked.
        at: String,
    },
    /// It called something that the simulated runtime does not have, so that
    /// its answers cannot be relied on.
    #[error("{} needs more of HIP than is simulated: {}", .path.display(), .calls.join("; "))]
    NotSimulated {
        /// The library.
        path: PathBuf,
        /// What the simulated runtime said, without repetition.
        calls: Vec<String>,
    },
    /// Debian's packages could not be had.
    #[error("{0}")]
    Packages(String),
    /// A convolution that cannot be.
    #[error(transparent)]
    Convolution(#[from] crate::problem::InvalidConvolution),
    /// A file or a program of this machine.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

fn noted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it wrote: {stderr}") }
}

/// Says what was being done when the system said no.
pub(crate) fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let what = format!("{what} {}", path.display());
    move |source| Error::Io { what, source }
}
