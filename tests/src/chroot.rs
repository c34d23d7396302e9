// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs in the Debian 13 root that has PyTorch.

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_fs::TempDir;

use crate::tools;

/// What a chroot lacks of a machine: PyTorch looks at /proc and /dev.
const SCRIPT: &str = "mount -t proc proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" && exec chroot \"$0\" \"$@\"";

/// A directory of one test in that root.
#[derive(Debug)]
pub struct Chroot {
    root: PathBuf,
    place: TempDir,
}

impl Chroot {
    /// The root that `RDNA1_TEST_TORCH_ROOT` names; without it, or without root's
    /// rights, reports the skip.
    pub fn with_torch() -> Option<Self> {
        let Some(root) = std::env::var_os("RDNA1_TEST_TORCH_ROOT") else {
            tools::skip("RDNA1_TEST_TORCH_ROOT names no Debian root with PyTorch (cargo xtask test makes one)");
            return None;
        };
        if !tools::is_root() {
            return None;
        }
        let root = PathBuf::from(root);
        let place = TempDir::new_in(root.join("tmp")).expect("a directory in the root");
        Some(Self { root, place })
    }

    /// The directory, seen from outside.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// A path below the directory, seen from inside.
    pub fn inside(&self, path: &str) -> PathBuf {
        Path::new("/tmp").join(self.place().file_name().expect("it has a name")).join(path)
    }

    /// A program of the root, with nothing of this machine's environment. A chroot is
    /// enough: PyTorch needs its libraries and no service.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT]);
        command.arg(&self.root).arg(program.as_ref());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        command
    }
}
