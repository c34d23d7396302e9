// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that device code comes in, made by the real tools, and the program
//! on top of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use rdna1_isa::Target;
use rdna1_tests::program::{program, top};
use rdna1_tests::tools;

use super::{Objects, assemble, compile, have_llvm, must, workdir};

const BUNDLER: &str = "clang-offload-bundler-19";

/// Bundles code for gfx1010 and gfx1030 as the HIP compiler does.
fn bundle(dir: &Path, name: &str, arguments: &[&str], version: &str) -> PathBuf {
    let out = dir.join(name);
    let empty = dir.join("host.o");
    std::fs::write(&empty, "").expect("target is writable");
    let mut bundler = Command::new(BUNDLER);
    bundler.env("COMPRESSED_BUNDLE_FORMAT_VERSION", version);
    bundler.args([
        "-type=o",
        "-bundle-align=4096",
        "-targets=host-x86_64-unknown-linux-gnu,hipv4-amdgcn-amd-amdhsa--gfx1010,hipv4-amdgcn-amd-amdhsa--gfx1030",
    ]);
    bundler.arg(format!("-input={}", empty.display()));
    for target in ["gfx1010", "gfx1030"] {
        bundler.arg(format!("-input={}", compile(dir, target, 32).display()));
    }
    bundler.arg(format!("-output={}", out.display())).args(arguments);
    must(bundler.output());
    out
}

fn assert_has_both(path: &Path) {
    let objects = Objects::of(path, &[Target::Gfx1010, Target::GFX1030]);
    assert!(objects.problems.is_empty(), "{}: {:?}", path.display(), objects.problems);
    assert_eq!(objects.bytes.len(), 2, "{}: {:?}", path.display(), objects.names);
    let kernels: Vec<usize> = objects.parsed().map(|(object, _)| object.functions.len()).collect();
    assert_eq!(kernels, [5, 5], "{}", path.display());
}

#[test]
fn every_container() {
    if !have_llvm() || !tools::available(&[BUNDLER, "gcc", "python3"]) {
        return;
    }
    let dir = workdir("bundles");
    let plain = bundle(&dir, "plain.co", &[], "2");
    assert_has_both(&plain);
    let mut bundles = vec![plain.clone()];
    for version in ["1", "2"] {
        let packed = bundle(&dir, &format!("packed-{version}.co"), &["-compress"], version);
        assert!(std::fs::read(&packed).expect("just made").starts_with(b"CCOB"));
        assert_has_both(&packed);
        bundles.push(packed);
    }
    bundles.push(third_version(&dir, &dir.join("packed-2.co")));
    assert_has_both(&dir.join("packed-3.co"));
    for (number, bundle) in bundles.iter().enumerate() {
        // A shared library with the bundle where HIP's linker puts it.
        let library = dir.join(format!("lib{number}.so"));
        let source = dir.join("library.S");
        std::fs::write(
            &source,
            format!(".section .hip_fatbin, \"a\"\n.incbin \"{}\"\n.section .note.GNU-stack\n", bundle.display()),
        )
        .expect("target is writable");
        must(Command::new("gcc").args(["-shared", "-nostdlib", "-o"]).arg(&library).arg(&source).output());
        assert_has_both(&library);
        // A wheel with the library.
        let wheel = dir.join(format!("demo{number}-1-py3-none-any.whl"));
        must(Command::new("python3").args(["-m", "zipfile", "-c"]).arg(&wheel).arg(&library).output());
        assert_has_both(&wheel);
    }
    // A directory with everything in it: 4 bundles, libraries and wheels of two
    // objects each, and the two objects by themselves.
    let objects = Objects::of(&dir, &[Target::Gfx1010, Target::GFX1030]);
    assert!(objects.problems.is_empty(), "{:?}", objects.problems);
    assert_eq!(objects.bytes.len(), 4 * 3 * 2 + 2);
}

