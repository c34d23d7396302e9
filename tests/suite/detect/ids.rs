// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which ids are cards.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rdna1_core::ids::{PciId, PciRevision};
use rdna1_tests::tools;
use rdna1_tests::tree::{DEVICES, Tree, policy};

use super::{AMD, DISPLAY, NAVI10};

/// Every RDNA1 display function, with its gfx target (`facts`, section 1). It
/// stands here once more so that a card cannot get lost from the policy.
const RDNA1: [(u16, &str); 21] = [
    (0x7310, "gfx1010"),
    (0x7312, "gfx1010"),
    (0x7318, "gfx1010"),
    (0x7319, "gfx1010"),
    (0x731a, "gfx1010"),
    (0x731b, "gfx1010"),
    (0x731e, "gfx1010"),
    (0x731f, "gfx1010"),
    (0x7360, "gfx1011"),
    (0x7362, "gfx1011"),
    (0x7340, "gfx1012"),
    (0x7341, "gfx1012"),
    (0x7347, "gfx1012"),
    (0x734f, "gfx1012"),
    (0x13db, "gfx1013"),
    (0x13f9, "gfx1013"),
    (0x13fa, "gfx1013"),
    (0x13fb, "gfx1013"),
    (0x13fc, "gfx1013"),
    (0x13fe, "gfx1013"),
    (0x143f, "gfx1013"),
];

/// Near, and not RDNA1: Fiji, Navi 10's USB, Arcturus, Navi 21 to 24.
const NEIGHBOURS: [RangeInclusive<u16>; 17] = [
    0x7300..=0x7300,
    0x730f..=0x730f,
    0x7314..=0x7314,
    0x7388..=0x7388,
    0x738c..=0x738c,
    0x738e..=0x738e,
    0x7390..=0x7390,
    0x73a0..=0x73af,
    0x73bf..=0x73bf,
    0x73c0..=0x73c3,
    0x73c4..=0x73c4,
    0x73ce..=0x73ce,
    0x73da..=0x73df,
    0x73e0..=0x73e3,
    0x73e4..=0x73ef,
    0x73f0..=0x73ff,
    0x7420..=0x743f,
];

/// AMD's device ids and their names in the system's pci.ids.
fn amd_ids() -> Option<BTreeMap<u16, String>> {
    let files = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];
    let Some(text) = files.iter().find_map(|file| std::fs::read(file).ok()) else {
        tools::skip("no pci.ids (package pci.ids or hwdata)");
        return None;
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let of_amd = text.lines().skip_while(|line| !line.starts_with("1002 ")).skip(1);
    let ids = of_amd
        .take_while(|line| line.starts_with(['\t', '#']) || line.is_empty())
        .filter_map(|line| line.strip_prefix('\t').filter(|line| !line.starts_with('\t'))?.split_once("  "))
        .map(|(id, name)| (u16::from_str_radix(id, 16).expect("pci.ids has hexadecimal ids"), name.to_owned()))
        .collect::<BTreeMap<_, _>>();
    assert!(ids.len() > 1000, "only {} ids of AMD in pci.ids", ids.len());
    Some(ids)
}

