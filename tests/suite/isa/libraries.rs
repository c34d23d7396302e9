// SPDX-License-Identifier: MIT OR Apache-2.0
//! Controls on Debian's ROCm libraries: no hit in code that the compiler built
//! for RDNA1, hits in the same library's code for gfx1030.
//!
//! Two small ones of Debian 13 always; the big one, rocBLAS, where
//! `RDNA1_TEST_ROCBLAS=1` allows to fetch 280 MB (unstable's) and unpack 4 GB.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use rdna1_isa::analyse::{Analyser, Ignore, Question};
use rdna1_isa::decode::{self, Format, Inst};
use rdna1_isa::rules::Rule;
use rdna1_isa::scan::{Counts, Report};
use rdna1_isa::{Options, Target, scan};
use rdna1_tests::{archive, tools};

use super::llvm::compare;
use super::{Objects, have_llvm, workdir};

const RELEASE: &str = "trixie";

fn counts(report: &Report, target: Target) -> Counts {
    report.code(target).expect("the library has code for it").counts()
}

/// Nothing found on any RDNA1 card in code for gfx1010.
fn assert_clean(path: &Path) -> Counts {
    let mut all = None;
    for on in Target::RDNA1 {
        let mut options = Options::for_card(on);
        options.code = vec![Target::Gfx1010];
        let report = scan(&[path], &options);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let counts = counts(&report, Target::Gfx1010);
        assert_eq!(counts.clean, counts.functions, "{on}: {counts:?}");
        all = Some(counts);
    }
    all.expect("there are RDNA1 targets")
}

#[test]
fn rocrand_for_gfx1010_is_clean_and_for_gfx1030_is_not() {
    let Some(path) = archive::unpacked(RELEASE, "librocrand1") else { return };
    let native = assert_clean(&path);
    assert!(native.kernels > 100, "{native:?}");
    let other = counts(&scan(&[&path], &Options::for_card(Target::Gfx1010)), Target::GFX1030);
    assert_eq!(other.functions, native.functions);
    // Nearly all of them in the versions seen so far: 203 of 204, 406 of 408.
    assert!(other.hazardous * 10 > other.functions * 9, "{other:?}");
    for rule in [Rule::VmemScalarWrite, Rule::CmpxExecWar, Rule::LdsBranchVmem, Rule::InstPrefetch] {
        assert!(other.rules.contains_key(&rule), "{}: {other:?}", rule.info().id);
    }
}

#[test]
fn rocfft_for_gfx1010_is_clean() {
    let Some(path) = archive::unpacked(RELEASE, "librocfft0") else { return };
    let counts = assert_clean(&path);
    assert!(counts.functions > 0, "{counts:?}");
}

#[test]
fn rocrand_is_cut_as_llvm_cuts_it() {
    if !have_llvm() {
        return;
    }
    let Some(path) = archive::unpacked(RELEASE, "librocrand1") else { return };
    let objects = Objects::of(&path, &[Target::Gfx1010, Target::GFX1030]);
    let compared = compare(&workdir("rocrand"), &objects);
    assert!(compared > 100_000, "{compared}");
}

/// How the mitigations of a kind and the sites found without them relate.
#[derive(Debug, Default)]
struct Ablation {
    mitigations: usize,
    sites: usize,
    both: usize,
}

fn ablate(objects: &Objects, ignore: Ignore, rule: Rule, is_mitigation: fn(&Inst) -> bool) -> Ablation {
    let mut sum = Ablation::default();
    let mut analyser = Analyser::default();
    for (object, bytes) in objects.parsed() {
        for function in &object.functions {
            let code = &bytes[function.offset..function.offset + function.size];
            let wave = function.kernel.map_or_else(|| object.wave(), |kernel| kernel.wave);
            let question = Question { code: object.target, on: Target::Gfx1010, ignore };
            let mut sites = BTreeSet::new();
            analyser.run(code, wave, &question, |site| {
                if site.rule == rule {
                    sites.insert(site.offset);
                }
            });
            // What a mitigation protects comes behind it and behind others of its kind.
            let mut protected = BTreeSet::new();
            let (mut index, mut pending) = (0, false);
            while index < code.len() / 4 {
                let inst = decode::decode(code, index);
                let is_other = matches!((inst.format, inst.op), (Format::Sopp, 0x23) | (Format::Sopk, 0x17))
                    || inst.w0 == 0xbefd_0380;
                if is_mitigation(&inst) {
                    pending = true;
                } else if pending && !is_other {
                    protected.insert(index as u32 * 4);
                    pending = false;
                }
                index += usize::from(inst.words);
            }
            sum.mitigations += protected.len();
            sum.sites += sites.len();
            sum.both += protected.intersection(&sites).count();
        }
    }
    sum
}

/// A kind of workaround: what overlooks it, its rule, and how to know it.
type Kind = (Ignore, Rule, fn(&Inst) -> bool);

