// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of what was set machine-wide.

use rdna1_core::resolve::Applied;
use rdna1_core::root::Root;

/// The directory of the run-time state; it lies in memory and is gone at every boot.
pub const DIR: &str = "/run/rdna1-rocm-fix";

/// The record in it, as JSON.
pub const FILE: &str = "applied.json";

/// What was set machine-wide; nothing if it cannot be told.
pub fn read(root: &Root) -> Applied {
    let text = root.read_text(&format!("{DIR}/{FILE}")).ok().flatten().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
