// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cases in words.

use std::fmt;

use super::work::{Convolution, Memory, Padding, PaddingMode, Work};

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { elements } => write!(f, "{elements} numbers to the device and back"),
            Self::Elementwise { elements, data_type } => write!(f, "arithmetic on {elements} numbers, {data_type}"),
            Self::Matmul { m, n, k, data_type } => write!(f, "matrix product {m}x{k} by {k}x{n}, {data_type}"),
            Self::BatchNorm { batch, channels, input, data_type } => {
                write!(f, "batch norm in training {batch}x{channels}x{}, {data_type}", joined(input))
            }
            Self::Conv(convolution) => convolution.fmt(f),
            Self::ModelInference(model) => write!(f, "{}: inference against the CPU", model.model),
            Self::ModelTraining(model) => write!(f, "{}: {} steps of training", model.model, model.steps),
        }
    }
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.dimensions();
        let name = if self.transposed { "ConvTranspose" } else { "Conv" };
        write!(f, "{name}{n}d {}x{}x{}", self.batch, self.channels, joined(&self.input))?;
        write!(f, " to {} channels, kernel {}", self.filters, joined(&self.kernel.expand(n)))?;
        let differs = |sizes: &[u64], usual| sizes.iter().any(|&size| size != usual);
        for (word, sizes) in [("stride", self.stride.expand(n)), ("dilation", self.dilation.expand(n))] {
            if differs(&sizes, 1) {
                write!(f, ", {word} {}", joined(&sizes))?;
            }
        }
        let mode = match self.padding_mode {
            PaddingMode::Zeros => "",
            PaddingMode::Reflect => " reflected",
            PaddingMode::Circular => " circular",
        };
        match &self.padding {
            Padding::Word(_) => write!(f, ", padding same{mode}")?,
            Padding::Numbers(sizes) if differs(&sizes.expand(n), 0) => {
                write!(f, ", padding {}{mode}", joined(&sizes.expand(n)))?;
            }
            Padding::Numbers(_) => {}
        }
        if self.groups > 1 {
            write!(f, ", {} groups", self.groups)?;
        }
        write!(f, ", {}", self.data_type)?;
        if let Some(format) = self.autocast {
            write!(f, " in autocast to {format}")?;
        }
        let flags = [
            (self.bias, "bias"),
            (self.memory == Memory::ChannelsLast, "channels-last"),
            (self.memory == Memory::NonContiguous, "non-contiguous"),
            (self.benchmark == Some(true), "cudnn.benchmark"),
            (self.benchmark == Some(false), "cudnn.benchmark off"),
            (!self.miopen, "without MIOpen"),
        ];
        flags.iter().filter(|(on, _)| *on).try_for_each(|(_, word)| write!(f, ", {word}"))
    }
}

fn joined(sizes: &[u64]) -> String {
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}
