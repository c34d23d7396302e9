// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan by the rules is the plan by the library.

use rdna1_miopen::models;
use rdna1_miopen::plan::{self, Options, Report, Subject};

use super::{TARGETS, report, world};

fn both(options: Options) -> Option<(Report, Report)> {
    let world = world()?;
    let by_rules = plan::run(&world.policy, &options).expect("the rules answer");
    let asked = Options { miopen: Some(world.root.clone()), ..options };
    let start = std::time::Instant::now();
    let by_library = plan::run(&world.policy, &asked).expect("MIOpen answers");
    report(&format!("plan of {} by {}: {:?}", by_library.subject, by_library.answered_by, start.elapsed()));
    Some((by_rules, by_library))
}

fn assert_same(by_rules: &Report, by_library: &Report) {
    for (rules, library) in by_rules.entries.iter().zip(&by_library.entries) {
        for (a, b) in rules.steps.iter().zip(&library.steps) {
            let context = || format!("{} {}: {a:?}\n{b:?}", rules.name, rules.shown);
            assert_eq!((a.verdict, a.workspace, &a.served_by), (b.verdict, b.workspace, &b.served_by), "{}", context());
            if by_rules.find_mode.number() == 2 && a.verdict == plan::Verdict::Gemm {
                assert_eq!(a.solver, b.solver, "{}", context());
            }
        }
    }
    assert_eq!(by_rules.summary, by_library.summary);
}

#[test]
fn models_are_planned_alike() {
    for target in TARGETS {
        for profile in ["gemm", "gemm-naive"] {
            let subject = Subject::Models(models::NAMES.map(str::to_owned).to_vec());
            let options = Options {
                profile: Some(profile.into()),
                batch: 8,
                ..Options::new(subject, target.parse().expect("a gfx target"))
            };
            let Some((by_rules, by_library)) = both(options) else { return };
            assert_same(&by_rules, &by_library);
        }
    }
}

#[test]
fn the_suite_is_planned_alike() {
    for (profile, benchmark) in [("gemm", false), ("gemm", true), ("gemm-naive", false)] {
        let options = Options {
            profile: Some(profile.into()),
            benchmark,
            ..Options::new(Subject::Suite, "gfx1010".parse().expect("a gfx target"))
        };
        let Some((by_rules, by_library)) = both(options) else { return };
        assert_same(&by_rules, &by_library);
    }
}
