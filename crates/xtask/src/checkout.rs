// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checkout that the tasks work in.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The top of the checkout.
pub fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // crates/xtask lies two levels below it.
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo puts release programs.
pub fn release_dir(top: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    top.join(target.unwrap_or_else(|| "target".into())).join("release")
}

/// Reads a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The date that the environment prescribes for everything that is built
/// (reproducible-builds.org); the changelog's is used where it does not.
pub fn source_date_epoch() -> anyhow::Result<Option<u64>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).with_context(|| format!("SOURCE_DATE_EPOCH={} is no number of seconds", text.display()))
}
