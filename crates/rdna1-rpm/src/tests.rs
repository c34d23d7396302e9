// SPDX-License-Identifier: MIT OR Apache-2.0
//! The package and the sources as values; what rpm itself makes of them is
//! tested by `tests/suite/dnf.rs`.

use rdna1_core::policy::Policy;
use rdna1_payload::elf::{Architecture, Elf};
use rdna1_payload::{Artifacts, Metadata, Program};

use super::*;

const CHANGELOG: &str = "## [0.1.0] - 2026-11-24\n\n### Added\n\n- `one` is at 100%\n- two\n";

fn artifacts() -> Artifacts {
    let mut artifacts = Artifacts::new();
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "policy.schema.json", "config.schema.json"] {
        artifacts.insert(name, name);
    }
    artifacts.insert("THIRD-PARTY-NOTICES", "SPDX-License-Identifier: MIT AND (MIT OR Zlib)\n");
    let documentation = Program::ALL.into_iter().flat_map(Program::artifacts).filter(|name| !name.starts_with("bin/"));
    documentation.for_each(|name| artifacts.insert(name.clone(), name));
    artifacts
}

fn sources() -> (String, String) {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    let artifacts = artifacts();
    let inputs = Inputs { policy: &policy, artifacts: &artifacts, metadata: &metadata, layout: Layout::Rpm };
    let mut files = sources::rpm(inputs).expect("they render");
    let spec = files.remove("rdna1-rocm-fix.spec").expect("there is a spec file");
    (spec, scripts::all(&policy).expect("they render").posttrans)
}

#[test]
fn the_spec_names_every_file_with_its_kind_and_mode() {
    let (spec, _) = sources();
    for line in [
        "%attr(0644, root, root) %config(noreplace) %{_sysconfdir}/profile.d/rocm-rdna1.csh",
        "%attr(0755, root, root) %{_bindir}/rdna1-rocm-fix",
        "%attr(0755, root, root) %dir %{_sysconfdir}/rdna1-rocm-fix",
        "%attr(0755, root, root) %dir %{_prefix}/lib/udev/rules.d",
        "%attr(0644, root, root) %doc %{_mandir}/man1/rdna1-rocm-fix.1.gz",
        "%attr(0644, root, root) %license %{_datadir}/licenses/rdna1-rocm-fix/LICENSE-MIT",
        "License:        MIT AND (MIT OR Zlib)",
    ] {
        assert!(spec.lines().any(|there| there == line), "{line}\n{spec}");
    }
    assert!(!spec.contains("%dir %{_datadir}/doc\n") && !spec.contains("%dir %{_bindir}"), "{spec}");
}

#[test]
fn rpmbuild_finds_no_macro_in_texts() {
    let (spec, posttrans) = sources();
    assert!(spec.contains("\n* Tue Nov 24 2026 rdna1-rocm-fix maintainers <"), "{spec}");
    assert!(spec.contains("\n- Added: 'one' is at 100%%\n- Added: two\n"), "{spec}");
    assert!(!posttrans.contains('%') && spec.contains(&posttrans), "{posttrans}");
}

#[test]
fn scriptlets_know_nothing_of_dpkg_and_end_well() {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let scripts = scripts::all(&policy).expect("they render");
    for script in [&scripts.preun, &scripts.postun, &scripts.posttrans] {
        assert!(!script.contains("DPKG") && script.ends_with("\nexit 0"), "{script}");
    }
    for script in [&scripts.preun, &scripts.postun] {
        assert!(script.starts_with("if [ \"$1\" -eq 0 ]; then\n"), "{script}");
    }
}

#[test]
fn requirements_have_the_form_of_rpmbuild() {
    let elf = Elf {
        path: "/usr/bin/x".into(),
        architecture: Architecture::X86_64,
        needed: vec!["libc.so.6".into()],
        versions: vec![("libc.so.6".into(), "GLIBC_2.34".into())],
        gnu_hash_only: true,
    };
    let all = requires(std::slice::from_ref(&elf));
    let expected = ["libc.so.6()(64bit)", "libc.so.6(GLIBC_2.34)(64bit)", "rtld(GNU_HASH)"];
    assert_eq!(all.into_iter().collect::<Vec<_>>(), expected);
    assert!(!requires(&[Elf { gnu_hash_only: false, ..elf }]).contains("rtld(GNU_HASH)"));
}

#[test]
fn what_comes_before_a_version_sorts_before_it() {
    assert_eq!(version("1.0.0-rc.1"), "1.0.0~rc.1");
}

/// Builds a package of programs that every machine has.
fn build_at(epoch: u64) -> Result<Rpm, RpmError> {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let metadata = Metadata::new(CHANGELOG, Some(epoch)).expect("the changelog is sound");
    let mut artifacts = artifacts();
    for program in Program::ALL {
        let bytes = std::fs::read("/bin/true").expect("every machine has it");
        artifacts.insert(format!("bin/{}", program.name), bytes);
    }
    build(Inputs { policy: &policy, artifacts: &artifacts, metadata: &metadata, layout: Layout::Rpm })
}

#[test]
fn the_date_is_the_given_one_or_an_error() {
    let (one, two) = (build_at(1_600_000_000), build_at(1_600_000_000));
    let (one, two) = (one.expect("it builds"), two.expect("it builds"));
    assert!(one.bytes == two.bytes && one.file_name.starts_with("rdna1-rocm-fix-0.1.0-1."));
    assert!(matches!(build_at(4_000_000_000), Err(RpmError::Future(4_000_000_000))));
    assert!(matches!(build_at(5_000_000_000), Err(RpmError::Date(5_000_000_000))));
}

#[test]
fn what_is_no_program_makes_no_package() {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    let mut artifacts = artifacts();
    for program in Program::ALL {
        artifacts.insert(format!("bin/{}", program.name), "#!/bin/sh\n");
    }
    let inputs = Inputs { policy: &policy, artifacts: &artifacts, metadata: &metadata, layout: Layout::Rpm };
    let error = build(inputs).expect_err("there is no ELF file").to_string();
    assert!(error.contains("no program in ELF form"), "{error}");
}
