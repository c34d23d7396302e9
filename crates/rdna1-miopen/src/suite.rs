// SPDX-License-Identifier: MIT OR Apache-2.0
//! The problem suite: shapes as data, expanded to convolutions.

use serde::{Deserialize, Serialize};

use crate::{Convolution, DataType, Layout};

/// The suite that is compiled in.
const EMBEDDED: &str = include_str!("../data/suite.yaml");

/// The file's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of this format.
    pub version: u32,
    /// Batch sizes.
    pub batches: Vec<u64>,
    /// Data types.
    pub data_types: Vec<DataType>,
    /// Layouts.
    pub layouts: Vec<Layout>,
    /// Shapes, to be taken with each of these.
    pub shapes: Vec<Shape>,
    /// Single problems about the limits of workspaces.
    pub edges: Vec<Shape>,
}

/// One number for all dimensions, or one for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sizes {
    /// The same in all dimensions.
    All(u64),
    /// One for each.
    Each(Vec<u64>),
}

/// Padding: numbers, or as much as keeps the size.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Padding {
    /// Numbers.
    Sizes(Sizes),
    /// Half the kernel.
    Word(PaddingWord),
}

/// Padding by name.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingWord {
    /// Half the kernel on each side.
    Same,
}

/// A convolution without batch, type and layout.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Its name, unique; a list may leave it out.
    #[serde(default)]
    pub id: String,
    /// Channels of the input.
    pub channels: u64,
    /// Channels of the output.
    pub filters: u64,
    /// Size of the image.
    pub input: Vec<u64>,
    /// Size of the kernel.
    pub kernel: Sizes,
    /// Padding.
    #[serde(default = "none")]
    pub padding: Padding,
    /// Stride.
    #[serde(default = "one")]
    pub stride: Sizes,
    /// Dilation.
    #[serde(default = "one")]
    pub dilation: Sizes,
    /// Groups.
    #[serde(default = "one_group")]
    pub groups: u64,
    /// Whether it is transposed.
    #[serde(default)]
    pub transposed: bool,
    /// For an edge and in a list: its batch; 1 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
    /// For an edge and in a list: its type; f32 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<DataType>,
    /// In a list: its layout; the ordinary one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
}

fn none() -> Padding {
    Padding::Sizes(Sizes::All(0))
}

fn one() -> Sizes {
    Sizes::All(1)
}

fn one_group() -> u64 {
    1
}

impl Sizes {
    fn expand(&self, dimensions: usize) -> Vec<u64> {
        match self {
            Self::All(size) => vec![*size; dimensions],
            Self::Each(sizes) => sizes.clone(),
        }
    }
}

impl Shape {
    /// The convolution with this batch, type and layout.
    pub fn with(&self, batch: u64, data_type: DataType, layout: Layout) -> Convolution {
        let n = self.input.len();
        let kernel = self.kernel.expand(n);
        let padding = match &self.padding {
            Padding::Sizes(sizes) => sizes.expand(n),
            Padding::Word(PaddingWord::Same) => kernel.iter().map(|k| k / 2).collect(),
        };
        Convolution {
            batch,
            channels: self.channels,
            filters: self.filters,
            groups: self.groups,
            input: self.input.clone(),
            kernel,
            padding,
            stride: self.stride.expand(n),
            dilation: self.dilation.expand(n),
            transposed: self.transposed,
            data_type,
            layout,
        }
    }
}

impl Shape {
    /// The one convolution that an edge or an item of a list stands for.
    pub fn single(&self) -> Convolution {
        let data_type = self.data_type.unwrap_or(DataType::F32);
        self.with(self.batch.unwrap_or(1), data_type, self.layout.unwrap_or(Layout::ChannelsFirst))
    }
}

/// A suite that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct SuiteError {
    /// Its name.
    pub file: String,
    /// What is wrong, with the place.
    pub problem: String,
}

impl Suite {
    /// The suite that is compiled in.
    ///
    /// # Errors
    /// None in a released build: a test reads the same data.
    pub fn embedded() -> Result<Self, SuiteError> {
        Self::parse("suite.yaml", EMBEDDED)
    }

    /// Reads a suite and checks every convolution in it.
    ///
    /// # Errors
    /// What is wrong first, with its line where YAML knows it.
    pub fn parse(file: &str, text: &str) -> Result<Self, SuiteError> {
        let wrong = |problem| SuiteError { file: file.to_owned(), problem };
        let suite: Self = serde_yaml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if suite.version != 1 {
            return Err(wrong(format!("version {} is not 1", suite.version)));
        }
        let mut seen = std::collections::BTreeSet::new();
        for shape in suite.shapes.iter().chain(&suite.edges) {
            if shape.id.is_empty() {
                return Err(wrong("a shape has no id".into()));
            }
            if !seen.insert(&shape.id) {
                return Err(wrong(format!("the id `{}` is there twice", shape.id)));
            }
            let convolution = shape.with(1, DataType::F32, Layout::ChannelsFirst);
            convolution.check().map_err(|e| wrong(format!("shape `{}`: {e}", shape.id)))?;
        }
        Ok(suite)
    }

