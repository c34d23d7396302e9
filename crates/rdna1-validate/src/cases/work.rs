// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case computes, as the case files write it and as the worker is told.

use rdna1_miopen::DataType;
use serde::{Deserialize, Serialize};

/// How a tensor lies in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// NCHW, without gaps.
    #[default]
    Contiguous,
    /// NHWC.
    ChannelsLast,
    /// A view of every second element.
    NonContiguous,
}

/// What lies beyond the image's edge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The image, mirrored.
    Reflect,
    /// The image's other side.
    Circular,
}

/// Padding: a number for each dimension, or PyTorch's own word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Padding {
    /// Numbers.
    Numbers(Sizes),
    /// `same`: the output is as large as the input.
    Word(PaddingWord),
}

/// Padding by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaddingWord {
    /// The output is as large as the input.
    Same,
}

/// One number for all dimensions, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sizes {
    /// The same in all dimensions.
    All(u64),
    /// One for each.
    Each(Vec<u64>),
}

impl Sizes {
    /// One number for each of `n` dimensions.
    pub fn expand(&self, n: usize) -> Vec<u64> {
        match self {
            Self::All(size) => vec![*size; n],
            Self::Each(sizes) => sizes.clone(),
        }
    }
}

fn ones() -> Sizes {
    Sizes::All(1)
}

fn no_padding() -> Padding {
    Padding::Numbers(Sizes::All(0))
}

fn one() -> u64 {
    1
}

fn yes() -> bool {
    true
}

/// A convolution, forward and both gradients. `input` has one number for
/// Conv1d, two for Conv2d, three for Conv3d.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Images; may be 0.
    #[serde(default = "one")]
    pub batch: u64,
    /// Channels of the input.
    pub channels: u64,
    /// Channels of the output.
    pub filters: u64,
    /// Size of the image.
    pub input: Vec<u64>,
    /// Size of the kernel.
    pub kernel: Sizes,
    /// Padding.
    #[serde(default = "no_padding")]
    pub padding: Padding,
    /// What lies beyond the edge.
    #[serde(default)]
    pub padding_mode: PaddingMode,
    /// Stride.
    #[serde(default = "ones")]
    pub stride: Sizes,
    /// Dilation.
    #[serde(default = "ones")]
    pub dilation: Sizes,
    /// Groups.
    #[serde(default = "one")]
    pub groups: u64,
    /// Whether it is transposed.
    #[serde(default)]
    pub transposed: bool,
    /// Whether a bias is added.
    #[serde(default)]
    pub bias: bool,
    /// The tensors' format.
    #[serde(default = "single")]
    pub data_type: DataType,
    /// Whether `torch.autocast` is on, and in which format.
    #[serde(default)]
    pub autocast: Option<DataType>,
    /// How input and weights lie in memory.
    #[serde(default)]
    pub memory: Memory,
    /// `torch.backends.cudnn.benchmark`; without it, what the PyTorch comes with,
    /// as programs have it. That is true on ROCm up to PyTorch 2.6.
    #[serde(default)]
    pub benchmark: Option<bool>,
    /// `torch.backends.cudnn.enabled`, which switches MIOpen.
    #[serde(default = "yes")]
    pub miopen: bool,
}

fn single() -> DataType {
    DataType::F32
}

impl Convolution {
    /// A problem of the suite.
    pub fn from_problem(problem: &rdna1_miopen::Convolution) -> Self {
        let each = |sizes: &[u64]| Sizes::Each(sizes.to_vec());
        Self {
            batch: problem.batch,
            channels: problem.channels,
            filters: problem.filters,
            input: problem.input.clone(),
            kernel: each(&problem.kernel),
            padding: Padding::Numbers(each(&problem.padding)),
            padding_mode: PaddingMode::Zeros,
            stride: each(&problem.stride),
            dilation: each(&problem.dilation),
            groups: problem.groups,
            transposed: problem.transposed,
            bias: false,
            data_type: problem.data_type,
            autocast: None,
            memory: Memory::Contiguous,
            benchmark: None,
            miopen: true,
        }
    }

