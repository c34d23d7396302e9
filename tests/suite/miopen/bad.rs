// SPDX-License-Identifier: MIT OR Apache-2.0
//! Libraries that are no MIOpen, or a broken one, and processes that die.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use assert_fs::TempDir;
use rdna1_miopen::query::{self, Question, Setting};
use rdna1_miopen::{Convolution, DataType, Error, Layout, Library, Runtime, Suite, debian};
use rdna1_tests::tools;

use super::{card, set, world};

fn dir() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

fn convolution() -> Convolution {
    let suite = Suite::embedded().expect("it is tested in its own crate");
    suite.shapes[0].with(1, DataType::F32, Layout::ChannelsFirst)
}

/// Builds a shared library from a few lines of C.
fn built(dir: &Path, name: &str, source: &str, against: &[&Path]) -> PathBuf {
    let (file, out) = (dir.join("source.c"), dir.join(name));
    fs::write(&file, source).expect("a temporary directory is writable");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-w", "-Wl,--no-as-needed", "-Wl,-soname"]).arg(format!("-Wl,{name}"));
    let status = cc.arg("-o").arg(&out).arg(&file).args(against).stderr(Stdio::inherit()).status();
    assert!(status.expect("cc, which Rust itself links with").success());
    out
}

/// A library that looks like MIOpen from outside.
fn imitation(dir: &Path, body: &str) -> Library {
    let hip = built(dir, "libamdhip64.so.6", "int hipInit(unsigned f) { return 0; }", &[]);
    let source = format!("int miopenConvolutionForwardGetSolution(void) {{ return 0; }}\n{body}");
    built(dir, "libMIOpen.so.1", &source, &[&hip]);
    Library::open(dir).expect("it looks like one")
}

fn ask(library: &Library, limit: Duration) -> Error {
    let runtime = Runtime::new().expect("a temporary directory");
    let setting = Setting { limit, ..Setting::new(card("gfx1010"), Vec::new()) };
    query::ask(&runtime, library, &setting, [&convolution()], &Question::everything()).expect_err("it cannot answer")
}

#[test]
fn directories_and_files_that_are_no_miopen() {
    let dir = dir();
    let open = || Library::open(dir.path()).expect_err("there is none").to_string();
    assert!(open().contains("there is no libMIOpen"), "{}", open());
    let file = dir.path().join("libMIOpen.so.1");
    for (bytes, says) in
        [(&b""[..], "no ELF file"), (b"#!/bin/sh\n", "no ELF file"), (b"\x7fELF\x02\x01\x01\0 cut", "not for 64 bits")]
    {
        fs::write(&file, bytes).expect("a temporary directory is writable");
        assert!(open().contains(says), "{}", open());
    }
    built(dir.path(), "libMIOpen.so.1", "int x;", &[]);
    assert!(open().contains("does not define miopenConvolutionForwardGetSolution"), "{}", open());
    built(dir.path(), "libMIOpen.so.1", "int miopenConvolutionForwardGetSolution(void) { return 0; }", &[]);
    assert!(open().contains("does not use HIP"), "{}", open());
    // The same for another processor: the machine is bytes 18 and 19.
    let mut bytes = fs::read(&file).expect("just built");
    bytes[18] = 183;
    fs::write(&file, &bytes).expect("a temporary directory is writable");
    assert!(open().contains("ELF machine"), "{}", open());
}

#[test]
fn a_newer_interface_is_named() {
    let dir = dir();
    let hip = built(dir.path(), "libamdhip64.so.7", "int hipNewCall(void) { return 0; }", &[]);
    let source = "int hipNewCall(void);\nint miopenConvolutionForwardGetSolution(void) { return hipNewCall(); }";
    built(dir.path(), "libMIOpen.so.1", source, &[&hip]);
    let error = Library::open(dir.path()).expect_err("hipNewCall is not simulated").to_string();
    assert!(error.contains("hipNewCall"), "{error}");
}

#[test]
fn missing_functions_crashes_and_hangs_are_told_apart() {
    let dir = dir();
    let error = ask(&imitation(dir.path(), ""), Duration::from_secs(20));
    assert!(matches!(&error, Error::Refused { problem, .. } if problem.contains("no function")), "{error}");

    let crash = "__attribute__((constructor)) static void now(void) { *(volatile int *)0 = 1; }";
    let error = ask(&imitation(dir.path(), crash), Duration::from_secs(20));
    assert!(error.to_string().contains("signal"), "{error}");

    let hang = "__attribute__((constructor)) static void now(void) { for (;;) ; }";
    let error = ask(&imitation(dir.path(), hang), Duration::from_millis(300));
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
}

#[test]
fn a_missing_dependency_is_named() {
    let Some(world) = world() else { return };
    let library = world.library.clone().with_search(Vec::new());
    let error = ask(&library, Duration::from_secs(20)).to_string();
    assert!(error.contains(".so"), "{error}");
}

