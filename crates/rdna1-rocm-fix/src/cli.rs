// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use rdna1_core::gfx::GfxSetting;
use rdna1_core::render::Format;
use rdna1_core::resolve::Request;

/// Makes ROCm convolution use GEMM on AMD RDNA1 cards, for every process of the machine.
#[derive(Debug, Parser)]
#[command(name = rdna1_core::NAME, version, after_help = "Start with `rdna1-rocm-fix status`.")]
pub struct Cli {
    /// Work on the machine whose files lie below DIR.
    #[arg(long, global = true, env = "RDNA1_ROOT", value_name = "DIR", default_value = "/", hide_env_values = true)]
    pub root: PathBuf,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is here, what is set and why, what is wrong, and what to do next.
    ///
    /// Exit status 0 if there is no error, 1 if there is one.
    Status {
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
        /// Explain also what is only known of such cards in general.
        #[arg(long)]
        all: bool,
    },
    /// List the RDNA1 cards; exit status 1 if there is none.
    Detect {
        /// Print one JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print the variables for this machine.
    ///
    /// For shells, what you have set yourself is left alone, and what an
    /// earlier profile had set is unset. The other formats are for a process
    /// that starts without your environment: a service, a container.
    Env {
        /// Syntax: sh, fish, csh, systemd, environment.d, dotenv or json.
        #[arg(long, value_name = "FORMAT", default_value = "sh")]
        format: Format,
        /// Profile and gfx choice.
        #[command(flatten)]
        choice: Choice,
    },
    /// Print a CDI specification: the cards and their environment, for containers.
    ///
    /// Saved as /etc/cdi/rdna1-rocm-fix.json, it makes podman (and docker from 25
    /// on, containerd, CRI-O) know the devices `rdna1-rocm-fix/gpu=all`, `=0`, `=1`
    /// and so on. Exit status 1, and nothing printed, if there is no card with a
    /// device node.
    Cdi {
        /// Profile and gfx choice.
        #[command(flatten)]
        choice: Choice,
    },
    /// Tell who reads a variable, what it does, why it is set, and how we know.
    Explain {
        /// The variable; without it, every variable that is set here.
        #[arg(value_name = "VARIABLE")]
        variable: Option<String>,
        /// Look into the libraries of this stack for the names: which of our
        /// variables they contain at all.
        ///
        /// DIR is a ROCm's prefix or libraries, or a Python environment; `auto`
        /// takes every ROCm and PyTorch that `status` finds.
        #[arg(long, value_name = "DIR|auto")]
        stack: Option<String>,
        /// With --stack, print one JSON document instead of text.
        #[arg(long, requires = "stack")]
        json: bool,
    },
    /// List, show or set the profile.
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Run a command with the environment for this machine.
    ///
    /// The command replaces this program: signals, exit status and terminal
    /// are its own. Exit status 125 means that the environment was refused,
    /// 126 that the command could not be executed, 127 that it was not found.
    Run {
        /// Profile and gfx choice.
        #[command(flatten)]
        choice: Choice,
        /// Say on standard error what is set, and why.
        #[arg(long)]
        explain: bool,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Detect again and rewrite the run-time state (root; udev and the packages call it).
    Refresh {
        /// Do not tell the running systemd.
        #[arg(long)]
        no_reload: bool,
    },
    /// Save what detection reads as a directory tree, for a bug report.
    ///
    /// The tree holds PCI ids, driver names, sizes and versions: no serial
    /// numbers, no host name, no user names. `--root` accepts it as a machine.
    Snapshot {
        /// The directory to make; it must not exist yet.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// What a profile command does.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the profiles.
    List,
    /// Show one profile: its variables, its reasons, its limits.
    Show {
        /// The profile; without it, the one in force.
        profile: Option<String>,
    },
    /// Choose the profile for the whole machine (root).
    Set {
        /// The profile.
        profile: String,
    },
    /// Take back what `profile set` chose (root).
    Reset,
}

/// A choice for one call; goes before the administrator's.
#[derive(Debug, Args)]
pub struct Choice {
    /// Use this profile.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Use this gfx choice: auto, native, or a version such as 10.3.0.
    #[arg(long, value_name = "GFX")]
    pub gfx: Option<GfxSetting>,
}

impl Choice {
    /// As a request to the resolution.
    pub fn request(&self, single_process: bool) -> Request {
        Request { profile: self.profile.clone(), gfx: self.gfx, single_process }
    }
}

/// The command line's definition, from which man pages and shell completions are made.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