    /// The problem that PyTorch hands to MIOpen: a Conv1d as an image of height 1,
    /// what lies beyond the edge computed before, channels-last made ordinary.
    /// `None` for an empty batch, which it does not hand on.
    pub fn to_problem(&self) -> Option<rdna1_miopen::Convolution> {
        let n = self.dimensions();
        let (mut input, mut kernel) = (self.input.clone(), self.kernel.expand(n));
        let (mut stride, mut dilation) = (self.stride.expand(n), self.dilation.expand(n));
        let mut padding = match &self.padding {
            Padding::Numbers(sizes) => sizes.expand(n),
            // Where both sides differ, PyTorch pads one of them itself.
            Padding::Word(PaddingWord::Same) => (0..n).map(|d| dilation[d] * (kernel[d] - 1) / 2).collect(),
        };
        if self.padding_mode != PaddingMode::Zeros {
            input.iter_mut().zip(&padding).for_each(|(size, padding)| *size += 2 * padding);
            padding = vec![0; n];
        }
        if n == 1 {
            for (sizes, one) in
                [(&mut input, 1), (&mut kernel, 1), (&mut stride, 1), (&mut dilation, 1), (&mut padding, 0)]
            {
                sizes.insert(0, one);
            }
        }
        let problem = rdna1_miopen::Convolution {
            batch: self.batch,
            channels: self.channels,
            filters: self.filters,
            groups: self.groups,
            input,
            kernel,
            padding,
            stride,
            dilation,
            transposed: self.transposed,
            data_type: self.computes_in(),
            layout: rdna1_miopen::Layout::ChannelsFirst,
        };
        problem.check().ok().map(|()| problem)
    }

    /// Dimensions of the image: 1, 2 or 3.
    pub fn dimensions(&self) -> usize {
        self.input.len()
    }

    /// Whether PyTorch has a kernel of its own for it as a depthwise convolution
    /// of volumes, as `ConvParams::is_depthwise` of its Convolution.cpp decides.
    pub fn is_depthwise_3d(&self) -> bool {
        self.dimensions() == 3 && !self.transposed && self.groups > 1 && self.groups == self.channels
    }

    /// The format that is computed in.
    pub fn computes_in(&self) -> DataType {
        self.autocast.unwrap_or(self.data_type)
    }

    /// The size of the output's image; `None` where the kernel does not fit in.
    pub fn output(&self) -> Option<Vec<u64>> {
        let n = self.dimensions();
        let (kernel, stride) = (self.kernel.expand(n), self.stride.expand(n));
        let dilation = self.dilation.expand(n);
        let padding = match &self.padding {
            Padding::Word(PaddingWord::Same) => return Some(self.input.clone()),
            Padding::Numbers(sizes) => sizes.expand(n),
        };
        let size = |d: usize| {
            let reach = dilation[d] * (kernel[d].checked_sub(1)?) + 1;
            if self.transposed {
                let full = (self.input[d].checked_sub(1)?) * stride[d] + reach;
                return full.checked_sub(2 * padding[d]).filter(|size| *size > 0);
            }
            Some((self.input[d] + 2 * padding[d]).checked_sub(reach)? / stride[d] + 1)
        };
        (0..n).map(size).collect()
    }