#[test]
fn calls_are_traced_on_request() {
    let Some(world) = world() else { return };
    let dir = dir();
    let trace = dir.path().join("trace");
    let setting = Setting { trace: Some(trace.clone()), ..Setting::new(card("gfx1012"), set(&[])) };
    let answers = query::ask(&world.runtime, &world.library, &setting, [&convolution()], &Question::everything())
        .expect("answers");
    assert_eq!(answers.answers.len(), 3);
    let text = fs::read_to_string(trace).expect("a trace was asked for");
    for call in ["hipInit(", "hipGetDevicePropertiesR0600(", "rocblas_create_handle("] {
        assert!(text.contains(call), "{call} in\n{text}");
    }
}

#[test]
fn answers_are_the_same_every_time() {
    let Some(world) = world() else { return };
    let suite = world.suite.thinned();
    let ask = || world.ask("gfx1010", set(&[]), suite.iter().map(|(_, c)| c), &Question::offers()).answers;
    assert_eq!(ask(), ask());
}

#[test]
fn damaged_packages_are_refused() {
    let dir = dir();
    fs::write(dir.path().join("libmiopen1_1_amd64.deb"), "no package").expect("writable");
    fs::write(dir.path().join("SHA256SUMS"), format!("{}  libmiopen1_1_amd64.deb\n", "0".repeat(64)))
        .expect("writable");
    let target = dir.path().join("target");
    let error = rdna1_miopen::debian::unpacked(Some(dir.path()), &target).expect_err("damaged").to_string();
    assert!(error.contains("checksum"), "{error}");
    fs::write(dir.path().join("SHA256SUMS"), "").expect("writable");
    let error = rdna1_miopen::debian::unpacked(Some(dir.path()), &target).expect_err("not listed").to_string();
    assert!(error.contains("does not list"), "{error}");
}

/// An archive with MIOpen's three packages, which hold nothing.
fn archive(dir: &Path) -> PathBuf {
    let (pool, index) = (dir.join("pool"), dir.join("dists/unstable/main/binary-amd64"));
    fs::create_dir_all(&pool).expect("a temporary directory is writable");
    fs::create_dir_all(&index).expect("a temporary directory is writable");
    let output = |command: &mut Command| {
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let sum = |path: &Path| {
        let text = output(Command::new("sha256sum").arg(path));
        text.split(' ').next().unwrap_or_default().to_owned()
    };
    let mut packages = String::new();
    for name in ["libmiopen1", "libamdhip64-6", "libhsa-runtime64-1"] {
        let tree = dir.join("tree").join(name);
        fs::create_dir_all(tree.join("DEBIAN")).expect("a temporary directory is writable");
        let control = format!(
            "Package: {name}\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: a test\n"
        );
        fs::write(tree.join("DEBIAN/control"), &control).expect("a temporary directory is writable");
        let file = pool.join(format!("{name}_1_amd64.deb"));
        output(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&file));
        let size = fs::metadata(&file).expect("just made").len();
        packages += &format!("{control}Filename: pool/{name}_1_amd64.deb\nSize: {size}\nSHA256: {}\n\n", sum(&file));
    }
    let list = index.join("Packages");
    fs::write(&list, &packages).expect("a temporary directory is writable");
    let release = format!(
        "Origin: test\nSuite: unstable\nCodename: sid\nComponents: main\nArchitectures: amd64\nSHA256:\n {} {} main/binary-amd64/Packages\n",
        sum(&list),
        packages.len()
    );
    fs::write(dir.join("dists/unstable/Release"), release).expect("a temporary directory is writable");
    pool
}

/// apt itself, on an archive whose index is older than its pool, as mirrors of
/// unstable are for hours; and on one that nobody has signed.
#[test]
fn a_stale_index_and_an_unsigned_archive_end_in_clear_messages() {
    if !tools::available(&["apt-get", "dpkg-deb", "sha256sum"]) {
        return;
    }
    let dir = dir();
    let pool = archive(dir.path());
    let uri = format!("file:{}", dir.path().display());
    let trusted = debian::Archive { uri: uri.clone(), options: "[trusted=yes]".into() };
    let state = dir.path().join("state");
    let folder = debian::download(&trusted, &state).expect("all is there");
    assert_eq!(fs::read_dir(folder).expect("it is a folder").count(), 3);
    // A newer version has taken its place.
    fs::rename(pool.join("libmiopen1_1_amd64.deb"), pool.join("libmiopen1_2_amd64.deb")).expect("it is ours");
    let error = debian::download(&trusted, &state).expect_err("the index is stale").to_string();
    for part in ["index of Debian unstable is older than its pool", "libmiopen1_1_amd64.deb", "RDNA1_DEB_CACHE"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let unsigned = debian::Archive { uri, options: String::new() };
    let error = debian::download(&unsigned, &state).expect_err("nobody signed it").to_string();
    assert!(error.contains("not signed"), "{error}");
}
