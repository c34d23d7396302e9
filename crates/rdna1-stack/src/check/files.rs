// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of a stack with device code, and the sum by which they are known again.

use std::collections::BTreeSet;

use rdna1_core::ids::GfxTarget;

use super::VERSION;
use crate::code;
use crate::fingerprint::Fingerprint;
use crate::model::{Stack, StackKind};
use crate::place::{Place, file_name};

/// How deep kernel files lie below the libraries (`rocblas/4.4.1/library`).
const DEPTH: usize = 4;

/// Where a distribution mixes ROCm's libraries with all others: how the names of
/// those and of their directories begin.
const ROCM: [&str; 10] = [
    "libroc",
    "librccl",
    "libhip",
    "libMIOpen",
    "libmigraphx",
    "libtorch_hip",
    "libcomposable",
    "libck",
    "rocblas",
    "hipblaslt",
];

/// The files, links followed, each once.
pub(super) fn of(place: Place<'_>, stack: &Stack) -> Vec<String> {
    let mut found = BTreeSet::new();
    for dir in &stack.libraries {
        for name in place.names(dir) {
            let mixed = matches!(stack.kind, StackKind::Distribution | StackKind::Nix);
            if !mixed || ROCM.iter().any(|beginning| name.starts_with(beginning)) {
                add(place, &format!("{dir}/{name}"), DEPTH, &mut found);
            }
        }
    }
    found.into_iter().collect()
}

fn add(place: Place<'_>, path: &str, depth: usize, found: &mut BTreeSet<String>) {
    let Some(real) = place.real(path) else { return };
    if place.is_dir(&real) {
        if depth > 0 {
            for name in place.names(&real) {
                add(place, &format!("{real}/{name}"), depth - 1, found);
            }
        }
    } else if rdna1_isa::container::can_hold_code(&real) && !is_for_others(&real) && place.is_file(&real) {
        found.insert(real);
    }
}

/// Whether a file's name says that it is for chips that no RDNA1 card can pass for.
fn is_for_others(path: &str) -> bool {
    code::in_name(file_name(path)).is_some_and(|target| !target.starts_with("gfx10"))
}

/// The sum over the files that matter to a card, by name, size, beginning and
/// end; `None` where there are none. The same files have the same one anywhere.
pub(super) fn key(place: Place<'_>, stack: &Stack, card: GfxTarget) -> Option<String> {
    key_of(place, &of(place, stack), card)
}

/// The same of files that have been listed.
pub(super) fn key_of(place: Place<'_>, files: &[String], card: GfxTarget) -> Option<String> {
    let mut sum = Fingerprint::new();
    sum.fact("check", &VERSION.to_string());
    sum.fact("card", &card.to_string());
    for path in files {
        sum.library(place, path);
    }
    (!files.is_empty()).then(|| sum.finish())
}
