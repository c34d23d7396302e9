// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each rule on kernels that hit it and kernels that do not.

use std::collections::BTreeSet;

use rdna1_isa::analyse::{Analyser, Ignore, Question};
use rdna1_isa::decode::Wave;
use rdna1_isa::rules::Rule;
use rdna1_isa::{Options, Target, scan};
use rdna1_tests::program::top;

use super::{Objects, assemble, compile, have_llvm, workdir};

/// The rules that each function of an assembly file hits on gfx1010.
fn hits(object: &std::path::Path, on: Target) -> Vec<(String, BTreeSet<&'static str>)> {
    let objects = Objects::of(object, &[Target::GFX1030]);
    let mut analyser = Analyser::default();
    let mut found = Vec::new();
    for (object, bytes) in objects.parsed() {
        for function in &object.functions {
            let code = &bytes[function.offset..function.offset + function.size];
            let question = Question { code: Target::GFX1030, on, ignore: Ignore::default() };
            let mut rules = BTreeSet::new();
            let analysis = analyser.run(code, Wave::W32, &question, |site| {
                rules.insert(site.rule.info().id);
            });
            assert_eq!(analysis.undecoded, 0, "{}", function.name);
            found.push((function.name.clone(), rules));
        }
    }
    found
}

#[test]
fn every_rule_has_kernels_that_hit_it_and_kernels_that_do_not() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("rules");
    for rule in Rule::ALL {
        let id = rule.info().id;
        let object = assemble(&dir, &top().join(format!("tests/isa/rules/{id}.s")), "gfx1030");
        let found = hits(&object, Target::Gfx1010);
        let (positive, negative): (Vec<_>, Vec<_>) = found.iter().partition(|(name, _)| name.starts_with("hit"));
        assert!(!positive.is_empty() && !negative.is_empty(), "{id}: {found:?}");
        for (name, rules) in positive {
            assert_eq!(*rules, BTreeSet::from([id]), "{id}: {name}");
        }
        for (name, rules) in negative {
            assert!(name.starts_with("clean"), "{id}: {name}");
            assert!(rules.is_empty(), "{id}: {name}: {rules:?}");
        }
    }
}

#[test]
fn what_is_missing_depends_on_the_card() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("missing");
    let object = assemble(&dir, &top().join("tests/isa/rules/missing-instruction.s"), "gfx1030");
    let missing_on = |on| -> Vec<String> {
        let found = hits(&object, on).into_iter().filter(|(_, rules)| !rules.is_empty());
        found.map(|(name, _)| name.trim_start_matches("hit_").to_owned()).collect()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.join(" ")
    };
    assert_eq!(sorted(missing_on(Target::Gfx1010)), "addtid bvh csub dot2c dot4");
    assert_eq!(sorted(missing_on(Target::Gfx1011)), "addtid bvh csub");
    assert_eq!(sorted(missing_on(Target::Gfx1012)), "addtid bvh csub");
    assert_eq!(sorted(missing_on(Target::Gfx1013)), "addtid csub dot2c dot4");
    assert_eq!(sorted(missing_on(Target::GFX1030)), "");
}

/// What the compiler makes of the same source for a chip with the bugs and for
/// one without: the first is clean, and with its workarounds overlooked it has
/// hits as the second has.
#[test]
fn compiled_kernels() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("compiled");
    for wave in [32, 64] {
        for target in ["gfx1010", "gfx1011", "gfx1012", "gfx1013"] {
            let object = compile(&dir, target, wave);
            let on: Target = target.parse().expect("a target");
            let mut options = Options::for_card(on);
            options.code = vec![on];
            let report = scan(&[&object], &options);
            let counts = report.code(on).expect("there is code").counts();
            assert_eq!((counts.kernels, counts.clean), (5, 5), "{target} wave{wave}: {counts:?}");
            options.ignore = Ignore { vm_vsrc: true, vscnt: true, ..Ignore::default() };
            let counts = scan(&[&object], &options).code(on).expect("there is code").counts();
            assert!(counts.rules.contains_key(&Rule::VmemScalarWrite), "{target} wave{wave}: {counts:?}");
            assert!(counts.rules.contains_key(&Rule::LdsBranchVmem), "{target} wave{wave}: {counts:?}");
        }
        let object = compile(&dir, "gfx1030", wave);
        let report = scan(&[&object], &Options::for_card(Target::Gfx1010));
        let counts = report.code(Target::GFX1030).expect("there is code").counts();
        for rule in
            [Rule::FlatOffset, Rule::InstPrefetch, Rule::VmemScalarWrite, Rule::CmpxExecWar, Rule::LdsBranchVmem]
        {
            assert!(counts.rules.contains_key(&rule), "wave{wave}: {}: {counts:?}", rule.info().id);
        }
    }
}
