// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of one convolution in one direction.

use serde::Serialize;

use super::Step;
use crate::card::size_text;
use crate::query::{Algorithm, Answer, Status};
use crate::rules::{self, WhyNot};
use crate::{Card, Convolution, DataType, Direction, Layout, Switches};

/// Memory that is never a program's: the desktop's, rocBLAS's and the kernels'.
const RESERVED: u64 = 512 << 20;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A matrix product.
    Gemm,
    /// The naive kernel: right, and slow.
    Naive,
    /// Another of MIOpen's kernels.
    OtherKernel,
    /// MIOpen runs candidates on the card and takes the fastest.
    Tried,
    /// PyTorch's own path, without MIOpen.
    Pytorch,
    /// A solver, but not the memory for it.
    OutOfMemory,
    /// No solver: an error in the program.
    Refused,
    /// The rules do not know; the library would.
    Unknown,
}

impl Verdict {
    /// Whether the program gets its result, whatever by.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Gemm | Self::Naive | Self::OtherKernel | Self::Tried | Self::Pytorch)
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gemm => "GEMM",
            Self::Naive => "naive kernel, slow",
            Self::OtherKernel => "another kernel of MIOpen",
            Self::Tried => "fastest of several, tried on the card",
            Self::Pytorch => "PyTorch without MIOpen",
            Self::OutOfMemory => "out of memory",
            Self::Refused => "refused",
            Self::Unknown => "not known from the rules",
        }
    }
}

/// A verdict before memory is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    verdict: Verdict,
    solver: Option<String>,
    workspace: u64,
    why: Option<String>,
}

fn found(verdict: Verdict) -> Found {
    Found { verdict, solver: None, workspace: 0, why: None }
}

fn because(verdict: Verdict, why: impl Into<String>) -> Found {
    Found { why: Some(why.into()), ..found(verdict) }
}

/// What PyTorch does not hand to MIOpen at all (Convolution.cpp, use_miopen).
fn is_pytorchs(c: &Convolution) -> bool {
    c.groups > 1 && c.is_dilated()
}

const DILATED: &str =
    "in this find mode MIOpen announces no workspace for dilated convolutions, and GEMM takes that for too little";

/// By the rules alone.
pub(super) fn by_rules(c: &Convolution, direction: Direction, switches: &Switches, card: &Card) -> Found {
    if !switches.miopen {
        return found(Verdict::Pytorch);
    }
    if is_pytorchs(c) {
        return because(Verdict::Pytorch, "PyTorch computes dilated convolutions with groups itself");
    }
    if !rules::is_countable(c) {
        return because(Verdict::Refused, "one image has more elements than MIOpen counts");
    }
    let offered = if switches.gemm { Some(rules::gemm(c, direction, card)) } else { None };
    let tries = switches.find_mode.tries();
    let usable = match offered {
        Some(Ok(gemm)) if !tries || rules::announced(c, gemm) >= gemm.workspace => Some(gemm),
        _ => None,
    };
    let naive = switches.naive[c.ordinary(direction).1 as usize];
    let implicit = switches.implicit_gemm && card.target.has_implicit_gemm() && tries;
    if tries && (switches.others || implicit) {
        if !switches.gemm && !switches.others && (c.layout == Layout::ChannelsLast || c.data_type != DataType::F32) {
            return because(Verdict::Refused, "MIOpen's implicit GEMM takes f32 in the ordinary layout only");
        }
        let verdict = if usable.is_some() || naive { Verdict::Tried } else { Verdict::Unknown };
        let workspace = usable.map_or(0, |gemm| gemm.workspace);
        return Found {
            workspace,
            ..because(verdict, "kernels are among the candidates for which there are no rules here")
        };
    }
    match (usable, naive) {
        (Some(gemm), true) if tries => {
            Found { workspace: gemm.workspace, ..because(Verdict::Tried, "GEMM and the naive kernel are tried") }
        }
        (Some(gemm), _) => {
            Found { solver: Some(gemm.solver.into()), workspace: gemm.workspace, ..found(Verdict::Gemm) }
        }
        (None, naive) => {
            let verdict = if naive { Verdict::Naive } else { Verdict::Refused };
            because(verdict, why_not(offered, card))
        }
    }
}

/// Why there is no matrix product.
fn why_not(offered: Option<Result<rules::Gemm, WhyNot>>, card: &Card) -> String {
    match offered {
        None => format!("GEMM is off, and MIOpen has no implicit GEMM for {} in this find mode", card.target),
        Some(Ok(_)) => DILATED.into(),
        Some(Err(WhyNot::ChannelsLast)) => "GEMM takes the ordinary layout only".into(),
        Some(Err(WhyNot::TooLarge { workspace, limit })) => {
            format!("im2col needs {}, and MIOpen allows {} here", size_text(workspace), size_text(limit))
        }
        Some(Err(WhyNot::TooManyElements)) => "one image has more elements than MIOpen counts".into(),
    }
}

