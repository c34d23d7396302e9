// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `select` tries, in which order, when it stops, and what it chooses,
//! over measurements that are made up.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rdna1_core::gfx::GfxChoice;
use rdna1_core::ids::GfxTarget;
use rdna1_core::policy::Policy;
use rdna1_validate::report::{Report, Verdict as CaseVerdict};
use rdna1_validate::select::candidates::{Candidate, Plan, Question};
use rdna1_validate::select::choose::{Measure, Outcome, Selector, TOLERANCE, Verdict};
use rdna1_validate::select::judge;

fn targets(names: &str) -> Vec<GfxTarget> {
    names.split_whitespace().map(|name| name.parse().expect("a target")).collect()
}

fn plan(cards: &str, code: Option<&str>) -> Plan {
    let policy = Policy::embedded().expect("the policy is readable");
    let question = Question { cards: targets(cards), code: code.map(targets), ..Question::default() };
    Plan::new(&policy, &question)
}

fn short(candidate: &Candidate) -> String {
    format!("{}/{}", candidate.gfx, candidate.profile)
}

const NATIVE: &str = "native/gemm native/gemm-naive native/bypass native/stock";
const COMPATIBLE: &str = "10.1.0/gemm 10.1.0/gemm-naive 10.1.0/bypass 10.1.0/stock";
const FOREIGN: &str = "10.3.0/gemm 10.3.0/gemm-naive 10.3.0/bypass 10.3.0/stock 10.3.0/implicit-gemm";

/// Cards, the code of PyTorch, and what is tried, safest first.
#[test]
fn what_makes_sense_for_a_card_and_a_pytorch() {
    for (cards, code, expected) in [
        // TheRock's: the card's own code, and none for gfx1030.
        ("gfx1010", Some("gfx1010 gfx1011 gfx1012"), vec![NATIVE]),
        ("gfx1012", Some("gfx1010 gfx1012"), vec![NATIVE, COMPATIBLE]),
        // Arch's: both.
        ("gfx1010", Some("gfx1010 gfx1030"), vec![NATIVE, FOREIGN]),
        ("gfx1012", Some("gfx1010 gfx1030"), vec![COMPATIBLE, FOREIGN]),
        ("gfx1013", Some("gfx1010"), vec![COMPATIBLE]),
        // An official wheel.
        ("gfx1010", Some("gfx900 gfx90a gfx1030"), vec![FOREIGN]),
        ("gfx1012", Some("gfx900 gfx90a gfx1030"), vec![FOREIGN]),
        ("gfx1010", Some("gfx900 gfx90a"), vec![]),
        // Not to be told: everything but what the card is anyway.
        ("gfx1010", None, vec![NATIVE, FOREIGN]),
        ("gfx1012", None, vec![NATIVE, COMPATIBLE, FOREIGN]),
        ("gfx1010", Some(""), vec![NATIVE, FOREIGN]),
        // Two cards need what both can do.
        ("gfx1010 gfx1012", Some("gfx1010 gfx1030"), vec![COMPATIBLE, FOREIGN]),
        // Another GPU: profiles alone.
        ("", Some("gfx90a"), vec![NATIVE]),
        ("", None, vec![NATIVE]),
    ] {
        let plan = plan(cards, code);
        let tried: Vec<String> = plan.candidates().map(short).collect();
        assert_eq!(tried.join(" "), expected.join(" "), "{cards} {code:?}");
    }
}

#[test]
fn a_question_can_be_narrowed_and_an_override_may_be_out_of_the_question() {
    let policy = Policy::embedded().expect("the policy is readable");
    let whole = Question { cards: targets("gfx1012"), ..Question::default() };
    let tried = |question: &Question| -> Vec<String> { Plan::new(&policy, question).candidates().map(short).collect() };
    let native = Question { gfx: Some(GfxChoice::Native), profile: Some("gemm".into()), ..whole.clone() };
    assert_eq!(tried(&native), ["native/gemm"]);
    let mixed = Question { not_confinable: Some("ROCm 6.2 does not read it".into()), ..whole };
    assert_eq!(tried(&mixed).join(" "), NATIVE);
    let implicit = Question { profile: Some("implicit-gemm".into()), ..mixed };
    assert_eq!(tried(&implicit), Vec::<String>::new());
}

/// Answers from a table; what is not in it passes in a second.
#[derive(Default)]
struct Table {
    answers: BTreeMap<String, Outcome>,
    asked: Vec<String>,
}

