// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real programs that tests need.
//!
//! A test that cannot run says `skipped: why` and passes; where `CI` or
//! `RDNA1_REQUIRE_ALL` is set it fails instead, so that nothing that CI
//! relies on can go missing unnoticed.

use std::path::PathBuf;

/// Finds a program on `PATH` or in the system directories that an ordinary
/// user's `PATH` lacks.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/lib/systemd"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Reports that a test cannot run here.
///
/// # Panics
/// Where nothing may be skipped.
#[allow(clippy::print_stderr, reason = "this is how a test reports")]
pub fn skip(why: &str) {
    let strict = ["CI", "RDNA1_REQUIRE_ALL"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!strict, "may not be skipped here: {why}");
    eprintln!("skipped: {why}");
}

/// Whether all of these programs are installed; if not, reports the skip.
///
/// # Panics
/// As [`skip`].
pub fn available(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if !missing.is_empty() {
        skip(&format!("not installed: {} (cargo xtask test installs what is needed)", missing.join(", ")));
    }
    missing.is_empty()
}

/// Whether the current user is root; if not, reports the skip.
///
/// # Panics
/// As [`skip`].
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !root {
        skip("needs root");
    }
    root
}
