// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the policy says about who reads a variable, against the libraries.

use rdna1_core::policy::Emit;
use rdna1_miopen::evidence::{self, Verdict};

use super::{report, world};

#[test]
fn real_libraries_contain_what_the_policy_says() {
    let Some(world) = world() else { return };
    let libraries = evidence::libraries_in(&world.root.join("usr/lib/x86_64-linux-gnu"));
    let evidence = evidence::look(&world.policy, &libraries).expect("they are libraries");
    assert_eq!(evidence.libraries.len(), 3, "{libraries:?}");
    for variable in &evidence.variables {
        report(&format!("evidence {}: {}", variable.name, variable.verdict.text()));
    }
    let inert = evidence.variable("HIP_FORCE_COARSE_GRAIN").expect("the policy describes it");
    assert_eq!((inert.verdict, inert.found_in.len()), (Verdict::NothingReadsIt, 0));
    for variable in &world.policy.variables {
        let found = evidence.variable(variable.name.as_str()).expect("each is looked for");
        assert_ne!(found.verdict, Verdict::Unexpected, "{}: {:?}", variable.name, found.found_in);
        // What a profile sets is read, unless it is known to come with another version.
        let since = variable.read_by.iter().any(|reader| reader.since.is_some());
        if variable.emit == Emit::Profile && !variable.is_inert() && !since {
            assert_eq!(found.verdict, Verdict::Confirmed, "{}", variable.name);
        }
    }
}

#[test]
fn what_is_no_library_is_said() {
    let Some(world) = world() else { return };
    let text = world.root.join("packages");
    let error = evidence::look(&world.policy, std::slice::from_ref(&text)).expect_err("a text file");
    assert!(error.to_string().contains("no ELF"), "{error}");
}
