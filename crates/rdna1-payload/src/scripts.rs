// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragments of maintainer scripts. The formats differ in when they run what;
//! what is to be done on the machine is the same.
//!
//! Every fragment may run again, needs neither systemd nor udev, waits for
//! nobody for long, and does not fail.

use rdna1_core::policy::Policy;
use serde::Serialize;

use crate::template::{Renderer, TemplateError};
use crate::{Layout, NAME};

/// Where the packages have their Python modules.
pub(crate) const PYTHON_DIR: &str = "/usr/lib/rdna1-rocm-fix/python";

/// A fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// After installation and upgrade: puts the environment into force.
    Activate,
    /// Before removal: ends a refresh in flight, and takes away what Python
    /// wrote beside our modules.
    Stop,
    /// After removal: takes the environment out of force.
    Deactivate,
    /// On purge, which only dpkg has: removes configuration and recorded data.
    Purge,
}

impl Fragment {
    /// Every fragment.
    pub const ALL: [Self; 4] = [Self::Activate, Self::Stop, Self::Deactivate, Self::Purge];

    /// The fragment as shell code, indented by four blanks.
    ///
    /// dpkg may run scripts for a machine in a directory, `DPKG_ROOT`, which is
    /// not the one that runs; rpm always changes its root before, and Nix runs none.
    ///
    /// # Errors
    /// The template is broken.
    pub fn render(self, renderer: &Renderer, policy: &Policy, layout: Layout) -> Result<String, TemplateError> {
        #[derive(Serialize)]
        struct Data {
            name: &'static str,
            python: &'static str,
            vendor: String,
            class: String,
            /// Stands before the machine's paths.
            root: &'static str,
            /// Stands before tests of the running system.
            here: &'static str,
        }
        let (name, template) = match self {
            Self::Activate => ("activate.sh", include_str!("../templates/scripts/activate.sh.hbs")),
            Self::Stop => ("stop.sh", include_str!("../templates/scripts/stop.sh.hbs")),
            Self::Deactivate => ("deactivate.sh", include_str!("../templates/scripts/deactivate.sh.hbs")),
            Self::Purge => ("purge.sh", include_str!("../templates/scripts/purge.sh.hbs")),
        };
        let (root, here) = match layout {
            Layout::Deb => ("${DPKG_ROOT:-}", "[ -z \"${DPKG_ROOT:-}\" ] && "),
            // Nix runs no scripts at installation.
            Layout::Rpm | Layout::Nix => ("", ""),
        };
        let vendor = policy.pci.vendor.to_string();
        let data = Data { name: NAME, python: PYTHON_DIR, vendor, class: class(policy), root, here };
        renderer.render(name, template, &data)
    }
}

/// How sysfs begins to write the class of a display function: `0x03`.
pub(crate) fn class(policy: &Policy) -> String {
    format!("{:#04x}", policy.pci.base_class)
}
