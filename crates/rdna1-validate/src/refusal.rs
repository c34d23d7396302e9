// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a profile is known not to serve. MIOpen has no solver for some
//! convolutions under some profiles; its rules, which `plan` uses, say for which
//! (docs/miopen.md). An error there is no sign that anything is broken.

use std::collections::BTreeMap;

use rdna1_core::policy::{Policy, Profile};
use rdna1_miopen::plan::{self, Verdict};
use rdna1_miopen::{Card, Direction, FindMode, Switches};

use crate::cases::{Case, Convolution, Work};

/// What MIOpen's rules have to say about this worker.
#[derive(Debug)]
pub struct Rules<'a> {
    policy: &'a Policy,
    profile: &'a Profile,
    switches: Switches,
    card: Card,
    /// Whether this PyTorch has MIOpen try candidates under `cudnn.benchmark`,
    /// whatever the profile says: since 2.7.
    benchmark_tries: bool,
}

/// How PyTorch tells that MIOpen refused.
const REFUSED: [&str; 2] = ["miopenStatus", "No suitable algorithm"];

impl<'a> Rules<'a> {
    /// For a profile, the variables that the worker had, PyTorch's version, and
    /// the device's target and memory. `None` where MIOpen would refuse the variables.
    pub fn new(
        policy: &'a Policy,
        profile: &'a Profile,
        had: &BTreeMap<String, String>,
        torch: &str,
        arch: Option<&str>,
        memory: Option<u64>,
    ) -> Option<Self> {
        let mut switches = Switches::read(had.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok()?;
        switches.miopen = Switches::of(profile).ok()?.miopen;
        let target = arch.and_then(|arch| arch.split(':').next()).unwrap_or("gfx1010");
        let mut card = Card::of(target.parse().ok()?);
        card.vram = memory.unwrap_or(card.vram);
        let version: Vec<u32> = torch.split(['.', '+']).map_while(|part| part.parse().ok()).collect();
        let benchmark_tries = version.as_slice() >= [2, 7].as_slice();
        Some(Self { policy, profile, switches, card, benchmark_tries })
    }

    /// Why a case that failed with a message in a step had to, if it had to.
    pub fn refusal(&self, case: &Case, step: Option<&str>, message: &str) -> Option<String> {
        let Work::Conv(convolution) = &case.work else { return None };
        if !convolution.miopen || !REFUSED.iter().any(|words| message.contains(words)) {
            return None;
        }
        let direction = match step? {
            "forward" => Direction::Forward,
            "grad-input" => Direction::BackwardData,
            "grad-weight" => Direction::BackwardWeights,
            _ => return None,
        };
        self.by_rules(convolution, direction)
    }

    fn by_rules(&self, convolution: &Convolution, direction: Direction) -> Option<String> {
        let mut switches = self.switches;
        if convolution.benchmark == Some(true) && self.benchmark_tries {
            switches.find_mode = FindMode::Normal;
        }
        let problem = convolution.to_problem()?;
        let step = plan::of_one(self.policy, self.profile, &switches, &problem, direction, &self.card).ok()?;
        if step.verdict != Verdict::Refused {
            return None;
        }
        let why = step.why.map(|why| format!(" ({why})")).unwrap_or_default();
        let served = step.served_by.map_or_else(
            || "and neither does another one of MIOpen's".to_owned(),
            |profile| format!("profile {profile} does"),
        );
        Some(format!("profile {} does not serve it{why}; {served}", self.profile.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Layer, Level};

    fn case(more: &str) -> Case {
        let text = format!("{{kind: conv, channels: 32, filters: 48, input: [28, 28], kernel: 3, {more}}}");
        let work = serde_yaml::from_str(&text).expect("it is one");
        let (name, family, title) = ("f/x".into(), "f".into(), "t".into());
        Case { name, family, title, level: Level::Quick, layer: Layer::Convolution, work }
    }

    #[test]
    fn only_what_the_rules_refuse_is_refused() {
        let policy = Policy::embedded().expect("it is sound");
        let refusal = |profile: &str, torch: &str, more: &str, step: &str, message: &str| {
            let profile = policy.profile(profile).expect("it is in the policy");
            let had = profile.set.iter().map(|set| (set.name.to_string(), set.value.clone())).collect();
            let rules =
                Rules::new(&policy, profile, &had, torch, Some("gfx1030:xnack-"), Some(6 << 30)).expect("sound");
            rules.refusal(&case(more), Some(step), message)
        };
        let (dilated, error) = ("dilation: 2, padding: 2, benchmark: true", "RuntimeError: miopenStatusUnknownError");
        let why = refusal("gemm", "2.7.1+rocm6.3", dilated, "forward", error).expect("docs/miopen.md says so");
        assert!(why.contains("profile gemm does not serve it") && why.contains("profile gemm-naive does"), "{why}");
        assert!(refusal("gemm", "2.10.0", dilated, "grad-weight", error).is_some());
        // The same under anything that lets it be served is a fault.
        for (profile, torch, more, step, message) in [
            ("gemm", "2.6.0", dilated, "forward", error),
            ("gemm-naive", "2.7.1", dilated, "forward", error),
            ("stock", "2.7.1", dilated, "forward", error),
            ("bypass", "2.7.1", dilated, "forward", error),
            ("gemm", "2.7.1", "dilation: 2, padding: 2", "forward", error),
            ("gemm", "2.7.1", "padding: 1, benchmark: true", "forward", error),
            ("gemm", "2.7.1", dilated, "compare", error),
            ("gemm", "2.7.1", dilated, "forward", "RuntimeError: HIP error: unspecified launch failure"),
        ] {
            assert_eq!(refusal(profile, torch, more, step, message), None, "{profile} {torch} {more} {step} {message}");
        }
    }
}
