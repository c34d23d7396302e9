// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sources as a whole.

use rdna1_core::policy::{Emit, Policy, Scope};
use rdna1_payload::{Artifacts, Metadata};

use crate::*;

const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

fn render(policy: &Policy) -> BTreeMap<&'static str, String> {
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    let artifacts = Artifacts::new();
    let inputs = Inputs { policy, artifacts: &artifacts, metadata: &metadata, layout: Layout::Nix };
    sources(inputs).expect("they render")
}

fn policy() -> Policy {
    Policy::embedded().expect("the embedded policy is sound")
}

/// The files that differ after a change of the policy.
fn changed(change: impl FnOnce(&mut Policy)) -> Vec<&'static str> {
    let before = render(&policy());
    let mut policy = policy();
    change(&mut policy);
    let after = render(&policy);
    before.keys().copied().filter(|path| before[path] != after[path]).collect()
}

#[test]
fn templates_repeat_no_fact_of_the_policy() {
    let policy = policy();
    let mut facts: Vec<String> = policy.cards.iter().map(|card| card.device.to_string()).collect();
    facts.push(policy.pci.vendor.to_string());
    facts.extend(policy.variables.iter().map(|variable| variable.name.to_string()));
    facts.extend(policy.profiles.iter().map(|profile| profile.id.clone()));
    facts.extend(policy.gfx.choices.iter().map(|choice| choice.id.to_string()));
    facts.extend(policy.extra_variable_prefixes.iter().cloned());
    for (path, template) in TEMPLATES {
        let words: Vec<&str> = template.split(|c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c)).collect();
        let repeated: Vec<_> = facts.iter().filter(|fact| words.contains(&fact.as_str())).collect();
        assert!(repeated.is_empty(), "{path} repeats {repeated:?}");
    }
}

#[test]
fn a_change_of_the_policy_is_a_change_of_the_files_that_show_it() {
    assert_eq!(changed(|policy| policy.cards[0].device.0 += 1), ["nix/tests/vm.nix"]);
    assert_eq!(changed(|policy| policy.variables[0].emit = Emit::Never), ["nix/policy.nix"]);
    let in_options = ["nix/module.nix", "nix/options.md", "nix/policy.nix"];
    let other = policy().profiles.iter().position(|profile| profile.scope == Scope::System && !profile.default);
    let other = other.expect("there is a profile besides the default");
    assert_eq!(changed(|policy| policy.profiles[other].id = "other".into()), in_options);
    assert_eq!(changed(|policy| policy.gfx.choices.truncate(1)), in_options);
    assert_eq!(changed(|policy| policy.extra_variable_prefixes.push("NEW_".into())), in_options);
    assert_eq!(changed(|_| ()), [""; 0]);
}

#[test]
fn texts_of_the_tree_name_the_directory_of_the_package() {
    let entry = Entry::file("/lib/x", format!("ExecStart={OUT}/bin/x {OUT}"));
    assert_eq!(settle(&entry, "/nix/store/a-b").bytes, b"ExecStart=/nix/store/a-b/bin/x /nix/store/a-b");
    let program = Entry::program("/bin/x", [0xff, b'@', b'o', b'u', b't', b'@']);
    assert_eq!(settle(&program, "/nix/store/a-b"), program);
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    let (policy, artifacts) = (policy(), Artifacts::new());
    let inputs = Inputs { policy: &policy, artifacts: &artifacts, metadata: &metadata, layout: Layout::Nix };
    for out in ["", "relative", "/a b", "/a\"", "/a\nb", "/a$b"] {
        assert!(matches!(tree(inputs, out), Err(NixError::Out(_))), "{out:?} was accepted");
    }
}