    /// Reads a list of single convolutions, in YAML or JSON, and checks each.
    ///
    /// # Errors
    /// What is wrong first, with its line where YAML knows it.
    pub fn list(file: &str, text: &str) -> Result<Vec<Shape>, SuiteError> {
        let wrong = |problem| SuiteError { file: file.to_owned(), problem };
        let shapes: Vec<Shape> = serde_yaml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if shapes.is_empty() {
            return Err(wrong("there is no convolution in it".into()));
        }
        for shape in &shapes {
            shape.single().check().map_err(|e| wrong(e.to_string()))?;
        }
        Ok(shapes)
    }

    /// Every shape with every batch, type and layout, with its id.
    pub fn expanded(&self) -> Vec<(&str, Convolution)> {
        let mut all = Vec::new();
        for shape in &self.shapes {
            for &batch in &self.batches {
                for &data_type in &self.data_types {
                    for &layout in &self.layouts {
                        all.push((shape.id.as_str(), shape.with(batch, data_type, layout)));
                    }
                }
            }
        }
        all
    }

    /// Every shape once in each layout; batches and types take turns.
    pub fn thinned(&self) -> Vec<(&str, Convolution)> {
        let turn = |index: usize, layout: usize| {
            let batch = self.batches[(index + layout) % self.batches.len()];
            (batch, self.data_types[(index + layout) % self.data_types.len()])
        };
        let layouts = self.layouts.iter().enumerate();
        let once = |(index, shape): (usize, &Shape), (l, &layout): (usize, &Layout)| {
            let (batch, data_type) = turn(index, l);
            shape.with(batch, data_type, layout)
        };
        let shapes = self.shapes.iter().enumerate();
        shapes.flat_map(|s| layouts.clone().map(move |l| (s.1.id.as_str(), once(s, l)))).collect()
    }

    /// The problems about limits, with their ids.
    pub fn edges(&self) -> Vec<(&str, Convolution)> {
        self.edges.iter().map(|shape| (shape.id.as_str(), shape.single())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_is_large_and_sound() {
        let suite = Suite::embedded().expect("it is sound");
        let all = suite.expanded();
        assert!(all.len() >= 2000, "{} problems", all.len());
        assert!(all.iter().all(|(_, convolution)| convolution.check().is_ok()));
        let distinct: std::collections::HashSet<_> = all.iter().map(|(_, c)| c).collect();
        assert_eq!(distinct.len(), all.len(), "no problem twice");
        assert_eq!(suite.thinned().len(), suite.shapes.len() * 2);
    }

    #[test]
    fn a_list_is_read_and_usual_things_may_be_left_out() {
        let text =
            "- {channels: 4, filters: 8, input: [9, 9], kernel: 3, batch: 2, data_type: f16, layout: channels-last}\n";
        let list = Suite::list("x", text).expect("a list");
        assert_eq!(list[0].single().to_string(), "2x4x9x9 -> 8, 3x3, f16 NHWC");
        let json = serde_json::to_string(&vec![list[0].single()]).expect("it serialises");
        assert_eq!(Suite::list("x", &json).expect("as plan prints it")[0].single(), list[0].single());
        for (text, says) in [("[]", "no convolution"), ("- {channels: 4}", "filters"), ("nothing", "sequence")] {
            let error = Suite::list("x.yaml", text).expect_err("wrong").to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| Suite::parse("x.yaml", text).expect_err("wrong").to_string();
        let head = "version: 1\nbatches: [1]\ndata_types: [f32]\nlayouts: [channels-first]\nedges: []\nshapes:\n";
        let shape = "  - {id: a, channels: 4, filters: 4, input: [8, 8], kernel: 3}\n";
        assert!(wrong(&format!("{head}{shape}{shape}")).contains("`a` is there twice"));
        assert!(wrong(&format!("{head}{}", shape.replace("kernel: 3", "kernel: 9"))).contains("larger"));
        assert!(wrong(&format!("{head}{}", shape.replace("filters", "filter"))).contains("filter"));
        assert!(wrong(&head.replace("version: 1", "version: 2").replace("shapes:", "shapes: []")).contains("not 1"));
    }
}
