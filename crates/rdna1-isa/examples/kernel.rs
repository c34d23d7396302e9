// SPDX-License-Identifier: MIT OR Apache-2.0
#![allow(clippy::print_stdout, missing_docs, reason = "scratch")]
use rdna1_isa::{Options, Target, kernels};
fn main() {
    let mut a = std::env::args().skip(1);
    let name = a.next().expect("name");
    let code: Target = a.next().and_then(|s| s.parse().ok()).expect("target");
    let paths: Vec<String> = a.collect();
    let mut options = Options::for_card(Target::Gfx1010);
    options.code = vec![code];
    let (views, _) = kernels(&paths, &options, &name, 3, 40);
    for v in views { if v.total==0 {continue;} println!("{} {}", v.name, v.total); for h in v.hits { println!(" {} {:#x} {:x?} {:?}", h.rule.info().id, h.address, h.origin, h.distance); for l in h.listing { println!("   {} {:#x} {:08x?} {} r[{}] w[{}]", l.mark, l.address, l.words, l.mnemonic, l.reads, l.writes);} } }
}