/// By what the library answered.
pub(super) fn by_answer(c: &Convolution, answer: &Answer, switches: &Switches) -> Found {
    if is_pytorchs(c) {
        return because(Verdict::Pytorch, "PyTorch computes dilated convolutions with groups itself");
    }
    let named = |algorithm: Algorithm| {
        let offers = answer.offers.iter().flatten().flatten();
        offers.into_iter().find(|offer| offer.algorithm == algorithm).map(|offer| offer.solver.to_string())
    };
    let candidates = match &answer.found {
        Some(Ok(candidates)) if !candidates.is_empty() => candidates,
        Some(Err(Status::OutOfMemory)) => {
            let workspace = answer.workspace.as_ref().and_then(|w| w.as_ref().ok()).copied().unwrap_or(0);
            let why = "the workspace that MIOpen asks for does not fit the card";
            return Found { workspace, ..because(Verdict::OutOfMemory, why) };
        }
        Some(Err(Status::Description(status))) => {
            return because(Verdict::Refused, format!("MIOpen cannot describe it (status {status})"));
        }
        _ => {
            let reported_later = matches!(&answer.offers, Some(Ok(offers)) if !offers.is_empty());
            let why = match (c.layout, c.is_dilated() && reported_later) {
                (_, true) => DILATED.into(),
                (Layout::ChannelsLast, _) => "no solver of this profile takes the channels-last layout".into(),
                _ => format!("MIOpen found nothing ({:?})", answer.found.as_ref().and_then(|f| f.as_ref().err())),
            };
            return because(Verdict::Refused, why);
        }
    };
    let most = candidates.iter().map(|candidate| candidate.workspace).max().unwrap_or(0);
    if switches.find_mode.tries() && candidates.len() > 1 {
        let mut families: Vec<String> = candidates.iter().map(|c| format!("{:?}", c.algorithm)).collect();
        families.dedup();
        return Found { workspace: most, ..because(Verdict::Tried, format!("candidates: {}", families.join(", "))) };
    }
    let first = match answer.first().filter(|_| !switches.find_mode.tries()) {
        Some(offer) => crate::query::Candidate { algorithm: offer.algorithm, workspace: offer.workspace },
        None => candidates[0],
    };
    let solver = named(first.algorithm);
    let naive = solver.as_ref().is_some_and(|name| name.starts_with("ConvDirectNaive"));
    let verdict = match first.algorithm {
        Algorithm::Gemm => Verdict::Gemm,
        Algorithm::Direct if naive => Verdict::Naive,
        _ => Verdict::OtherKernel,
    };
    let solver = solver.or_else(|| Some(format!("{:?}", first.algorithm)));
    Found { solver, workspace: first.workspace, ..found(verdict) }
}

/// Bytes of the three tensors.
fn tensors(c: &Convolution) -> u64 {
    let output = c.output();
    let of = |outer: u64, sizes: &[u64]| sizes.iter().fold(outer, |a, &b| a.saturating_mul(b));
    let elements = of(c.batch * c.channels, &c.input).saturating_add(of(c.batch * c.filters, &output));
    elements.saturating_add(c.weights()).saturating_mul(c.data_type.size())
}

/// The step: with its memory, and with the profile that would serve it.
pub(super) fn step(
    c: &Convolution,
    direction: Direction,
    mut found: Found,
    card: &Card,
    others: &[(String, Switches)],
) -> Step {
    let memory = tensors(c).saturating_add(found.workspace);
    let free = card.vram.saturating_sub(RESERVED);
    if found.verdict.is_served() && memory > free {
        found.verdict = Verdict::OutOfMemory;
        let need = format!("tensors and workspace take {}, of about {}", size_text(memory), size_text(free));
        found.why = Some(need);
    }
    let served_by = if found.verdict.is_served() || found.verdict == Verdict::Unknown {
        None
    } else {
        others.iter().find(|(_, switches)| serves(c, direction, switches, card, free)).map(|(id, _)| id.clone())
    };
    Step {
        direction,
        verdict: found.verdict,
        solver: found.solver,
        workspace: found.workspace,
        memory,
        why: found.why,
        served_by,
    }
}

/// Whether a profile would serve it with kernels that the rules know.
fn serves(c: &Convolution, direction: Direction, switches: &Switches, card: &Card, free: u64) -> bool {
    let other = by_rules(c, direction, switches, card);
    // PyTorch's own path unfolds one image too, unless it is depthwise.
    let unfolded = c.weights() / c.filters * c.groups * c.output().iter().product::<u64>() * c.data_type.size();
    let workspace = match other.verdict {
        Verdict::Pytorch if c.groups < c.channels => unfolded,
        _ => other.workspace,
    };
    let known = matches!(other.verdict, Verdict::Gemm | Verdict::Naive | Verdict::Pytorch);
    known && !switches.others && tensors(c).saturating_add(workspace) <= free
}
