// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any words as the code of a kernel: they are covered without a gap, and the
//! analysis ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rdna1_isa::Target;
use rdna1_isa::analyse::{Analyser, Ignore, Question};
use rdna1_isa::decode::{self, Wave};

fuzz_target!(|bytes: &[u8]| {
    let Some((first, code)) = bytes.split_first() else { return };
    let wave = if first & 1 == 0 { Wave::W32 } else { Wave::W64 };
    let target = if first & 2 == 0 { Target::GFX1030 } else { Target::Gfx1010 };
    let words = code.len() / 4;
    let code = &code[..words * 4];
    for word in 0..words {
        let inst = decode::decode(code, word);
        assert!((1..=5).contains(&inst.words));
        let _ = decode::mnemonic(&inst, target);
    }
    let question = Question { code: target, on: Target::Gfx1010, ignore: Ignore::default() };
    let mut sites = 0;
    let analysis = Analyser::default().run(code, wave, &question, |site| {
        assert!((site.offset as usize) < code.len());
        sites += 1;
    });
    assert_eq!(analysis.counts.iter().sum::<u32>(), sites);
    assert!(analysis.instructions as usize <= words);
});
