// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each profile makes MIOpen choose, over the whole suite, in all three
//! directions, on each target and in each find mode; and that a policy which
//! says otherwise is found out.

use rdna1_core::gfx::GfxChoice;
use rdna1_core::policy::Policy;
use rdna1_miopen::proof::{self, Claim, Outcome, Prover};
use rdna1_miopen::query::Question;
use rdna1_miopen::{Convolution, FindMode, Layout};

use super::{World, cards, report, set, world};

impl World {
    fn prover(&self) -> Prover<'_> {
        Prover { runtime: &self.runtime, library: &self.library, processes: 0 }
    }
}

fn broken(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter(|outcome| !outcome.holds()).map(ToString::to_string).collect()
}

/// The statements that the documentation makes, from the real policy.
#[test]
fn the_policy_holds_against_the_library() {
    let Some(world) = world() else { return };
    let problems = proof::problems(&world.suite);
    let plain = problems.iter().filter(|problem| !problem.edge).count();
    assert!(plain >= 2000, "the proof is over at least 2,000 problems");
    let start = std::time::Instant::now();
    let outcomes = world.prover().run(&proof::claims(&world.policy), &cards(), &problems).expect("MIOpen answers");
    report(&format!("MIOpen {}: {} statements in {:?}", outcomes[0].version, outcomes.len(), start.elapsed()));
    for outcome in &outcomes {
        report(&outcome.to_string());
    }
    assert_eq!(broken(&outcomes), Vec::<String>::new());
    // Two profiles in four modes and their own, one in its own, the seed, and nothing in two.
    assert_eq!(outcomes.len(), 3 * (2 * 4 + 1 + 1 + 2));
    for outcome in outcomes.iter().filter(|outcome| outcome.claim.starts_with("gemm, find mode its own")) {
        assert_eq!((outcome.refused_dilated, outcome.served_dilated > 300), (0, true), "{outcome}");
        assert!(outcome.asked > 6000 && outcome.served > 3000, "{outcome}");
    }
}

/// Implicit GEMM exists only where ROCm believes in a gfx103x; so the policy
/// has to refuse it elsewhere.
#[test]
fn implicit_gemm_is_refused_without_the_override() {
    let policy = Policy::embedded().expect("it is tested in its own crate");
    let profile = policy.profile("implicit-gemm").expect("the policy has it");
    let fits = |choice: &str| profile.gfx_choices.contains(&choice.parse::<GfxChoice>().expect("a choice"));
    assert!(!fits("native") && !fits("10.1.0") && fits("10.3.0"), "the policy refuses it elsewhere");
}

/// What became of a mutated profile.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// A claim no longer holds.
    Noticed,
    /// Not one answer differs: this library does not need the variable.
    Redundant,
    /// Answers differ, and every claim holds.
    Missed,
}

/// Takes each variable out of a profile of the policy in turn, and turns each
/// switch the other way: the proof notices, or the library gives the very same
/// answers. Never do answers change unnoticed.
#[test]
fn a_policy_that_breaks_a_statement_is_found_out() {
    let Some(world) = world() else { return };
    let problems = proof::few_problems(&world.suite);
    let profiles = ["gemm", "gemm-naive", "implicit-gemm"];
    let targets = ["gfx1010", "gfx1030"].map(|target| target.parse().expect("a gfx target"));
    // Hybrid modes try what mode 1 tries.
    let wanted =
        |claim: &Claim, profile: &str| claim.under == profile && claim.mode.is_none_or(|mode| mode == FindMode::Normal);
    let prove = |policy: &Policy, profile: &str| -> Vec<Outcome> {
        let mut claims = proof::claims(policy);
        claims.retain(|claim| wanted(claim, profile));
        world.prover().run(&claims, &targets, &problems).expect("MIOpen answers")
    };
    let mut fates = Vec::new();
    for profile in profiles {
        let whole = prove(&world.policy, profile);
        assert_eq!(broken(&whole), Vec::<String>::new());
        let variables = world.policy.profile(profile).expect("the policy has it").set.clone();
        for variable in &variables {
            let name = variable.name.as_str();
            let mut mutants = vec![("left out", None)];
            if matches!(variable.value.as_str(), "0" | "1") {
                mutants.push(("turned", Some(if variable.value == "0" { "1" } else { "0" })));
            }
            for (how, value) in mutants {
                let mut policy = world.policy.clone();
                let mutant = policy.profiles.iter_mut().find(|p| p.id == profile).expect("the policy has it");
                match value {
                    None => mutant.set.retain(|setting| setting.name != variable.name),
                    Some(value) => {
                        let setting = mutant.set.iter_mut().find(|setting| setting.name == variable.name);
                        value.clone_into(&mut setting.expect("it is there").value);
                    }
                }
                let mutated = prove(&policy, profile);
                let same = mutated.iter().zip(&whole).all(|(a, b)| a.answers == b.answers);
                let fate = match (mutated.iter().all(Outcome::holds), same) {
                    (false, _) => Fate::Noticed,
                    (true, true) => Fate::Redundant,
                    (true, false) => Fate::Missed,
                };
                report(&format!("{profile} with {name} {how}: {fate:?}"));
                fates.push((format!("{profile} {name} {how}"), fate));
            }
        }
    }
    let missed: Vec<_> = fates.iter().filter(|(_, fate)| *fate == Fate::Missed).collect();
    assert!(missed.is_empty(), "answers change and no statement breaks: {missed:?}");
    // What the policy's reasons say of a library that has these kernels at all.
    for essential in [
        "gemm MIOPEN_DEBUG_CONV_GEMM turned",
        "gemm MIOPEN_DEBUG_CONV_DIRECT left out",
        "gemm MIOPEN_DEBUG_CONV_FFT left out",
        "gemm MIOPEN_DEBUG_CONV_IMPLICIT_GEMM left out",
        "gemm MIOPEN_FIND_MODE left out",
        "gemm-naive MIOPEN_DEBUG_CONV_FFT left out",
        "gemm-naive MIOPEN_DEBUG_CONV_IMPLICIT_GEMM left out",
        "gemm-naive MIOPEN_FIND_MODE left out",
        "implicit-gemm MIOPEN_DEBUG_CONV_GEMM left out",
        "implicit-gemm MIOPEN_DEBUG_CONV_DIRECT left out",
        "implicit-gemm MIOPEN_FIND_MODE left out",
    ] {
        let fate = fates.iter().find(|(name, _)| name == essential).map(|(_, fate)| fate);
        assert_eq!(fate, Some(&Fate::Noticed), "{essential}");
    }
}

