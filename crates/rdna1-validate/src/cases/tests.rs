// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;

fn every() -> Vec<Case> {
    all().expect("the cases are sound")
}

#[test]
fn medium_has_what_was_promised() {
    let medium = select(every(), Level::Medium, &[]);
    assert!(medium.len() >= 150, "{} cases", medium.len());
    let quick = select(every(), Level::Quick, &[]);
    assert!((30..100).contains(&quick.len()), "{} quick cases", quick.len());
}
