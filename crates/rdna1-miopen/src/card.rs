// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card that is pretended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A gfx target as MIOpen is told it: the card's own, or what an override makes
/// of it. Unlike `rdna1_core`'s this may be any, gfx1030 in particular.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(String);

impl Target {
    /// Its name: gfx1010.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether MIOpen's implicit GEMM kernels accept it (on gfx10: gfx103x only).
    pub fn has_implicit_gemm(&self) -> bool {
        self.0.starts_with("gfx103")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let digits = s.strip_prefix("gfx").unwrap_or_default();
        let fits = (3..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if fits { Ok(Self(s.to_ascii_lowercase())) } else { Err(format!("`{s}` is no gfx target such as gfx1010")) }
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Target {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^gfx[0-9a-f]{3,5}$" })
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.0
    }
}

/// What MIOpen asks a card about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Card {
    /// The gfx target that HIP reports.
    pub target: Target,
    /// Compute units as HIP counts them, two of the data sheet's each. MIOpen
    /// uses them for the name of its database; they change no choice.
    pub units: u32,
    /// Bytes of video memory.
    pub vram: u64,
}

impl Card {
    /// A card with the compute units and memory of a common one with this
    /// target: RX 5500 XT, RX 5600 XT, or Radeon Pro V520.
    pub fn of(target: Target) -> Self {
        let (units, vram) = match target.as_str() {
            "gfx1012" => (11, 4 << 30),
            "gfx1011" => (18, 8 << 30),
            _ => (18, 6 << 30),
        };
        Self { target, units, vram }
    }
}

/// Reads a size such as `6GiB`, `512 MiB` or `6442450944`.
///
/// # Errors
/// If it is none; the text says what is.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no memory size; write for example 6GiB, 4096MiB or a number of bytes");
    let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let shift = match text.trim()[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "kib" | "k" => 10,
        "mib" | "m" => 20,
        "gib" | "g" | "gb" => 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number.checked_shl(shift).filter(|bytes| bytes >> shift == number).ok_or_else(wrong)?;
    // The smallest RDNA1 card has 3 GiB; beyond 2^48 no GPU can address.
    if (1 << 20..1 << 48).contains(&bytes) { Ok(bytes) } else { Err(wrong()) }
}

/// A size for people: `6.9 MiB`.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("6GiB"), Ok(6 << 30));
        assert_eq!(parse_size("512 MiB"), Ok(512 << 20));
        assert_eq!(parse_size("6442450944"), Ok(6 << 30));
        for bad in ["", "6XB", "-1GiB", "1.5GiB", "0", "99999999999999999999", "9999999999GiB", "GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(size_text(7_225_344), "6.9 MiB");
        assert_eq!(size_text(6 << 30), "6.00 GiB");
    }

    #[test]
    fn targets() {
        assert!("gfx1030".parse::<Target>().is_ok_and(|t| t.has_implicit_gemm()));
        assert!("gfx1012".parse::<Target>().is_ok_and(|t| !t.has_implicit_gemm()));
        for bad in ["", "gfx", "1010", "gfx10", "gfx1010; rm", "gfxxyz1"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
