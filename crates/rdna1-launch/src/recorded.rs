// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `rdna1-validate select` recorded, for a process and for `status`.
//!
//! A user who is not root records it below the own home. That counts for what
//! this user starts with `run` and for nothing else.

use std::os::unix::fs::MetadataExt;

use rdna1_core::root::Root;
use rdna1_core::selection::{self, MeasuredStack, Measurement, Recorded, Selection, Winner};
use rdna1_stack::{Stack, Survey};
use serde::Serialize;

use crate::context::{Context, Environment};

/// The user's own record and its file.
fn own(context: &Context, environment: &Environment) -> Result<Option<(Selection, String)>, String> {
    let Some(file) = selection::own_file(environment) else { return Ok(None) };
    let user = |path: &std::path::Path| std::fs::metadata(path).map(|metadata| metadata.uid());
    let me = user("/proc/self".as_ref()).ok();
    let Ok(owner) = user(&context.root.join(&file)) else { return Ok(None) };
    // Root has the machine's; and whoever keeps another one's HOME (sudo -E) is not that user.
    let is_mine = me == Some(owner) && (owner != 0 || !context.root.is_system());
    if !is_mine {
        return Ok(None);
    }
    let read = Selection::read_file(&context.root, &file).map_err(|error| broken(&error))?;
    Ok(read.map(|selection| (selection, file)))
}

fn broken(error: &rdna1_core::yaml::YamlError) -> String {
    format!("{error}; delete the file or have it measured again")
}

/// What is recorded for a process that uses a stack; `None` as stack stands for
/// a process of which no PyTorch is known.
///
/// # Errors
/// If a record cannot be used.
pub fn for_process(
    context: &Context,
    environment: &Environment,
    stack: Option<&Stack>,
) -> Result<Option<Recorded>, String> {
    let own = own(context, environment)?;
    let machine_wide = context.selection.as_ref().map(|selection| (selection, selection::FILE));
    let records: Vec<(&Selection, &str)> =
        own.as_ref().map(|(selection, file)| (selection, file.as_str())).into_iter().chain(machine_wide).collect();
    // To take the sum costs a few reads, which nobody needs where nothing is recorded.
    let fingerprint = match stack {
        Some(stack) if !records.is_empty() => Some(stack.process_fingerprint(&Survey::of_rocm(&context.root))),
        _ => None,
    };
    let says =
        |(selection, file): &(&Selection, &str)| selection.for_process(&context.machine, file, fingerprint.as_deref());
    Ok(records.iter().find_map(says))
}

/// The profile for the whole machine in a record, by its file.
pub fn machine_profile(context: &Context, file: &str, environment: &Environment) -> Option<String> {
    if file == selection::FILE {
        return context.selection.as_ref().and_then(|selection| selection.profile.clone());
    }
    own(context, environment).ok().flatten().and_then(|(selection, _)| selection.profile)
}

/// A measurement, and whether it still counts.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Standing {
    /// The file it is recorded in.
    pub file: String,
    /// When it was made.
    pub date: String,
    /// The PyTorch that it was made with.
    pub pytorch: String,
    /// Where that lay.
    pub path: String,
    /// What a process with that PyTorch gets.
    pub process: Winner,
    /// What the whole machine gets by it, if it is the newest.
    pub machine: Option<Winner>,
    /// Whether it is the one that the whole machine follows.
    pub machine_wide: bool,
    /// What has changed since, so that it should be measured again.
    pub stale: Vec<String>,
}

/// Every measurement of the machine's and the user's own record, and what could
/// not be read of the latter.
pub fn standings(context: &Context, environment: &Environment, found: &[Stack]) -> (Vec<Standing>, Option<String>) {
    let (own, problem) = match own(context, environment) {
        Ok(own) => (own, None),
        Err(problem) => (None, Some(problem)),
    };
    let machine_wide = context.selection.as_ref().map(|selection| (selection, selection::FILE));
    let own = own.as_ref().map(|(selection, file)| (selection, file.as_str()));
    let rocm = Survey::of_rocm(&context.root);
    let mut standings = Vec::new();
    for (selection, file) in machine_wide.into_iter().chain(own) {
        for (i, measured) in selection.measurements.iter().enumerate() {
            standings.push(Standing {
                file: file.to_owned(),
                date: measured.date.clone(),
                pytorch: measured.stack.name.clone(),
                path: measured.stack.path.clone(),
                process: measured.process.clone(),
                machine: measured.machine.clone(),
                machine_wide: file == selection::FILE && i + 1 == selection.measurements.len(),
                stale: stale(context, selection, measured, found, &rocm),
            });
        }
    }
    (standings, problem)
}

/// What is recorded for the whole machine, with everything that has changed
/// since. [`Context::recorded`] knows the kernel alone: to look at the PyTorch
/// costs more than a login or a boot may.
pub fn machine_wide(context: &Context, standings: &[Standing]) -> Option<Recorded> {
    let mut recorded = context.recorded()?;
    if let Some(newest) = standings.iter().find(|standing| standing.machine_wide && !standing.stale.is_empty()) {
        recorded.stale = Some(newest.stale.join("; "));
    }
    Some(recorded)
}

fn stale(
    context: &Context,
    selection: &Selection,
    measured: &Measurement,
    found: &[Stack],
    rocm: &Survey,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if !selection.is_for(&context.machine) {
        let cards: Vec<String> = selection.cards.iter().map(ToString::to_string).collect();
        reasons.push(format!("it was measured on other cards ({})", cards.join(", ")));
    }
    reasons.extend(measured.other_kernel(&context.machine));
    reasons.extend(other_stack(&context.root, &measured.stack, found, rocm));
    reasons
}

/// What has become of the PyTorch that was measured, if it is not the same any
/// more. Where the user may not look, nothing is said of it.
fn other_stack(root: &Root, measured: &MeasuredStack, found: &[Stack], rocm: &Survey) -> Option<String> {
    let path = &measured.path;
    // One whose files were not found was measured by its interpreter's word alone.
    if measured.fingerprint.is_empty() {
        return None;
    }
    let is_it = |stack: &&Stack| stack.path == *path;
    // It may lie where nobody looks for environments that are in use.
    let elsewhere = || Survey::at(root, path).stacks.iter().find(is_it).cloned();
    match found.iter().find(is_it).cloned().or_else(elsewhere) {
        Some(there) => (there.process_fingerprint(rocm) != measured.fingerprint)
            .then(|| format!("the PyTorch in {path} or the ROCm that it uses has changed since")),
        None => can_tell(&root.join(path)).then(|| format!("the PyTorch in {path} is gone")),
    }
}

/// Whether it can be told what a directory holds, or that it is not there.
fn can_tell(dir: &std::path::Path) -> bool {
    match std::fs::read_dir(dir) {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
    }
}
