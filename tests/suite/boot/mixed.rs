// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with the card and another AMD GPU, from before its driver is
//! loaded until KFD has numbered both.

use super::{CONTEXTS, installed, seen};
use crate::installed::{Family, expected, must};

#[test]
fn an_override_is_set_for_one_node_once_kfd_has_numbered_it_and_not_before() {
    let Some(machine) = installed(Family::Deb) else { return };
    // The other GPU comes first, so that the card is not node 1 by chance.
    let machine = machine.with_card("0x73bf", "0xc1").with_card("0x731f", "0xca").with_kfd();
    // A ROCm that reads the variable for one node.
    must(Ok(machine.run("mkdir -p /opt/rocm/.info && echo 6.4.2 > /opt/rocm/.info/version")));
    let booted = machine.boot();
    let without: Vec<String> = expected().into_iter().filter(|line| !line.starts_with("HSA_")).collect();
    for (context, command) in CONTEXTS {
        assert_eq!(seen(&booted, command), without, "no node is known: {context}");
    }

    machine.kfd_takes_the_cards();
    // What the udev rule starts when the card's render node appears.
    must(Ok(booted.run("systemctl start rdna1-rocm-fix.service")));
    let mut with_node = without;
    with_node.push("HSA_OVERRIDE_GFX_VERSION_2=10.3.0".into());
    with_node.sort();
    for (context, command) in CONTEXTS.iter().filter(|(context, _)| *context != "user manager") {
        assert_eq!(seen(&booted, command), with_node, "the nodes are known: {context}");
    }
    must(Ok(booted.run("systemctl stop user@1000")));
    assert_eq!(seen(&booted, CONTEXTS[1].1), with_node, "a user manager that starts then");
}
