// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines built on the spot, for what a folder of files cannot hold or what
//! would be too many of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use assert_fs::TempDir;
use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_core::root::Root;

/// The directory of PCI functions.
pub const DEVICES: &str = "sys/bus/pci/devices";

/// KFD's nodes.
pub const NODES: &str = "sys/class/kfd/kfd/topology/nodes";

/// A machine in a temporary directory.
#[derive(Debug)]
pub struct Tree(TempDir);

impl Tree {
    /// An empty machine.
    ///
    /// # Panics
    /// If there is no place for it.
    #[allow(clippy::new_without_default, reason = "a machine is made on purpose")]
    pub fn new() -> Self {
        // In memory where there is such a place: some trees have 40,000 files.
        Self(TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary directory"))
    }

    /// Where a path of the machine lies; its parents exist afterwards.
    ///
    /// # Panics
    /// If they cannot be made.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("it lies below the root")).expect("directories can be made");
        path
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).expect("a file can be written");
    }

    /// Makes a symbolic link, its target as given.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) {
        symlink(target, self.at(path)).expect("a link can be made");
    }

    /// Adds a PCI function.
    pub fn function(&self, address: &str, vendor: u16, device: u16, class: u32) {
        self.attributes(&format!("{DEVICES}/{address}"), vendor, device, class);
    }

    /// Writes a PCI function's attributes into any directory.
    pub fn attributes(&self, dir: &str, vendor: u16, device: u16, class: u32) {
        self.write(format!("{dir}/vendor"), format!("{vendor:#06x}\n"));
        self.write(format!("{dir}/device"), format!("{device:#06x}\n"));
        self.write(format!("{dir}/class"), format!("{class:#08x}\n"));
    }

    /// The machine's root.
    pub fn root(&self) -> Root {
        Root::new(self.0.path())
    }

    /// What detection finds.
    ///
    /// # Panics
    /// Where the embedded policy is broken.
    pub fn detect(&self) -> Machine {
        Machine::detect(&self.root(), &policy())
    }
}

/// The policy that was compiled in.
///
/// # Panics
/// Where it is broken.
pub fn policy() -> Policy {
    Policy::embedded().expect("the embedded policy is readable")
}
