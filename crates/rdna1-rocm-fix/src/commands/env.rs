// SPDX-License-Identifier: MIT OR Apache-2.0
//! `env`: the variables, in the syntax that is asked for.

use anyhow::bail;
use rdna1_core::render::{Format, Guard, render};
use rdna1_core::resolve::{Inactive, Resolution};

use super::Outcome;
use crate::cli::Choice;
use crate::context::{Context, Environment, current_environment};

pub(super) fn run(context: &Context, format: Format, choice: &Choice) -> anyhow::Result<Outcome> {
    let for_shell = matches!(format, Format::Sh | Format::Fish | Format::Csh);
    let environment = if for_shell { current_environment() } else { Environment::new() };
    let resolution = context.resolve(&choice.request(false), &environment);
    if let Some(Inactive::Refused { problem }) = &resolution.inactive {
        bail!("{problem}");
    }
    let stdout = render(format, Guard::None, resolution.variables(), &resolution.unset)?;
    Ok(Outcome { stdout, stderr: remarks(&resolution), status: 0 })
}

/// Why the answer has less than one might expect.
fn remarks(resolution: &Resolution) -> String {
    let mut out = match &resolution.inactive {
        Some(Inactive::NoCard) => "no RDNA1 card: nothing to set\n".to_owned(),
        Some(Inactive::Disabled { file }) => format!("switched off in {file}: nothing to set\n"),
        _ => String::new(),
    };
    for left in &resolution.left_alone {
        out += &format!("{} is left alone: {}\n", left.name, left.reason);
    }
    out
}
