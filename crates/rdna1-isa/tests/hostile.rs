// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that nobody vouches for: broken, cut off, made up. They may give errors,
//! wrong answers even, but no panic, no endless loop and no memory without bound.
#![allow(clippy::unwrap_used, reason = "a test")]

mod seeds;

use std::path::Path;

use proptest::prelude::*;
use rdna1_isa::analyse::{Analyser, Ignore, Question};
use rdna1_isa::container::{CodeObject, Problem, Visit, walk};
use rdna1_isa::decode::{self, Wave};
use rdna1_isa::{Options, Target, scan};
use seeds::{compressed, seeds};

fn scan_bytes(path: &Path, bytes: &[u8]) -> rdna1_isa::Report {
    std::fs::write(path, bytes).unwrap();
    scan(&[path], &Options::for_card(Target::Gfx1010))
}

#[test]
fn every_container_gives_its_kernels() {
    let dir = assert_fs::TempDir::new().unwrap();
    for (name, bytes) in seeds() {
        let report = scan_bytes(&dir.path().join(name), &bytes);
        assert!(report.problems.is_empty(), "{name}: {:?}", report.problems);
        let counts = report.code(Target::GFX1030).unwrap().counts();
        assert_eq!((counts.kernels, counts.hazardous), (1, 1), "{name}");
        assert_eq!(report.code(Target::Gfx1010).is_some(), name != "object");
    }
}

#[test]
fn every_prefix_is_an_error_or_less() {
    let dir = assert_fs::TempDir::new().unwrap();
    for (name, bytes) in seeds() {
        let path = dir.path().join(name);
        for length in 0..bytes.len() {
            let report = scan_bytes(&path, &bytes[..length]);
            let kernels: u32 = report.total.iter().map(|code| code.counts().kernels).sum();
            assert!(kernels <= 2);
        }
    }
}

/// Bytes changed at random places, as a fuzzer does it, from a fixed start.
#[test]
fn changed_bytes() {
    let dir = assert_fs::TempDir::new().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for (name, bytes) in seeds() {
        let path = dir.path().join(name);
        for _ in 0..600 {
            let mut changed = bytes.clone();
            for _ in 0..=next() % 4 {
                let at = next() as usize % changed.len();
                let extremes = [0, 0xff, 0x7f, 0x80, next() as u8];
                changed[at] = extremes[next() as usize % extremes.len()];
            }
            scan_bytes(&path, &changed);
        }
    }
}

/// A bundle that says that it is small and is not.
#[test]
fn a_stream_that_goes_on_is_cut_off() {
    let dir = assert_fs::TempDir::new().unwrap();
    let mut bytes = compressed(3, true);
    bytes[16..24].copy_from_slice(&600_u64.to_le_bytes());
    let report = scan_bytes(&dir.path().join("small"), &bytes);
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    let report = scan_bytes(&dir.path().join("large"), &bytes);
    assert!(report.problems[0].error.contains("larger than"), "{:?}", report.problems);
}

/// A megabyte in which what is pending travels backwards, one branch after the
/// other: twice as much takes twice as long, not four times.
#[test]
fn a_chain_of_backward_branches_ends() {
    // s_nop, then branches to the instruction before, then a buffer load.
    let mut words = vec![0xbf80_0000_u32];
    words.extend(std::iter::repeat_n(0xbf85_fffe, 1 << 18));
    words.extend([0xe030_1000, 0x8002_0100, 0x8008_0708, 0xbf81_0000]);
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let question = Question { code: Target::GFX1030, on: Target::Gfx1010, ignore: Ignore::default() };
    let mut sites = Vec::new();
    let analysis = Analyser::default().run(&code, Wave::W32, &question, |site| sites.push(site));
    assert_eq!(analysis.instructions as usize, words.len() - 1);
    assert_eq!(sites.len(), 1, "the scalar write behind the load");
}

/// A bundle whose table names one code object a thousand times.
#[test]
fn what_is_named_often_is_read_once() {
    let dir = assert_fs::TempDir::new().unwrap();
    let object = seeds::code_object(0x36, &seeds::CODE);
    let id = "hipv4-amdgcn-amd-amdhsa--gfx1030";
    let mut bytes = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    bytes.extend(1000_u64.to_le_bytes());
    for _ in 0..1000 {
        for number in [1 << 16, object.len() as u64, id.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(id.as_bytes());
    }
    bytes.resize(1 << 16, 0);
    bytes.extend(&object);
    let report = scan_bytes(&dir.path().join("often"), &bytes);
    assert_eq!(report.code(Target::GFX1030).unwrap().counts().kernels, 1);
}

struct Nothing;

impl Visit for Nothing {
    fn wants(&self, _: Target) -> bool {
        true
    }
    fn file(&mut self, _: &Path, _: Option<&str>) {}
    fn target(&mut self, _: &str) {}
    fn object(&mut self, bytes: &[u8]) {
        let _ = CodeObject::parse(bytes);
    }
    fn problem(&mut self, _: Problem) {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the words, the instructions cover the code without a gap, and the
    /// analysis ends.
    #[test]
    fn any_words_are_analysed(words in prop::collection::vec(any::<u32>(), 0..400), wave64 in any::<bool>()) {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let wave = if wave64 { Wave::W64 } else { Wave::W32 };
        for word in 0..words.len() {
            let inst = decode::decode(&code, word);
            prop_assert!((1..=5).contains(&inst.words));
            decode::mnemonic(&inst, Target::GFX1030);
        }
        let question = Question { code: Target::GFX1030, on: Target::Gfx1010, ignore: Ignore::default() };
        let mut sites = 0;
        let mut analyser = Analyser::default();
        let analysis = analyser.run(&code, wave, &question, |site| {
            assert!((site.offset as usize) < code.len());
            sites += 1;
        });
        prop_assert_eq!(analysis.counts.iter().sum::<u32>(), sites);
        prop_assert!(analysis.instructions as usize <= words.len());
    }

    /// Words that mostly are branches: the analysis ends all the same.
    #[test]
    fn many_branches(words in prop::collection::vec((0_u32..12, -40_i16..40), 1..600)) {
        let code: Vec<u8> = words
            .iter()
            .map(|&(op, offset)| match op {
                0..=8 => 0xbf82_0000 | (op.max(2) << 16) | u32::from(offset as u16),
                9 => 0xd8d8_0000,
                10 => 0xdc30_8000,
                _ => 0x7e00_0280,
            })
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let question = Question { code: Target::GFX1030, on: Target::Gfx1010, ignore: Ignore::default() };
        Analyser::default().run(&code, Wave::W32, &question, |_| {});
    }

    /// Any bytes behind each magic.
    #[test]
    fn any_bytes(magic in 0_usize..4, rest in prop::collection::vec(any::<u8>(), 0..600)) {
        let magic: &[u8] =
            [&b"\x7fELF\x02\x01\x01\x40\x04\0\0\0\0\0\0\0\x03\0\xe0\0"[..], b"__CLANG_OFFLOAD_BUNDLE__", b"CCOB\x02\0\x01\0", b"PK\x03\x04"][magic];
        let dir = assert_fs::TempDir::new().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [magic, &rest].concat()).unwrap();
        walk(&path, &mut Nothing);
    }
}