/// A bundle of version 3, which newer compilers write, from one of version 2:
/// the sizes have 8 bytes.
fn third_version(dir: &Path, second: &Path) -> PathBuf {
    let bytes = std::fs::read(second).expect("just made");
    let mut third = bytes[..4].to_vec();
    third.extend([3, 0]);
    third.extend(&bytes[6..8]);
    third.extend((bytes.len() as u64 + 8).to_le_bytes());
    third.extend(&bytes[12..16]);
    third.extend([0; 4]);
    third.extend(&bytes[16..]);
    let out = dir.join("packed-3.co");
    std::fs::write(&out, third).expect("target is writable");
    out
}

fn isa(arguments: &[&str], path: &Path) -> (String, String, i32) {
    let output = program("rdna1-validate").arg("isa").arg("--stack").arg(path).args(arguments).output();
    let output = output.expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

#[test]
fn the_program_says_what_is_where() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("program");
    let objects = [compile(&dir, "gfx1010", 32), compile(&dir, "gfx1030", 32)];
    let (out, _, status) = isa(&[], &dir);
    assert_eq!(status, 0, "{out}");
    for part in [
        "Code for gfx1010 on a gfx1010 card",
        "Code for gfx1030 on a gfx1010 card",
        "Nothing here proves",
        "There is code for gfx1010 without a hit: use it",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (out, _, status) = isa(&["--on", "gfx1012"], &dir);
    assert_eq!(status, 0);
    let words: Vec<&str> = out.split_whitespace().collect();
    assert!(words.join(" ").contains("prefer HSA_OVERRIDE_GFX_VERSION=10.1.0 on this gfx1012 card"), "{out}");
    let (out, _, status) = isa(&["--json"], &objects[1]);
    assert_eq!(status, 0);
    assert!(out.starts_with("{\n  \"version\": 1,\n  \"on\": \"gfx1010\""), "{out}");
    let (out, _, status) = isa(&["--code", "gfx1030", "--kernel", "through_flat"], &dir);
    assert_eq!(status, 0);
    assert!(out.contains("flat-offset at 0x") && out.contains("  ! 0x"), "{out}");
}

#[test]
fn the_program_says_when_there_is_nothing() {
    let dir = workdir("nothing");
    let (out, err, status) = isa(&[], &dir);
    assert_eq!((status, out.as_str(), err.as_str()), (4, "", "no device code found\n"));
    let (_, err, status) = isa(&[], &dir.join("absent"));
    assert_eq!(status, 3);
    assert!(err.contains("absent"), "{err}");
    assert_eq!(isa(&["--on", "gfx1030"], &dir).2, 2);
    std::fs::write(dir.join("cut.co"), b"\x7fELF\x02\x01\x01\x40\x04").expect("target is writable");
    assert_eq!(isa(&[], &dir.join("cut.co")).2, 3);
}

/// A part of a name may find more kernels than anybody reads, and a file that is
/// broken is no file without such kernels.
#[test]
fn kernels_that_are_left_out_and_broken_files_are_told() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("many");
    let source = dir.join("many.s");
    let include = top().join("tests/isa/rules/functions.inc").display().to_string();
    let functions: String =
        (0..10).map(|n| format!("function kernel_{n}\ns_nop 0\nendfunction kernel_{n}\n")).collect();
    std::fs::write(&source, format!(".include {include:?}\n{functions}")).expect("target is writable");
    let object = assemble(&dir, &source, "gfx1030");
    let (out, err, status) = isa(&["--kernel", "kernel_"], &object);
    assert_eq!((status, out.matches("kernel_").count()), (0, 8), "{out}");
    assert!(err.contains("2 more kernels have `kernel_` in their names"), "{err}");
    let (out, err, status) = isa(&["--kernel", "kernel_3"], &object);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let mut bytes = std::fs::read(&object).expect("just made");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&object, bytes).expect("target is writable");
    let (out, err, status) = isa(&["--kernel", "kernel_"], &object);
    assert_eq!(status, 3, "{out}");
    assert!(err.contains("many-gfx1030.o") && !err.contains("no kernel has"), "{err}");
}
