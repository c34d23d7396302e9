// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: everything that must hold, one step after the other.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;

use crate::host::{self, run_tool};
use crate::{debian, dist, generate};

/// Which steps to run.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only these steps: tools, format, lint, licences, generated, root, packages, tests, native.
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
    /// Not these steps.
    #[arg(long, value_name = "STEP")]
    pub skip: Vec<String>,
}

/// A step: its name and what it does in the checkout.
type Step = (&'static str, fn(&Path) -> anyhow::Result<()>);

const STEPS: [Step; 9] = [
    ("tools", tools),
    ("format", |top| run_tool(cargo(top).args(["fmt", "--all", "--check"]))),
    ("lint", lint),
    ("licences", licences),
    ("generated", |top| generate::check(top)),
    ("root", |top| if is_root() { debian::root(top).and_then(|_| debian::torch_root(top)).map(drop) } else { Ok(()) }),
    ("packages", |top| dist::build(top, &top.join("target/dist")).map(drop)),
    ("tests", tests),
    ("native", native),
];

/// Runs the steps; the first failure ends the run.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub fn run(top: &Path, args: &TestArgs) -> anyhow::Result<()> {
    let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = args.only.iter().chain(&args.skip).find(|name| !names.contains(&name.as_str())) {
        bail!("there is no step `{unknown}`; there are {}", names.join(", "));
    }
    let mut report = Vec::new();
    for (name, step) in STEPS {
        let is_in = |names: &[String]| names.iter().any(|given| given == name);
        if is_in(&args.skip) || !(args.only.is_empty() || is_in(&args.only)) {
            continue;
        }
        println!("==> {name}");
        let start = Instant::now();
        step(top).with_context(|| format!("step `{name}` failed"))?;
        report.push(format!("{name:10} ok {:6.1} s", start.elapsed().as_secs_f64()));
    }
    println!("\n{}", report.join("\n"));
    Ok(())
}

fn cargo(top: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(top);
    cargo
}

fn lint(top: &Path) -> anyhow::Result<()> {
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets", "--all-features", "--locked"];
    run_tool(cargo(top).args(arguments).args(["--", "-D", "warnings"]))
}

fn licences(top: &Path) -> anyhow::Result<()> {
    let deny = host::cargo_tool(top, "cargo-deny")?;
    run_tool(Command::new(deny).current_dir(top).args(["--all-features", "check", "bans", "licenses", "sources"]))
}

/// What the tests run, of this machine and of our own building.
fn tools(top: &Path) -> anyhow::Result<()> {
    host::install_packages()?;
    ["deadnix", "nixfmt"].into_iter().try_for_each(|program| host::cargo_tool(top, program).map(drop))
}

/// All Rust tests.
fn tests(top: &Path) -> anyhow::Result<()> {
    let mut command = cargo_for_tests(top)?;
    if is_root() {
        command.env("RDNA1_TEST_TORCH_ROOT", debian::torch_root(top)?);
    }
    run_tool(command.args(["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]))
}

/// Boots with and without the package, measured: what the suite leaves out.
pub fn boots(top: &Path) -> anyhow::Result<()> {
    dist::build(top, &top.join("target/dist"))?;
    let mut command = cargo_for_tests(top)?;
    command.args(["test", "--quiet", "--locked", "--package", "rdna1-tests", "--test", "suite", "boots_"]);
    run_tool(command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]))
}

/// cargo with what the tests are told. In a mount namespace of their own, so
/// that not even a killed run leaves a mount behind.
fn cargo_for_tests(top: &Path) -> anyhow::Result<Command> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = if is_root() { Command::new("unshare") } else { Command::new(&cargo) };
    if is_root() {
        command.args(["--mount", "--propagation", "private"]).arg(&cargo);
        command.env("RDNA1_TEST_ROOT", debian::root(top)?).env("RDNA1_REQUIRE_ALL", "1");
    }
    command.current_dir(top).env("RDNA1_DIST", top.join("target/dist"));
    Ok(command)
}

/// The packages as the distributions build them: from the source tarball, with
/// their own tools, without network. By itself, as it compiles everything: what
/// runs beside it in step `tests` would be late.
fn native(top: &Path) -> anyhow::Result<()> {
    // What they are compared with must be of these sources.
    dist::build(top, &top.join("target/dist"))?;
    let mut command = cargo_for_tests(top)?;
    // With the features of step `tests`, or cargo would compile half of it again.
    command.args(["test", "--workspace", "--all-features", "--locked", "--test", "suite", "from_the_source_tarball"]);
    run_tool(command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
