// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of a claim.

use std::collections::BTreeMap;
use std::fmt;

use super::claim::is_plain;
use super::{Claim, Problem};
use crate::Layout;
use crate::card::Target;
use crate::query::{Algorithm, Answer};

/// So many violations are told.
const TOLD: usize = 5;

/// A claim on a target, with what was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The claim.
    pub claim: String,
    /// The target that the simulated card reports.
    pub target: Target,
    /// MIOpen's version.
    pub version: String,
    /// Computations: problems times directions.
    pub asked: u64,
    /// Those with a solver.
    pub served: u64,
    /// Those in channels-last layouts without one.
    pub refused_channels_last: u64,
    /// Those in ordinary layouts, dilated, with one.
    pub served_dilated: u64,
    /// Those in ordinary layouts, dilated, without one.
    pub refused_dilated: u64,
    /// Other ones in ordinary layouts without one.
    pub refused_others: u64,
    /// For how many computations each family was named.
    pub families: BTreeMap<Algorithm, u64>,
    /// How many violations there are.
    pub violations: u64,
    /// The first of them.
    pub told: Vec<String>,
    /// What was answered to each, for comparison with another run.
    pub answers: Vec<Answer>,
}

impl Outcome {
    pub(super) fn new(claim: &Claim, target: &Target, version: &str) -> Self {
        Self {
            claim: claim.name(),
            target: target.clone(),
            version: version.to_owned(),
            asked: 0,
            served: 0,
            refused_channels_last: 0,
            served_dilated: 0,
            refused_dilated: 0,
            refused_others: 0,
            families: BTreeMap::new(),
            violations: 0,
            told: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Whether the claim holds.
    pub fn holds(&self) -> bool {
        self.violations == 0
    }

    pub(super) fn add(&mut self, problem: &Problem<'_>, answer: Answer, broken: Option<String>) {
        let c = &problem.convolution;
        self.asked += 1;
        let mut families: Vec<Algorithm> = answer.algorithms().collect();
        families.sort_unstable();
        families.dedup();
        for family in &families {
            *self.families.entry(*family).or_default() += 1;
        }
        let dilated = is_plain(c) && c.is_dilated();
        let served = !families.is_empty();
        self.served += u64::from(served);
        self.served_dilated += u64::from(served && dilated);
        if !served {
            *match (c.layout, dilated) {
                (Layout::ChannelsLast, _) => &mut self.refused_channels_last,
                (_, true) => &mut self.refused_dilated,
                (_, false) => &mut self.refused_others,
            } += 1;
        }
        if let Some(why) = broken {
            self.fail(format!("{}: {c}, {}: {why}", problem.name, answer.direction));
        }
        self.answers.push(answer);
    }

    pub(super) fn fail(&mut self, what: String) {
        self.violations += 1;
        if self.told.len() < TOLD {
            self.told.push(what);
        }
    }
}

/// A line of the table of results.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let families: Vec<String> = self.families.iter().map(|(family, count)| format!("{family:?} {count}")).collect();
        write!(
            f,
            "{:31} {}: {} of {} served ({} dilated); refused: {} channels-last, {} dilated, {} others; {}",
            self.claim,
            self.target,
            self.served,
            self.asked,
            self.served_dilated,
            self.refused_channels_last,
            self.refused_dilated,
            self.refused_others,
            families.join(", ")
        )?;
        if !self.holds() {
            write!(f, "; {} VIOLATIONS, such as {}", self.violations, self.told.join(" | "))?;
        }
        Ok(())
    }
}
