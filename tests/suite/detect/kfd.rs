// SPDX-License-Identifier: MIT OR Apache-2.0
//! KFD's topology: no node is attributed to a card that is not there.

use std::path::Path;

use rdna1_core::machine::{CardState, Machine};
use rdna1_tests::tree::{DEVICES, NODES, Tree};

use super::hostile::{detect, fifo};
use super::{AMD, DISPLAY, NAVI10};

const GOOD: &str =
    "cpu_cores_count 0\nsimd_count 72\nsimd_per_cu 2\ngfx_target_version 100100\nlocation_id 768\ndomain 0\n";

/// A card at 0000:03:00.0, which is location 768, on amdgpu.
fn card() -> Tree {
    let tree = Tree::new();
    tree.function("0000:03:00.0", AMD, NAVI10, DISPLAY[0]);
    tree.link(format!("{DEVICES}/0000:03:00.0/driver"), "../../../drivers/amdgpu");
    tree
}

fn node(machine: &Machine) -> Option<u32> {
    assert_eq!(machine.cards.len(), 1);
    let node = machine.cards[0].kfd.as_ref().map(|kfd| kfd.node);
    let state = if node.is_some() { CardState::Ready } else { CardState::NoCompute };
    assert_eq!(machine.cards[0].state, state);
    node
}

/// Properties that a node must not have: it is reported, left out, and the
/// good node behind it is the card's.
#[test]
fn a_bad_node_is_reported_and_the_good_one_found() {
    for bad in [
        "",
        "\n",
        "garbage",
        "simd_count",
        "simd_count72",
        "simd_count -72\nlocation_id 768\n",
        "simd_count 0x48\nlocation_id 768\n",
        "simd_count 99999999999999999999999\nlocation_id 768\n",
        "simd_count 4294967296\nlocation_id 768\n",
        "simd_count 72\n",
        "simd_count 72\nlocation_id -1\n",
        "simd_count 72\nlocation_id 4294968064\n",
        // 2^32: not domain 0.
        "simd_count 72\nlocation_id 768\ndomain 4294967296\n",
        "simd_count 72\nlocation_id 768\ndomain here\n",
        "simd_count 72\nlocation_id 768\ngfx_target_version navi\n",
        "simd_count 72\nlocation_id 768\ngfx_target_version -1\n",
    ] {
        let tree = card();
        tree.write(format!("{NODES}/1/properties"), bad);
        tree.write(format!("{NODES}/2/properties"), GOOD);
        let machine = detect(&tree);
        assert_eq!(node(&machine), Some(2), "{bad:?}");
        let paths: Vec<&str> = machine.problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [format!("/{NODES}/1/properties")], "{bad:?}: {:?}", machine.problems);
    }
}

#[test]
fn a_node_whose_file_is_bad_is_reported_and_the_good_one_found() {
    let spoils: [fn(&Path); 6] = [
        fifo,
        |path| std::fs::create_dir(path).expect("a directory can be made"),
        |path| std::os::unix::fs::symlink("properties", path).expect("a link can be made"),
        |path| std::os::unix::fs::symlink("/proc/self/mem", path).expect("a link can be made"),
        |path| std::fs::write(path, GOOD.repeat(1000)).expect("a file can be written"),
        |path| std::fs::write(path, b"simd_count 72\n\xff\xfe\0").expect("a file can be written"),
    ];
    for (i, spoil) in spoils.into_iter().enumerate() {
        let tree = card();
        spoil(&tree.at(format!("{NODES}/1/properties")));
        tree.write(format!("{NODES}/2/properties"), GOOD);
        let machine = detect(&tree);
        assert_eq!((node(&machine), machine.problems.len()), (Some(2), 1), "{i}: {:?}", machine.problems);
    }
}

/// The node number goes into a variable's name: `01` is read as node 1, which is not there.
#[test]
fn names_that_are_no_node_numbers_are_passed_over() {
    let tree = card();
    for name in ["01", "+1", "-1", " 1", "1 ", "x", "1.0", "4294967296", "generation_id"] {
        tree.write(format!("{NODES}/{name}/properties"), GOOD);
    }
    let machine = detect(&tree);
    assert_eq!((node(&machine), machine.problems.as_slice()), (None, &[][..]));
}

#[test]
fn a_node_elsewhere_is_not_the_cards() {
    for elsewhere in
        ["location_id 769", "location_id 0", "location_id 3", "location_id 768\ndomain 1", "location_id 4294967295"]
    {
        let tree = card();
        tree.write(format!("{NODES}/1/properties"), format!("simd_count 72\ngfx_target_version 100100\n{elsewhere}\n"));
        let machine = detect(&tree);
        assert_eq!((node(&machine), machine.problems.as_slice()), (None, &[][..]), "{elsewhere}");
    }
}

#[test]
fn odd_but_harmless_nodes_are_understood() {
    for (odd, units, memory) in [
        // A repeated key: one of the two values, no panic.
        (format!("simd_count 4\n{GOOD}"), Some(36), None),
        // Lines that newer kernels add.
        (format!("{GOOD}unique_id 18446744073709551615\nname navi10\nmore words here\n\n"), Some(36), None),
        (GOOD.replace('\n', "\r\n"), Some(36), None),
        (GOOD.trim_end().to_owned(), Some(36), None),
        (GOOD.replace("simd_per_cu 2", "simd_per_cu 0"), None, None),
        (GOOD.replace("simd_per_cu 2\n", ""), None, None),
    ] {
        let tree = card();
        tree.write(format!("{NODES}/1/properties"), &odd);
        let machine = detect(&tree);
        assert_eq!((node(&machine), machine.problems.as_slice()), (Some(1), &[][..]), "{odd:?}");
        let card = &machine.cards[0];
        assert_eq!((card.compute_units(), card.vram_bytes()), (units, memory), "{odd:?}");
    }
}

#[test]
fn memory_banks_are_summed_and_bad_ones_passed_over() {
    let tree = card();
    tree.write(format!("{NODES}/1/properties"), GOOD);
    for (bank, text) in [
        ("0", "heap_type 1\nsize_in_bytes 4294967296\n"),
        ("1", "heap_type 2\nsize_in_bytes 2147483648\n"),
        // Not video memory, or not to be understood.
        ("2", "heap_type 0\nsize_in_bytes 1024\n"),
        ("3", "heap_type 1\nsize_in_bytes -1\n"),
        ("4", "garbage"),
        ("5", "heap_type 1\n"),
    ] {
        tree.write(format!("{NODES}/1/mem_banks/{bank}/properties"), text);
    }
    assert_eq!(detect(&tree).cards[0].vram_bytes(), Some(6 << 30));
    let huge = "heap_type 1\nsize_in_bytes 18446744073709551615\n";
    tree.write(format!("{NODES}/1/mem_banks/6/properties"), huge);
    assert_eq!(detect(&tree).cards[0].vram_bytes(), Some(u64::MAX), "sums do not wrap");
}

/// Another GPU at the card's place in the numbering, and twice the same place.
#[test]
fn the_first_of_two_nodes_at_one_place_counts() {
    let tree = card();
    tree.write(format!("{NODES}/10/properties"), GOOD);
    tree.write(format!("{NODES}/2/properties"), GOOD);
    assert_eq!(node(&detect(&tree)), Some(2));
}
