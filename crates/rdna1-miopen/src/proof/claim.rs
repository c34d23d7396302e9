// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is claimed of each profile.

use rdna1_core::policy::{Engine, Policy};

use super::{Outcome, Problem};
use crate::card::Target;
use crate::query::{Algorithm, Answer, Question};
use crate::{Card, Convolution, FindMode, Layout, rules, switches};

/// What the seed of this project set.
const SEED: [(&str, &str); 4] = [
    ("MIOPEN_DEBUG_CONV_GEMM", "1"),
    ("MIOPEN_DEBUG_CONV_DIRECT", "0"),
    ("MIOPEN_DEBUG_CONV_WINOGRAD", "0"),
    ("MIOPEN_FIND_MODE", "1"),
];

/// The variable of the find mode.
const FIND_MODE: &str = "MIOPEN_FIND_MODE";

/// A claim: under these variables, this holds for each problem.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Where the variables come from: a profile's name, `seed`, or `none`.
    pub under: String,
    /// The find mode that replaces the profile's own; `None` leaves that.
    pub mode: Option<FindMode>,
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// What has to be asked.
    pub question: Question,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// GEMM for everything in ordinary layouts, as the rules say; nothing else for anything.
    Gemm,
    /// In the find modes that try candidates: the same but for what is dilated.
    GemmTried,
    /// GEMM first wherever the rules say so, otherwise the naive kernel; nothing
    /// only where an image has more elements than MIOpen counts.
    GemmOrNaive,
    /// In the find modes that try: something for everything, of these two kinds,
    /// GEMM among it for everything in ordinary layouts that is not dilated.
    GemmOrNaiveTried,
    /// Implicit GEMM where the chip has it, and nothing else.
    ImplicitGemm,
    /// Other families leak in, and what is dilated is refused.
    SeedLeaks,
    /// Something for everything, direct kernels among them.
    Stock,
}

/// The claims that a policy's profiles stand for, and those that say why the
/// policy sets more than the seed of this project did.
pub fn claims(policy: &Policy) -> Vec<Claim> {
    let mut claims = Vec::new();
    for profile in policy.profiles.iter().filter(|profile| profile.engine == Engine::Miopen) {
        let (own, tried) = match profile.id.as_str() {
            "gemm" => (Kind::Gemm, Some(Kind::GemmTried)),
            "gemm-naive" => (Kind::GemmOrNaive, Some(Kind::GemmOrNaiveTried)),
            "implicit-gemm" => (Kind::ImplicitGemm, None),
            _ => continue,
        };
        let variables = switches::variables(profile);
        claims.push(Claim::new(&profile.id, None, variables.clone(), own));
        let modes = FindMode::ALL.into_iter().filter(|mode| mode.tries());
        claims.extend(modes.filter_map(|mode| {
            let mut variables = variables.clone();
            variables.retain(|(name, _)| name != FIND_MODE);
            variables.push((FIND_MODE.to_owned(), mode.number().to_string()));
            Some(Claim::new(&profile.id, Some(mode), variables, tried?))
        }));
    }
    let seed = SEED.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    claims.push(Claim::new("seed", Some(FindMode::Normal), seed, Kind::SeedLeaks));
    for mode in [FindMode::DynamicHybrid, FindMode::Normal] {
        let variables = vec![(FIND_MODE.to_owned(), mode.number().to_string())];
        claims.push(Claim::new("none", Some(mode), variables, Kind::Stock));
    }
    claims
}

impl Claim {
    fn new(under: &str, mode: Option<FindMode>, variables: Vec<(String, String)>, kind: Kind) -> Self {
        // Immediate mode does not depend on the find mode: asked once for each profile.
        let question = Question { count: false, offers: mode.is_none(), ..Question::everything() };
        Self { under: under.to_owned(), mode, variables, question, kind }
    }

    /// Whether a target's implicit GEMM kernels are built, each for each problem.
    pub(super) fn builds_kernels(&self) -> bool {
        matches!(self.kind, Kind::ImplicitGemm | Kind::SeedLeaks | Kind::Stock)
    }

    /// In words, for tables.
    pub fn name(&self) -> String {
        let mode = self.mode.map_or("its own".to_owned(), |mode| mode.number().to_string());
        format!("{}, find mode {mode}", self.under)
    }

    /// Whether it says anything about a problem.
    pub(super) fn is_about(&self, problem: &Problem<'_>) -> bool {
        // Edges are about what immediate mode offers.
        !problem.edge || matches!(self.kind, Kind::Gemm | Kind::GemmOrNaive)
    }

