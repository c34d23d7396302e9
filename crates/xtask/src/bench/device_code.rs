// SPDX-License-Identifier: MIT OR Apache-2.0
//! The check of device code against `llvm-objdump -d` on the same code objects.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use rdna1_isa::container::{Problem, Visit, walk};
use rdna1_isa::{Options, Target, scan};

use super::{Bench, Row};
use crate::host;

/// Where tests keep what they fetch of Debian's archive, and the packages in the
/// order in which they are wanted: the large one only where somebody fetched it.
const MATERIAL: [&str; 2] = ["target/debian-packages/sid/librocblas4", "target/debian-packages/trixie/librocrand1"];

const OBJDUMP: &str = "llvm-objdump-19";

impl Bench {
    /// All gfx1030 code of a library, on one core.
    pub(super) fn device_code(&self) -> anyhow::Result<Vec<Row>> {
        let what = "isa: a library's gfx1030 code";
        let Some(package) = MATERIAL.iter().map(|path| self.top.join(path)).find(|path| path.is_dir()) else {
            return Ok(vec![Row::left_out(what, "no library was fetched; run the tests first")]);
        };
        let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut options = Options::for_card(Target::Gfx1010);
        options.code = vec![Target::GFX1030];
        let start = Instant::now();
        let report = scan(&[&package], &options);
        let mut ours = start.elapsed();
        let bytes: u64 = report.total.iter().map(|code| code.bytes).sum();
        // Once more with the files in memory.
        let start = Instant::now();
        black_box(scan(&[&package], &options));
        ours = ours.min(start.elapsed());
        let mut objects = Objects { dir: self.dir.join("objects"), found: Vec::new() };
        fs::create_dir_all(&objects.dir)?;
        walk(&package, &mut objects);
        objects.found.sort_by_key(|(size, _)| *size);
        let largest = objects.found.last().map(|(size, _)| *size).context("there is no code object")?;
        // As much as llvm-objdump does in a few seconds, the largest first.
        let (mut theirs, mut read) = (0.0, 0);
        while let Some((_, path)) = objects.found.pop().filter(|_| theirs < 8.0) {
            let code: u64 = scan(&[&path], &options).total.iter().map(|code| code.bytes).sum();
            let start = Instant::now();
            let status = Command::new(OBJDUMP).arg("-d").arg(&path).stdout(Stdio::null()).status();
            ensure!(status.context("cannot run llvm-objdump-19")?.success(), "{OBJDUMP} failed");
            theirs += start.elapsed().as_secs_f64();
            read += code;
        }
        fs::remove_dir_all(&objects.dir)?;
        let rate = |bytes: u64, seconds: f64| bytes as f64 / 1e6 / seconds;
        let (own, peer) = (rate(bytes, ours.as_secs_f64()), rate(read, theirs));
        let speed = Row {
            what: format!("isa: {name}, {:.1} MB of gfx1030 code", bytes as f64 / 1e6),
            ours: format!("{:.2} s, {own:.0} MB/s", ours.as_secs_f64()),
            peer: format!("{OBJDUMP} -d {peer:.1} MB/s"),
            ratio: Some(own / peer),
            goal: "rocBLAS (143 MB) under 2 s",
        };
        let program = self.bin_dir.join("rdna1-validate");
        let memory = match program.exists() {
            true => self.memory_of_isa(&program, &package, largest)?,
            false => Row::left_out("isa: peak memory", "rdna1-validate is not in the packages"),
        };
        Ok(vec![speed, memory])
    }

    fn memory_of_isa(&self, program: &Path, package: &Path, largest: u64) -> anyhow::Result<Row> {
        let file = self.dir.join("peak-isa");
        let mut time = Command::new("/usr/bin/time");
        time.args(["--format", "%M", "--output"]).arg(&file).arg(program);
        time.args(["isa", "--code", "gfx1030", "--stack"]).arg(package).stdout(Stdio::null());
        host::run_tool(&mut time)?;
        let peak: f64 = fs::read_to_string(&file)?.trim().parse().context("GNU time printed no number")?;
        Ok(Row {
            what: "isa: peak memory".into(),
            ours: format!("{:.1} MiB", peak / 1024.0),
            peer: format!("largest object {:.1} MiB", largest as f64 / f64::from(1 << 20)),
            ratio: None,
            goal: "below 3 times the object",
        })
    }
}

/// Writes every code object for gfx1030 into a file.
struct Objects {
    dir: PathBuf,
    found: Vec<(u64, PathBuf)>,
}

impl Visit for Objects {
    fn wants(&self, target: Target) -> bool {
        target == Target::GFX1030
    }

    fn file(&mut self, _: &Path, _: Option<&str>) {}

    fn target(&mut self, _: &str) {}

    fn object(&mut self, bytes: &[u8]) {
        let path = self.dir.join(format!("{}.co", self.found.len()));
        // What cannot be written is missing in the sum; the disk is full then.
        if fs::write(&path, bytes).is_ok() {
            self.found.push((bytes.len() as u64, path));
        }
    }

    fn problem(&mut self, _: Problem) {}
}
