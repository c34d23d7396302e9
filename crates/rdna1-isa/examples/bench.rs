// SPDX-License-Identifier: MIT OR Apache-2.0
//! The check against `llvm-objdump -d` on the same code objects in the same run:
//! `cargo run --release -p rdna1-isa --example bench -- llvm-objdump-19 FILE…`.
//!
//! `cargo xtask bench` can do the same through [`rdna1_isa::scan`]: the bytes of
//! code are in the report.
#![allow(clippy::print_stdout, reason = "the answer of the program")]

use std::process::{Command, Stdio};
use std::time::Instant;

use rdna1_isa::{Options, Target, scan};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let objdump = arguments.next().expect("the name of llvm-objdump");
    let mut sums = (0.0, 0.0, 0.0);
    for path in arguments {
        let mut options = Options::for_card(Target::Gfx1010);
        options.code = vec![Target::GFX1030];
        let start = Instant::now();
        let report = scan(&[&path], &options);
        let ours = start.elapsed().as_secs_f64();
        let megabytes = report.total.iter().map(|code| code.bytes).sum::<u64>() as f64 / 1e6;
        let start = Instant::now();
        let status = Command::new(&objdump).arg("-d").arg(&path).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{objdump} fails");
        let theirs = start.elapsed().as_secs_f64();
        println!(
            "{megabytes:8.2} MB: {:7.1} MB/s, {objdump} {:6.2} MB/s  {path}",
            megabytes / ours,
            megabytes / theirs
        );
        sums = (sums.0 + megabytes, sums.1 + ours, sums.2 + theirs);
    }
    let (megabytes, ours, theirs) = sums;
    println!("{megabytes:.1} MB: {:.0} MB/s, {ours:.2} s; {objdump} {:.1} MB/s", megabytes / ours, megabytes / theirs);
    println!("{:.0} times as fast", theirs / ours);
}