impl Measure for Table {
    fn measure(&mut self, candidate: &Candidate) -> anyhow::Result<Outcome> {
        self.asked.push(short(candidate));
        Ok(self.answers.get(&short(candidate)).cloned().unwrap_or_else(|| passed(1.0)))
    }
}

fn passed(seconds: f64) -> Outcome {
    let times = [("a".to_owned(), seconds / 2.0), ("b".to_owned(), seconds / 2.0)].into();
    Outcome { verdict: Verdict::Passed, tried: 2, times, ..Outcome::without_cases(Verdict::Passed, "") }
}

fn failed(verdict: Verdict) -> Outcome {
    let times = [("a".to_owned(), 0.1)].into();
    Outcome { verdict, tried: 2, times, ..Outcome::without_cases(verdict, "b: it did") }
}

/// Runs a selection; what was asked, and the best for a process and for the machine.
fn select(plan: Plan, answers: &[(&str, Outcome)], all: bool) -> (Vec<String>, Option<String>, Option<String>) {
    let mut selector = Selector::new(plan, Vec::new(), all);
    let answers = answers.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone())).collect();
    let mut table = Table { answers, asked: Vec::new() };
    selector.run(&mut table, &mut |_| Ok(())).expect("nothing interrupts it");
    let name = |place: Option<usize>| place.map(|place| short(&selector.results()[place].0));
    let choice = selector.choice();
    (table.asked, name(choice.process), name(choice.machine))
}

#[test]
fn correctness_comes_first_and_speed_second() {
    let both = || plan("gfx1010", Some("gfx1010 gfx1030"));
    let best = |answers: &[(&str, Outcome)]| {
        let (_, process, machine) = select(both(), answers, false);
        (process.unwrap_or_default(), machine.unwrap_or_default())
    };
    let is = |process: &str, machine: &str| (process.to_owned(), machine.to_owned());
    // All equal: the safest.
    assert_eq!(best(&[]), is("native/gemm", "native/gemm"));
    // A little quicker is not quicker; clearly quicker is.
    assert_eq!(best(&[("native/stock", passed(0.97))]), is("native/gemm", "native/gemm"));
    assert_eq!(best(&[("native/stock", passed(0.5))]), is("native/stock", "native/stock"));
    // The quickest is wrong.
    assert_eq!(best(&[("native/stock", failed(Verdict::Wrong))]), is("native/gemm", "native/gemm"));
    // The best works in a single process only: the machine gets the best that reaches it.
    assert_eq!(best(&[("native/bypass", passed(0.3))]), is("native/bypass", "native/gemm"));
    // One that refuses some is worse than one that refuses none.
    let refuses = || failed(Verdict::RefusesSome);
    assert_eq!(best(&[("native/gemm", refuses())]), is("native/gemm-naive", "native/gemm-naive"));
    let only_bypass = [
        ("native/gemm", failed(Verdict::Crashed)),
        ("native/gemm-naive", failed(Verdict::Hung)),
        ("native/stock", failed(Verdict::Wrong)),
    ];
    assert_eq!(best(&only_bypass), is("native/bypass", ""));
    // Where none passes all, the one that refuses least.
    let mut none: Vec<(&str, Outcome)> = [NATIVE, FOREIGN]
        .iter()
        .flat_map(|names| names.split(' '))
        .map(|name| (name, failed(Verdict::Crashed)))
        .collect();
    assert_eq!(best(&none), is("", ""));
    none[1].1 = refuses();
    assert_eq!(best(&none), is("native/gemm-naive", "native/gemm-naive"));
}

/// Answers each time it is asked with the next of its answers, and then with the last.
struct InTurns(BTreeMap<String, Vec<Outcome>>, Vec<String>);

impl Measure for InTurns {
    fn measure(&mut self, candidate: &Candidate) -> anyhow::Result<Outcome> {
        let name = short(candidate);
        let asked = self.1.iter().filter(|other| **other == name).count();
        self.1.push(name.clone());
        let answers = self.0.get(&name).map(Vec::as_slice).unwrap_or_default();
        Ok(answers.get(asked).or(answers.last()).cloned().unwrap_or_else(|| passed(1.0)))
    }
}

