// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which convolutions are planned.

use crate::plan::{Options, PlanError};
use crate::{Convolution, Direction, Suite, driver, models};

/// A list of convolutions.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The suite that is compiled in, each shape once in each layout, and its edges.
    Suite,
    /// Layers of torchvision models.
    Models(Vec<String>),
    /// Convolutions in YAML or JSON.
    List {
        /// Where they come from, for messages.
        file: String,
        /// The list.
        text: String,
    },
    /// Command lines of MIOpenDriver, as MIOpen logs them.
    Commands {
        /// Where they come from, for messages.
        file: String,
        /// The log.
        text: String,
    },
}

/// A convolution to plan.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where it comes from.
    pub name: String,
    /// How often it is there.
    pub times: u32,
    /// The convolution.
    pub convolution: Convolution,
    /// Its directions, in the order of [`Direction::ALL`].
    pub directions: Vec<Direction>,
}

impl Subject {
    /// Its name in a report.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Suite => "suite".into(),
            Self::Models(names) => names.join(", "),
            Self::Commands { file, .. } | Self::List { file, .. } => file.clone(),
        }
    }

    /// The convolutions, each once, in the order of their first appearance.
    pub(super) fn jobs(&self, options: &Options) -> Result<Vec<Job>, PlanError> {
        let mut directions = options.directions.clone();
        directions.sort_unstable();
        directions.dedup();
        let mut jobs = Jobs::default();
        match self {
            Self::Suite => {
                let suite = Suite::embedded()?;
                for (id, convolution) in suite.thinned().into_iter().chain(suite.edges()) {
                    jobs.add(id.to_owned(), convolution, &directions);
                }
            }
            Self::Models(names) => {
                for name in names {
                    let model = models::model(name).ok_or_else(|| PlanError::Model { asked: name.clone() })?;
                    for (number, layer) in model.layers.into_iter().enumerate() {
                        let (batch, data_type, layout) = (options.batch, options.data_type, options.layout);
                        let convolution = Convolution { batch, data_type, layout, ..layer };
                        jobs.add(format!("{name}/{}", number + 1), convolution, &directions);
                    }
                }
            }
            Self::List { file, text } => {
                for (number, shape) in Suite::list(file, text)?.iter().enumerate() {
                    let name = if shape.id.is_empty() { format!("{}", number + 1) } else { shape.id.clone() };
                    jobs.add(name, shape.single(), &directions);
                }
            }
            Self::Commands { file, text } => {
                let commands = driver::commands(text);
                let commands = commands.map_err(|error| PlanError::Commands { file: file.clone(), error })?;
                for command in commands {
                    jobs.add(format!("line {}", command.line), command.convolution, &command.directions);
                }
            }
        }
        for job in &jobs.all {
            job.convolution.check().map_err(crate::Error::from)?;
        }
        Ok(jobs.all)
    }
}

#[derive(Default)]
struct Jobs {
    all: Vec<Job>,
    at: std::collections::HashMap<Convolution, usize>,
}

impl Jobs {
    fn add(&mut self, name: String, convolution: Convolution, directions: &[Direction]) {
        if let Some(&at) = self.at.get(&convolution) {
            self.all[at].times += 1;
            return;
        }
        self.at.insert(convolution.clone(), self.all.len());
        self.all.push(Job { name, times: 1, convolution, directions: directions.to_vec() });
    }
}
