// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scans files and prints the sums: `cargo run --release --example scan -- gfx1010 FILE…`.
#![allow(clippy::print_stdout, reason = "the answer of the program")]

use std::time::Instant;

use rdna1_isa::{Options, Target, scan};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let on: Target = arguments.next().and_then(|name| name.parse().ok()).expect("a target");
    let paths: Vec<String> = arguments.collect();
    let start = Instant::now();
    let report = scan(&paths, &Options::for_card(on));
    let seconds = start.elapsed().as_secs_f64();
    let mut bytes = 0;
    for code in &report.total {
        bytes += code.bytes;
        println!("code for {}: {} objects, {} bytes", code.target, code.objects, code.bytes);
        for family in &code.families {
            let counts = &family.counts;
            let rules: Vec<String> = counts
                .rules
                .iter()
                .map(|(rule, n)| format!("{} {}/{}", rule.info().id, n.functions, n.sites))
                .collect();
            println!(
                "  {:22} {:24} {:6} functions: {} illegal, {} hazardous, {} unclear, {} clean; {} unresolved; {}",
                family.data_type,
                family.origin,
                counts.functions,
                counts.illegal,
                counts.hazardous,
                counts.unclear,
                counts.clean,
                counts.unresolved_jumps,
                rules.join(", ")
            );
        }
    }
    for problem in &report.problems {
        println!("{}: {}", problem.path, problem.error);
    }
    println!("{seconds:.2} s, {:.0} MB/s", bytes as f64 / 1e6 / seconds);
}