const KINDS: [Kind; 3] = [
    (Ignore { vm_vsrc: true, ..NONE }, Rule::VmemScalarWrite, |inst| {
        (inst.format, inst.op) == (Format::Sopp, 0x23) && inst.simm16() & 0x1c == 0
    }),
    (Ignore { null_move: true, ..NONE }, Rule::SmemVectorWrite, |inst| inst.w0 == 0xbefd_0380),
    (Ignore { vscnt: true, ..NONE }, Rule::LdsBranchVmem, |inst| inst.w0 == 0xbbfd_0000),
];

const NONE: Ignore = Ignore { vm_vsrc: false, sa_sdst: false, null_move: false, vscnt: false, throughout: false };

/// Overlooks the compiler's workarounds one kind at a time. Whatever an instruction
/// runs into without the workaround before it, there is one: the sites are a
/// subset of the compiler's places. With none of that kind in the whole function,
/// every place of the compiler's has a hit. (Between the two lies the order in
/// which the compiler goes: at the head of a loop it does not yet see the
/// workarounds that it is about to put at its end.)
fn assert_ablation(objects: &Objects) -> Vec<(Ablation, Ablation)> {
    let mut found = Vec::new();
    for (ignore, rule, is_workaround) in KINDS {
        let behind = ablate(objects, ignore, rule, is_workaround);
        let throughout = ablate(objects, Ignore { throughout: true, ..ignore }, rule, is_workaround);
        let what = rule.info().id;
        assert_eq!(behind.both, behind.sites, "{what}: {behind:?}");
        // s_waitcnt_vscnt null, 0 also orders memory: not every one is a workaround.
        if rule != Rule::LdsBranchVmem {
            assert_eq!(throughout.both, throughout.mitigations, "{what}: {throughout:?}");
        }
        assert!(rule == Rule::SmemVectorWrite || behind.both > 0, "{what}: {behind:?}");
        found.push((behind, throughout));
    }
    found
}

#[test]
#[allow(clippy::print_stderr, reason = "the numbers are of interest")]
fn without_its_workarounds_rocrand_has_hits_where_they_were() {
    let Some(path) = archive::unpacked(RELEASE, "librocrand1") else { return };
    let objects = Objects::of(&path, &[Target::Gfx1010]);
    eprintln!("rocRAND: {:?}", assert_ablation(&objects));
}

/// All of rocBLAS: the numbers of the explanation page as invariants, and speed.
#[test]
#[allow(clippy::print_stderr, reason = "the numbers are of interest")]
fn rocblas() {
    if std::env::var_os("RDNA1_TEST_ROCBLAS").is_none_or(|value| value != "1") {
        eprintln!("skipped: RDNA1_TEST_ROCBLAS=1 fetches rocBLAS (280 MB)");
        return;
    }
    let Some(path) = archive::unpacked("sid", "librocblas4") else { return };
    let native = assert_clean(&path);
    let start = Instant::now();
    let mut options = Options::for_card(Target::Gfx1010);
    options.code = vec![Target::GFX1030];
    let report = scan(&[&path], &options);
    let seconds = start.elapsed().as_secs_f64();
    let code = report.code(Target::GFX1030).expect("there is code");
    eprintln!("gfx1010: {native:?}");
    eprintln!("gfx1030: {} bytes in {seconds:.2} s (a release build is what the goal is about)", code.bytes);
    for family in &code.families {
        let counts = &family.counts;
        eprintln!("{} {}: {counts:?}", family.data_type, family.origin);
        if family.data_type == "other" {
            continue;
        }
        assert_eq!(counts.clean + counts.unclear, 0, "{} {}", family.data_type, family.origin);
        let int8 = family.data_type == "int8";
        let tuned_sums = family.data_type == "fp16 with fp32 sums" && family.origin.starts_with("tuned");
        assert_eq!(counts.illegal, if int8 || tuned_sums { counts.functions } else { 0 }, "{}", family.data_type);
    }
    let objects = Objects::of(&path.join("usr/lib/x86_64-linux-gnu/rocblas"), &[Target::Gfx1010]);
    let ablations = assert_ablation(&objects);
    eprintln!("rocBLAS: {ablations:?}");
    let (_, throughout) = &ablations[0];
    assert_eq!((throughout.sites, throughout.both), (throughout.mitigations, throughout.mitigations));
    if tools::find(super::OBJDUMP).is_some() {
        for target in [Target::Gfx1010, Target::GFX1030] {
            // The matrix products and, in the library itself, everything else.
            let objects = Objects::of(&path, &[target]);
            assert!(objects.problems.is_empty(), "{:?}", objects.problems);
            let compared = compare(&workdir("rocblas"), &objects);
            eprintln!("{target}: {} objects, {compared} instructions as llvm-objdump has them", objects.bytes.len());
        }
    }
}
