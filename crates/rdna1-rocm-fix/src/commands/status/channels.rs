// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways by which the environment reaches processes, and whether each is in order.

use rdna1_core::root::Root;
use serde::Serialize;

use crate::context::Context;
use crate::state;

/// Whether a channel works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChannelState {
    /// Its file is there, and what it carries is up to date.
    InPlace,
    /// What it carries is not what the machine and the configuration call for.
    Stale,
    /// The administrator masked it.
    Masked,
    /// Its file is missing: not installed, or this runs from a build directory.
    Missing,
}

/// One way by which the environment reaches processes.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Channel {
    /// Which processes it reaches.
    pub reaches: &'static str,
    /// The file that does it.
    pub file: &'static str,
    /// Whether it works.
    pub state: ChannelState,
}

/// What is reached, by which file, replaced or masked by which file (NixOS has
/// only the latter), and whether it carries the state below `/run`.
const CHANNELS: [(&str, &str, Option<&str>, bool); 4] = [
    (
        "services and desktop sessions",
        "/usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix",
        Some("/etc/systemd/system-environment-generators/90-rdna1-rocm-fix"),
        false,
    ),
    ("login shells (sh, bash, dash)", "/etc/profile.d/rocm-rdna1.sh", None, true),
    ("fish", "/usr/share/fish/vendor_conf.d/rocm-rdna1.fish", Some("/etc/fish/conf.d/rocm-rdna1.fish"), true),
    (
        "cards that appear later",
        "/usr/lib/udev/rules.d/90-rocm-rdna1.rules",
        Some("/etc/udev/rules.d/90-rocm-rdna1.rules"),
        false,
    ),
];

/// Processes that nothing here reaches, and what to do for them.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unreached {
    /// Which processes.
    pub processes: &'static str,
    /// What gives them the environment.
    #[serde(rename = "do")]
    pub remedy: &'static str,
}

/// What no file of a package can reach in a correct way; each row is measured
/// in docs/channels.md.
pub(super) const UNREACHED: [Unreached; 4] = [
    Unreached { processes: "ssh with a command, cron, CI", remedy: "rdna1-rocm-fix run -- COMMAND" },
    Unreached { processes: "sudo", remedy: "sudo rdna1-rocm-fix run -- COMMAND, or sudo -i" },
    Unreached {
        processes: "zsh on Debian",
        remedy: "emulate sh -c '. /etc/profile.d/rocm-rdna1.sh' in /etc/zsh/zprofile",
    },
    Unreached { processes: "containers", remedy: "rdna1-rocm-fix cdi, or env --format dotenv for --env-file" },
];

pub(super) fn look(context: &Context) -> Vec<Channel> {
    let root = &context.root;
    let current = state::is_current(root, &context.resolve_machine());
    CHANNELS
        .iter()
        .map(|&(reaches, file, override_file, carries)| {
            let in_etc = override_file.filter(|file| root.join(file).is_file());
            let state = if override_file.is_some_and(|file| is_mask(root, file)) {
                ChannelState::Masked
            } else if in_etc.is_none() && !root.join(file).is_file() {
                ChannelState::Missing
            } else if carries && !current {
                ChannelState::Stale
            } else {
                ChannelState::InPlace
            };
            Channel { reaches, file: in_etc.unwrap_or(file), state }
        })
        .collect()
}

/// An empty file or a link to /dev/null of the same name in /etc masks a file in /usr/lib.
fn is_mask(root: &Root, path: &str) -> bool {
    let full = root.join(path);
    std::fs::read_link(&full).is_ok_and(|target| target == std::path::Path::new("/dev/null"))
        || std::fs::metadata(&full).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}
