// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases: data in `data/cases.yaml` and the problem suite that `plan` and
//! the simulator use as well, expanded to named computations.

mod describe;
mod file;
mod tolerance;
mod work;

pub use tolerance::{Limit, Limits, limits, of_model};
pub use work::{Convolution, Memory, Model, PaddingMode, Work};

use glob::Pattern;
use rdna1_miopen::suite::Suite;
use rdna1_miopen::{DataType, Layout};

use crate::report::{Layer, Level};

/// The cases that are compiled in.
const EMBEDDED: &str = include_str!("../../data/cases.yaml");

/// Multiplications of the largest problem of the suite that `medium` takes, in
/// one direction. The CPU's float64 reference takes about a second for it.
const MEDIUM_WORK: f64 = 3e9;

/// One computation to check.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `family/case`, unique.
    pub name: String,
    /// What it is about.
    pub family: String,
    /// The family's title.
    pub title: String,
    /// The smallest level that has it.
    pub level: Level,
    /// The part of the stack that it exercises.
    pub layer: Layer,
    /// What to compute.
    pub work: Work,
}

/// Cases that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct CaseError {
    /// The file.
    pub file: String,
    /// What is wrong, and where.
    pub problem: String,
}

/// Every case of every level, in the order in which they are run.
///
/// # Errors
/// None in a released build: a test reads the same data.
pub fn all() -> Result<Vec<Case>, CaseError> {
    let mut cases = file::parse("cases.yaml", EMBEDDED)?;
    cases.extend(of_suite()?);
    // Models last: they rest on everything else, and they take longest.
    cases.sort_by_key(|case| case.layer == Layer::Model);
    let mut seen = std::collections::BTreeSet::new();
    match cases.iter().find(|case| !seen.insert(case.name.clone())) {
        Some(twice) => {
            Err(CaseError { file: "cases.yaml".into(), problem: format!("the case `{}` is there twice", twice.name) })
        }
        None => Ok(cases),
    }
}

/// The problem suite of rdna1-miopen, which the simulator asks the real MIOpen
/// about: each shape once, and at `long` in every data type.
fn of_suite() -> Result<Vec<Case>, CaseError> {
    let suite = Suite::embedded().map_err(|e| CaseError { file: e.file.clone(), problem: e.problem })?;
    let mut cases = Vec::new();
    for shape in &suite.shapes {
        for (data_type, name) in [(DataType::F32, ""), (DataType::F16, "-f16"), (DataType::Bf16, "-bf16")] {
            let problem = shape.with(1, data_type, Layout::ChannelsFirst);
            let convolution = Convolution::from_problem(&problem);
            let light = convolution.multiplications() <= MEDIUM_WORK;
            let level = if light && data_type == DataType::F32 { Level::Medium } else { Level::Long };
            cases.push(Case {
                name: format!("suite/{}{name}", shape.id),
                family: "suite".into(),
                title: "the problem suite of `plan`".into(),
                level,
                layer: Layer::Convolution,
                work: Work::Conv(convolution),
            });
        }
    }
    Ok(cases)
}

/// The cases of a level whose names fit one of the patterns; without patterns, all of it.
pub fn select(cases: Vec<Case>, level: Level, only: &[Pattern]) -> Vec<Case> {
    let wanted = |case: &Case| only.is_empty() || only.iter().any(|pattern| pattern.matches(&case.name));
    cases.into_iter().filter(|case| case.level <= level && wanted(case)).collect()
}

#[cfg(test)]
mod tests;
