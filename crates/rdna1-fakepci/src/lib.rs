// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI functions for guests of QEMU that are nothing but their configuration
//! space: enough for a kernel to find them and for udev to announce them, and
//! for no driver to use them.
//!
//! QEMU has a device whose other half is a process of its own
//! (`x-pci-proxy-dev`, docs/system/multi-process.rst there): each access of the
//! guest becomes a message on a socket. [`serve`] is such a process's work, and
//! [`Qemu`] runs a QEMU with some of them, plugged in before the start or later.
//!
//! Debian 12's QEMU 7.2 is what this was made with. Those of Debian 13 (10.0)
//! and its backports (11.1) end at the start with this device under TCG
//! (measured in the project's laboratory; the cause is not known).

mod function;
mod qemu;
mod wire;

pub use function::Function;
pub use qemu::Qemu;
pub use wire::serve;
