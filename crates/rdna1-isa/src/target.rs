// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gfx targets whose machine code this crate reads.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A gfx10 target. All of them share one instruction encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// RDNA1: Navi 10.
    Gfx1010,
    /// RDNA1: Navi 12.
    Gfx1011,
    /// RDNA1: Navi 14.
    Gfx1012,
    /// RDNA1 with ray tracing: Cyan Skillfish.
    Gfx1013,
    /// RDNA2; gfx1030 to gfx1036 have the same instructions.
    Gfx103x(u8),
}

impl Target {
    /// The RDNA1 targets.
    pub const RDNA1: [Self; 4] = [Self::Gfx1010, Self::Gfx1011, Self::Gfx1012, Self::Gfx1013];

    /// What nearly every override makes a card pretend to be.
    pub const GFX1030: Self = Self::Gfx103x(0);

    /// The target that an ELF header names: the low byte of `e_flags`, which LLVM's
    /// documentation of the AMDGPU back end lists as `EF_AMDGPU_MACH`.
    pub fn from_elf_flags(flags: u32) -> Option<Self> {
        Some(match flags & 0xff {
            0x33 => Self::Gfx1010,
            0x34 => Self::Gfx1011,
            0x35 => Self::Gfx1012,
            0x42 => Self::Gfx1013,
            0x36 => Self::Gfx103x(0),
            0x37 => Self::Gfx103x(1),
            0x38 => Self::Gfx103x(2),
            0x39 => Self::Gfx103x(3),
            0x3e => Self::Gfx103x(4),
            0x3d => Self::Gfx103x(5),
            0x45 => Self::Gfx103x(6),
            _ => return None,
        })
    }

    /// The target in a bundle entry's id, such as `hipv4-amdgcn-amd-amdhsa--gfx1030:xnack-`.
    pub fn from_bundle_id(id: &str) -> Option<Self> {
        let name = &id[id.rfind("gfx")?..];
        name.split(':').next()?.parse().ok()
    }

    /// Whether this is one of the chips of the RDNA1 generation.
    pub fn is_rdna1(self) -> bool {
        !matches!(self, Self::Gfx103x(_))
    }

    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Gfx1010 => 1,
            Self::Gfx1011 => 2,
            Self::Gfx1012 => 4,
            Self::Gfx1013 => 8,
            Self::Gfx103x(_) => 16,
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^gfx10[13][0-6]$" })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gfx1010 => "gfx1010",
            Self::Gfx1011 => "gfx1011",
            Self::Gfx1012 => "gfx1012",
            Self::Gfx1013 => "gfx1013",
            Self::Gfx103x(0) => "gfx1030",
            Self::Gfx103x(1) => "gfx1031",
            Self::Gfx103x(2) => "gfx1032",
            Self::Gfx103x(3) => "gfx1033",
            Self::Gfx103x(4) => "gfx1034",
            Self::Gfx103x(5) => "gfx1035",
            Self::Gfx103x(_) => "gfx1036",
        })
    }
}

/// A name that is none of the targets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no gfx10 target: gfx1010 to gfx1013 or gfx1030 to gfx1036")]
pub struct UnknownTarget(String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(s: &str) -> Result<Self, UnknownTarget> {
        let all = Self::RDNA1.into_iter().chain((0..=6).map(Self::Gfx103x));
        all.into_iter().find(|target| target.to_string() == s).ok_or_else(|| UnknownTarget(s.to_owned()))
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in ["gfx1010", "gfx1011", "gfx1012", "gfx1013", "gfx1030", "gfx1034", "gfx1036"] {
            assert_eq!(name.parse::<Target>().expect(name).to_string(), name);
        }
        assert!("gfx90a".parse::<Target>().is_err());
        assert!("gfx1037".parse::<Target>().is_err());
    }

    #[test]
    fn bundle_ids_carry_features() {
        assert_eq!(Target::from_bundle_id("hipv4-amdgcn-amd-amdhsa--gfx1030"), Some(Target::GFX1030));
        assert_eq!(Target::from_bundle_id("hip-amdgcn-amd-amdhsa--gfx1010:xnack-"), Some(Target::Gfx1010));
        assert_eq!(Target::from_bundle_id("hipv4-amdgcn-amd-amdhsa--gfx90a:xnack+"), None);
        assert_eq!(Target::from_bundle_id("host-x86_64-unknown-linux-gnu-"), None);
    }
}
