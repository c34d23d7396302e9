// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine behind profile `bypass` and its hook, on a real PyTorch: Debian's on
//! the CPU, or that of the interpreter which `RDNA1_TEST_PYTHON` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use rdna1_tests::chroot::Chroot;
use rdna1_tests::program::{copy_case, program, top};
use rdna1_tests::{archive, tools};

/// What pip brings besides: PyTorch's tests need the first.
const TOOLS: [&str; 4] = ["expecttest==0.3.0", "mypy==1.18.2", "ruff==0.14.5", "build==1.3.0"];

/// The interpreter whose PyTorch is tested.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("RDNA1_TEST_PYTHON").map_or_else(|| "/usr/bin/python3".into(), PathBuf::from);
    let torch = Command::new(&python).args(["-c", "import torch"]).output();
    if torch.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    tools::skip(&format!("{} has no PyTorch: Debian's package is python3-torch", python.display()));
    None
}

/// An environment with that PyTorch and the tools, made once below `target/`.
fn environment() -> Option<&'static Path> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = DIR.get_or_init(|| {
        let (python, dir) = (python()?, top().join("target/python-tools"));
        let stamp = dir.join("made-from");
        let recipe = format!("{} {TOOLS:?}", python.display());
        if std::fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
            return Some(dir);
        }
        let venv = Command::new(&python).args(["-m", "venv", "--clear", "--system-site-packages"]).arg(&dir).output();
        let pip = || Command::new(dir.join("bin/pip")).args(["install", "--quiet"]).args(TOOLS).output();
        for step in [venv, pip()] {
            match step {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    tools::skip(&format!("no Python tools: {}", String::from_utf8_lossy(&output.stderr)));
                    return None;
                }
                Err(error) => {
                    tools::skip(&format!("no Python tools: {error}"));
                    return None;
                }
            }
        }
        std::fs::write(stamp, recipe).expect("target is writable");
        Some(dir)
    });
    made.as_deref()
}

/// Runs a program of ours in Python, one thread, no byte code beside the sources.
fn run(command: &mut Command) -> Output {
    command.env("OMP_NUM_THREADS", "1").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().expect("Python runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{err}", String::from_utf8_lossy(&output.stdout));
    output
}

/// One of our Python test files; returns how many tests it ran.
fn unittest(name: &str) -> Option<usize> {
    let python = python()?;
    let output = run(Command::new(python).args(["-m", "unittest", name]).current_dir(top().join("python/tests")));
    ran(&output)
}

/// The number in unittest's closing lines.
fn ran(output: &Output) -> Option<usize> {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    err.lines().rev().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse().ok())
}

#[test]
fn every_way_agrees_with_pytorch_and_keeps_its_word_on_memory() {
    if let Some(count) = unittest("test_ways") {
        assert!(count >= 3, "{count}");
    }
}

#[test]
fn convolution_whoever_calls_it() {
    if let Some(count) = unittest("test_engine") {
        assert!(count >= 24, "{count}");
    }
}

/// Whole models on tensors without memory: no more than PyTorch's own path takes.
#[test]
fn peak_memory_of_models() {
    if let Some(count) = unittest("test_memory") {
        assert!(count >= 3, "{count}");
    }
}

#[test]
fn the_hook() {
    if let Some(count) = unittest("test_hook") {
        assert!(count >= 10, "{count}");
    }
}

/// The tests of PyTorch's source as a release of Debian has it, made once below `target/`.
fn pytorch_tests(release: &str) -> Option<PathBuf> {
    let tarball = archive::source(release, "pytorch")?;
    let dir = top().join("target/pytorch-tests").join(release);
    if !dir.join("test").is_dir() {
        std::fs::create_dir_all(&dir).expect("target is writable");
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(&tarball).arg("--directory").arg(&dir);
        run(tar.args(["--strip-components=1", "--wildcards", "*/test/*.py"]));
    }
    Some(dir)
}

/// PyTorch's own convolution tests, from the source of the version that is
/// installed: `test/nn/test_convolution.py`, or before PyTorch 2 `test/test_nn.py`.
#[test]
fn pytorchs_own_tests() {
    let Some(environment) = environment() else { return };
    let version = "import sys, torch; sys.stdout.write(torch.__version__)";
    let version = run(Command::new(environment.join("bin/python")).args(["-c", version])).stdout;
    let release = if version.starts_with(b"1.13") { "bookworm" } else { "trixie" };
    let Some(dir) = pytorch_tests(release) else { return };
    let split = dir.join("test/nn/test_convolution.py");
    let (file, only) = if split.is_file() {
        (split, &[][..])
    } else {
        (dir.join("test/test_nn.py"), &["-k", "conv", "-k", "Conv"][..])
    };
    let driver = top().join("python/tests/pytorch.py");
    let output = run(Command::new(environment.join("bin/python")).arg(driver).arg(file).args(only));
    let count = ran(&output).expect("unittest says how many it ran");
    assert!(count >= 500, "only {count} ran");
}

