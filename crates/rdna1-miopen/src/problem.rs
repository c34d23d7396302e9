// SPDX-License-Identifier: MIT OR Apache-2.0
//! A convolution as MIOpen sees it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of the three computations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The output from the input.
    Forward,
    /// The input's gradient.
    BackwardData,
    /// The weights' gradient.
    BackwardWeights,
}

impl Direction {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Forward, Self::BackwardData, Self::BackwardWeights];

    /// The letter by which tables and the query program name it.
    pub fn letter(self) -> char {
        match self {
            Self::Forward => 'F',
            Self::BackwardData => 'B',
            Self::BackwardWeights => 'W',
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::BackwardData => "backward data",
            Self::BackwardWeights => "backward weights",
        })
    }
}

/// The type of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DataType {
    /// Single precision.
    #[serde(rename = "f32")]
    F32,
    /// Half precision.
    #[serde(rename = "f16")]
    F16,
    /// Brain floating point.
    #[serde(rename = "bf16")]
    Bf16,
}

impl DataType {
    /// All that PyTorch hands to MIOpen.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// Bytes per element.
    pub fn size(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Its name: f32, f16, bf16.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Its number in miopenDataType_t.
    pub(crate) fn miopen(self) -> i32 {
        match self {
            Self::F16 => 0,
            Self::F32 => 1,
            Self::Bf16 => 5,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for DataType {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|t| t.name() == s).ok_or_else(|| format!("`{s}` is not one of f32, f16, bf16"))
    }
}

/// How a tensor lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// NCHW or NCDHW: PyTorch's ordinary layout.
    ChannelsFirst,
    /// NHWC or NDHWC: PyTorch's `channels_last`.
    ChannelsLast,
}

/// A convolution.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Images at a time.
    pub batch: u64,
    /// Channels of the input.
    pub channels: u64,
    /// Channels of the output.
    pub filters: u64,
    /// Groups, each with its share of both.
    pub groups: u64,
    /// Size of the input: height and width, or depth, height and width.
    pub input: Vec<u64>,
    /// Size of the kernel.
    pub kernel: Vec<u64>,
    /// Padding on each side.
    pub padding: Vec<u64>,
    /// Stride.
    pub stride: Vec<u64>,
    /// Dilation; 1 is none.
    pub dilation: Vec<u64>,
    /// Whether it is a transposed convolution, whose forward computation is
    /// another convolution's backward data.
    pub transposed: bool,
    /// Type of the numbers.
    pub data_type: DataType,
    /// Layout of all its tensors.
    pub layout: Layout,
}

/// A convolution that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{convolution}: {problem}")]
pub struct InvalidConvolution {
    /// The convolution.
    pub convolution: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Convolution {
    /// Whether such a convolution can be.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), InvalidConvolution> {
        self.problem().map_or(Ok(()), |problem| Err(InvalidConvolution { convolution: self.to_string(), problem }))
    }

    fn problem(&self) -> Option<String> {
        let n = self.input.len();
        if !(2..=3).contains(&n) {
            return Some(format!(
                "{n} image dimensions; MIOpen takes 2 or 3 (PyTorch gives it a Conv1d as 1 x length)"
            ));
        }
        let sizes = [&self.kernel, &self.padding, &self.stride, &self.dilation];
        if sizes.iter().any(|s| s.len() != n) {
            return Some("kernel, padding, stride and dilation must have as many numbers as the image".into());
        }
        // MIOpen's interface counts in 32 bits; a quarter leaves room for sums.
        let all = [self.batch, self.channels, self.filters, self.groups];
        if all.iter().chain(sizes.into_iter().flatten()).chain(&self.input).any(|&v| v > 1 << 29) {
            return Some("a number is larger than 2^29".into());
        }
        if all.contains(&0) || [&self.input, &self.kernel, &self.stride, &self.dilation].iter().any(|s| s.contains(&0))
        {
            return Some("only padding may be 0".into());
        }
        if !self.channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            return Some(format!("{} groups do not divide the channels", self.groups));
        }
        self.checked_output().is_none().then(|| "the kernel is larger than the padded image".into())
    }

    fn checked_output(&self) -> Option<Vec<u64>> {
        (0..self.input.len())
            .map(|d| {
                let extent = self.dilation[d] * (self.kernel[d] - 1) + 1;
                let padding = 2 * self.padding[d];
                let size = if self.transposed {
                    ((self.input[d] - 1) * self.stride[d] + extent).checked_sub(padding)?
                } else {
                    (self.input[d] + padding).checked_sub(extent)? / self.stride[d] + 1
                };
                (size > 0).then_some(size)
            })
            .collect()
    }

    /// Size of the output; empty for a convolution that cannot be.
    pub fn output(&self) -> Vec<u64> {
        self.checked_output().unwrap_or_default()
    }

    /// Whether any dimension is dilated.
    pub fn is_dilated(&self) -> bool {
        self.dilation.iter().any(|&d| d > 1)
    }

    /// The convolution and direction whose computation this is: for a
    /// transposed one the ordinary convolution that leads from its output to
    /// its input.
    pub fn ordinary(&self, direction: Direction) -> (Self, Direction) {
        if !self.transposed {
            return (self.clone(), direction);
        }
        let other = Self {
            channels: self.filters,
            filters: self.channels,
            input: self.output(),
            transposed: false,
            ..self.clone()
        };
        let direction = match direction {
            Direction::Forward => Direction::BackwardData,
            Direction::BackwardData => Direction::Forward,
            Direction::BackwardWeights => Direction::BackwardWeights,
        };
        (other, direction)
    }

    /// How many weights it has, without a bias.
    pub fn weights(&self) -> u64 {
        self.channels * self.filters / self.groups * self.kernel.iter().product::<u64>()
    }

    /// The layout's usual name.
    pub fn layout_name(&self) -> &'static str {
        match (self.layout, self.input.len()) {
            (Layout::ChannelsFirst, 3) => "NCDHW",
            (Layout::ChannelsLast, 3) => "NDHWC",
            (Layout::ChannelsFirst, _) => "NCHW",
            (Layout::ChannelsLast, _) => "NHWC",
        }
    }
}

