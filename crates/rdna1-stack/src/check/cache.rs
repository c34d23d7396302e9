// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where records of checks lie: `/var/cache/rdna1-rocm-fix/isa`, which root
//! writes and everybody reads, and the same below the user's own cache.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rdna1_core::root::{Problem, Root};

use super::{Checked, VERSION};
use crate::python::Variables;

/// The machine's own; the packages remove it.
const MACHINE: &str = "/var/cache/rdna1-rocm-fix/isa";

/// Below the user's cache directory.
const USER: &str = "rdna1-rocm-fix/isa";

/// More than a record can need.
const MAX: u64 = 1 << 20;

/// The directories with records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Read in this order.
    read: Vec<PathBuf>,
    /// Written to.
    write: PathBuf,
    /// Whether that is the machine's, which everybody reads whatever root's umask.
    shared: bool,
}

impl Cache {
    /// The directories of a machine and, by `XDG_CACHE_HOME` or `HOME`, of a
    /// user; `root` for whoever may write the machine's.
    pub fn of(root: &Root, variables: &Variables, is_root: bool) -> Self {
        let absolute = |name: &str| variables.get(name).filter(|value| value.starts_with('/')).map(PathBuf::from);
        let home = || absolute("HOME").map(|home| home.join(".cache"));
        let user = absolute("XDG_CACHE_HOME").or_else(home).map(|cache| cache.join(USER));
        let machine = root.join(MACHINE);
        if is_root {
            // Root does not believe what lies in a home directory: `sudo -E` keeps the user's.
            return Self { read: vec![machine.clone()], write: machine, shared: true };
        }
        let write = user.clone().unwrap_or_else(|| machine.clone());
        Self { read: user.into_iter().chain([machine]).collect(), write, shared: false }
    }

    /// Whether there is no record of anything.
    pub fn is_empty(&self) -> bool {
        self.read.iter().all(|dir| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none()) || !dir.is_dir())
    }

    /// A record; `None` where there is none, or none that this program understands.
    pub(super) fn load(&self, key: &str) -> Option<Checked> {
        self.read.iter().find_map(|dir| read(&dir.join(format!("{key}.json"))))
    }

    /// Writes a record, whole or not at all.
    pub(super) fn store(&self, key: &str, checked: &Checked) -> Result<(), Problem> {
        let problem = |path: &Path, what: &dyn std::fmt::Display| Problem {
            path: path.display().to_string(),
            problem: format!("cannot be written: {what}"),
        };
        fs::create_dir_all(&self.write).map_err(|error| problem(&self.write, &error))?;
        if self.shared {
            for dir in self.write.ancestors().take(2) {
                let set = fs::set_permissions(dir, Permissions::from_mode(0o755));
                set.map_err(|error| problem(dir, &error))?;
            }
        }
        let text = serde_json::to_string(checked).map_err(|error| problem(&self.write, &error))?;
        let path = self.write.join(format!("{key}.json"));
        let mut file = tempfile::NamedTempFile::new_in(&self.write).map_err(|error| problem(&self.write, &error))?;
        file.write_all(text.as_bytes()).map_err(|error| problem(&path, &error))?;
        // What is in it, everybody may read: counts, no paths.
        let set = file.as_file().set_permissions(Permissions::from_mode(0o644));
        set.map_err(|error| problem(&path, &error))?;
        file.persist(&path).map(|_| ()).map_err(|error| problem(&path, &error.error))
    }

    /// Where records are written.
    pub fn written_to(&self) -> &Path {
        &self.write
    }
}

fn read(path: &Path) -> Option<Checked> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.len() <= MAX)?;
    let bytes = fs::read(path).ok().filter(|bytes| bytes.len() as u64 <= metadata.len().max(MAX))?;
    let checked: Checked = serde_json::from_slice(&bytes).ok()?;
    (checked.version == VERSION).then_some(checked)
}
