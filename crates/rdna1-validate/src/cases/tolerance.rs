// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a right result may be from the float64 reference.
//!
//! An error is measured in units of the reference's largest value. A result is
//! a sum of K products of random numbers of mean zero, so its own size grows as
//! √K. Rounding errors of such a sum, added one after the other, grow as K·u
//! (u: unit roundoff of the accumulator), that is as √K·u in the units used
//! here; blocked and tree sums stay far below. Fast algorithms (Winograd, FFT)
//! multiply rounding errors by a constant that does not grow with K. Hence
//!
//! ```text
//! limit = u_acc · (SUM·√K + FIXED) + u_out · (1 + √S)
//! ```
//!
//! with float32 accumulation (u_acc = 2⁻²⁴) and, for a result of lower
//! precision, its own rounding (u_out), once for the final store and, where an
//! algorithm adds up S images in the result's own format (MIOpen's GEMM does so
//! for the weights' gradient), √S times more. docs/validate.md has the numbers
//! measured on real devices beside these limits.
//!
//! Where P partial sums are added in pairs in the result's own format, S is
//! 1 + log₂P roundings less the last, which is the final store: log₂P. For a
//! sum of independent terms of variance σ², a partial sum on a level of the tree
//! that has p nodes has variance σ²/p. Each is rounded by at most u times itself,
//! so that a level adds at most p · u²σ²/p = u²σ² of variance, whatever p is. The
//! levels are those of the P sums as they are stored and of log₂P additions:
//! together at most u·σ·√(1 + log₂P).

use rdna1_miopen::DataType;

use super::work::{Convolution, Work};

/// Largest error of a sum of K rounded terms, in units of u·√K. A sequential
/// float32 sum of a million terms was seen to reach 1.
const SUM: f64 = 8.0;

/// Error that fast algorithms add whatever K is, in units of u: the largest
/// seen with a vendor's Winograd kernels was 67.
const FIXED: f64 = 100.0;

/// Roundings to the result's own format, before the final one, in the weights'
/// gradient of a three-dimensional depthwise convolution: the threads of a block
/// of PyTorch's kernel are 256, each stores its float32 sum in the tensor's
/// format, and log₂ 256 levels of additions follow. (`conv_depthwise3d_cuda_backward_weight_kernel`
/// of aten/src/ATen/native/cuda/DepthwiseConv3d.cu, which ROCm's PyTorch has, too.)
const DEPTHWISE_3D: u64 = 256_u64.ilog2() as u64;

/// Unit roundoff of float32, in which everything is summed up.
const ACCUMULATOR: f64 = 1.0 / 16_777_216.0;

/// By how much more than the CPU's own float32 arithmetic a device's may be off
/// where a computation has too many steps for a formula: whole models.
pub const MODEL_FACTOR: f64 = 16.0;

/// The least limit for a model, where the CPU happens to be almost exact.
pub const MODEL_LEAST: f64 = 1e-5;

/// The most that a model's limit may become: what a float32 model must deliver
/// to be of use at all.
pub const MODEL_MOST: f64 = 1e-2;

/// How much of the decline that the gradients promise may be missing in a training.
/// Right ones miss up to 0.4 of it, where the loss is far from linear; with wrong
/// gradients of convolutions, 0.9 and more was missing. docs/validate.md has both.
pub const LOSS: f64 = 0.75;

/// The same for a model of the user's, of which nobody knows how far from linear it is.
pub const LOSS_OF_USER: f64 = 0.9;

/// Half the distance from 1 to the next larger number.
pub fn unit_roundoff(data_type: DataType) -> f64 {
    match data_type {
        DataType::F32 => ACCUMULATOR,
        DataType::F16 => 1.0 / 2048.0,
        DataType::Bf16 => 1.0 / 256.0,
    }
}

/// The limit for one quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The most that the error may be.
    pub limit: f64,
    /// Terms of the longest sum.
    pub reduction: u64,
}

/// The limits of a case, by quantity.
pub type Limits = Vec<(&'static str, Limit)>;

fn limit(data_type: DataType, reduction: u64, partial_sums: u64) -> Limit {
    let sum = ACCUMULATOR * (SUM * (reduction as f64).sqrt() + FIXED);
    let stored = match data_type {
        DataType::F32 => 0.0,
        DataType::F16 | DataType::Bf16 => unit_roundoff(data_type) * (1.0 + (partial_sums as f64).sqrt()),
    };
    Limit { limit: sum + stored, reduction }
}

/// Every quantity of a case with its limit. For a model's inference the limit
/// depends on the CPU's own error; then it is none of these.
pub fn limits(work: &Work) -> Limits {
    match work {
        Work::Copy { .. } => vec![("output", Limit { limit: 0.0, reduction: 1 })],
        Work::Elementwise { data_type, .. } => {
            // Four operations, each of which rounds to the format.
            let limit = limit(*data_type, 1, 9);
            vec![("output", limit), ("grad-input", limit)]
        }
        Work::Matmul { m, n, k, data_type } => vec![
            ("output", limit(*data_type, *k, 1)),
            ("grad-input", limit(*data_type, *n, 1)),
            ("grad-weight", limit(*data_type, *m, 1)),
        ],
        Work::BatchNorm { batch, input, data_type, .. } => {
            let all = input.iter().product::<u64>() * batch;
            ["output", "grad-input", "grad-weight", "grad-bias"].map(|name| (name, limit(*data_type, all, 1))).into()
        }
        Work::Conv(convolution) => of_convolution(convolution),
        Work::ModelTraining(model) => {
            let limit = model.missing.unwrap_or(if model.is_of_user() { LOSS_OF_USER } else { LOSS });
            vec![("loss", Limit { limit, reduction: 1 })]
        }
        Work::ModelInference(_) => Vec::new(),
    }
}

fn of_convolution(convolution: &Convolution) -> Limits {
    let n = convolution.dimensions();
    let kernel: u64 = convolution.kernel.expand(n).iter().product();
    let image = if convolution.transposed { Some(convolution.input.clone()) } else { convolution.output() };
    let pixels = image.unwrap_or_default().iter().product::<u64>();
    let data_type = convolution.computes_in();
    let batch = convolution.batch;
    // MIOpen may compute a depthwise convolution as well, image by image.
    let partial_sums = if convolution.is_depthwise_3d() { batch.max(DEPTHWISE_3D) } else { batch };
    let mut limits = vec![
        // A bias is added to what has been rounded to the format already.
        (
            "output",
            limit(data_type, kernel * convolution.channels / convolution.groups, if convolution.bias { 4 } else { 1 }),
        ),
        // Where padding mirrors the image, a pixel's gradient is summed up from several.
        ("grad-input", limit(data_type, kernel * convolution.filters / convolution.groups, 4)),
        ("grad-weight", limit(data_type, (pixels * batch).max(1), partial_sums)),
    ];
    if convolution.bias {
        let output: u64 = convolution.output().unwrap_or_default().iter().product();
        limits.push(("grad-bias", limit(data_type, (output * batch).max(1), batch)));
    }
    limits
}

/// The limit of a model's inference, from the error of the CPU's own float32.
pub fn of_model(cpu_error: f64) -> Limit {
    Limit { limit: (MODEL_FACTOR * cpu_error).clamp(MODEL_LEAST, MODEL_MOST), reduction: 1 }
}
