// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which solvers MIOpen used, by its own log lines. The messages are those of
//! ROCm 5 to 7; the function names before them differ and are not looked at.
//! At log level 5, `FW Chosen Algorithm: GemmFwdRest , 115605504, 27.8` says
//! what a find step chose and `solver_id = GemmFwdRest, workspace = 0` what the
//! immediate mode executes. PyTorch asks to find once for each shape; what is
//! executed after that is in `[ConvolutionForward] algo = 0, workspace = 0`
//! (and `ConvolutionBackwardData`, `ConvolutionBackwardWeights`), each time.

use rdna1_core::policy::Profile;
use rdna1_miopen::Switches;

use crate::cases::{Case, Work};
use crate::report::{CaseResult, Shown, Solver, Verdict};
use crate::worker::Log;

/// Log level that shows them (Info), for a worker whose user has not set one.
pub const LOG_LEVEL: (&str, &str) = ("MIOPEN_LOG_LEVEL", "5");

/// The messages before a solver's name.
const MESSAGES: [&str; 2] = ["Chosen Algorithm: ", "solver_id = "];

/// The functions that execute what was found, and their message.
const EXECUTES: [&str; 3] = ["[ConvolutionForward]", "[ConvolutionBackwardData]", "[ConvolutionBackwardWeights]"];
const ALGORITHM: &str = "algo = ";

/// The kinds of solvers by miopenConvFwdAlgorithm_t's numbers; for gradients
/// they are the same.
const ALGORITHMS: [(u32, &str); 5] = [
    (0, "algorithm GEMM"),
    (1, "algorithm Direct"),
    (2, "algorithm FFT"),
    (3, "algorithm Winograd"),
    (5, "algorithm ImplicitGEMM"),
];

/// The steps of a convolution that MIOpen computes.
const STEPS: [&str; 3] = ["forward", "grad-input", "grad-weight"];

/// What a profile lets MIOpen use.
#[derive(Debug, Clone, Copy)]
pub struct Allowed(Option<Switches>);

impl Allowed {
    /// Anything: no profile decides.
    pub const ALL: Self = Self(None);

    /// By what a profile switches off; a value that MIOpen refuses switches nothing.
    pub fn by(profile: &Profile) -> Self {
        Self(Switches::of(profile).ok())
    }

    /// Whether it includes a solver.
    pub fn includes(self, solver: &str) -> bool {
        let Some(switches) = self.0 else { return true };
        if !switches.miopen || switches.others {
            return switches.miopen;
        }
        let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| solver.starts_with(beginning));
        if starts(&["GemmFwd", "GemmBwd", "GemmWrw", "algorithm GEMM"]) {
            switches.gemm
        } else if starts(&["ConvDirectNaive", "algorithm Direct"]) {
            // The naive kernels are the direct ones that a profile may leave on.
            switches.naive.contains(&true)
        } else {
            let implicit = ["ImplicitGemm", "ImplicitGEMM", "Igemm"];
            switches.implicit_gemm && implicit.iter().any(|word| solver.contains(word))
        }
    }

    /// Whether MIOpen computes, and some of its solvers are ruled out, so that it
    /// has to be shown which ones it used.
    pub fn rules_out(self) -> bool {
        self.0.is_some_and(|switches| switches.miopen && !switches.others)
    }

    /// The switches of the profile, if one decides.
    pub fn switches(self) -> Option<Switches> {
        self.0
    }

    /// In words, for a failure.
    pub fn words(self) -> String {
        let Some(switches) = self.0.filter(|switches| switches.miopen) else {
            return "no convolution by MIOpen".into();
        };
        let families = [
            (switches.gemm, "GEMM solvers"),
            (switches.naive.contains(&true), "the naive kernels"),
            (switches.implicit_gemm, "implicit GEMM"),
        ];
        let on: Vec<&str> = families.iter().filter(|(on, _)| *on).map(|(_, words)| *words).collect();
        format!("only {}", on.join(" and "))
    }
}

/// The solvers in a log, each once for every step.
pub fn used(log: &Log, allowed: Allowed) -> Vec<Solver> {
    let mut solvers: Vec<Solver> = Vec::new();
    for (step, text) in &log.steps {
        for name in text.lines().filter_map(|line| solver_of(line).or_else(|| algorithm_of(line))) {
            if !solvers.iter().any(|known| known.phase == *step && known.name == name) {
                let allowed = allowed.includes(name);
                solvers.push(Solver { phase: step.clone(), name: name.to_owned(), allowed });
            }
        }
    }
    solvers
}

/// For how many steps the log shows a solver, of those that MIOpen was to
/// compute and that came to their end; `None` where there are none.
pub fn shown<'a>(results: impl Iterator<Item = (&'a Case, &'a CaseResult)>) -> Option<Shown> {
    let mut shown = Shown::default();
    for (case, result) in results {
        if !is_miopens(case) || !matches!(result.verdict, Verdict::Pass | Verdict::Solver | Verdict::Late) {
            continue;
        }
        shown.of += STEPS.len();
        shown.steps += STEPS.iter().filter(|step| result.solvers.iter().any(|solver| solver.phase == **step)).count();
    }
    (shown.of > 0).then_some(shown)
}

/// Whether PyTorch hands a case to MIOpen: it computes what is dilated and has
/// groups itself, and nothing at all of an empty batch.
fn is_miopens(case: &Case) -> bool {
    let Work::Conv(c) = &case.work else { return false };
    let dilated = c.dilation.expand(c.dimensions()).iter().any(|&dilation| dilation > 1);
    c.miopen && c.batch > 0 && !(c.groups > 1 && dilated)
}

