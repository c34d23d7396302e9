// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask …`: the project's own automation.

mod artifacts;
mod bench;
mod checkout;
mod crates;
mod debian;
mod dist;
mod generate;
mod host;
mod install;
mod notices;
mod release;
mod repo;
mod sbom;
mod show;
mod source;
mod test;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the files that are rendered from the policy, or check them.
    Generate(generate::Args),
    /// Build the programs and the packages.
    Dist(dist::Args),
    /// Install the file tree from built programs; debian/rules calls it.
    Install(install::Args),
    /// Make signed apt and dnf repositories of the packages.
    Repo(repo::RepoArgs),
    /// Make the source tarball, with all crates in it.
    Source(source::Args),
    /// Run every test.
    Test(test::TestArgs),
    /// Measure what the goals ask for, each beside a named peer.
    Bench(bench::Args),
}

fn main() -> anyhow::Result<()> {
    let top = checkout::top();
    match Cli::parse().command {
        Command::Generate(args) => generate::run(&top, &args),
        Command::Dist(args) => dist::run(&top, &args),
        Command::Install(args) => install::run(&top, &args),
        Command::Repo(args) => repo::run(&args),
        Command::Source(args) => source::run(&top, &args),
        Command::Test(args) => test::run(&top, &args),
        Command::Bench(args) => bench::run(&top, &args),
    }
}
