// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs need, as rpmbuild's `elfdeps` names it. Packages provide
//! sonames and symbol versions under the same names, so no table is needed of
//! which package has what.

use std::collections::BTreeSet;

use rdna1_payload::elf::Elf;

/// Marks what is for 64-bit programs.
const BITS: &str = "(64bit)";

/// The requirements of ELF files, by name.
pub fn requires(elves: &[Elf]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for elf in elves {
        all.extend(elf.needed.iter().map(|soname| format!("{soname}(){BITS}")));
        all.extend(elf.versions.iter().map(|(soname, version)| format!("{soname}({version}){BITS}")));
        if elf.gnu_hash_only {
            all.insert("rtld(GNU_HASH)".to_owned());
        }
    }
    all
}