/// The kind of solver that a line says was executed.
fn algorithm_of(line: &str) -> Option<&'static str> {
    if !line.contains("MIOpen") || !EXECUTES.iter().any(|function| line.contains(function)) {
        return None;
    }
    let rest = line.split_once(ALGORITHM)?.1;
    let number: u32 = rest.split([' ', ',', '\t']).next()?.trim().parse().ok()?;
    // One that nobody knows yet is none that a profile lets through.
    Some(ALGORITHMS.iter().find(|(known, _)| *known == number).map_or("algorithm of an unknown kind", |(_, name)| name))
}

/// The solver that a line of MIOpen's log names.
fn solver_of(line: &str) -> Option<&str> {
    if !line.contains("MIOpen") {
        return None;
    }
    let rest = MESSAGES.iter().find_map(|message| line.split_once(message)).map(|(_, rest)| rest)?;
    let name = rest.split([' ', ',', '\t']).next().unwrap_or_default();
    // `solver_id = 91` of some versions names no solver.
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
}

#[cfg(test)]
mod tests {
    use rdna1_core::policy::Policy;

    use super::*;

    #[test]
    fn solvers_are_read_from_miopens_lines() {
        let log = Log {
            steps: vec![
                (
                    "forward".into(),
                    "MIOpen(HIP): Info [FillFindReturnParameters] FW Chosen Algorithm: GemmFwdRest , 115605504, 27.8\n\
                     MIOpen(HIP): Info [ConvolutionForward] algo = 0, workspace = 115605504\n\
                     MIOpen(HIP): Info [ConvolutionForwardImmediate] solver_id = GemmFwdRest, workspace = 7\n\
                     Chosen Algorithm: NotMiopens , 1\n"
                        .into(),
                ),
                (
                    "grad-input".into(),
                    "MIOpen(HIP): Info [x] BWD Chosen Algorithm: ConvBinWinogradRxSf2x3g1 , 0, 1\n".into(),
                ),
                ("grad-weight".into(), "MIOpen(HIP): Info [x] solver_id = 102, workspace = 7\n".into()),
            ],
            stdout: String::new(),
        };
        let policy = Policy::embedded().expect("it is sound");
        let solvers = used(&log, Allowed::by(policy.profile("gemm").expect("it is in the policy")));
        let seen: Vec<(&str, &str, bool)> =
            solvers.iter().map(|s| (s.phase.as_str(), s.name.as_str(), s.allowed)).collect();
        assert_eq!(
            seen,
            [
                ("forward", "GemmFwdRest", true),
                ("forward", "algorithm GEMM", true),
                ("grad-input", "ConvBinWinogradRxSf2x3g1", false)
            ]
        );
    }

    /// What was found before is executed without being found again.
    #[test]
    fn what_was_executed_is_read_too() {
        let policy = Policy::embedded().expect("it is sound");
        let allowed = |profile: &str, line: &str| {
            let log = Log { steps: vec![("forward".into(), line.into())], stdout: String::new() };
            let solvers = used(&log, Allowed::by(policy.profile(profile).expect("it is in the policy")));
            solvers.first().map(|solver| (solver.name.clone(), solver.allowed))
        };
        for (line, name, gemm, naive) in [
            ("MIOpen(HIP): Info [ConvolutionForward] algo = 0, workspace = 7", "algorithm GEMM", true, true),
            ("MIOpen(HIP): Info [ConvolutionBackwardData] algo = 1, workspace = 0", "algorithm Direct", false, true),
            (
                "MIOpen(HIP): Info [ConvolutionBackwardWeights] algo = 3, workspace = 0",
                "algorithm Winograd",
                false,
                false,
            ),
            ("MIOpen(HIP): Info [ConvolutionForward] algo = 5, workspace = 0", "algorithm ImplicitGEMM", false, false),
            (
                "MIOpen(HIP): Info [ConvolutionForward] algo = 9, workspace = 0",
                "algorithm of an unknown kind",
                false,
                false,
            ),
        ] {
            assert_eq!(allowed("gemm", line), Some((name.to_owned(), gemm)), "{line}");
            assert_eq!(allowed("gemm-naive", line), Some((name.to_owned(), naive)), "{line}");
            assert_eq!(allowed("stock", line), Some((name.to_owned(), true)), "{line}");
        }
        assert_eq!(
            allowed("gemm", "MIOpen(HIP): Info [GetSolutions] algo = 3, time = 1"),
            None,
            "nothing was executed"
        );
        assert_eq!(allowed("gemm", "[ConvolutionForward] algo = 3"), None);
    }

    #[test]
    fn every_profile_allows_what_it_leaves_on() {
        let policy = Policy::embedded().expect("it is sound");
        let by = |id: &str| Allowed::by(policy.profile(id).expect("it is in the policy"));
        let families = ["GemmFwdRest", "ConvDirectNaiveConvFwd", "ConvHipImplicitGemmV4R4Fwd", "ConvBinWinogradRxS"];
        let allowed = |id: &str| families.map(|solver| by(id).includes(solver));
        assert_eq!(allowed("gemm"), [true, false, false, false]);
        assert_eq!(allowed("gemm-naive"), [true, true, false, false]);
        assert_eq!(allowed("implicit-gemm"), [false, false, true, false]);
        assert_eq!(allowed("bypass"), [false; 4]);
        assert_eq!(allowed("stock"), [true; 4]);
        assert!(Allowed::ALL.includes("anything"));
        assert_eq!(by("gemm").words(), "only GEMM solvers");
        assert_eq!(by("bypass").words(), "no convolution by MIOpen");
    }
}