/// A process may be slow as a whole: what is quicker once need not be.
#[test]
fn speed_alone_must_be_seen_more_than_once() {
    let select = |answers: &[(&str, Vec<Outcome>)]| {
        let mut selector = Selector::new(plan("gfx1010", Some("gfx1010")), Vec::new(), false);
        let answers = answers.iter().map(|(name, outcomes)| ((*name).to_owned(), outcomes.clone())).collect();
        let mut measure = InTurns(answers, Vec::new());
        selector.run(&mut measure, &mut |_| Ok(())).expect("nothing interrupts it");
        let choice = selector.choice();
        let name = |place: Option<usize>| place.map(|place| short(&selector.results()[place].0)).unwrap_or_default();
        (measure.1[4..].join(" "), name(choice.process), name(choice.machine))
    };
    let is = |again: &str, process: &str, machine: &str| (again.to_owned(), process.to_owned(), machine.to_owned());
    let (gemm, stock, bypass) = ("native/gemm", "native/stock", "native/bypass");
    // Nothing to decide: nothing is measured again.
    assert_eq!(select(&[]), is("", gemm, gemm));
    assert_eq!(select(&[(gemm, vec![failed(Verdict::Wrong)])]), is("", "native/gemm-naive", "native/gemm-naive"));
    // The table of the H200, where gemm and stock are the same: the first was slow by chance.
    let h200 = [
        (gemm, vec![passed(23.52), passed(16.4)]),
        ("native/gemm-naive", vec![passed(21.67)]),
        (bypass, vec![passed(40.14)]),
        (stock, vec![passed(16.29)]),
    ];
    assert_eq!(select(&h200), is(gemm, gemm, gemm));
    // Really quicker: both are measured three times, in turns.
    let twice = format!("{gemm} {stock} {gemm} {stock}");
    assert_eq!(select(&[(stock, vec![passed(0.5)])]), is(&twice, stock, stock));
    // Quicker for a single program only.
    let bypass_is_quick = select(&[(bypass, vec![passed(0.5)])]);
    assert_eq!(bypass_is_quick, is(&format!("{gemm} {bypass} {gemm} {bypass}"), bypass, gemm));
    // Wrong the second time is wrong, and so is wrong the first time.
    let quick_and_wrong = vec![passed(0.5), failed(Verdict::Wrong), passed(0.5)];
    assert_eq!(select(&[(stock, quick_and_wrong)]), is(&format!("{gemm} {stock}"), gemm, gemm));
    // A GPU that was lost is not asked again.
    let lost = Outcome { gpu_is_lost: Some("reboot".into()), ..failed(Verdict::Hung) };
    assert_eq!(select(&[(stock, vec![passed(0.5), lost])]), is(&format!("{gemm} {stock}"), gemm, gemm));
}

/// A case without a time is one that passed, not one that took no time.
#[test]
fn a_case_without_a_time_does_not_count_for_speed() {
    let times = |seconds: &[(&str, f64)]| seconds.iter().map(|(name, s)| ((*name).to_owned(), *s)).collect();
    let outcome = |seconds: &[(&str, f64)], untimed| Outcome { times: times(seconds), untimed, ..passed(1.0) };
    let best = |gemm: Outcome, stock: Outcome| {
        let names = [("native/gemm", gemm), ("native/stock", stock)];
        let slow = ["native/gemm-naive", "native/bypass"].map(|name| (name, failed(Verdict::Wrong)));
        let (_, process, _) = select(plan("gfx1010", Some("gfx1010")), &[&names[..], &slow].concat(), false);
        process.unwrap_or_default()
    };
    // With the times of both cases stock is twice as fast; of `a` alone it is not.
    assert_eq!(best(outcome(&[("a", 1.0), ("b", 9.0)], 0), outcome(&[("a", 1.0), ("b", 4.0)], 0)), "native/stock");
    assert_eq!(best(outcome(&[("a", 1.0), ("b", 9.0)], 0), outcome(&[("a", 1.0)], 1)), "native/gemm");
    assert_eq!(best(outcome(&[("a", 1.0)], 1), outcome(&[("a", 0.4), ("b", 4.0)], 0)), "native/stock");
    // One of which nothing was timed is right, and takes no part in the comparison of the others.
    assert_eq!(best(outcome(&[], 2), outcome(&[("a", 1.0)], 1)), "native/stock");
    assert_eq!(best(outcome(&[], 2), outcome(&[], 2)), "native/gemm");
}

/// A report of 247 cases that passed on an H200, spoilt in one place.
fn judged(spoil: impl FnOnce(&mut Report)) -> Outcome {
    let text = include_str!("../../../docs/evidence/h200-medium.json");
    let mut report: Report = serde_json::from_str(text).expect("a report");
    for (i, case) in report.cases.iter_mut().enumerate() {
        case.warm_seconds = Some(0.001 * (i + 1) as f64);
    }
    spoil(&mut report);
    judge::outcome(&report)
}

