// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask …`: the project's own automation.

mod artifacts;
mod dist;
mod generate;
mod host;
mod install;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the packaging sources that are rendered from the policy.
    Generate(generate::Args),
    /// Build the programs and the packages.
    Dist(dist::Args),
    /// Install the file tree from built programs; debian/rules calls it.
    Install(install::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Generate(args) => generate::run(&args),
        Command::Dist(args) => dist::run(&args),
        Command::Install(args) => install::run(&args),
    }
}
