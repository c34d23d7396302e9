// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate plan`: what MIOpen would do with a list of convolutions.
//! No GPU is touched, so it is safe where a wrong kernel freezes the desktop.
//!
//! Exit status: 0 every convolution is served; 1 some are not; 2 usage; 3 it
//! could not run.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use rdna1_core::ids::GfxTarget;
use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_core::root::Root;
use rdna1_launch::context::current_environment;
use rdna1_launch::survey;
use rdna1_miopen::card::{Target, parse_size};
use rdna1_miopen::plan::{self, CodeNote, Options, Report, Subject};
use rdna1_miopen::{DataType, Direction, Layout, models};
use rdna1_stack::Place;
use rdna1_stack::check::{self, Risk};

use crate::Outcome;
use crate::isa::stacks;

/// Exit status where a convolution has no solver or does not fit.
const UNSERVED: u8 = 1;

/// Arguments of the subcommand.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The torchvision models whose layers are planned; without any, the suite.
    #[arg(value_name = "MODEL", value_parser = clap::builder::PossibleValuesParser::new(models::NAMES), conflicts_with = "commands")]
    pub models: Vec<String>,
    /// Plan the MIOpenDriver commands in this file, as MIOpen logs them with MIOPEN_ENABLE_LOGGING_CMD=1.
    #[arg(long, value_name = "FILE")]
    pub commands: Option<PathBuf>,
    /// Plan the convolutions in this file: YAML or JSON, a list of what `plan --json` shows as `convolution`;
    /// what is usual may be left out.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["commands", "models"])]
    pub list: Option<PathBuf>,
    /// Plan for this profile; without it, for the default one.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The gfx target that ROCm sees: the card's own, or the override's.
    #[arg(long, value_name = "TARGET", default_value = "gfx1010")]
    pub gfx_target: Target,
    /// The card's memory, for instance 6GiB; without it, a common card's.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub vram: Option<u64>,
    /// The card's own target, where --gfx-target is an override's; without it,
    /// that of the card in this machine.
    #[arg(long, value_name = "TARGET")]
    pub on: Option<GfxTarget>,
    /// Warn by what `isa` found in this stack, where it was checked; without it,
    /// in every stack of this machine.
    #[arg(long, value_name = "DIR")]
    pub stack: Option<PathBuf>,
    /// Type of a model's numbers: f32, f16 or bf16.
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub data_type: DataType,
    /// Plan a model in PyTorch's channels_last layout.
    #[arg(long)]
    pub channels_last: bool,
    /// Plan for inference: forward alone.
    #[arg(long)]
    pub inference: bool,
    /// Images in a batch of a model.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub batch: u64,
    /// Plan for a program that sets torch.backends.cudnn.benchmark=True.
    #[arg(long)]
    pub benchmark: bool,
    /// Ask the MIOpen in this directory instead of the rules.
    #[arg(long, value_name = "DIR")]
    pub miopen: Option<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// If the policy, the commands or the library cannot be used.
pub fn run(root: &Root, args: &Args) -> anyhow::Result<Outcome> {
    let text = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        text.map(|text| (file.display().to_string(), text))
    };
    let subject = match (&args.commands, &args.list) {
        (Some(file), _) => text(file).map(|(file, text)| Subject::Commands { file, text })?,
        (_, Some(file)) => text(file).map(|(file, text)| Subject::List { file, text })?,
        _ if args.models.is_empty() => Subject::Suite,
        _ => Subject::Models(args.models.clone()),
    };
    let mut options = Options {
        vram: args.vram,
        profile: args.profile.clone(),
        benchmark: args.benchmark,
        batch: args.batch,
        data_type: args.data_type,
        miopen: args.miopen.clone(),
        ..Options::new(subject, args.gfx_target.clone())
    };
    if args.channels_last {
        options.layout = Layout::ChannelsLast;
    }
    if args.inference {
        options.directions = vec![Direction::Forward];
    }
    let policy = Policy::embedded()?;
    let mut report = plan::run(&policy, &options)?;
    report.device_code = device_code(root, args, &policy, &report)?;
    let stdout = if args.json { report.to_json() } else { report.to_text() };
    let status = if report.all_served() { 0 } else { UNSERVED };
    Ok(Outcome { stdout, stderr: String::new(), status })
}

/// Which kinds of kernels compute with a type, as rocBLAS's generator names them.
fn kinds(data_type: DataType) -> &'static [&'static str] {
    match data_type {
        DataType::F32 => &["fp32"],
        DataType::F16 => &["fp16", "fp16 with fp32 sums", "fp16 to fp32"],
        DataType::Bf16 => &["bf16", "bf16 with fp32 sums", "bf16 to fp32"],
    }
}

/// What `isa` found in the code that would run, where it was asked before.
fn device_code(root: &Root, args: &Args, policy: &Policy, report: &Report) -> anyhow::Result<Vec<CodeNote>> {
    let environment = current_environment();
    let here = || Machine::detect(root, policy).active_cards().next().map(|card| card.gfx);
    // Where ROCm sees the card's own target, that is the card.
    let own = args.gfx_target.as_str().parse().ok().filter(|target| policy.gfx_target(*target).is_some());
    let Some(card) = args.on.or(own).or_else(here) else { return Ok(Vec::new()) };
    let stacks = match &args.stack {
        Some(dir) => stacks::at(root, dir)?,
        None => stacks::of_machine(root, &environment),
    };
    let cache = stacks::cache(root, &environment);
    let types: BTreeSet<DataType> = report.entries.iter().map(|entry| entry.convolution.data_type).collect();
    let mut notes = Vec::new();
    for stack in &stacks {
        let Some(known) = check::known(Place(root), &cache, stack, card) else { continue };
        let Some(code) = known.code.get(args.gfx_target.as_str()) else { continue };
        for &data_type in &types {
            let of = code.iter().filter(|found| kinds(data_type).contains(&found.name.as_str()));
            let found: Vec<String> =
                of.filter(|found| found.risk() > Risk::Clean).map(|found| found.describe()).collect();
            if !found.is_empty() {
                let (stack, card) = (survey::describe(stack), card.to_string());
                notes.push(CodeNote { stack, card, code: args.gfx_target.to_string(), data_type, found });
            }
        }
    }
    Ok(notes)
}