fn by(sizes: &[u64]) -> String {
    sizes.iter().map(u64::to_string).collect::<Vec<_>>().join("x")
}

/// Short and complete: `16x64x56x56 -> 128, 3x3 s2 p1 g2, f32 NCHW`.
impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{} -> {}, ", self.batch, self.channels, by(&self.input), self.filters)?;
        if self.transposed {
            f.write_str("transposed ")?;
        }
        f.write_str(&by(&self.kernel))?;
        for (letter, sizes, usual) in [('s', &self.stride, 1), ('p', &self.padding, 0), ('d', &self.dilation, 1)] {
            match sizes.first() {
                Some(&first) if sizes.iter().all(|&size| size == first) => {
                    if first != usual {
                        write!(f, " {letter}{first}")?;
                    }
                }
                _ => write!(f, " {letter}{}", by(sizes))?,
            }
        }
        if self.groups > 1 {
            write!(f, " g{}", self.groups)?;
        }
        write!(f, ", {} {}", self.data_type.name(), self.layout_name())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A 3x3 convolution of 64 channels at 56x56.
    pub(crate) fn plain() -> Convolution {
        Convolution {
            batch: 1,
            channels: 64,
            filters: 64,
            groups: 1,
            input: vec![56, 56],
            kernel: vec![3, 3],
            padding: vec![1, 1],
            stride: vec![1, 1],
            dilation: vec![1, 1],
            transposed: false,
            data_type: DataType::F32,
            layout: Layout::ChannelsFirst,
        }
    }

    #[test]
    fn sizes_and_names() {
        let strided = Convolution { stride: vec![2, 2], groups: 2, ..plain() };
        assert_eq!(strided.output(), [28, 28]);
        assert_eq!(strided.to_string(), "1x64x56x56 -> 64, 3x3 s2 p1 g2, f32 NCHW");
        let transposed = Convolution { transposed: true, kernel: vec![4, 4], filters: 32, ..strided };
        assert_eq!(transposed.output(), [112, 112]);
        let (ordinary, direction) = transposed.ordinary(Direction::Forward);
        assert_eq!((ordinary.channels, ordinary.filters), (32, 64));
        assert_eq!((ordinary.output(), direction), (vec![56, 56], Direction::BackwardData));
    }

    #[test]
    fn impossible_ones_say_why() {
        let why = |convolution: Convolution| convolution.check().expect_err("impossible").problem;
        assert!(why(Convolution { groups: 3, ..plain() }).contains("groups"));
        assert!(why(Convolution { kernel: vec![59, 3], ..plain() }).contains("larger"));
        assert!(why(Convolution { stride: vec![0, 1], ..plain() }).contains('0'));
        assert!(why(Convolution { stride: vec![1], ..plain() }).contains("as many"));
        assert!(why(Convolution { input: vec![56], ..plain() }).contains("Conv1d"));
        assert!(why(Convolution { batch: 1 << 40, ..plain() }).contains("2^29"));
        assert_eq!(plain().check(), Ok(()));
    }
}
