// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate plan`: what MIOpen would do with a list of convolutions.
//! No GPU is touched, so it is safe where a wrong kernel freezes the desktop.
//!
//! Exit status: 0 every convolution is served; 1 some are not; 2 usage; 3 it
//! could not run.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use rdna1_core::policy::Policy;
use rdna1_miopen::card::{Target, parse_size};
use rdna1_miopen::models;
use rdna1_miopen::plan::{self, Options, Subject};

use crate::Outcome;

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
    /// Plan for this profile; without it, for the default one.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// The gfx target that ROCm sees: the card's own, or the override's.
    #[arg(long, value_name = "TARGET", default_value = "gfx1010")]
    pub gfx_target: Target,
    /// The card's memory, for instance 6GiB; without it, a common card's.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub vram: Option<u64>,
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
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    let subject = match &args.commands {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Subject::Commands { file: file.display().to_string(), text }
        }
        None if args.models.is_empty() => Subject::Suite,
        None => Subject::Models(args.models.clone()),
    };
    let options = Options {
        vram: args.vram,
        profile: args.profile.clone(),
        benchmark: args.benchmark,
        batch: args.batch,
        miopen: args.miopen.clone(),
        ..Options::new(subject, args.gfx_target.clone())
    };
    let report = plan::run(&Policy::embedded()?, &options)?;
    let stdout = if args.json { report.to_json() } else { report.to_text() };
    let status = if report.all_served() { 0 } else { UNSERVED };
    Ok(Outcome { stdout, stderr: String::new(), status })
}
