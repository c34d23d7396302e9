// SPDX-License-Identifier: MIT OR Apache-2.0
//! What MIOpen reads out of a set of variables.

use serde::{Deserialize, Serialize};

use rdna1_core::policy::{Engine, Profile};

/// How MIOpen looks for a kernel: MIOPEN_FIND_MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FindMode {
    /// 1: runs every candidate.
    Normal,
    /// 2: runs none, takes its own estimate.
    Fast,
    /// 3: as 1 where its database has no answer.
    Hybrid,
    /// 5, MIOpen's default: as 3, with fewer candidates.
    DynamicHybrid,
}

impl FindMode {
    /// All that every release has.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Fast, Self::Hybrid, Self::DynamicHybrid];

    /// Its number, as the variable takes it.
    pub fn number(self) -> u8 {
        match self {
            Self::Normal => 1,
            Self::Fast => 2,
            Self::Hybrid => 3,
            Self::DynamicHybrid => 5,
        }
    }

    /// Whether candidates are run, and the workspace is asked for before one is
    /// chosen. That question is answered with 0 for dilated convolutions.
    pub fn tries(self) -> bool {
        self != Self::Fast
    }

    fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_uppercase();
        Self::ALL.into_iter().find(|mode| {
            let names = ["NORMAL", "FAST", "HYBRID", "", "DYNAMIC_HYBRID"];
            name == mode.number().to_string() || name == names[usize::from(mode.number()) - 1]
        })
    }
}

/// The switches that decide among GEMM and the naive kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Switches {
    /// Whether MIOpen is used at all.
    pub miopen: bool,
    /// Matrix products.
    pub gemm: bool,
    /// The naive kernels, by direction: forward, backward data, backward weights.
    pub naive: [bool; 3],
    /// Implicit GEMM.
    pub implicit_gemm: bool,
    /// Whether any other kernel may be chosen, which the rules do not know.
    pub others: bool,
    /// How it looks for a kernel.
    pub find_mode: FindMode,
}

/// A value that MIOpen does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MIOpen refuses {name}=\"{value}\"")]
pub struct RefusedValue {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// MIOpen's words for off and on, in any case (MIOpen@2d1fd997
/// src/include/miopen/env.hpp:61-117); everything else is an error there.
fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "0" | "off" | "no" | "false" | "disable" | "disabled" => Some(false),
        "1" | "on" | "yes" | "true" | "enable" | "enabled" => Some(true),
        _ => None,
    }
}

impl Switches {
    /// The switches of a profile as the policy has it.
    ///
    /// # Errors
    /// If it sets a value that MIOpen would refuse.
    pub fn of(profile: &Profile) -> Result<Self, RefusedValue> {
        let variables = variables(profile);
        let mut switches = Self::read(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        switches.miopen = profile.engine == Engine::Miopen;
        Ok(switches)
    }

    /// Reads variables as MIOpen does; one that is not there is on.
    ///
    /// # Errors
    /// At the first value that MIOpen would refuse.
    pub fn read<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RefusedValue> {
        const FAMILY: &str = "MIOPEN_DEBUG_CONV_";
        let (mut off, mut find_mode) = (Vec::new(), FindMode::DynamicHybrid);
        for (name, value) in variables {
            let refused = || RefusedValue { name: name.to_owned(), value: value.to_owned() };
            if let Some(family) = name.strip_prefix(FAMILY) {
                if !boolean(value).ok_or_else(refused)? {
                    off.push(family);
                }
            } else if name == "MIOPEN_FIND_MODE" {
                find_mode = FindMode::parse(value).ok_or_else(refused)?;
            }
        }
        let on = |family: &str| !off.contains(&family);
        let naive = ["FWD", "BWD", "WRW"].map(|way| on("DIRECT") && on(&format!("DIRECT_NAIVE_CONV_{way}")));
        // On RDNA these can be chosen; the assembly kernels never are.
        let opencl = ["FWD", "FWD1X1", "FWD11X11", "FWDGEN", "WRW1X1", "WRW2", "WRW53"];
        let direct = on("DIRECT") && opencl.iter().any(|kernel| on(&format!("DIRECT_OCL_{kernel}")));
        Ok(Self {
            miopen: true,
            gemm: on("GEMM"),
            naive,
            implicit_gemm: on("IMPLICIT_GEMM"),
            others: direct || on("WINOGRAD") || on("FFT"),
            find_mode,
        })
    }
}

/// The variables of a profile, as a process gets them.
pub fn variables(profile: &Profile) -> Vec<(String, String)> {
    profile.set.iter().map(|setting| (setting.name.to_string(), setting.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdna1_core::policy::Policy;

    #[test]
    fn profiles_of_the_policy() {
        let policy = Policy::embedded().expect("it is tested in its own crate");
        let of = |id| Switches::of(policy.profile(id).expect("a profile")).expect("values that MIOpen takes");
        let gemm = of("gemm");
        assert_eq!((gemm.gemm, gemm.naive, gemm.implicit_gemm, gemm.others), (true, [false; 3], false, false));
        assert_eq!(gemm.find_mode, FindMode::Fast);
        let naive = of("gemm-naive");
        assert_eq!((naive.gemm, naive.naive, naive.others), (true, [true; 3], false));
        let implicit = of("implicit-gemm");
        assert_eq!((implicit.gemm, implicit.implicit_gemm, implicit.find_mode), (false, true, FindMode::Normal));
        assert!(!of("bypass").miopen && of("stock").others);
    }

    #[test]
    fn values_that_miopen_refuses() {
        for (name, value) in [
            ("MIOPEN_DEBUG_CONV_GEMM", ""),
            ("MIOPEN_DEBUG_CONV_DIRECT", "maybe"),
            ("MIOPEN_DEBUG_CONV_FFT", " 0"),
            ("MIOPEN_FIND_MODE", "quick"),
        ] {
            assert!(Switches::read([(name, value)]).is_err(), "{name}={value}");
        }
        let words = [("MIOPEN_DEBUG_CONV_GEMM", "Disabled"), ("MIOPEN_FIND_MODE", "fast"), ("HIP_ANYTHING", "")];
        let switches = Switches::read(words).expect("words that it takes");
        assert_eq!((switches.gemm, switches.find_mode), (false, FindMode::Fast));
    }
}
