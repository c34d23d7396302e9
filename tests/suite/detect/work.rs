// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much work detection is. Time is the benchmark's business; here the
//! reads are counted, which is exact.

use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_tests::tools;
use rdna1_tests::tree::{DEVICES, Tree, policy};

use super::{AMD, DISPLAY, NAVI10};

/// `n` functions as on a large server: one in a hundred is a card, one an
/// audio function of AMD, the rest are others'.
fn server(n: usize) -> Tree {
    let tree = Tree::new();
    tree.attributes("sys/devices/card", AMD, NAVI10, DISPLAY[0]);
    tree.attributes("sys/devices/audio", AMD, 0xab38, 0x04_0300);
    tree.attributes("sys/devices/other", 0x8086, 0x1572, 0x02_0000);
    for i in 0..n {
        let function = match i % 100 {
            7 => "card",
            8 => "audio",
            _ => "other",
        };
        let address = format!("{:04x}:{:02x}:{:02x}.{}", i >> 16, i >> 8 & 0xff, i >> 3 & 0x1f, i & 7);
        tree.link(format!("{DEVICES}/{address}"), format!("../../../devices/{function}"));
    }
    tree
}

/// The read calls that this thread has made.
fn reads() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

fn detect_counted(n: usize, policy: &Policy) -> (Machine, Option<usize>) {
    let tree = server(n);
    let before = reads();
    let machine = Machine::detect(&tree.root(), policy);
    (machine, reads().zip(before).map(|(after, before)| after - before))
}

#[test]
fn ten_thousand_functions_take_ten_times_the_work_of_one_thousand() {
    let policy = policy();
    let (_, none) = detect_counted(0, &policy);
    let (_, thousand) = detect_counted(1_000, &policy);
    let (machine, ten_thousand) = detect_counted(10_000, &policy);
    assert_eq!((machine.cards.len(), machine.other_gpus.len(), machine.problems.len()), (100, 0, 0));
    assert!(machine.cards.is_sorted_by_key(|card| card.pci.address));
    let Some(((none, thousand), ten_thousand)) = none.zip(thousand).zip(ten_thousand) else {
        return tools::skip("the kernel does not count reads (TASK_IO_ACCOUNTING)");
    };
    assert_eq!(ten_thousand - none, 10 * (thousand - none), "work grows with the number of functions and no faster");
    // Two for a function of another vendor (the value, the end of the file),
    // at most twenty for a card, four for AMD's audio.
    assert!(ten_thousand - none <= 9_800 * 2 + 100 * 20 + 100 * 4, "{ten_thousand} reads");
}
