// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes at all: nothing panics, and no card comes out that did not go in.

use proptest::collection::vec;
use proptest::prelude::*;
use rdna1_tests::tree::{DEVICES, NODES, Tree};

const ADDRESS: &str = "0000:03:00.0";

/// An attribute: what it should hold, nearly that, or anything.
fn attribute(right: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => Just(right.as_bytes().to_vec()),
        2 => "(0x|0X|x)?[0-9a-fA-F]{0,8}(\n|\r\n| |\0)?".prop_map(String::into_bytes),
        1 => (Just(right), any::<usize>(), any::<u8>()).prop_map(|(right, at, byte)| {
            let mut bytes = right.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes
        }),
        1 => vec(any::<u8>(), 0..64),
    ]
}

/// What an attribute says, read once more in another way.
fn value(bytes: &[u8], digits: usize) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\n').strip_prefix("0x")?;
    let is_hex = (1..=digits).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attributes_never_make_a_false_card(
        vendor in attribute("0x1002\n"),
        device in attribute("0x731f\n"),
        class in attribute("0x030000\n"),
        revision in attribute("0xca\n"),
    ) {
        let tree = Tree::new();
        for (name, bytes) in [("vendor", &vendor), ("device", &device), ("class", &class), ("revision", &revision)] {
            tree.write(format!("{DEVICES}/{ADDRESS}/{name}"), bytes);
        }
        let machine = tree.detect();
        let policy = rdna1_tests::tree::policy();
        let listed = |id: u32| policy.cards.iter().any(|card| u32::from(card.device.0) == id);
        let is_card = value(&vendor, 4) == Some(0x1002)
            && value(&class, 6).is_some_and(|class| class >> 16 == 3)
            && value(&device, 4).is_some_and(listed);
        prop_assert_eq!(machine.cards.len(), usize::from(is_card));
        prop_assert!(machine.cards.len() + machine.other_gpus.len() + machine.problems.len() <= 1);
    }

    #[test]
    fn names_never_make_a_false_card(name in prop_oneof!["[0-9a-fA-F:.]{1,16}", "[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-9]"]) {
        prop_assume!(![".", ".."].contains(&name.as_str()));
        let tree = Tree::new();
        tree.function(&name, 0x1002, 0x731f, 0x03_0000);
        let machine = tree.detect();
        match machine.cards.as_slice() {
            [] => {}
            [card] => prop_assert!(name.to_lowercase().trim_start_matches('0').ends_with(card.pci.address.to_string().trim_start_matches('0'))),
            _ => prop_assert!(false, "one function, {} cards", machine.cards.len()),
        }
    }

    #[test]
    fn nodes_never_belong_to_a_card_elsewhere(
        lines in vec(prop_oneof![
            "(simd_count|simd_per_cu|location_id|domain|gfx_target_version|drm_render_minor|x) -?[0-9]{0,22}",
            "location_id 768",
            "simd_count [1-9]",
            "\\PC{0,40}",
        ], 0..12),
        tail in vec(any::<u8>(), 0..8),
    ) {
        let tree = Tree::new();
        tree.function(ADDRESS, 0x1002, 0x731f, 0x03_0000);
        let mut bytes = lines.join("\n").into_bytes();
        bytes.extend(tail);
        tree.write(format!("{NODES}/1/properties"), &bytes);
        let machine = tree.detect();
        prop_assert_eq!(machine.cards.len(), 1);
        if machine.cards[0].kfd.is_some() {
            prop_assert!(lines.iter().any(|line| line.starts_with("location_id") && line.contains("768")));
        }
    }
}