    /// Why one answer breaks the claim; `None` where it holds.
    pub(super) fn broken_by(&self, problem: &Problem<'_>, answer: &Answer, card: &Card) -> Option<String> {
        let c = &problem.convolution;
        let rule = rules::gemm(c, answer.direction, card).ok();
        let plain = is_plain(c);
        match self.kind {
            Kind::Gemm => only(&[Algorithm::Gemm], answer)
                .or_else(|| offers(answer, rule))
                .or_else(|| if problem.edge { None } else { finds(answer, Algorithm::Gemm, plain) }),
            Kind::GemmTried => only(&[Algorithm::Gemm], answer)
                .or_else(|| runs(answer, &AROUND_GEMM))
                .or_else(|| finds(answer, Algorithm::Gemm, plain && !c.is_dilated()))
                .or_else(|| {
                    let wrong = plain && c.is_dilated() && answer.workspace != Some(Ok(0));
                    wrong.then(|| format!("a dilated problem is announced as {:?}", answer.workspace))
                }),
            Kind::GemmOrNaive => gemm_or_naive(answer, rule, rules::is_countable(c)).or_else(|| {
                let expected = if plain { Algorithm::Gemm } else { Algorithm::Direct };
                if problem.edge { None } else { finds(answer, expected, true) }
            }),
            Kind::GemmOrNaiveTried => only(&[Algorithm::Gemm, Algorithm::Direct], answer)
                .or_else(|| (candidates(answer) == 0).then(|| "nothing is found".to_owned()))
                .or_else(|| finds(answer, Algorithm::Gemm, plain && !c.is_dilated()))
                .or_else(|| runs(answer, &[&AROUND_GEMM[..], &[NAIVE]].concat())),
            Kind::ImplicitGemm => only(&[Algorithm::ImplicitGemm], answer),
            Kind::SeedLeaks => {
                let dilated = plain && c.is_dilated() && answer.finds(Algorithm::Gemm);
                dilated.then(|| "a dilated problem gets GEMM".to_owned())
            }
            Kind::Stock => (candidates(answer) == 0).then(|| "nothing is found".to_owned()),
        }
    }

    /// What has to hold for all answers together.
    pub(super) fn conclude(&self, outcome: &mut Outcome, target: &Target) {
        let seen = |family| outcome.families.contains_key(&family);
        let implicit_where_it_is = seen(Algorithm::ImplicitGemm) == target.has_implicit_gemm();
        let tried = self.mode == Some(FindMode::Normal);
        let claims = match self.kind {
            Kind::ImplicitGemm => {
                vec![(implicit_where_it_is, "implicit GEMM is not where it should be, or is where it should not be")]
            }
            Kind::SeedLeaks => vec![
                (implicit_where_it_is, "implicit GEMM leaks where it should not, or no longer where it did"),
                (seen(Algorithm::Fft), "FFT does not leak: then the policy need not switch it off"),
            ],
            Kind::Stock => vec![
                (!tried || implicit_where_it_is, "implicit GEMM is chosen where it should not be, or no longer"),
                (seen(Algorithm::Direct), "no direct kernel is chosen: then the policy need not switch them off"),
            ],
            Kind::Gemm | Kind::GemmTried | Kind::GemmOrNaive | Kind::GemmOrNaiveTried => {
                vec![(seen(Algorithm::Gemm), "nothing is served by GEMM")]
            }
        };
        for (_, text) in claims.into_iter().filter(|(holds, _)| !holds) {
            outcome.fail(text.to_owned());
        }
    }
}

fn candidates(answer: &Answer) -> usize {
    answer.found.as_ref().and_then(|found| found.as_ref().ok()).map_or(0, Vec::len)
}

/// What a kernel's name holds, in lower case, if it prepares a matrix product:
/// unfolding, transposing, scaling.
const AROUND_GEMM: [&str; 6] = ["2col", "col2", "transpose", "tensor", "cast", "gemm"];

/// The same for the naive convolution.
const NAIVE: &str = "naive_conv";

/// No family but these is named.
fn only(families: &[Algorithm], answer: &Answer) -> Option<String> {
    let other = answer.algorithms().find(|family| !families.contains(family));
    other.map(|family| format!("{family:?} is chosen"))
}

/// Immediate mode offers first what the rules say.
fn offers(answer: &Answer, rule: Option<rules::Gemm>) -> Option<String> {
    let offered = answer.first().map(|offer| (&*offer.solver, offer.workspace));
    let expected = rule.map(|gemm| (gemm.solver, gemm.workspace));
    (offered != expected).then(|| format!("{offered:?} is offered; the rules say {expected:?}"))
}

/// Of the direct kernels only the naive one is offered, and GEMM first where the
/// rules have it. What MIOpen cannot count, it refuses whatever the profile.
fn gemm_or_naive(answer: &Answer, rule: Option<rules::Gemm>, countable: bool) -> Option<String> {
    let is_naive = |solver: &str| solver.starts_with("ConvDirectNaive");
    let all = answer.offers.iter().flatten().flatten();
    let other = all.clone().find(|offer| offer.algorithm != Algorithm::Gemm && !is_naive(&offer.solver));
    if let Some(other) = other {
        return Some(format!("{} is offered", other.solver));
    }
    only(&[Algorithm::Gemm, Algorithm::Direct], answer).or_else(|| match rule {
        Some(gemm) => offers(answer, Some(gemm)),
        None if !countable => offers(answer, None),
        None => {
            let naive = answer.first().is_some_and(|offer| is_naive(&offer.solver));
            (!naive).then(|| format!("{:?} is offered first, not the naive kernel", answer.first()))
        }
    })
}

/// The find step has a family, or has it not.
fn finds(answer: &Answer, family: Algorithm, expected: bool) -> Option<String> {
    (answer.finds(family) != expected).then(|| {
        let no = if expected { "no " } else { "" };
        format!("the find step has {no}{family:?}: {:?}", answer.found)
    })
}

/// The find step runs no kernels but of these kinds.
fn runs(answer: &Answer, kinds: &[&str]) -> Option<String> {
    let fits = |name: &str| {
        let name = name.to_ascii_lowercase();
        kinds.iter().any(|kind| name.contains(kind))
    };
    let other = answer.launched.iter().find(|name| !fits(name));
    other.map(|name| format!("the kernel {name} is run"))
}

pub(super) fn is_plain(convolution: &Convolution) -> bool {
    convolution.layout == Layout::ChannelsFirst
}
