// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a selection is recorded, so that a reader sees the old record or the
//! new one and never a part; and the note of what is being tried, from which
//! the next call learns that a candidate may have frozen the whole machine. It
//! cannot tell that from a selection that was killed (kill -9) and a machine that
//! was then started again in good order, so that no more is said.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rdna1_core::gfx::GfxChoice;
use rdna1_core::root::Root;
use rdna1_core::selection::Selection;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::candidates::Candidate;

/// The kernel's name for the time since it was started.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is being tried, beside the record.
const NOTE: &str = "select-running.yaml";

/// Keeps two selections from measuring at once.
const LOCK: &str = "select.lock";

/// A candidate, as the note has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    gfx: GfxChoice,
    profile: String,
}

/// The note.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The boot during which it was written.
    boot: String,
    /// Kernel and PyTorch: with others everything may be tried again.
    kernel: String,
    fingerprint: String,
    /// What is being tried now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trying: Option<Tried>,
    /// What the machine may not have survived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    froze: Vec<Tried>,
}

/// The directory of the record while a selection is under way.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    file: PathBuf,
    note: Note,
    _lock: File,
}

impl Journal {
    /// Opens the directory of a record. `retry` forgets what may have frozen the machine.
    ///
    /// # Errors
    /// The directory cannot be written, or another selection is under way.
    pub fn open(root: &Root, file: &str, kernel: &str, fingerprint: &str, retry: bool) -> anyhow::Result<Self> {
        let file = root.join(file);
        let dir = file.parent().context("the record has no directory")?.to_owned();
        let cannot = || format!("cannot write {}; run it as root, or name another file with --record", dir.display());
        fs::create_dir_all(&dir).with_context(cannot)?;
        let lock = File::options().create(true).append(true).open(dir.join(LOCK)).with_context(cannot)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another selection is under way (it holds {})", dir.join(LOCK).display());
        }
        let boot = fs::read_to_string(root.join(BOOT_ID)).unwrap_or_default().trim().to_owned();
        // A note that cannot be understood is none: it only saves a hang.
        let text = fs::read_to_string(dir.join(NOTE)).unwrap_or_default();
        let earlier: Note = serde_yaml::from_str(&text).unwrap_or_default();
        let same = earlier.kernel == kernel && earlier.fingerprint == fingerprint && !retry;
        let mut froze = if same { earlier.froze } else { Vec::new() };
        // Within one boot it was ended or killed, and that says nothing.
        let another_boot = !boot.is_empty() && earlier.boot != boot;
        froze.extend(earlier.trying.filter(|tried| same && another_boot && !froze.contains(tried)));
        let note = Note { boot, kernel: kernel.to_owned(), fingerprint: fingerprint.to_owned(), trying: None, froze };
        Ok(Self { dir, file, note, _lock: lock })
    }

    /// What the machine may not have survived, earlier.
    pub fn frozen(&self) -> Vec<(GfxChoice, String)> {
        self.note.froze.iter().map(|tried| (tried.gfx, tried.profile.clone())).collect()
    }

    /// Notes what is about to be tried; it is on the disk before this returns.
    ///
    /// # Errors
    /// As the file system reports.
    pub fn begin(&mut self, candidate: &Candidate) -> anyhow::Result<()> {
        self.note.trying = Some(Tried { gfx: candidate.gfx, profile: candidate.profile.clone() });
        self.write_note()
    }

    /// Notes that it is over.
    ///
    /// # Errors
    /// As the file system reports.
    pub fn end(&mut self) -> anyhow::Result<()> {
        self.note.trying = None;
        if self.note.froze.is_empty() {
            match fs::remove_file(self.dir.join(NOTE)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            }
        } else {
            self.write_note()
        }
    }

    fn write_note(&self) -> anyhow::Result<()> {
        replace(&self.dir.join(NOTE), &serde_yaml::to_string(&self.note)?)
    }

    /// Records a selection in place of the one that is there.
    ///
    /// # Errors
    /// As the file system reports; then the old record is still there.
    pub fn record(&self, selection: &Selection) -> anyhow::Result<()> {
        let text = "# Written by `rdna1-validate select`; deleting it takes the choice back.\n".to_owned()
            + &serde_yaml::to_string(selection)?;
        replace(&self.file, &text)
    }
}

/// Replaces a file as a whole, for good: also after a power cut it is the old
/// or the new one.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