#[test]
fn what_a_report_says_of_a_candidate() {
    let all = judged(|_| ());
    assert_eq!((all.verdict, all.tried, all.passed(), all.untimed), (Verdict::Passed, 247, 247, 0));
    let untimed = judged(|report| report.cases[100].warm_seconds = None);
    assert_eq!(
        (untimed.verdict, untimed.passed(), untimed.times.len(), untimed.untimed),
        (Verdict::Passed, 247, 246, 1)
    );
    assert!(untimed.times.values().all(|seconds| *seconds > 0.0));
    // A refusal is the candidate's, a reference that the CPU does not compute is not.
    let refused = judged(|report| report.cases[100].verdict = CaseVerdict::Error);
    assert_eq!((refused.verdict, refused.tried, refused.passed()), (Verdict::RefusesSome, 247, 246));
    let without = judged(|report| report.cases[100].verdict = CaseVerdict::NoReference);
    assert_eq!((without.verdict, without.tried, without.passed()), (Verdict::Passed, 246, 246));
    let none = judged(|report| {
        for case in &mut report.cases {
            case.verdict = CaseVerdict::NoReference;
            case.detail = Some("out of memory".into());
        }
    });
    assert_eq!((none.verdict, none.tried), (Verdict::CouldNotRun, 0));
    assert!(none.note.as_deref().is_some_and(|note| note.contains("NO REFERENCE, out of memory")), "{:?}", none.note);
}

#[test]
fn less_safe_code_is_tried_only_where_nothing_safer_passes() {
    let both = || plan("gfx1010", Some("gfx1010 gfx1030"));
    let (asked, _, _) = select(both(), &[], false);
    assert_eq!(asked.join(" "), NATIVE);
    let (asked, process, _) = select(both(), &[("10.3.0/gemm", passed(0.01))], true);
    assert_eq!(asked.join(" "), format!("{NATIVE} {FOREIGN}"));
    // Even then speed does not make up for code that the card cannot run unchanged.
    assert_eq!(process.as_deref(), Some("native/gemm"));
    let broken: Vec<(&str, Outcome)> = NATIVE.split(' ').map(|name| (name, failed(Verdict::Hung))).collect();
    let (asked, process, _) = select(both(), &broken, false);
    assert_eq!(asked.join(" "), format!("{NATIVE} {FOREIGN}"));
    assert_eq!(process.as_deref(), Some("10.3.0/gemm"));
}

#[test]
fn what_no_profile_changes_is_not_tried_again_under_the_others() {
    let without_rocblas = Outcome { gfx_is_broken: Some("rocBLAS fails".into()), ..failed(Verdict::Crashed) };
    let (asked, process, _) =
        select(plan("gfx1010", Some("gfx1010 gfx1030")), &[("native/gemm", without_rocblas)], false);
    assert_eq!(asked.join(" "), format!("native/gemm {FOREIGN}"));
    assert_eq!(process.as_deref(), Some("10.3.0/gemm"));
}

#[test]
fn a_lost_gpu_ends_it_and_what_passed_before_counts() {
    let lost = Outcome { gpu_is_lost: Some("reboot".into()), ..failed(Verdict::Hung) };
    let (asked, process, _) = select(plan("gfx1010", None), &[("native/gemm-naive", lost)], false);
    assert_eq!(asked, ["native/gemm", "native/gemm-naive"]);
    assert_eq!(process.as_deref(), Some("native/gemm"));
}

#[test]
fn what_froze_the_machine_is_not_tried_again() {
    let frozen = vec![(GfxChoice::Native, "gemm".to_owned())];
    let mut selector = Selector::new(plan("gfx1010", None), frozen, false);
    let mut table = Table::default();
    selector.run(&mut table, &mut |_| Ok(())).expect("nothing interrupts it");
    assert_eq!(table.asked[0], "native/gemm-naive");
    assert_eq!(selector.results()[0].1.verdict, Verdict::MayHaveFrozen);
}

