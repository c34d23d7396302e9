// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record is the old or the new one at any moment, also if the writer is killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assert_fs::TempDir;
use rdna1_core::gfx::GfxChoice;
use rdna1_core::root::Root;
use rdna1_core::selection::{FILE, Selection};
use rdna1_validate::select::candidates::Candidate;
use rdna1_validate::select::journal::Journal;

/// One test at a time: between fork and exec a child of another one holds this one's lock.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a process of this test that it is the writer.
const WRITER: &str = "RDNA1_TEST_WRITER";

fn selection(profile: &str) -> Selection {
    Selection {
        cards: vec!["0x731f".parse().expect("an id")],
        gfx: Some(GfxChoice::Native),
        profile: Some(profile.to_owned()),
        measurements: Vec::new(),
    }
}

fn open(dir: &Path) -> anyhow::Result<Journal> {
    Journal::open(&Root::new(dir), FILE, "6.1", "00", false)
}

fn candidate(profile: &str) -> Candidate {
    Candidate { gfx: GfxChoice::Native, profile: profile.to_owned(), code_fits_card: true, machine_wide: true }
}

/// Not a test by itself: records without end, until it is killed.
#[test]
fn writer() {
    let Some(dir) = std::env::var_os(WRITER) else { return };
    let mut journal = open(Path::new(&dir)).expect("it can be opened");
    for i in 0.. {
        let profile = if i % 2 == 0 { "gemm" } else { "gemm-naive" };
        journal.begin(&candidate(profile)).expect("it can be written");
        journal.record(&selection(profile)).expect("it can be written");
        journal.end().expect("it can be written");
    }
}

#[test]
fn killed_at_any_point_the_record_is_whole() {
    let _alone = alone();
    let dir = TempDir::new().expect("a temporary directory");
    open(dir.path()).and_then(|journal| journal.record(&selection("stock"))).expect("it can be written");
    let exe = std::env::current_exe().expect("a test has a path");
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..60_u64 {
        let mut writer = Command::new(&exe)
            .args(["--exact", "writer", "--nocapture"])
            .env(WRITER, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_micros(500 + i * 1_700));
        writer.kill().expect("it is ours");
        writer.wait().expect("it is ours");
        let read = Selection::read(&Root::new(dir.path())).expect("the record is whole").expect("there is one");
        let profile = read.profile.clone().expect("it has one");
        assert_eq!(read, selection(&profile));
        seen.insert(profile);
    }
    // Otherwise none was killed while it wrote.
    assert!(seen.contains("gemm") && seen.contains("gemm-naive"), "{seen:?}");
}

#[test]
fn one_selection_at_a_time() {
    let _alone = alone();
    let dir = TempDir::new().expect("a temporary directory");
    let first = open(dir.path()).expect("it can be opened");
    let second = open(dir.path()).expect_err("another one holds it");
    assert!(second.to_string().contains("another selection is under way"), "{second}");
    drop(first);
    assert!(open(dir.path()).is_ok());
}

/// What was being tried when the machine was started anew may have frozen it; what
/// was being tried in this same boot was ended by somebody.
#[test]
fn a_candidate_that_may_have_frozen_the_machine_is_remembered() {
    let _alone = alone();
    let dir = TempDir::new().expect("a temporary directory");
    let boot = |id: &str| {
        let file = dir.path().join("proc/sys/kernel/random/boot_id");
        std::fs::create_dir_all(file.parent().expect("it has a directory")).expect("it is ours");
        std::fs::write(file, id).expect("it is ours");
    };
    boot("first");
    open(dir.path()).expect("it opens").begin(&candidate("gemm")).expect("it is written");
    assert_eq!(open(dir.path()).expect("it opens").frozen(), []);
    boot("second");
    let frozen = vec![(GfxChoice::Native, "gemm".to_owned())];
    let mut journal = open(dir.path()).expect("it opens");
    assert_eq!(journal.frozen(), frozen);
    // It stays so, over what passes later and other boots, for this kernel and PyTorch.
    journal.begin(&candidate("stock")).expect("it is written");
    journal.end().expect("it is written");
    drop(journal);
    boot("third");
    assert_eq!(open(dir.path()).expect("it opens").frozen(), frozen);
    let root = Root::new(dir.path());
    assert_eq!(Journal::open(&root, FILE, "6.2", "00", false).expect("it opens").frozen(), []);
    assert_eq!(Journal::open(&root, FILE, "6.1", "01", false).expect("it opens").frozen(), []);
    assert_eq!(Journal::open(&root, FILE, "6.1", "00", true).expect("it opens").frozen(), []);
    // Junk is no note.
    std::fs::write(dir.path().join("var/lib/rdna1-rocm-fix/select-running.yaml"), "\u{0}: [").expect("it is ours");
    assert_eq!(open(dir.path()).expect("it opens").frozen(), []);
}
