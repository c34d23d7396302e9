// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any file, from the container down to the report, as `rdna1-validate isa` reads it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rdna1_isa::{Options, Target, scan};

/// In memory; one for each process of the fuzzer.
static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| PathBuf::from(format!("/dev/shm/rdna1-isa-fuzz-{}", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("/dev/shm can be written");
    let _ = scan(&[&*FILE], &Options::for_card(Target::Gfx1010));
});
