// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what programs need to the packages that have it, as dpkg-shlibdeps
//! concludes it from the libraries' symbols files.

use std::collections::BTreeMap;

use rdna1_core::ids::Version;

use crate::DebError;
use crate::elf::Elf;

/// Which package has a library, and how it names its symbol versions.
const LIBRARIES: [(&str, &str, &str); 8] = [
    ("libc.so.6", "libc6", "GLIBC_"),
    ("libm.so.6", "libc6", "GLIBC_"),
    ("libdl.so.2", "libc6", "GLIBC_"),
    ("libpthread.so.0", "libc6", "GLIBC_"),
    ("librt.so.1", "libc6", "GLIBC_"),
    ("ld-linux-x86-64.so.2", "libc6", "GLIBC_"),
    ("ld-linux-aarch64.so.1", "libc6", "GLIBC_"),
    ("libgcc_s.so.1", "libgcc-s1", "GCC_"),
];

/// Symbol versions whose name is not the version that brought them.
const MARKERS: [(&str, &str); 1] = [("GLIBC_ABI_DT_RELR", "2.36")];

/// The `Depends` of ELF files: packages and their minimal versions, by name.
///
/// # Errors
/// A library or a symbol version that no rule covers.
pub fn depends(elves: &[Elf]) -> Result<String, DebError> {
    let mut packages: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for elf in elves {
        let unknown = |what: String| DebError::UnknownLibrary { path: elf.path.clone(), what };
        let rule = |soname: &str| LIBRARIES.iter().find(|rule| rule.0 == soname);
        for soname in &elf.needed {
            let (_, package, _) = rule(soname).ok_or_else(|| unknown(soname.clone()))?;
            packages.entry(package).or_default();
        }
        for (soname, node) in &elf.versions {
            let what = || format!("{node} of {soname}");
            let (_, package, prefix) = rule(soname).ok_or_else(|| unknown(what()))?;
            let version = minimal_version(prefix, node).ok_or_else(|| unknown(what()))?;
            let slot = packages.entry(package).or_default();
            if slot.as_ref().is_none_or(|known| is_older(known, &version)) {
                *slot = Some(version);
            }
        }
    }
    let relation = |(package, version): (&str, Option<String>)| match version {
        Some(version) => format!("{package} (>= {version})"),
        None => package.to_owned(),
    };
    Ok(packages.into_iter().map(relation).collect::<Vec<_>>().join(", "))
}

/// The package version that brought a symbol version: `GLIBC_2.34` came with 2.34.
fn minimal_version(prefix: &str, node: &str) -> Option<String> {
    if let Some((_, version)) = MARKERS.iter().find(|(marker, _)| *marker == node) {
        return Some((*version).to_owned());
    }
    let version = node.strip_prefix(prefix)?;
    if !version.starts_with(|c: char| c.is_ascii_digit()) || version.bytes().any(|b| !b.is_ascii_digit() && b != b'.') {
        return None;
    }
    if prefix == "GLIBC_" {
        return Some(version.to_owned());
    }
    // GCC writes 4.2.0 and 7.0.0 for what Debian calls 4.2 and 7: with GCC 5
    // the minor number became the patch level.
    let version = version.strip_suffix(".0").filter(|rest| rest.contains('.')).unwrap_or(version);
    let major: u32 = version.split('.').next()?.parse().ok()?;
    let version = if major >= 5 { version.strip_suffix(".0").unwrap_or(version) } else { version };
    Some(version.to_owned())
}

fn is_older(a: &str, b: &str) -> bool {
    match (a.parse::<Version>(), b.parse::<Version>()) {
        (Ok(a), Ok(b)) => a < b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Architecture;

    fn elf(needed: &[&str], versions: &[(&str, &str)]) -> Elf {
        let versions = versions.iter().map(|(library, node)| ((*library).to_owned(), (*node).to_owned()));
        Elf {
            path: "/usr/bin/x".into(),
            architecture: Architecture::X86_64,
            needed: needed.iter().map(|&soname| soname.to_owned()).collect(),
            versions: versions.collect(),
        }
    }

    #[test]
    fn the_newest_symbol_version_of_all_files_decides() {
        let one = elf(&["libgcc_s.so.1", "libc.so.6"], &[("libc.so.6", "GLIBC_2.9"), ("libgcc_s.so.1", "GCC_3.3")]);
        let two = elf(&["libc.so.6"], &[("libc.so.6", "GLIBC_2.34"), ("ld-linux-x86-64.so.2", "GLIBC_2.3")]);
        let all = depends(&[one, two]).expect("all are known");
        assert_eq!(all, "libc6 (>= 2.34), libgcc-s1 (>= 3.3)");
        assert_eq!(depends(&[elf(&["libc.so.6"], &[])]).ok().as_deref(), Some("libc6"));
    }

    #[test]
    fn what_no_rule_covers_is_an_error() {
        for bad in [
            elf(&["libssl.so.3"], &[]),
            elf(&["libc.so.6"], &[("libc.so.6", "GLIBC_PRIVATE")]),
            elf(&["libc.so.6"], &[("libc.so.6", "GLIBC_ABI_NEW")]),
            elf(&["libc.so.6"], &[("libz.so.1", "ZLIB_1.2")]),
        ] {
            assert!(matches!(depends(&[bad]), Err(DebError::UnknownLibrary { .. })));
        }
    }

    #[test]
    fn gcc_versions_are_those_of_the_symbols_file() {
        // From /var/lib/dpkg/info/libgcc-s1:amd64.symbols of Debian 13.
        for (node, version) in [
            ("GCC_3.0", "3.0"),
            ("GCC_3.3.1", "3.3.1"),
            ("GCC_4.0.0", "4.0"),
            ("GCC_4.2.0", "4.2"),
            ("GCC_7.0.0", "7"),
            ("GCC_14.0.0", "14"),
        ] {
            assert_eq!(minimal_version("GCC_", node).as_deref(), Some(version), "{node}");
        }
    }
}
