// SPDX-License-Identifier: MIT OR Apache-2.0
//! The statements about MIOpen that the policy rests on, held against the
//! library: what each profile makes it choose, problem by problem.
//!
//! [`claims`] makes them of a policy, so that a policy that breaks one is found
//! out; [`run`] asks the library about each on each target. Only invariants are
//! claimed, no lists of solvers: a newer MIOpen may have others.

mod claim;
mod outcome;

pub use claim::{Claim, claims};
pub use outcome::Outcome;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::card::Target;
use crate::query::{self, Setting};
use crate::{Card, Convolution, Error, Library, Runtime, Suite};

/// One process may not take longer than this, also on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A problem of the suite.
#[derive(Debug, Clone)]
pub struct Problem<'a> {
    /// The name of its shape.
    pub name: &'a str,
    /// The problem.
    pub convolution: Convolution,
    /// Whether it lies about the limits of workspaces, where nobody promises a solver.
    pub edge: bool,
}

/// The library and how it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Prover<'a> {
    /// The simulated runtime.
    pub runtime: &'a Runtime,
    /// The library.
    pub library: &'a Library,
    /// How many processes at once; 0 means one per processor.
    pub processes: usize,
}

impl Prover<'_> {
    /// Holds every claim against the library on every target. The outcomes come
    /// in the order of the claims, and for each in that of the targets.
    ///
    /// # Errors
    /// If the library cannot be asked. A claim that does not hold is an outcome.
    pub fn run(&self, claims: &[Claim], targets: &[Target], problems: &[Problem<'_>]) -> Result<Vec<Outcome>, Error> {
        let mut todo: Vec<(usize, &Claim, &Target)> = Vec::new();
        for claim in claims {
            todo.extend(targets.iter().map(|target| (0, claim, target)));
        }
        for (index, job) in todo.iter_mut().enumerate() {
            job.0 = index;
        }
        let jobs = todo.len();
        // Those that build kernels take longest; begun last, they would be waited for.
        todo.sort_by_key(|(_, claim, target)| !(claim.builds_kernels() && target.has_implicit_gemm()));
        let queue = Mutex::new(VecDeque::from(todo));
        let done = Mutex::new(Vec::with_capacity(jobs));
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let processes = if self.processes == 0 { processors } else { self.processes };
        thread::scope(|scope| {
            for _ in 0..processes.min(jobs) {
                scope.spawn(|| {
                    while let Some((index, claim, target)) = pop(&queue) {
                        let outcome = self.check(claim, target, problems);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Holds one claim against the library on one target.
    ///
    /// # Errors
    /// If the library cannot be asked.
    pub fn check(&self, claim: &Claim, target: &Target, problems: &[Problem<'_>]) -> Result<Outcome, Error> {
        let card = Card::of(target.clone());
        let mut variables = claim.variables.clone();
        variables.extend(query::for_speed());
        let setting = Setting { limit: LIMIT, ..Setting::new(card.clone(), variables) };
        let problems: Vec<&Problem<'_>> = problems.iter().filter(|problem| claim.is_about(problem)).collect();
        let convolutions = problems.iter().map(|problem| &problem.convolution);
        let answers = query::ask(self.runtime, self.library, &setting, convolutions, &claim.question)?;
        let mut outcome = Outcome::new(claim, target, &answers.version);
        let per = claim.question.directions.len().max(1);
        for (answer, at) in answers.answers.into_iter().zip(0..) {
            let problem = problems[at / per];
            let broken = claim.broken_by(problem, &answer, &card);
            outcome.add(problem, answer, broken);
        }
        claim.conclude(&mut outcome, target);
        Ok(outcome)
    }
}

fn pop<T>(queue: &Mutex<VecDeque<T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// The problems of a suite that are proven: all of it, and its edges.
pub fn problems(suite: &Suite) -> Vec<Problem<'_>> {
    let problem = |edge| move |(name, convolution)| Problem { name, convolution, edge };
    suite.expanded().into_iter().map(problem(false)).chain(suite.edges().into_iter().map(problem(true))).collect()
}

/// A part of them: each shape once in each layout.
pub fn few_problems(suite: &Suite) -> Vec<Problem<'_>> {
    suite.thinned().into_iter().map(|(name, convolution)| Problem { name, convolution, edge: false }).collect()
}