#[test]
fn the_policy_lists_rdna1_and_nothing_else() {
    let listed: Vec<(u16, String)> = policy()
        .cards
        .iter()
        .map(|card| (card.device.0, card.gfx.to_string()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut facts: Vec<(u16, String)> = RDNA1.iter().map(|(id, gfx)| (*id, (*gfx).to_owned())).collect();
    facts.sort_unstable();
    assert_eq!(listed, facts);
    for id in NEIGHBOURS.into_iter().flatten() {
        assert!(policy().card(PciId(id)).is_none(), "{id:#06x} is no RDNA1");
    }
}

/// One machine with a function for every known id of AMD, under every kind of
/// vendor and class: the cards are those that the policy lists, exactly.
#[test]
fn of_all_amd_ids_exactly_the_policys_display_functions_are_cards() {
    let Some(known) = amd_ids() else { return };
    let ids: BTreeSet<u16> =
        known.into_keys().chain(NEIGHBOURS.into_iter().flatten()).chain(RDNA1.map(|(id, _)| id)).collect();
    // Audio, USB, USB type C, unclassified, bridge; and an accelerator, which
    // is a GPU but no card.
    let others = [0x04_0300, 0x0c_0330, 0x0c_8000, 0x01_8000, 0x06_0400, 0x12_0000];
    let kinds: Vec<(u16, u32)> = DISPLAY
        .map(|class| (AMD, class))
        .into_iter()
        .chain(others.map(|class| (AMD, class)))
        .chain(DISPLAY.map(|class| (0x10de, class)))
        .collect();
    let tree = Tree::new();
    let (mut cards, mut other_gpus) = (BTreeSet::new(), BTreeSet::new());
    for (domain, id) in ids.iter().enumerate() {
        for (bus, &(vendor, class)) in kinds.iter().enumerate() {
            let address = format!("{domain:04x}:{bus:02x}:00.0");
            tree.function(&address, vendor, *id, class);
            let listed = RDNA1.iter().any(|(rdna1, _)| rdna1 == id);
            match (vendor, class) {
                (AMD, class) if DISPLAY.contains(&class) && listed => cards.insert((address, *id)),
                (AMD, class) if DISPLAY.contains(&class) || class == 0x12_0000 => other_gpus.insert((address, *id)),
                _ => false,
            };
        }
    }
    let machine = tree.detect();
    let found: BTreeSet<_> = machine.cards.iter().map(|c| (c.pci.address.to_string(), c.pci.device.0)).collect();
    assert_eq!(found, cards);
    assert_eq!(machine.cards.len(), RDNA1.len() * DISPLAY.len());
    let found: BTreeSet<_> = machine.other_gpus.iter().map(|g| (g.address.to_string(), g.device.0)).collect();
    assert_eq!(found, other_gpus);
    assert_eq!(machine.problems, []);
}

/// The other way round: what pci.ids calls RDNA1 is in the policy.
#[test]
fn every_rdna1_gpu_that_pci_ids_names_is_listed() {
    let Some(known) = amd_ids() else { return };
    let policy = policy();
    // The cards' own bridges, audio, USB and UCSI functions.
    let is_gpu = |name: &str| !["Port of", "Bridge", "Audio", "USB", "UCSI"].iter().any(|word| name.contains(word));
    let is_rdna1 = |name: &str| {
        let name = name.replace("Navi ", "Navi");
        ["Navi10", "Navi12", "Navi14", "Cyan Skillfish"].iter().any(|chip| name.contains(chip))
    };
    let exceptions = BTreeMap::from([
        // "Ariel/Navi10Lite": a console's engineering sample. No kernel driver
        // takes the id, so ROCm can never see it.
        (0x13e9, "no driver knows it"),
    ]);
    let missing: Vec<String> = known
        .iter()
        .filter(|(id, name)| is_gpu(name) && is_rdna1(name) && policy.card(PciId(**id)).is_none())
        .filter(|(id, _)| !exceptions.contains_key(id))
        .map(|(id, name)| format!("{id:#06x} {name}"))
        .collect();
    assert!(missing.is_empty(), "not in the policy: {missing:?}");
}

#[test]
fn the_revision_byte_decides_the_name() {
    let names = [
        (Some(0xc0), "RX 5700 XT 50th Anniversary"),
        (Some(0xc1), "RX 5700 XT"),
        (Some(0xc2), "RX 5600M"),
        (Some(0xc3), "RX 5700M"),
        (Some(0xc4), "RX 5700"),
        (Some(0xc5), "RX 5700 XT"),
        (Some(0xca), "RX 5600 XT"),
        (Some(0xcb), "RX 5600 OEM"),
    ];
    let tree = Tree::new();
    for (bus, (revision, _)) in names.iter().enumerate() {
        let address = format!("0000:{bus:02x}:00.0");
        tree.function(&address, AMD, NAVI10, DISPLAY[0]);
        if let Some(revision) = revision {
            tree.write(format!("{DEVICES}/{address}/revision"), format!("{revision:#04x}\n"));
        }
    }
    let machine = tree.detect();
    for (card, (revision, name)) in machine.cards.iter().zip(names) {
        assert_eq!(card.pci.revision, revision.map(PciRevision));
        assert!(card.name.ends_with(name), "{:?} is no {name}", card.name);
    }
    // No two of them share a name, except the two revisions of the 5700 XT.
    assert_eq!(machine.cards.iter().map(|card| &card.name).collect::<BTreeSet<_>>().len(), names.len() - 1);
}

#[test]
fn an_unknown_or_absent_revision_gives_the_general_name() {
    let policy = policy();
    for card in &policy.cards {
        assert_eq!(card.name_for(None), card.name);
        assert_eq!(card.name_for(Some(PciRevision(0xfe))), card.name);
        for (revision, name) in &card.revisions {
            assert_eq!(card.name_for(Some(*revision)), name);
        }
    }
}
