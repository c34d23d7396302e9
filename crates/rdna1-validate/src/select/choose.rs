// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which candidate is tried next, and which is the best: pure decisions over
//! what was measured. How it is measured is [`Measure`]'s business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rdna1_core::gfx::GfxChoice;

use super::candidates::{Candidate, Plan};

/// Two candidates whose times differ by less are equally fast; then the safer one
/// is better. On a GPU that does not read the variables of the profiles, so that
/// three candidates were one, their times differed by up to 44 %
/// (`docs/evidence/select-h200.md`): a process may be slow as a whole, for which
/// [`Selector::to_confirm`] is there.
pub const TOLERANCE: f64 = 1.25;

/// How often a candidate is measured where speed decides.
const MEASUREMENTS: usize = 3;

/// What came out of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Every case passed.
    Passed,
    /// Some cases were refused with a clear error, all others passed.
    RefusesSome,
    /// A result was wrong.
    Wrong,
    /// The process died.
    Crashed,
    /// A case did not end.
    Hung,
    /// The whole machine was started again after it had been begun and before it
    /// had ended: it froze the machine, or was killed first.
    MayHaveFrozen,
    /// Nothing could be run.
    CouldNotRun,
    /// It was left out.
    NotTried,
}

impl Verdict {
    /// In words, for tables and records.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::RefusesSome => "refuses some",
            Self::Wrong => "wrong",
            Self::Crashed => "crashed",
            Self::Hung => "hung",
            Self::MayHaveFrozen => "may have frozen",
            Self::CouldNotRun => "could not run",
            Self::NotTried => "not tried",
        }
    }

    /// Whether it may be chosen.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Passed | Self::RefusesSome)
    }
}

/// What a candidate did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In one word.
    pub verdict: Verdict,
    /// How many cases were tried.
    pub tried: u32,
    /// Seconds of each case that passed and was timed, by its name.
    pub times: BTreeMap<String, f64>,
    /// How many cases passed whose time is not known: they count as right, and
    /// not for speed.
    pub untimed: u32,
    /// What happened, where something did; why it was not tried.
    pub note: Option<String>,
    /// Why nothing that shares its gfx choice can work: what needs no MIOpen fails as well.
    pub gfx_is_broken: Option<String>,
    /// Why nothing more can be tried: the GPU does not answer any more.
    pub gpu_is_lost: Option<String>,
}

impl Outcome {
    /// One without any case.
    pub fn without_cases(verdict: Verdict, note: impl Into<String>) -> Self {
        Self {
            verdict,
            tried: 0,
            times: BTreeMap::new(),
            untimed: 0,
            note: Some(note.into()),
            gfx_is_broken: None,
            gpu_is_lost: None,
        }
    }

    /// How many cases passed.
    pub fn passed(&self) -> u32 {
        u32::try_from(self.times.len()).unwrap_or(u32::MAX).saturating_add(self.untimed)
    }
}

/// Measures one candidate, isolated, and stops it at its first hang.
pub trait Measure {
    /// What it did; an error ends the whole selection and nothing is recorded.
    ///
    /// # Errors
    /// It was interrupted.
    fn measure(&mut self, candidate: &Candidate) -> anyhow::Result<Outcome>;
}

/// A selection under way.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// What is still to be looked at, in order.
    waiting: VecDeque<(Candidate, Option<String>)>,
    /// What is known so far, in order.
    results: Vec<(Candidate, Outcome)>,
    /// Candidates that may have frozen the machine earlier.
    frozen: Vec<(GfxChoice, String)>,
    /// Try foreign code although code that fits the card has passed.
    all: bool,
    broken: BTreeMap<GfxChoice, String>,
    lost: Option<String>,
    /// How often each was measured, where more than once.
    again: BTreeMap<usize, usize>,
}

/// The best of what was measured, as places in the list of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// For a single process.
    pub process: Option<usize>,
    /// For the whole machine.
    pub machine: Option<usize>,
}

impl Selector {
    /// Starts with a plan; `all` also tries what is less safe than what passed.
    pub fn new(plan: Plan, frozen: Vec<(GfxChoice, String)>, all: bool) -> Self {
        Self { waiting: plan.steps.into(), frozen, all, ..Self::default() }
    }

    /// The next candidate to measure. Those that are not worth it are passed over.
    pub fn next_candidate(&mut self) -> Option<Candidate> {
        while let Some((candidate, senseless)) = self.waiting.pop_front() {
            let against = senseless.map(|why| (Verdict::NotTried, why)).or_else(|| self.reason_against(&candidate));
            let Some((verdict, why)) = against else { return Some(candidate) };
            self.results.push((candidate, Outcome::without_cases(verdict, why)));
        }
        None
    }

    fn reason_against(&self, candidate: &Candidate) -> Option<(Verdict, String)> {
        let not = |why: String| Some((Verdict::NotTried, why));
        if let Some(why) = &self.lost {
            return not(why.clone());
        }
        if self.frozen.iter().any(|(gfx, profile)| *gfx == candidate.gfx && *profile == candidate.profile) {
            let why = "it was under way when the machine stopped or was started again; --retry tries it again";
            return Some((Verdict::MayHaveFrozen, why.into()));
        }
        if let Some(why) = self.broken.get(&candidate.gfx) {
            return not(why.clone());
        }
        let safer = self.results.iter().find(|(c, o)| c.code_fits_card && o.verdict == Verdict::Passed);
        match safer {
            Some((safer, _)) if !self.all && !candidate.code_fits_card => {
                not(format!("less safe than {safer}, which passed; --all tries it all the same"))
            }
            _ => None,
        }
    }

