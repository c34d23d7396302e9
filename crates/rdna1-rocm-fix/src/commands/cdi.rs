// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cdi`: cards and environment for containers.

use anyhow::bail;
use rdna1_core::cdi;
use rdna1_core::render::{Format, Guard, render};
use rdna1_core::resolve::Inactive;

use super::Outcome;
use crate::cli::Choice;
use crate::context::{Context, Environment};

pub(super) fn run(mut context: Context, choice: &Choice) -> anyhow::Result<Outcome> {
    context.machine = cdi::seen_from_inside(&context.machine);
    // A specification without devices would be no specification.
    let nothing =
        |why: &str| Outcome { stderr: format!("{why}: no specification\n"), status: super::NO, ..Outcome::default() };
    let resolution = context.resolve(&choice.request(false), &Environment::new());
    match &resolution.inactive {
        Some(Inactive::Refused { problem }) => bail!("{problem}"),
        Some(Inactive::NoCard) => return Ok(nothing("no RDNA1 card")),
        Some(Inactive::Disabled { file }) => return Ok(nothing(&format!("switched off in {file}"))),
        None => {}
    }
    if !context.machine.kfd_device.exists || cdi::cards(&context.machine).next().is_none() {
        return Ok(nothing("the card has no device node yet (is amdgpu loaded? see rdna1-rocm-fix status)"));
    }
    // The same limits as JSON has: a value that no environment can hold.
    render(Format::Json, Guard::None, resolution.variables(), &[])?;
    let variables = resolution.variables().map(|(name, value)| (name.as_str(), value));
    Ok(Outcome::answer(cdi::specification(&context.machine, variables)))
}
