// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules by which MIOpen offers its matrix-product solvers.
//!
//! Read in MIOpen@2d1fd997 src/solver/conv/gemm{,_bwd,_wrw}.cpp and
//! gemm_common.cpp, and held against libMIOpen on every problem of the suite by
//! the tests. Releases of 2026 drop [`CAP`]; then the rules are stricter than
//! the library, by 180 MB on an 8 GiB card and not at all on smaller ones.

use serde::Serialize;

use crate::{Card, Convolution, DataType, Direction, Layout};

/// The workspace that MIOpen 3.x takes for the most that rocBLAS can address,
/// whatever the card (gemm_common.cpp:33-71; MIOpen issue 2095).
pub const CAP: u64 = 7_287_183_769;

/// Shares of the video memory that one workspace may take, in percent
/// (handlehip.cpp:758-770).
const VRAM_PERCENT: u64 = 85;

/// A matrix-product solver and what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gemm {
    /// Its name.
    pub solver: &'static str,
    /// Bytes of workspace.
    pub workspace: u64,
}

/// Why MIOpen offers no matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WhyNot {
    /// It takes ordinary layouts only.
    ChannelsLast,
    /// im2col needs more than one workspace may have.
    TooLarge {
        /// Bytes of workspace needed.
        workspace: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// An image has more elements than fit 31 bits.
    TooManyElements,
}

/// The most workspace that a solver may ask for on a card.
pub fn limit(card: &Card, solver: &str, data_type: DataType) -> u64 {
    // In single precision the forward and backward-data solvers double the cap.
    let doubled = data_type == DataType::F32 && matches!(solver, "GemmFwdRest" | "GemmBwdRest");
    let share = u128::from(card.vram) * u128::from(VRAM_PERCENT) / 100;
    u64::try_from(share).unwrap_or(u64::MAX).min(if doubled { 2 * CAP } else { CAP })
}

/// Whether MIOpen's interface, which counts in 31 bits, can describe the
/// tensors: one image or filter of each has to fit. The library refuses all else.
pub fn is_countable(c: &Convolution) -> bool {
    let elements = |channels: u64, sizes: &[u64]| sizes.iter().fold(channels, |a, &b| a.saturating_mul(b));
    let images = [elements(c.channels, &c.input), elements(c.filters, &c.output())];
    let filter = elements(c.channels.max(c.filters) / c.groups, &c.kernel);
    images.into_iter().chain([filter]).all(|elements| elements <= i32::MAX as u64)
}

/// The matrix product that MIOpen offers for a convolution.
///
/// # Errors
/// Why it offers none.
pub fn gemm(convolution: &Convolution, direction: Direction, card: &Card) -> Result<Gemm, WhyNot> {
    if convolution.layout == Layout::ChannelsLast {
        return Err(WhyNot::ChannelsLast);
    }
    if !is_countable(convolution) {
        return Err(WhyNot::TooManyElements);
    }
    let (c, direction) = convolution.ordinary(direction);
    let output = c.output();
    // One of these at most fits a convolution's shape; the general solver steps
    // in only where neither offers itself, so also where one is too large.
    let special = special(&c, direction, &output);
    let general = general(&c, direction, &output);
    let fits = |gemm: &Gemm| gemm.workspace <= limit(card, gemm.solver, c.data_type);
    special
        .filter(fits)
        .or(Some(general).filter(fits))
        .ok_or(WhyNot::TooLarge { workspace: general.workspace, limit: limit(card, general.solver, c.data_type) })
}

