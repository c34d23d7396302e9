// SPDX-License-Identifier: MIT OR Apache-2.0
//! `detect`: the cards.

use rdna1_core::machine::{Card, CardState, Machine};
use serde::Serialize;

use super::{NO, Outcome, json_document};
use crate::context::Context;
use crate::text::size;

/// What `detect --json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document<'a> {
    /// Version of this document's form.
    version: u32,
    /// What was found.
    machine: &'a Machine,
}

pub(super) fn run(context: &Context, json: bool) -> anyhow::Result<Outcome> {
    let machine = &context.machine;
    let stdout = if json {
        json_document(&Document { version: 1, machine })?
    } else {
        machine.cards.iter().map(|card| line(card) + "\n").collect()
    };
    let stderr = match machine.cards.is_empty() {
        true if !json => "no RDNA1 card found\n".to_owned(),
        _ => String::new(),
    };
    let status = if machine.cards.is_empty() { NO } else { 0 };
    Ok(Outcome { stdout, stderr, status })
}

/// A card on one line.
fn line(card: &Card) -> String {
    format!("{}, {}", name(card), details(card))
}

/// Which card it is.
pub(super) fn name(card: &Card) -> String {
    format!("{}  {}, {} ({})", card.pci.address, card.name, card.gfx, card.chip)
}

/// Its size and how far the kernel has taken it.
pub(super) fn details(card: &Card) -> String {
    let units = card.compute_units().map(|units| format!("{units} compute units, "));
    let memory = card.vram_bytes().map(|bytes| format!("{}, ", size(bytes)));
    format!("{}{}{}", units.unwrap_or_default(), memory.unwrap_or_default(), describe(card.state))
}

/// A card's state in words.
fn describe(state: CardState) -> &'static str {
    match state {
        CardState::Ready => "ready for compute",
        CardState::NoCompute => "driven by amdgpu, not available for compute",
        CardState::NoDriver => "no driver bound",
        CardState::PassedThrough => "held for a virtual machine",
        CardState::OtherDriver => "bound to another driver",
        CardState::Unknown => "in a state that cannot be read",
    }
}