    /// Takes the outcome of the candidate that [`Self::next_candidate`] gave.
    pub fn report(&mut self, candidate: Candidate, outcome: Outcome) {
        if let Some(why) = &outcome.gfx_is_broken {
            self.broken.insert(candidate.gfx, why.clone());
        }
        if let Some(why) = &outcome.gpu_is_lost {
            self.lost = Some(why.clone());
        }
        self.results.push((candidate, outcome));
    }

    /// The next candidate that is to be measured once more. Speed makes up for safety
    /// only where it is seen again: before a candidate is preferred to a safer one for
    /// its time alone, both are measured in turns, and the least time of each case counts.
    pub fn to_confirm(&self) -> Option<usize> {
        if self.lost.is_some() {
            return None;
        }
        let rivals = [self.rivals(|_| true), self.rivals(|candidate| candidate.machine_wide)];
        let both = rivals.into_iter().flatten().filter(|(safest, quick)| safest != quick);
        let times = |place: &usize| self.again.get(place).copied().unwrap_or(1);
        let waiting = both.flat_map(|(safest, quick)| [safest, quick]).filter(|place| times(place) < MEASUREMENTS);
        waiting.min_by_key(|place| (times(place), *place))
    }

    /// Takes the outcome of another measurement. A candidate is as right as it was at
    /// worst, and each of its cases as quick as it was at best.
    pub fn confirm(&mut self, place: usize, mut outcome: Outcome) {
        *self.again.entry(place).or_insert(1) += 1;
        self.lost = self.lost.take().or_else(|| outcome.gpu_is_lost.clone());
        let Some((_, known)) = self.results.get_mut(place) else { return };
        if (outcome.verdict, known.passed()) > (known.verdict, outcome.passed()) {
            std::mem::swap(known, &mut outcome);
        }
        for (case, seconds) in &mut known.times {
            *seconds = outcome.times.get(case).map_or(*seconds, |other| seconds.min(*other));
        }
    }

    /// Measures until nothing is left. `before` is called with each candidate
    /// that is about to be measured.
    ///
    /// # Errors
    /// As the measuring and `before` report; then nothing is to be recorded.
    pub fn run(
        &mut self,
        measure: &mut dyn Measure,
        before: &mut dyn FnMut(&Candidate) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while let Some(candidate) = self.next_candidate() {
            before(&candidate)?;
            let outcome = measure.measure(&candidate)?;
            self.report(candidate, outcome);
        }
        while let Some(place) = self.to_confirm() {
            let candidate = self.results[place].0.clone();
            before(&candidate)?;
            let outcome = measure.measure(&candidate)?;
            self.confirm(place, outcome);
        }
        Ok(())
    }

    /// What is known, in the order in which it was found.
    pub fn results(&self) -> &[(Candidate, Outcome)] {
        &self.results
    }

    /// Why nothing more was tried at some point.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The cases that every usable candidate passed, and that were timed in each.
    /// A candidate of which nothing was timed takes no part: it cannot be compared.
    pub fn common_cases(&self) -> BTreeSet<&str> {
        let usable = self.results.iter().filter(|(_, o)| o.verdict.is_usable() && !o.times.is_empty());
        let mut sets = usable.map(|(_, outcome)| outcome.times.keys().map(String::as_str).collect::<BTreeSet<_>>());
        let first = sets.next().unwrap_or_default();
        sets.fold(first, |common, set| common.intersection(&set).copied().collect())
    }

    /// Seconds that a result took for the cases which all usable candidates passed.
    pub fn seconds(&self, outcome: &Outcome) -> Option<f64> {
        let common = self.common_cases();
        let times: Vec<f64> = common.iter().filter_map(|case| outcome.times.get(*case)).copied().collect();
        (!times.is_empty() && times.len() == common.len()).then(|| times.iter().sum())
    }

    /// The best: correctness first, then code that fits the card, then speed;
    /// among equally fast ones the safer, which is the earlier.
    pub fn choice(&self) -> Choice {
        Choice { process: self.best(|_| true), machine: self.best(|candidate| candidate.machine_wide) }
    }

    fn best(&self, eligible: impl Fn(&Candidate) -> bool) -> Option<usize> {
        self.rivals(eligible).map(|(_, best)| best)
    }

    /// The safest of the most correct ones, and the best of them all, which is another
    /// one where only time makes the difference.
    fn rivals(&self, eligible: impl Fn(&Candidate) -> bool) -> Option<(usize, usize)> {
        let usable = || {
            let all = self.results.iter().enumerate();
            all.filter(|(_, (c, o))| o.verdict.is_usable() && o.passed() > 0 && eligible(c))
        };
        // Fewer refusals are more correct; foreign code is less so, whatever it has shown.
        let rank = |(_, (candidate, outcome)): &(usize, &(Candidate, Outcome))| {
            (outcome.verdict, !candidate.code_fits_card, outcome.tried.saturating_sub(outcome.passed()))
        };
        let best = usable().map(|entry| rank(&entry)).min()?;
        let finalists = || usable().filter(|entry| rank(entry) == best);
        let time = |(_, (_, outcome)): &(usize, &(Candidate, Outcome))| self.seconds(outcome).unwrap_or(f64::INFINITY);
        let quickest = finalists().map(|entry| time(&entry)).fold(f64::INFINITY, f64::min);
        let (safest, _) = finalists().next()?;
        let (best, _) = finalists().find(|entry| time(entry) <= quickest * TOLERANCE)?;
        Some((safest, best))
    }
}
