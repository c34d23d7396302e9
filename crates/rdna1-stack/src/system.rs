// SPDX-License-Identifier: MIT OR Apache-2.0
//! ROCm outside Python: `/opt`, a distribution's packages, the Nix store.

use std::collections::BTreeSet;

use rdna1_core::ids::Version;

use crate::code;
use crate::fingerprint::Fingerprint;
use crate::model::{Stack, StackKind};
use crate::place::{Place, file_name};

/// Most packages of the Nix store that are looked at: a version or two are usual.
const MAX_STORE: usize = 16;

/// All of them, each once.
pub(crate) fn find(place: Place<'_>) -> Vec<Stack> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    // AMD's packages: /opt/rocm is a link to one of /opt/rocm-6.4.2. Arch has /opt/rocm alone.
    for name in place.names("/opt").iter().filter(|name| name.starts_with("rocm")) {
        let Some(real) = place.real(&format!("/opt/{name}")).filter(|real| seen.insert(real.clone())) else { continue };
        found.extend(prefix(place, StackKind::System, &real, &["lib", "lib64"]));
    }
    let debian = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    for lib in [debian.as_str(), "lib64", "lib"] {
        let Some(real) = place.real(&format!("/usr/{lib}")).filter(|real| seen.insert(real.clone())) else { continue };
        let lib = real.strip_prefix("/usr/").unwrap_or(lib);
        found.extend(prefix(place, StackKind::Distribution, "/usr", &[lib]));
    }
    // Fedora keeps what was built for one family of cards below /usr/lib64/rocm.
    for name in place.names("/usr/lib64/rocm") {
        found.extend(prefix(place, StackKind::Distribution, &format!("/usr/lib64/rocm/{name}"), &["lib"]));
    }
    if let Some(real) = place.real("/run/current-system/sw") {
        found.extend(prefix(place, StackKind::Nix, &real, &["lib"]));
    }
    // Programs of nixpkgs name these paths themselves; no profile need have them.
    for name in place.names("/nix/store").iter().filter(|name| is_clr(name)).take(MAX_STORE) {
        found.extend(prefix(place, StackKind::Nix, &format!("/nix/store/{name}"), &["lib"]));
    }
    found
}

/// The ROCm in a directory that somebody names: its prefix, or where its libraries lie.
pub(crate) fn at(place: Place<'_>, dir: &str) -> Option<Stack> {
    let kind = if dir == "/usr" { StackKind::Distribution } else { StackKind::System };
    let debian = format!("lib/{}-linux-gnu", std::env::consts::ARCH);
    [&["lib", "lib64", debian.as_str()][..], &[""]].into_iter().find_map(|libs| prefix(place, kind, dir, libs))
}

/// `abc…-clr-6.4.3`: nixpkgs' package with the HIP runtime; not its parts
/// (`-clr-6.4.3-icd`) and not what is still a derivation.
fn is_clr(name: &str) -> bool {
    let version = name.split_once("-clr-").map(|(_, version)| version);
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn prefix(place: Place<'_>, kind: StackKind, prefix: &str, libs: &[&str]) -> Option<Stack> {
    let libs = libs.iter().map(|lib| if lib.is_empty() { prefix.to_owned() } else { format!("{prefix}/{lib}") });
    let libs: Vec<String> = libs.filter(|lib| place.is_dir(lib)).collect();
    let files: Vec<String> =
        libs.iter().flat_map(|lib| place.names(lib).into_iter().map(move |name| format!("{lib}/{name}"))).collect();
    let named = |library: &str| -> Vec<&String> {
        let versioned = format!("{library}.");
        files.iter().filter(|path| file_name(path) == library || file_name(path).starts_with(&versioned)).collect()
    };
    let info = place.text(&format!("{prefix}/.info/version")).ok().flatten();
    let info: Option<Version> = info.and_then(|text| text.trim().parse().ok());
    // libamdhip64.so.6.4.43484: HIP's version begins with ROCm's.
    let hip = named("libamdhip64.so");
    let by_name = hip.iter().find_map(|path| {
        let version = file_name(path).strip_prefix("libamdhip64.so.").filter(|version| version.contains('.'))?;
        let numbers: Vec<&str> = version.split('.').take(2).collect();
        numbers.join(".").parse().ok()
    });
    let by_store = || prefix.rsplit_once("-clr-").and_then(|(_, version)| version.parse().ok());
    let miopen = named("libMIOpen.so");
    if info.is_none() && hip.is_empty() && miopen.is_empty() {
        return None;
    }
    let rocm = info.or(by_name).or_else(by_store);
    let mut sum = Fingerprint::new();
    sum.fact("rocm", &rocm.as_ref().map(ToString::to_string).unwrap_or_default());
    for library in ["libamdhip64.so", "libMIOpen.so", "librocblas.so", "libhsa-runtime64.so"] {
        let mut real: BTreeSet<String> = BTreeSet::new();
        real.extend(named(library).iter().filter_map(|path| place.real(path)));
        for path in real {
            sum.library(place, &path);
        }
    }
    Some(Stack {
        kind,
        path: prefix.to_owned(),
        rocm,
        pytorch: None,
        miopen: miopen_version(place, prefix, &miopen),
        rocblas: libs.iter().flat_map(|lib| rocblas(place, lib)).collect(),
        libraries: libs,
        packages: Vec::new(),
        fingerprint: sum.finish(),
    })
}

/// rocBLAS's kernels: `rocblas/library` (AMD, Arch, Fedora) or, in Debian,
/// `rocblas/4.4.1/library`.
fn rocblas(place: Place<'_>, lib: &str) -> BTreeSet<String> {
    let dir = format!("{lib}/rocblas");
    let mut found = code::of_rocblas(place, &format!("{dir}/library"));
    for name in place.names(&dir).iter().filter(|name| name.starts_with(|c: char| c.is_ascii_digit())) {
        found.extend(code::of_rocblas(place, &format!("{dir}/{name}/library")));
    }
    found
}

/// By its header, then by the library's name.
fn miopen_version(place: Place<'_>, prefix: &str, libraries: &[&String]) -> Option<String> {
    let header = place.text(&format!("{prefix}/include/miopen/version.h")).ok().flatten().unwrap_or_default();
    let number = |name: &str| {
        header.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name).map(|n| n.trim().to_owned()))
    };
    let parts = ["MIOPEN_VERSION_MAJOR", "MIOPEN_VERSION_MINOR", "MIOPEN_VERSION_PATCH"].map(number);
    if let [Some(major), Some(minor), Some(patch)] = parts {
        return Some(format!("{major}.{minor}.{patch}"));
    }
    let longest = libraries.iter().max_by_key(|path| path.len())?;
    // libMIOpen.so.1.0.60404 ends in ROCm's version.
    let name = file_name(longest).strip_prefix("libMIOpen.so.").unwrap_or("present");
    Some(if name == "present" { name.to_owned() } else { format!("library {name}") })
}