/// A solver for pointwise convolutions.
fn special(c: &Convolution, direction: Direction, output: &[u64]) -> Option<Gemm> {
    let all = |sizes: &[u64], value| sizes.iter().all(|&size| size == value);
    if !all(&c.kernel, 1) || !all(&c.padding, 0) {
        return None;
    }
    if all(&c.stride, 1) {
        let solver = match direction {
            Direction::Forward => "GemmFwd1x1_0_1",
            Direction::BackwardData => "GemmBwd1x1_stride1",
            Direction::BackwardWeights => "GemmWrw1x1_stride1",
        };
        return Some(Gemm { solver, workspace: 0 });
    }
    let solver = match direction {
        Direction::Forward => "GemmFwd1x1_0_2",
        Direction::BackwardData => "GemmBwd1x1_stride2",
        Direction::BackwardWeights => return None,
    };
    let pixels = output.iter().product::<u64>() * c.data_type.size();
    let workspace = ((c.channels + c.filters) * c.batch).saturating_mul(pixels);
    (c.input.len() == 2 && all(&c.stride, 2)).then_some(Gemm { solver, workspace })
}

/// The solver that unfolds one image after the other, whatever the batch.
fn general(c: &Convolution, direction: Direction, output: &[u64]) -> Gemm {
    let solver = match direction {
        Direction::Forward => "GemmFwdRest",
        Direction::BackwardData => "GemmBwdRest",
        Direction::BackwardWeights => "GemmWrwUniversal",
    };
    let sizes = c.kernel.iter().chain(output);
    let workspace = sizes.fold(c.channels * c.data_type.size(), |a, &b| a.saturating_mul(b));
    Gemm { solver, workspace }
}

/// The workspace that MIOpen announces before a find step that tries
/// candidates, where GEMM is all there is: 0 for anything dilated, which GEMM
/// then takes for too little (convolution.cpp:79-93, solver_finders.cpp:414-432).
pub fn announced(convolution: &Convolution, gemm: Gemm) -> u64 {
    if convolution.is_dilated() { 0 } else { gemm.workspace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::tests::plain;

    fn card() -> Card {
        Card::of("gfx1010".parse().expect("a target"))
    }

    /// Workspaces that were logged on real cards or measured with the library.
    #[test]
    fn known_workspaces() {
        let forward = |c: &Convolution| gemm(c, Direction::Forward, &card());
        assert_eq!(forward(&plain()), Ok(Gemm { solver: "GemmFwdRest", workspace: 7_225_344 }));
        // MIOpen issue 1621, on a card with 16 GiB.
        let logged = Convolution {
            channels: 128,
            filters: 16,
            input: vec![1760, 1760],
            padding: vec![0, 0],
            data_type: DataType::F16,
            ..plain()
        };
        let large = Card { vram: 16 << 30, ..card() };
        let answer = gemm(&logged, Direction::Forward, &large);
        assert_eq!(answer, Ok(Gemm { solver: "GemmFwdRest", workspace: 7_120_659_456 }));
        let dilated = Convolution { dilation: vec![2, 2], padding: vec![2, 2], ..plain() };
        assert_eq!(announced(&dilated, forward(&dilated).expect("offered")), 0);
    }

    #[test]
    fn limits() {
        let size = |vram| limit(&Card { vram, ..card() }, "GemmFwdRest", DataType::F32);
        assert_eq!(size(4 << 30), 3_650_722_201);
        assert_eq!(size(6 << 30), 5_476_083_302);
        assert_eq!(size(64 << 30), 2 * CAP);
        let half = limit(&Card { vram: 16 << 30, ..card() }, "GemmFwdRest", DataType::F16);
        assert_eq!(half, CAP);
    }

    #[test]
    fn what_is_not_offered() {
        let why = |c: Convolution| gemm(&c, Direction::Forward, &card()).expect_err("not offered");
        assert_eq!(why(Convolution { layout: Layout::ChannelsLast, ..plain() }), WhyNot::ChannelsLast);
        let large = Convolution { channels: 256, input: vec![1024, 1024], ..plain() };
        assert!(matches!(why(large), WhyNot::TooLarge { workspace: 9_663_676_416, limit: 5_476_083_302 }));
        let huge = Convolution { input: vec![1 << 16, 1 << 16], ..plain() };
        assert_eq!(why(huge), WhyNot::TooManyElements);
    }
}
