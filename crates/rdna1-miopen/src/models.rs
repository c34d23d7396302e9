// SPDX-License-Identifier: MIT OR Apache-2.0
//! The convolutions of well-known torchvision models, layer by layer.
//!
//! Written down from the architectures' papers and tables as short programs
//! that also count parameters, so that a test can hold each against the number
//! of parameters that torchvision documents.

use crate::{Convolution, DataType, Layout};

/// The models' names.
pub const NAMES: [&str; 6] = ["resnet18", "resnet50", "vgg16", "efficientnet_b0", "mobilenet_v2", "densenet121"];

/// A model's convolutions.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name in torchvision.
    pub name: &'static str,
    /// Its convolutions in order, for one f32 image of 224x224.
    pub layers: Vec<Convolution>,
    /// All its parameters, those of other layers among them.
    pub parameters: u64,
}

/// A model by its name.
pub fn model(name: &str) -> Option<Model> {
    let name = NAMES.into_iter().find(|known| *known == name)?;
    let mut net = Net { channels: 3, size: 224, layers: Vec::new(), parameters: 0 };
    match name {
        "resnet18" => net.resnet(&[2, 2, 2, 2], false),
        "resnet50" => net.resnet(&[3, 4, 6, 3], true),
        "vgg16" => net.vgg(&[(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]),
        "efficientnet_b0" => net.efficientnet(),
        "mobilenet_v2" => net.mobilenet(),
        _ => net.densenet(&[6, 12, 24, 16]),
    }
    Some(Model { name, layers: net.layers, parameters: net.parameters })
}

/// A network in the making: where its data is, and what it was made of.
struct Net {
    channels: u64,
    /// Height and width.
    size: u64,
    layers: Vec<Convolution>,
    parameters: u64,
}

/// Kernel, stride and groups of a convolution whose padding is half its kernel.
#[derive(Clone, Copy)]
struct Kernel(u64, u64, u64);

impl Net {
    fn convolution(&mut self, filters: u64, Kernel(kernel, stride, groups): Kernel) {
        let convolution = Convolution {
            batch: 1,
            channels: self.channels,
            filters,
            groups,
            input: vec![self.size; 2],
            kernel: vec![kernel; 2],
            padding: vec![kernel / 2; 2],
            stride: vec![stride; 2],
            dilation: vec![1; 2],
            transposed: false,
            data_type: DataType::F32,
            layout: Layout::ChannelsFirst,
        };
        self.parameters += convolution.weights();
        self.size = convolution.output()[0];
        self.channels = filters;
        self.layers.push(convolution);
    }

    fn normalised(&mut self, filters: u64, kernel: Kernel) {
        self.convolution(filters, kernel);
        self.norm();
    }

    /// Batch normalisation: a scale and a shift for each channel.
    fn norm(&mut self) {
        self.parameters += 2 * self.channels;
    }

    fn biased(&mut self, filters: u64, kernel: Kernel) {
        self.convolution(filters, kernel);
        self.parameters += filters;
    }

    fn linear(&mut self, outputs: u64) {
        self.parameters += (self.channels + 1) * outputs;
        self.channels = outputs;
    }

    /// Pooling that halves the image.
    fn halve(&mut self) {
        self.size /= 2;
    }

    /// He and others 2015; the stride of a bottleneck is in its 3x3.
    fn resnet(&mut self, stages: &[u64], bottleneck: bool) {
        self.normalised(64, Kernel(7, 2, 1));
        self.halve();
        for (stage, &blocks) in stages.iter().enumerate() {
            let width = 64 << stage;
            let out = if bottleneck { 4 * width } else { width };
            for block in 0..blocks {
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let (channels, size) = (self.channels, self.size);
                if bottleneck {
                    self.normalised(width, Kernel(1, 1, 1));
                    self.normalised(width, Kernel(3, stride, 1));
                    self.normalised(out, Kernel(1, 1, 1));
                } else {
                    self.normalised(width, Kernel(3, stride, 1));
                    self.normalised(width, Kernel(3, 1, 1));
                }
                if channels != out {
                    // The way around the block.
                    (self.channels, self.size) = (channels, size);
                    self.normalised(out, Kernel(1, stride, 1));
                }
            }
        }
        self.linear(1000);
    }

    /// Simonyan and Zisserman 2014, without normalisation.
    fn vgg(&mut self, stages: &[(u64, u64)]) {
        for &(layers, width) in stages {
            for _ in 0..layers {
                self.biased(width, Kernel(3, 1, 1));
            }
            self.halve();
        }
        self.channels *= self.size * self.size;
        for outputs in [4096, 4096, 1000] {
            self.linear(outputs);
        }
    }

    /// Sandler and others 2018.
    fn mobilenet(&mut self) {
        self.normalised(32, Kernel(3, 2, 1));
        let stages: [(u64, u64, u64, u64); 7] =
            [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];
        for (expansion, out, blocks, stride) in stages {
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let width = expansion * self.channels;
                if expansion > 1 {
                    self.normalised(width, Kernel(1, 1, 1));
                }
                self.normalised(width, Kernel(3, stride, width));
                self.normalised(out, Kernel(1, 1, 1));
            }
        }
        self.normalised(1280, Kernel(1, 1, 1));
        self.linear(1000);
    }

    /// Tan and Le 2019.
    fn efficientnet(&mut self) {
        self.normalised(32, Kernel(3, 2, 1));
        let stages: [(u64, u64, u64, u64, u64); 7] = [
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 5, 2, 40, 2),
            (6, 3, 2, 80, 3),
            (6, 5, 1, 112, 3),
            (6, 5, 2, 192, 4),
            (6, 3, 1, 320, 1),
        ];
        for (expansion, kernel, stride, out, blocks) in stages {
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                let squeezed = self.channels / 4;
                let width = expansion * self.channels;
                if expansion > 1 {
                    self.normalised(width, Kernel(1, 1, 1));
                }
                self.normalised(width, Kernel(kernel, stride, width));
                // Squeeze and excitation works on one number for each channel.
                let size = std::mem::replace(&mut self.size, 1);
                self.biased(squeezed, Kernel(1, 1, 1));
                self.biased(width, Kernel(1, 1, 1));
                self.size = size;
                self.normalised(out, Kernel(1, 1, 1));
            }
        }
        self.normalised(1280, Kernel(1, 1, 1));
        self.linear(1000);
    }

    /// Huang and others 2016, growth 32.
    fn densenet(&mut self, blocks: &[u64]) {
        self.normalised(64, Kernel(7, 2, 1));
        self.halve();
        for (index, &layers) in blocks.iter().enumerate() {
            if index > 0 {
                self.norm();
                self.convolution(self.channels / 2, Kernel(1, 1, 1));
                self.halve();
            }
            for _ in 0..layers {
                let channels = self.channels;
                self.norm();
                self.normalised(128, Kernel(1, 1, 1));
                self.convolution(32, Kernel(3, 1, 1));
                self.channels = channels + 32;
            }
        }
        self.norm();
        self.linear(1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of parameters as torchvision's documentation has them.
    #[test]
    fn parameters_are_torchvisions() {
        let documented = [11_689_512, 25_557_032, 138_357_544, 5_288_548, 3_504_872, 7_978_856];
        let convolutions = [20, 53, 13, 81, 52, 120];
        for ((name, parameters), layers) in NAMES.into_iter().zip(documented).zip(convolutions) {
            let model = model(name).expect("it is there");
            assert_eq!(model.parameters, parameters, "{name}");
            assert_eq!(model.layers.len(), layers, "{name}");
            assert!(model.layers.iter().all(|layer| layer.check().is_ok()), "{name}");
        }
        assert!(model("resnet19").is_none());
    }

    #[test]
    fn images_shrink_as_they_should() {
        let last = |name| model(name).and_then(|m| m.layers.last().map(Convolution::output)).expect("layers");
        for name in ["resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "densenet121"] {
            assert_eq!(last(name), [7, 7], "{name}");
        }
        assert_eq!(last("vgg16"), [14, 14]);
    }
}
