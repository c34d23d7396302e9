// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask install`: the file tree in a directory, for packaging tools
//! that take it from there.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rdna1_payload::{EntryKind, Inputs, Layout, Payload};

use crate::artifacts::Kit;
use crate::checkout;

/// What to install where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory that stands for the root of the machine.
    #[arg(long, value_name = "DIR")]
    destdir: PathBuf,
    /// Directory of the built programs [default: cargo's release directory].
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Whose places for files: deb, rpm or nix.
    #[arg(long, default_value = "deb", value_parser = layout)]
    layout: Layout,
    /// Where the directory will lie for good, which texts of the Nix layout
    /// name [default: where it is made].
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

fn layout(text: &str) -> Result<Layout, String> {
    match text {
        "deb" => Ok(Layout::Deb),
        "rpm" => Ok(Layout::Rpm),
        "nix" => Ok(Layout::Nix),
        _ => Err("allowed are deb, rpm and nix".into()),
    }
}

/// Runs the task.
pub fn run(top: &Path, args: &Args) -> anyhow::Result<()> {
    let bin_dir = args.bin_dir.clone().unwrap_or_else(|| checkout::release_dir(top));
    let kit = Kit::with_programs(top, &bin_dir)?;
    let prefix = std::path::absolute(args.prefix.as_ref().unwrap_or(&args.destdir))?;
    write(&tree(kit.inputs(args.layout), &prefix.to_string_lossy())?, &args.destdir)
}

/// What a package of the inputs' layout installs; with Nix, in `prefix`.
pub fn tree(inputs: Inputs<'_>, prefix: &str) -> anyhow::Result<Payload> {
    Ok(match inputs.layout {
        Layout::Deb => rdna1_deb::tree(inputs)?,
        Layout::Rpm => rdna1_rpm::tree(inputs)?,
        Layout::Nix => rdna1_nix::tree(inputs, prefix)?,
    })
}

/// Writes a tree below a directory. Owners are the packaging tool's affair;
/// modes are set whatever the umask.
pub fn write(payload: &Payload, destdir: &Path) -> anyhow::Result<()> {
    for dir in payload.parent_dirs() {
        make_dir(&destdir.join(&dir[1..]), 0o755)?;
    }
    for entry in payload.entries() {
        let path = destdir.join(&entry.path[1..]);
        let done = match entry.kind {
            EntryKind::Dir => make_dir(&path, entry.mode),
            EntryKind::Symlink => symlink(std::ffi::OsStr::from_bytes(&entry.bytes), &path).map_err(Into::into),
            EntryKind::File | EntryKind::Config | EntryKind::Doc | EntryKind::License => fs::write(&path, &entry.bytes)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(entry.mode)))
                .map_err(Into::into),
        };
        done.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn make_dir(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make {}", path.display()))
}
