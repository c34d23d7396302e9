// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that MIOpen's parser refuses: why nothing here ever emits them.

use rdna1_core::policy::Domain;
use rdna1_miopen::query::{self, Question, Setting, Status};
use rdna1_miopen::{Convolution, DataType, Error, FindMode, Layout};
use rdna1_stack::evidence::Verdict;

use super::{World, card, evidence, report, set, world};

/// A handful of shapes that between them reach the switch of every solver.
fn shapes(world: &World) -> Vec<Convolution> {
    let wanted = ["1x1", "3x3", "5x5", "7x7-stride2", "1x1-stride2"];
    let shapes = world.suite.shapes.iter().filter(|shape| wanted.contains(&shape.id.as_str()));
    shapes.map(|shape| shape.with(16, DataType::F32, Layout::ChannelsFirst)).collect()
}

/// What MIOpen makes of a value of one variable.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    /// Nothing but what it does without.
    None,
    /// It says that the value is invalid, and leaves the solver's whole family
    /// out: the naive kernels too, if it is a direct one.
    FamilyLeftOut,
    /// Calls fail; and how many of them with miopenStatusInvalidValue.
    Errors { all: usize, invalid: usize },
    /// An exception that no program can catch.
    Abort,
}

fn reaction(world: &World, target: &str, (name, value): (&str, &str)) -> Reaction {
    // Find mode 1 asks every solver whether it applies; families whose kernels
    // take long to build are left out where they are not the question.
    let mut variables = vec![(name.to_owned(), value.to_owned())];
    for (other, off) in [("WINOGRAD", "0"), ("FFT", "0"), ("IMPLICIT_GEMM", "0")] {
        if !name.contains(other) {
            variables.push((format!("MIOPEN_DEBUG_CONV_{other}"), off.to_owned()));
        }
    }
    variables.push(("MIOPEN_FIND_MODE".into(), "1".into()));
    variables.extend(query::for_speed().into_iter().filter(|(other, _)| other != name));
    let setting = Setting::new(card(target), variables);
    let shapes = shapes(world);
    let answers = match query::ask(&world.runtime, &world.library, &setting, &shapes, &Question::everything()) {
        Ok(answers) => answers,
        Err(Error::Crashed { .. }) => return Reaction::Abort,
        Err(other) => panic!("{name}=\"{value}\" on {target}: {other}"),
    };
    let statuses = answers.answers.iter().flat_map(|answer| {
        let offers = answer.offers.as_ref().and_then(|offers| offers.as_ref().err());
        [offers, answer.found.as_ref().and_then(|found| found.as_ref().err())]
    });
    let errors: Vec<&Status> = statuses.flatten().collect();
    let invalid = errors.iter().filter(|&&&status| status == Status::Miopen(2)).count();
    match (errors.len(), answers.invalid_values.is_empty()) {
        (0, true) => Reaction::None,
        (0, false) => Reaction::FamilyLeftOut,
        (all, _) => Reaction::Errors { all, invalid },
    }
}

/// Each boolean that MIOpen contains is given nothing, and a word that it does
/// not know.
#[test]
fn empty_and_unknown_booleans_are_errors() {
    let Some(world) = world() else { return };
    let contained = evidence::look(world);
    let is_contained = |name: &str| contained.variable(name).is_some_and(|found| found.verdict == Verdict::Confirmed);
    let targets = ["gfx1010", "gfx1030"];
    for target in targets {
        assert_eq!(reaction(world, target, ("MIOPEN_DEBUG_CONV_GEMM", "1")), Reaction::None, "the control");
    }
    let mut silent = Vec::new();
    for variable in world.policy.variables.iter().filter(|v| v.value == Domain::MiopenBool) {
        let name = variable.name.as_str();
        for value in ["", "perhaps"] {
            assert!(variable.value.check(value).is_err(), "the policy refuses {name}=\"{value}\" too");
            if !is_contained(name) {
                continue;
            }
            let reactions = targets.iter().map(|target| (target, reaction(world, target, (name, value))));
            match reactions.into_iter().find(|(_, reaction)| *reaction != Reaction::None) {
                Some((target, reaction)) => report(&format!("{name}=\"{value}\" on {target}: {reaction:?}")),
                None => silent.push((name, value)),
            }
        }
    }
    report(&format!("values without any reaction: {silent:?}"));
    let profiles = &world.policy.profiles;
    silent.retain(|(name, _)| profiles.iter().any(|p| p.set.iter().any(|s| s.name.as_str() == *name)));
    assert_eq!(silent, []);
}

/// The words of the policy's find modes are MIOpen's.
#[test]
fn find_mode_numbers_and_nothing_else() {
    let Some(world) = world() else { return };
    for mode in FindMode::ALL {
        let number = mode.number().to_string();
        assert_eq!(world.policy.variable("MIOPEN_FIND_MODE").map(|v| v.value.check(&number).is_ok()), Some(true));
    }
    let question = Question { offers: false, ..Question::everything() };
    let answers = world.ask("gfx1010", set(&[("MIOPEN_FIND_MODE", "quick")]), &shapes(world), &question).answers;
    assert!(answers.iter().all(|answer| answer.found.as_ref().is_some_and(Result::is_err)), "an unknown word fails");
}
