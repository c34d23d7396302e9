// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate isa`: the static check of device code.
//!
//! Exit status: 0 the check ran, whatever it found (a hit is a property of
//! code, not a failure of this machine); 2 usage; 3 it could not run, as with
//! no file that could be read; 4 there was nothing to check.

mod page;
pub(crate) mod stacks;

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_core::root::Root;
use rdna1_isa::container::Problem;
use rdna1_isa::scan::{KernelView, KernelViews};
use rdna1_isa::{Options, Target, kernels, scan};
use serde::Serialize;

use crate::Outcome;
use stacks::Material;

/// Exit status where there was nothing to check.
const NOTHING: u8 = 4;

/// Kernels that a part of a name may find.
const MAX_KERNELS: usize = 8;

/// Arguments of the subcommand.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Check this file or directory: a library, code object, wheel, or a tree of them.
    ///
    /// Without it, every ROCm and PyTorch of this machine that `rdna1-rocm-fix
    /// status` shows. What is found in one of those, or in a directory that holds
    /// one, is kept for `status`, `plan` and `select`.
    #[arg(long, value_name = "PATH")]
    pub stack: Vec<PathBuf>,
    /// The card's target: gfx1010, gfx1011, gfx1012 or gfx1013. Without it that of
    /// this machine's card, or gfx1010 where there is none.
    #[arg(long, value_name = "TARGET", value_parser = card)]
    pub on: Option<Target>,
    /// Check code that was built for this target; may be given more than once.
    ///
    /// Without it, what a card can be made to run: its own code, that for gfx1010
    /// (HSA_OVERRIDE_GFX_VERSION=10.1.0) and that for gfx1030 (10.3.0).
    #[arg(long, value_name = "TARGET")]
    pub code: Vec<Target>,
    /// Show the kernels of this name, or with it in their names, in detail.
    #[arg(long, value_name = "NAME")]
    pub kernel: Option<String>,
    /// With --kernel, show this many places of each.
    #[arg(long, value_name = "COUNT", default_value_t = 6, requires = "kernel")]
    pub places: usize,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub json: bool,
}

fn card(name: &str) -> Result<Target, String> {
    let target: Target = name.parse().map_err(|error: rdna1_isa::target::UnknownTarget| error.to_string())?;
    if target.is_rdna1() { Ok(target) } else { Err(format!("{target} is no RDNA1 target")) }
}

/// The document of `--kernel --json`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kernels {
    /// Version of this document's form; rises when a field changes its meaning or goes.
    version: u32,
    /// The card's target.
    on: Target,
    /// The kernels of that name.
    kernels: Vec<KernelView>,
}

/// Runs the subcommand.
///
/// # Errors
/// If nothing could be read.
pub fn run(root: &Root, args: &Args) -> anyhow::Result<Outcome> {
    let mut stderr = String::new();
    let on = match args.on {
        Some(on) => on,
        None => here(root, &mut stderr)?,
    };
    let mut options = Options::for_card(on);
    if !args.code.is_empty() {
        options.code.clone_from(&args.code);
    }
    let material = Material::find(root, &args.stack)?;
    if material.is_empty() {
        let stderr = "no ROCm found on this machine; name files with --stack\n".to_owned();
        return Ok(Outcome { stderr, status: NOTHING, ..Outcome::default() });
    }
    let outcome = match &args.kernel {
        Some(name) => in_detail(args, &options, &material.paths(), name),
        None => summary(args, &options, &material),
    }?;
    Ok(Outcome { stderr: stderr + &outcome.stderr, ..outcome })
}

/// The target of this machine's card: what is kept for another one, nobody asks for.
fn here(root: &Root, stderr: &mut String) -> anyhow::Result<Target> {
    let machine = Machine::detect(root, &Policy::embedded()?);
    let mut targets: Vec<Target> =
        machine.active_cards().filter_map(|card| card.gfx.to_string().parse().ok()).collect();
    targets.dedup();
    match targets[..] {
        [] => Ok(Target::Gfx1010),
        [only] => Ok(only),
        [first, ..] => {
            let others: Vec<String> = targets[1..].iter().map(|target| format!("--on {target}")).collect();
            *stderr += &format!("this is for the {first} card; for the others there is {}\n", others.join(", "));
            Ok(first)
        }
    }
}

fn summary(args: &Args, options: &Options, material: &Material) -> anyhow::Result<Outcome> {
    let mut stderr = String::new();
    // What is kept is what the card can be made to run, not a part that was asked for.
    let report =
        if args.code.is_empty() { material.checked(options.on, &mut stderr) } else { scan(&material.paths(), options) };
    for problem in &report.problems {
        stderr += &format!("{}: {}\n", problem.path, problem.error);
    }
    let nothing = report.total.is_empty();
    anyhow::ensure!(!nothing || report.problems.is_empty(), "nothing could be checked\n{}", stderr.trim_end());
    if nothing {
        let others: Vec<&str> = report.targets().into_iter().collect();
        stderr += &if others.is_empty() {
            "no device code found\n".to_owned()
        } else {
            format!("no device code for the targets asked for; there is code for {}\n", others.join(", "))
        };
    }
    let stdout = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else if nothing {
        String::new()
    } else {
        page::summary(&report)
    };
    Ok(Outcome { stdout, stderr, status: if nothing { NOTHING } else { 0 } })
}

fn in_detail(args: &Args, options: &Options, paths: &[PathBuf], name: &str) -> anyhow::Result<Outcome> {
    let KernelViews { views, left_out, problems } = kernels(paths, options, name, args.places, MAX_KERNELS);
    let say = |problem: &Problem| format!("{}: {}\n", problem.path.display(), problem.error);
    let mut stderr: String = problems.iter().map(say).collect();
    anyhow::ensure!(!views.is_empty() || problems.is_empty(), "no kernel could be looked at\n{}", stderr.trim_end());
    if views.is_empty() {
        stderr += &format!("no kernel has `{name}` in its name\n");
    }
    if left_out > 0 {
        stderr += &format!("{left_out} more kernels have `{name}` in their names; give a whole name for one of them\n");
    }
    let status = if views.is_empty() { NOTHING } else { 0 };
    let stdout = if args.json {
        serde_json::to_string_pretty(&Kernels { version: 1, on: options.on, kernels: views })? + "\n"
    } else {
        page::kernels(&views)
    };
    Ok(Outcome { stdout, stderr, status })
}
