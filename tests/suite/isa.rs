// SPDX-License-Identifier: MIT OR Apache-2.0
//! The check of device code against LLVM, against code that compilers made, and
//! against Debian's ROCm libraries.

mod bundles;
mod compiler;
mod kept;
mod libraries;
mod llvm;
mod rules;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rdna1_isa::Target;
use rdna1_isa::container::{CodeObject, Problem, Visit, walk};
use rdna1_tests::program::top;
use rdna1_tests::tools;

/// LLVM's programs in the version that the tables were read from; Debian's
/// packages clang-19, lld-19, llvm-19 and clang-tools-19.
const CLANG: &str = "clang-19";
const LINKER: &str = "ld.lld-19";
const OBJDUMP: &str = "llvm-objdump-19";
const MC: &str = "llvm-mc-19";

fn have_llvm() -> bool {
    tools::available(&[CLANG, LINKER, OBJDUMP, MC])
}

/// A directory for a test's files.
fn workdir(name: &str) -> PathBuf {
    let dir = top().join("target/isa-test").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("target is writable");
    dir
}

fn must(output: std::io::Result<Output>) -> Vec<u8> {
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Compiles `kernels.cl` for a target and wavefront size.
fn compile(dir: &Path, target: &str, wave: u8) -> PathBuf {
    let out = dir.join(format!("{target}-wave{wave}.co"));
    let mut clang = Command::new(CLANG);
    clang.args(["-target", "amdgcn-amd-amdhsa", "-nogpulib", "-O2", "-x", "cl", "-cl-std=CL2.0"]);
    clang.arg(if wave == 64 { "-mwavefrontsize64" } else { "-mno-wavefrontsize64" });
    clang.arg(format!("-mcpu={target}")).arg(top().join("tests/isa/kernels.cl")).arg("-o").arg(&out);
    must(clang.output());
    out
}

/// Assembles a file for a target.
fn assemble(dir: &Path, source: &Path, target: &str) -> PathBuf {
    let name = source.file_stem().expect("it has a name").to_string_lossy().into_owned();
    let out = dir.join(format!("{name}-{target}.o"));
    let mut clang = Command::new(CLANG);
    clang.args(["-target", "amdgcn-amd-amdhsa", "-c"]).arg(format!("-mcpu={target}"));
    clang.arg("-I").arg(source.parent().expect("it lies somewhere")).arg(source).arg("-o").arg(&out);
    must(clang.output());
    out
}

/// The bytes of all code objects for the given targets.
#[derive(Default)]
struct Objects {
    targets: Vec<Target>,
    bytes: Vec<Vec<u8>>,
    names: Vec<String>,
    problems: Vec<Problem>,
}

impl Objects {
    fn of(path: &Path, targets: &[Target]) -> Self {
        let mut objects = Self { targets: targets.to_vec(), ..Self::default() };
        walk(path, &mut objects);
        objects
    }

    fn parsed(&self) -> impl Iterator<Item = (CodeObject, &[u8])> {
        self.bytes.iter().map(|bytes| (CodeObject::parse(bytes).expect("sound").expect("gfx10"), &bytes[..]))
    }
}

impl Visit for Objects {
    fn wants(&self, target: Target) -> bool {
        self.targets.contains(&target)
    }

    fn file(&mut self, _: &Path, _: Option<&str>) {}

    fn target(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    fn object(&mut self, bytes: &[u8]) {
        self.bytes.push(bytes.to_vec());
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}