/// Ours and PyTorch's own on Debian 13's PyTorch, too.
#[test]
fn on_debian_13() {
    let Some(environment) = environment() else { return };
    let Some(chroot) = Chroot::with_torch() else { return };
    let Some(tests) = pytorch_tests("trixie") else { return };
    let site =
        run(Command::new(environment.join("bin/python"))
            .args(["-c", "import expecttest; print(expecttest.__path__[0])"]));
    let expecttest = PathBuf::from(String::from_utf8_lossy(&site.stdout).trim());
    for part in [top().join("python"), tests.join("test/nn/test_convolution.py"), expecttest] {
        run(Command::new("cp").arg("-r").arg(part).arg(chroot.place()));
    }
    let python = || {
        let mut command = chroot.command("/usr/bin/python3");
        command.env("PYTHONPATH", format!("{0}:{0}/python/tests", chroot.inside("").display()));
        command
    };
    let ours = run(python().args(["-m", "unittest", "test_engine"]));
    assert!(ran(&ours).is_some_and(|count| count >= 24), "{ours:?}");
    let theirs = run(python().arg(chroot.inside("python/tests/pytorch.py")).arg(chroot.inside("test_convolution.py")));
    assert!(ran(&theirs).is_some_and(|count| count >= 500), "{theirs:?}");
}

#[test]
fn typed_and_clean() {
    let Some(environment) = environment() else { return };
    let dir = top().join("python");
    let tool = |name: &str| {
        let mut command = Command::new(environment.join("bin").join(name));
        command.current_dir(&dir);
        command
    };
    let cache = top().join("target/python-tools/cache");
    run(tool("ruff").args(["check", "--no-cache", "."]));
    run(tool("ruff").args(["format", "--no-cache", "--check", "."]));
    // Without PyTorch's own types: those of 1.13 are not what they are today.
    let types = ["--follow-imports=skip", "--no-warn-return-any", "--allow-untyped-calls", "--cache-dir"];
    run(tool("mypy").args(types).arg(cache));
}

#[test]
fn a_wheel() {
    let Some(environment) = environment() else { return };
    let source = top().join("target/python-wheel/source");
    let _ = std::fs::remove_dir_all(top().join("target/python-wheel"));
    std::fs::create_dir_all(&source).expect("target is writable");
    // What a build leaves behind stays out of the checkout.
    for part in ["pyproject.toml", "README.md", "rdna1_gemm"] {
        run(Command::new("cp").arg("-r").arg(top().join("python").join(part)).arg(&source));
    }
    let out = top().join("target/python-wheel/out");
    let python = environment.join("bin/python");
    run(Command::new(&python).args(["-m", "build", "--wheel", "--outdir"]).arg(&out).arg(&source));
    let entry = std::fs::read_dir(&out).expect("it is there").flatten().next().expect("one wheel");
    let program = "import sys; sys.path[:0] = sys.argv[1:]; import rdna1_gemm; print(rdna1_gemm.__file__)";
    let output = run(Command::new(python).args(["-c", program]).arg(entry.path()).current_dir(&out));
    assert!(String::from_utf8_lossy(&output.stdout).contains(".whl/rdna1_gemm/__init__.py"));
    let listing = run(Command::new(environment.join("bin/python")).args(["-m", "zipfile", "-l"]).arg(entry.path()));
    assert!(String::from_utf8_lossy(&listing.stdout).contains("rdna1_gemm/py.typed"));
}

/// `run --profile bypass` of the installed layout: program, hook and engine.
#[test]
fn the_program_puts_it_in_force() {
    let Some(python) = python() else { return };
    // An RX 5600 XT; without a card there is nothing to do.
    let machine = assert_fs::TempDir::new().expect("a directory can be made");
    copy_case("01-rx5600xt-early-boot", machine.path());
    let root = machine.path().to_owned();
    let dir = root.join("usr/lib/rdna1-rocm-fix/python");
    std::fs::create_dir_all(&dir).expect("it is ours");
    for part in ["hook", "rdna1_gemm"] {
        run(Command::new("cp").arg("-r").arg(top().join("python").join(part)).arg(&dir));
    }
    let state = "import torch, sys; print(torch.backends.cudnn.enabled, sys.modules['rdna1_gemm'].is_enabled())";
    let mut command = program("rdna1-rocm-fix");
    command.arg("--root").arg(&root).args(["run", "--profile", "bypass", "--"]).arg(python).args(["-c", state]);
    let output = command.output().expect("it runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "False True\n", "{err}");
    let left = walkdir::WalkDir::new(&dir).into_iter().flatten();
    assert!(!left.map(|entry| entry.path().to_string_lossy().into_owned()).any(|path| path.contains("pyc")));
}