/// A program that sets find mode 1 on its convolutions, as PyTorch 2.7 does
/// under `cudnn.benchmark=True`, gets what the variable would give it, whatever
/// the policy's variable says.
#[test]
fn a_program_that_sets_the_find_mode() {
    let Some(world) = world() else { return };
    let suite = world.suite.thinned();
    let question = Question { offers: false, find_mode: Some(FindMode::Normal), ..Question::everything() };
    let variables = world.variables("gemm", None);
    let answers = world.ask("gfx1010", variables, suite.iter().map(|(_, c)| c), &question).answers;
    let by_variable = Question { find_mode: None, ..question };
    let variables = world.variables("gemm", Some(FindMode::Normal));
    let expected = world.ask("gfx1010", variables, suite.iter().map(|(_, c)| c), &by_variable).answers;
    assert_eq!(answers, expected);
    let refused = |(index, _): &(usize, _)| is_dilated(&suite[index / 3].1);
    let served = answers.iter().enumerate().filter(refused).filter(|(_, answer)| answer.algorithms().next().is_some());
    assert_eq!(served.count(), 0, "dilated problems are refused");
}

fn is_dilated(convolution: &Convolution) -> bool {
    convolution.layout == Layout::ChannelsFirst && convolution.is_dilated()
}

/// The variables that make the proof quick change no answer, and immediate
/// mode counts as many solutions as it hands out.
#[test]
fn what_makes_it_quick_changes_no_answer() {
    let Some(world) = world() else { return };
    let suite = world.suite.thinned();
    let ask =
        |variables| world.ask("gfx1030", variables, suite.iter().map(|(_, c)| c), &Question::everything()).answers;
    for profile in ["gemm", "gemm-naive"] {
        let quick = world.variables(profile, None);
        let names = rdna1_miopen::query::for_speed();
        let slow = quick.iter().filter(|(name, _)| names.iter().all(|(other, _)| other != name)).cloned().collect();
        let answers = ask(quick);
        for answer in &answers {
            let offered = answer.offers.as_ref().map(|offers| offers.as_ref().map_or(0, Vec::len) as u64);
            let counted = answer.count.as_ref().map(|count| *count.as_ref().unwrap_or(&0));
            assert_eq!(offered, counted, "{answer:?}");
        }
        assert_eq!(answers, ask(slow), "{profile}");
    }
    let quick = set(&[("MIOPEN_FIND_MODE", "1"), ("MIOPEN_DEBUG_CONV_IMPLICIT_GEMM", "0")]);
    let slow =
        quick.iter().filter(|(name, _)| !name.contains("CACHE") && !name.contains("FALLBACK")).cloned().collect();
    let question = Question { count: false, offers: false, ..Question::everything() };
    let ask = |variables| world.ask("gfx1030", variables, suite.iter().map(|(_, c)| c), &question).answers;
    assert_eq!(ask(quick), ask(slow));
}
