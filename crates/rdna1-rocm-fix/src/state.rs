// SPDX-License-Identifier: MIT OR Apache-2.0
//! The run-time state below `/run`: the resolution as files that shells read
//! without starting a process. No card, no files.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use rdna1_core::render::{Format, Guard, render};
use rdna1_core::resolve::{Applied, Resolution};
use rdna1_core::root::Root;
pub use rdna1_launch::applied::DIR;
use rdna1_launch::applied::FILE as APPLIED;

/// The files for readers, and the syntax of each.
const FILES: [(&str, Format); 4] = [
    ("env.sh", Format::Sh),
    ("env.csh", Format::Csh),
    ("env.fish", Format::Fish),
    // For `EnvironmentFile=-/run/rdna1-rocm-fix/env` in a unit.
    ("env", Format::Systemd),
];

/// Whether the files below `/run` are those of this resolution.
pub fn is_current(root: &Root, resolution: &Resolution) -> bool {
    contents(resolution).is_ok_and(|wanted| are_there(root, &wanted))
}

fn are_there(root: &Root, wanted: &Contents) -> bool {
    wanted.iter().all(|(name, text)| {
        let there = root.read_text(&format!("{DIR}/{name}"));
        there.is_ok_and(|there| there.unwrap_or_default() == *text)
    })
}

/// Brings the files below `/run` in line with a resolution; says whether
/// anything changed. Each file is replaced as a whole or not at all.
///
/// # Errors
/// A file cannot be written, or a value cannot be written in a file's syntax;
/// then the old files are removed, so that nothing stale stays in force.
pub fn write(root: &Root, resolution: &Resolution) -> anyhow::Result<bool> {
    let wanted = contents(resolution);
    if wanted.as_ref().is_ok_and(|wanted| are_there(root, wanted)) {
        return Ok(false);
    }
    wanted.and_then(|wanted| replace(root, &wanted)).inspect_err(|_| {
        // The first error is the one to report.
        let _ = remove(root);
    })?;
    Ok(true)
}

/// The files' contents by name; an empty one stands for no file. All are empty
/// where nothing is set.
type Contents = Vec<(&'static str, String)>;

fn contents(resolution: &Resolution) -> anyhow::Result<Contents> {
    let mut files = Vec::new();
    for (name, format) in FILES {
        files.push((name, render(format, Guard::UnlessSet, resolution.variables(), &[])?));
    }
    let variables = resolution.variables().map(|(name, value)| (name.clone(), value.to_owned())).collect();
    let applied = Applied { variables };
    let none = applied.variables.is_empty();
    files.push((APPLIED, if none { String::new() } else { serde_json::to_string_pretty(&applied)? + "\n" }));
    Ok(files)
}

fn replace(root: &Root, contents: &Contents) -> anyhow::Result<()> {
    if contents.iter().all(|(_, text)| text.is_empty()) {
        return remove(root);
    }
    let dir = root.join(DIR);
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {DIR}"))?;
    // Whatever the umask of whoever called: every login reads these.
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).with_context(|| format!("cannot open {DIR} to all"))?;
    for (name, text) in contents {
        replace_file(&dir.join(name), text, 0o644).with_context(|| format!("cannot write {DIR}/{name}"))?;
    }
    Ok(())
}

/// Removes every file of ours below `/run`.
///
/// # Errors
/// A file is there and cannot be removed.
pub fn remove(root: &Root) -> anyhow::Result<()> {
    let dir = root.join(DIR);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot list {DIR}")),
    };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {DIR}"))?.path();
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    // In the hardened service the directory is a mount point and stays; empty, it does no harm.
    let _ = fs::remove_dir(&dir);
    Ok(())
}

/// Replaces a file as a whole: readers see the old or the new content, never a part.
///
/// # Errors
/// As the file system reports; the old file is then still there.
pub fn replace_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.persist(path)?;
    Ok(())
}