    /// Multiplications of one direction.
    pub fn multiplications(&self) -> f64 {
        let image = if self.transposed { Some(self.input.clone()) } else { self.output() };
        let pixels: f64 = image.unwrap_or_default().iter().map(|&size| size as f64).product();
        let kernel: f64 = self.kernel.expand(self.dimensions()).iter().map(|&size| size as f64).product();
        self.batch as f64 * pixels * kernel * self.channels as f64 * self.filters as f64 / self.groups as f64
    }

    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<String> {
        let n = self.dimensions();
        if !(1..=3).contains(&n) {
            return Some(format!("input has {n} dimensions, not 1 to 3"));
        }
        let lists = [("kernel", &self.kernel), ("stride", &self.stride), ("dilation", &self.dilation)];
        for (name, sizes) in lists {
            let sizes = sizes.expand(n);
            if sizes.len() != n || sizes.contains(&0) {
                return Some(format!("{name} must have one number or {n}, none of them 0"));
            }
        }
        match &self.padding {
            Padding::Numbers(sizes) if sizes.expand(n).len() != n => {
                return Some(format!("padding must have one number or {n}"));
            }
            Padding::Word(_) if self.transposed || self.stride.expand(n).iter().any(|&s| s != 1) => {
                return Some("padding `same` is for stride 1 and not for transposed convolution".into());
            }
            _ => {}
        }
        if self.groups == 0 || !self.channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            return Some("groups must divide channels and filters".into());
        }
        if self.transposed && self.padding_mode != PaddingMode::Zeros {
            return Some("transposed convolution pads with zeros only".into());
        }
        self.output().is_none().then(|| "the kernel is larger than the padded input".into())
    }
}

/// What a case computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// To the device and back: not one bit may change.
    Copy {
        /// Numbers.
        elements: u64,
    },
    /// Arithmetic on each element, without a library.
    Elementwise {
        /// Numbers.
        elements: u64,
        /// Their format.
        data_type: DataType,
    },
    /// A matrix product m x k by k x n, and its gradients.
    Matmul {
        /// Rows.
        m: u64,
        /// Columns.
        n: u64,
        /// Terms of each sum.
        k: u64,
        /// The format.
        data_type: DataType,
    },
    /// Batch normalisation in training, and its gradients.
    BatchNorm {
        /// Images.
        batch: u64,
        /// Channels.
        channels: u64,
        /// Size of the image.
        input: Vec<u64>,
        /// The format.
        data_type: DataType,
    },
    /// A convolution and its gradients.
    Conv(Convolution),
    /// A model's answer.
    ModelInference(Model),
    /// A short training of a model, which must lower its loss.
    ModelTraining(Model),
}

/// A model: torchvision's by name, or the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// torchvision's name, or `module:function`.
    pub model: String,
    /// Images in a batch.
    #[serde(default = "two")]
    pub batch: u64,
    /// Height and width of the images; the user's model brings its own.
    #[serde(default = "image")]
    pub size: u64,
    /// Steps of the training.
    #[serde(default = "steps")]
    pub steps: u64,
    /// The part of the loss that each step of the training is to take away.
    #[serde(default = "rate")]
    pub rate: f64,
    /// How much of the decline that the steps promise may be missing; without it,
    /// what holds for all.
    #[serde(default)]
    pub missing: Option<f64>,
}

fn two() -> u64 {
    2
}

fn image() -> u64 {
    64
}

fn steps() -> u64 {
    6
}

fn rate() -> f64 {
    0.03
}

impl Model {
    /// Whether it is none of torchvision's.
    pub fn is_of_user(&self) -> bool {
        self.model.contains(':')
    }

    /// A model of the user's.
    pub fn of_user(name: &str) -> Self {
        Self { model: name.to_owned(), batch: two(), size: image(), steps: steps(), rate: rate(), missing: None }
    }
}

impl Work {
    /// The computation that it must agree with: the same without anything that
    /// changes how it is computed and not what. `None` where there is nothing
    /// to compare with.
    pub fn reference(&self) -> Option<Self> {
        let mut plain = self.clone();
        match &mut plain {
            Self::Copy { .. } | Self::ModelTraining(_) => return None,
            Self::Conv(convolution) => {
                convolution.data_type = convolution.computes_in();
                convolution.autocast = None;
                convolution.memory = Memory::Contiguous;
                convolution.benchmark = None;
                convolution.miopen = true;
            }
            Self::Elementwise { .. } | Self::Matmul { .. } | Self::BatchNorm { .. } | Self::ModelInference(_) => {}
        }
        Some(plain)
    }

    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Conv(convolution) => convolution.problem(),
            _ => None,
        }
    }
}
