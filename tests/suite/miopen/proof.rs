// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each profile makes MIOpen choose, over the whole suite, in all three
//! directions, on each target and in each find mode.

use std::thread;

use rdna1_core::gfx::GfxChoice;
use rdna1_miopen::query::{Algorithm, Answer, Question};
use rdna1_miopen::{Convolution, DataType, FindMode, Layout, rules};

use super::{TARGETS, World, card, report, set, tally, world};

/// A convolution, its name in the suite, and an answer about it.
type Case<'a> = (&'a str, &'a Convolution, &'a Answer);

/// Runs a check for each target, all at once.
fn on_each_target(check: impl Fn(&World, &'static str) + Sync) {
    let Some(world) = world() else { return };
    thread::scope(|scope| {
        for target in TARGETS {
            let check = &check;
            scope.spawn(move || check(world, target));
        }
    });
}

/// Asks about the whole suite and hands out each answer with its convolution.
fn each(
    world: &World,
    target: &str,
    variables: Vec<(String, String)>,
    question: &Question,
    look: impl FnMut(Case<'_>),
) -> Vec<Algorithm> {
    let suite = world.suite.expanded();
    assert!(suite.len() >= 2000, "the proof is over at least 2,000 problems");
    each_of(world, target, &suite, variables, question, look)
}

/// The same for a part of the suite.
fn each_of(
    world: &World,
    target: &str,
    suite: &[(&str, Convolution)],
    variables: Vec<(String, String)>,
    question: &Question,
    mut look: impl FnMut(Case<'_>),
) -> Vec<Algorithm> {
    let answers = world.ask(target, variables, suite.iter().map(|(_, c)| c), question);
    let mut families = Vec::new();
    for (index, answer) in answers.answers.iter().enumerate() {
        let (id, convolution) = &suite[index / question.directions.len()];
        look((id, convolution, answer));
        families.extend(answer.algorithms());
    }
    families
}

/// The suite for find steps that reach implicit GEMM: each of its kernels is
/// built and tuned for each problem, which takes a hundred times as long. Where
/// the target has none, all of it; otherwise each shape once, in the one type
/// and layout that these kernels take.
fn for_implicit_gemm<'a>(world: &'a World, target: &str) -> Vec<(&'a str, Convolution)> {
    if !card(target).target.has_implicit_gemm() {
        return world.suite.expanded();
    }
    let mut suite = world.suite.thinned();
    suite.retain(|(_, convolution)| is_plain(convolution));
    for (_, convolution) in &mut suite {
        convolution.data_type = DataType::F32;
    }
    suite
}

fn is_plain(convolution: &Convolution) -> bool {
    convolution.layout == Layout::ChannelsFirst
}

fn told((id, convolution, answer): Case<'_>) -> String {
    format!("{id}: {convolution}, {}: {answer:?}", answer.direction)
}

/// As the policy has it: only GEMM, and no ordinary layout is without.
#[test]
fn gemm_is_gemm_for_every_ordinary_layout() {
    on_each_target(|world, target| {
        let (mut served, mut dilated, mut refused) = (0, 0, 0);
        let variables = world.variables("gemm", None);
        let families = each(world, target, variables, &Question::everything(), |case| {
            let (_, convolution, answer) = case;
            assert!(answer.algorithms().all(|family| family == Algorithm::Gemm), "{}", told(case));
            let offered = answer.first().is_some();
            let found = answer.finds(Algorithm::Gemm);
            assert_eq!((offered, found), (is_plain(convolution), is_plain(convolution)), "{}", told(case));
            served += usize::from(found);
            dilated += usize::from(found && convolution.is_dilated());
            refused += usize::from(!found);
        });
        report(&format!(
            "gemm {target}: {served} served ({dilated} dilated), {refused} channels-last refused; {}",
            tally(&families)
        ));
        assert!(served > 3000 && dilated > 300);
    });
}

/// The rules say what the library says: solver, workspace, order, refusal.
#[test]
fn rules_and_library_agree_on_every_problem() {
    on_each_target(|world, target| {
        let card = card(target);
        let mut compared = 0;
        let edges = world.suite.edges();
        let mut compare = |case: Case<'_>| {
            let (_, convolution, answer) = case;
            let rule = rules::gemm(convolution, answer.direction, &card).ok();
            let said = answer.first().map(|offer| (&*offer.solver, offer.workspace));
            assert_eq!(rule.map(|gemm| (gemm.solver, gemm.workspace)), said, "{}", told(case));
            compared += 1;
        };
        let variables = world.variables("gemm", None);
        each(world, target, variables.clone(), &Question::offers(), &mut compare);
        let answers = world.ask(target, variables, edges.iter().map(|(_, c)| c), &Question::offers());
        for (index, answer) in answers.answers.iter().enumerate() {
            let (id, convolution) = &edges[index / 3];
            compare((id, convolution, answer));
        }
        report(&format!("rules {target}: {compared} compared with MIOpen {}, 0 mismatches", answers.version));
    });
}

/// With the naive kernels as safety net nothing is without a solver, and GEMM
/// is chosen wherever it applies.
#[test]
fn gemm_naive_serves_everything_and_prefers_gemm() {
    on_each_target(|world, target| {
        let card = card(target);
        let variables = world.variables("gemm-naive", None);
        let families = each(world, target, variables, &Question::everything(), |case| {
            let (_, convolution, answer) = case;
            let first = answer.first().unwrap_or_else(|| panic!("without a solver: {}", told(case)));
            let expected = if rules::gemm(convolution, answer.direction, &card).is_ok() {
                Algorithm::Gemm
            } else {
                assert!(first.solver.starts_with("ConvDirectNaive"), "{}", told(case));
                Algorithm::Direct
            };
            assert_eq!(first.algorithm, expected, "{}", told(case));
            assert!(answer.finds(expected), "{}", told(case));
            only_gemm_and_naive(case);
        });
        report(&format!("gemm-naive {target}: none without a solver; {}", tally(&families)));
    });
}

fn only_gemm_and_naive(case: Case<'_>) {
    let offers = case.2.offers.iter().flatten().flatten();
    for offer in offers {
        let naive = offer.solver.starts_with("ConvDirectNaive");
        assert!(offer.algorithm == Algorithm::Gemm || naive, "{}: {}", offer.solver, told(case));
    }
    let known = [Algorithm::Gemm, Algorithm::Direct];
    assert!(case.2.algorithms().all(|family| known.contains(&family)), "{}", told(case));
}

/// In the find modes that try candidates, which programs can set themselves
/// (`cudnn.benchmark=True`), `gemm` refuses what is dilated, and nothing else.
#[test]
fn gemm_in_the_other_find_modes() {
    for mode in FindMode::ALL.into_iter().filter(|mode| mode.tries()) {
        on_each_target(|world, target| {
            let (mut served, mut dilated) = (0, 0);
            let question = Question { offers: false, ..Question::everything() };
            each(world, target, world.variables("gemm", Some(mode)), &question, |case| {
                let (_, convolution, answer) = case;
                assert!(answer.algorithms().all(|family| family == Algorithm::Gemm), "{}", told(case));
                let expected = is_plain(convolution) && !convolution.is_dilated();
                assert_eq!(answer.finds(Algorithm::Gemm), expected, "mode {mode:?}: {}", told(case));
                served += usize::from(expected);
                if is_plain(convolution) && convolution.is_dilated() {
                    assert_eq!(answer.workspace, Some(Ok(0)), "why it refuses: {}", told(case));
                    dilated += 1;
                }
            });
            report(&format!("gemm {target} {mode:?}: {served} served, {dilated} dilated refused"));
        });
    }
}

/// In the same modes `gemm-naive` serves everything.
#[test]
fn gemm_naive_in_the_other_find_modes() {
    for mode in FindMode::ALL.into_iter().filter(|mode| mode.tries()) {
        on_each_target(|world, target| {
            let question = Question { offers: false, ..Question::everything() };
            let variables = world.variables("gemm-naive", Some(mode));
            let families = each(world, target, variables, &question, |case| {
                assert!(
                    case.2.found.as_ref().is_some_and(|f| f.as_ref().is_ok_and(|f| !f.is_empty())),
                    "{}",
                    told(case)
                );
                only_gemm_and_naive(case);
            });
            report(&format!("gemm-naive {target} {mode:?}: none without a solver; {}", tally(&families)));
        });
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
    let mut refused = 0;
    each_of(world, "gfx1010", &suite, world.variables("gemm", None), &question, |case| {
        let expected = is_plain(case.1) && !case.1.is_dilated();
        assert_eq!(case.2.finds(Algorithm::Gemm), expected, "{}", told(case));
        refused += usize::from(is_plain(case.1) && !expected);
    });
    report(&format!("a program sets find mode 1 under gemm: {refused} dilated refused"));
    assert!(refused > 0);
}

/// The seed's variables: other families leak in, and dilated problems fail.
#[test]
fn the_seeds_variables_alone_are_not_enough() {
    let seed = [
        ("MIOPEN_DEBUG_CONV_GEMM", "1"),
        ("MIOPEN_DEBUG_CONV_DIRECT", "0"),
        ("MIOPEN_DEBUG_CONV_WINOGRAD", "0"),
        ("MIOPEN_FIND_MODE", "1"),
    ];
    on_each_target(|world, target| {
        let (mut dilated, mut refused) = (0, 0);
        let question = Question { offers: false, ..Question::everything() };
        let suite = for_implicit_gemm(world, target);
        let families = each_of(world, target, &suite, set(&seed), &question, |(_, convolution, answer)| {
            if is_plain(convolution) && convolution.is_dilated() {
                dilated += 1;
                refused += usize::from(!answer.finds(Algorithm::Gemm));
            }
        });
        report(&format!("seed {target}: {}; of {dilated} dilated {refused} without GEMM", tally(&families)));
        assert!(families.contains(&Algorithm::Fft), "FFT leaks");
        assert_eq!(families.contains(&Algorithm::ImplicitGemm), card(target).target.has_implicit_gemm());
        assert_eq!(refused, dilated, "no dilated problem gets GEMM");
    });
}

/// Implicit GEMM exists only where ROCm believes in a gfx103x.
#[test]
fn implicit_gemm_needs_the_override() {
    if let Some(world) = world() {
        let profile = world.policy.profile("implicit-gemm").expect("the policy has it");
        let fits = |choice: &str| profile.gfx_choices.contains(&choice.parse::<GfxChoice>().expect("a choice"));
        assert!(!fits("native") && !fits("10.1.0") && fits("10.3.0"), "the policy refuses it elsewhere");
    }
    on_each_target(|world, target| {
        let mut served = 0;
        let question = Question { offers: false, ..Question::everything() };
        let suite = for_implicit_gemm(world, target);
        let variables = world.variables("implicit-gemm", None);
        let families = each_of(world, target, &suite, variables, &question, |case| {
            assert!(case.2.algorithms().all(|family| family == Algorithm::ImplicitGemm), "{}", told(case));
            served += usize::from(case.2.finds(Algorithm::ImplicitGemm));
        });
        report(&format!("implicit-gemm {target}: {served} of {} served; {}", 3 * suite.len(), tally(&families)));
        assert_eq!(served > 0, card(target).target.has_implicit_gemm());
    });
}

/// For comparison: what MIOpen would do by itself. Everything is served, and
/// by kernels that no profile of ours lets in.
#[test]
fn without_any_variable() {
    on_each_target(|world, target| {
        let question = Question { offers: false, ..Question::everything() };
        let suite = for_implicit_gemm(world, target);
        for mode in [FindMode::DynamicHybrid, FindMode::Normal] {
            let number = mode.number().to_string();
            let mut unserved = 0;
            let variables = set(&[("MIOPEN_FIND_MODE", &number)]);
            let families = each_of(world, target, &suite, variables, &question, |case| {
                unserved += usize::from(case.2.algorithms().next().is_none());
            });
            report(&format!(
                "stock {target} {mode:?}: {unserved} of {} unserved; {}",
                3 * suite.len(),
                tally(&families)
            ));
            assert_eq!(unserved, 0);
            assert!(families.contains(&Algorithm::Direct));
        }
    });
}
