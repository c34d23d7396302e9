// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which solvers MIOpen used, by its own log lines. The messages are those of
//! ROCm 5 to 7; the function names before them differ and are not looked at.
//! At log level 5, `FW Chosen Algorithm: GemmFwdRest , 115605504, 27.8` says
//! what a find step chose and `solver_id = GemmFwdRest, workspace = 0` what the
//! immediate mode executes.

use rdna1_core::policy::Profile;
use rdna1_miopen::Switches;

use crate::report::Solver;
use crate::worker::Log;

/// Log level that shows them (Info), for a worker whose user has not set one.
pub const LOG_LEVEL: (&str, &str) = ("MIOPEN_LOG_LEVEL", "5");

/// The messages before a solver's name.
const MESSAGES: [&str; 2] = ["Chosen Algorithm: ", "solver_id = "];

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
        if starts(&["GemmFwd", "GemmBwd", "GemmWrw"]) {
            switches.gemm
        } else if starts(&["ConvDirectNaive"]) {
            switches.naive.contains(&true)
        } else {
            switches.implicit_gemm && ["ImplicitGemm", "Igemm"].iter().any(|word| solver.contains(word))
        }
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
        for name in text.lines().filter_map(solver_of) {
            if !solvers.iter().any(|known| known.phase == *step && known.name == name) {
                let allowed = allowed.includes(name);
                solvers.push(Solver { phase: step.clone(), name: name.to_owned(), allowed });
            }
        }
    }
    solvers
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
        assert_eq!(seen, [("forward", "GemmFwdRest", true), ("grad-input", "ConvBinWinogradRxSf2x3g1", false)]);
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