#[test]
fn an_interruption_ends_it_at_once() {
    struct Third(usize);
    impl Measure for Third {
        fn measure(&mut self, _: &Candidate) -> anyhow::Result<Outcome> {
            self.0 += 1;
            if self.0 == 3 { anyhow::bail!("enough") } else { Ok(passed(1.0)) }
        }
    }
    let mut selector = Selector::new(plan("gfx1010", None), Vec::new(), false);
    assert!(selector.run(&mut Third(0), &mut |_| Ok(())).is_err());
    assert_eq!(selector.results().len(), 2);
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let verdict = prop_oneof![
        4 => Just(Verdict::Passed),
        2 => Just(Verdict::RefusesSome),
        1 => Just(Verdict::Wrong),
        1 => Just(Verdict::Crashed),
        1 => Just(Verdict::Hung),
        1 => Just(Verdict::CouldNotRun),
    ];
    let times = proptest::collection::vec(0.0..10.0, 0..6);
    (verdict, times, 0_u32..3, 0_u32..2, 0..12, 0..25).prop_map(|(verdict, times, missed, untimed, broken, lost)| {
        let times: BTreeMap<String, f64> =
            times.into_iter().enumerate().map(|(i, t)| (format!("case{i}"), t)).collect();
        let refused = if verdict == Verdict::Passed { 0 } else { missed };
        Outcome {
            verdict,
            tried: times.len() as u32 + untimed + refused,
            times,
            untimed,
            note: None,
            gfx_is_broken: (broken == 0 && !verdict.is_usable()).then(|| "broken".into()),
            gpu_is_lost: (lost == 0 && verdict == Verdict::Hung).then(|| "lost".into()),
        }
    })
}

/// Gives one outcome after the other, and remembers when the GPU was lost.
struct Series {
    outcomes: Vec<Outcome>,
    asked: Vec<Candidate>,
    lost: bool,
}

impl Measure for Series {
    fn measure(&mut self, candidate: &Candidate) -> anyhow::Result<Outcome> {
        assert!(!self.lost, "a lost GPU is asked again");
        let outcome = self.outcomes[self.asked.len() % self.outcomes.len()].clone();
        self.asked.push(candidate.clone());
        self.lost = outcome.gpu_is_lost.is_some();
        Ok(outcome)
    }
}

proptest! {
    #[test]
    fn whatever_is_measured(
        outcomes in proptest::collection::vec(any_outcome(), 13),
        card in prop_oneof![Just("gfx1010"), Just("gfx1012"), Just("gfx1010 gfx1013"), Just("")],
        code in prop_oneof![Just(None), Just(Some("gfx1010 gfx1030")), Just(Some("gfx1030")), Just(Some("gfx1010 gfx1012"))],
        all: bool,
    ) {
        let plan = plan(card, code);
        let order: Vec<Candidate> = plan.steps.iter().map(|(candidate, _)| candidate.clone()).collect();
        let mut selector = Selector::new(plan, Vec::new(), all);
        let mut series = Series { outcomes, asked: Vec::new(), lost: false };
        selector.run(&mut series, &mut |_| Ok(())).expect("nothing interrupts it");
        let results = selector.results();
        // Each is looked at in the plan's order, and where speed decides up to twice more.
        prop_assert!(results.iter().map(|(candidate, _)| candidate).eq(&order));
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for asked in &series.asked {
            if first.contains(asked) { again.push(asked.clone()) } else { first.push(asked.clone()) }
        }
        prop_assert!(series.asked.starts_with(&first));
        let mut rest = order.iter();
        prop_assert!(first.iter().all(|asked| rest.any(|candidate| candidate == asked)));
        prop_assert!(again.iter().all(|asked| again.iter().filter(|other| *other == asked).count() <= 2));
        let choice = selector.choice();
        for (place, machine_wide) in [(choice.process, false), (choice.machine, true)] {
            let eligible = || results.iter().filter(|(candidate, _)| !machine_wide || candidate.machine_wide);
            let usable = || eligible().filter(|(_, outcome)| outcome.verdict.is_usable() && outcome.passed() > 0);
            let Some((best, outcome)) = place.map(|place| &results[place]) else {
                prop_assert_eq!(usable().count(), 0);
                continue;
            };
            prop_assert!(!machine_wide || best.machine_wide);
            prop_assert!(outcome.verdict.is_usable());
            // Nothing that is more correct was passed over.
            prop_assert!(usable().all(|(_, other)| other.verdict >= outcome.verdict));
            let equals = || usable().filter(|(candidate, other)| {
                other.verdict == outcome.verdict && candidate.code_fits_card == best.code_fits_card
                    && other.tried - other.passed() == outcome.tried - outcome.passed()
            });
            let time = |outcome: &Outcome| selector.seconds(outcome).unwrap_or(f64::INFINITY);
            let quickest = equals().map(|(_, other)| time(other)).fold(f64::INFINITY, f64::min);
            prop_assert!(time(outcome) <= quickest * TOLERANCE);
            // And among those as fast it is the first, which is the safest.
            let first = equals().find(|(_, other)| time(other) <= quickest * TOLERANCE);
            prop_assert_eq!(first.map(|(candidate, _)| candidate), Some(best));
        }
    }
}
