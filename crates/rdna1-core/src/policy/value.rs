// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which values a variable's reader accepts, so that nothing is emitted that
//! MIOpen's or libhsakmt's parser would refuse.

use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::GfxVersion;

/// The words that MIOpen's boolean parser knows, in any letter case; every
/// other text, the empty one included, makes it throw (MIOpen env.hpp:61-117).
pub const MIOPEN_BOOL: [&str; 12] = [
    "0", "disable", "disabled", "no", "off", "false", //
    "1", "enable", "enabled", "yes", "on", "true",
];

/// The set of values that a variable's reader accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Domain {
    /// MIOpen's booleans: 0/1, on/off, yes/no, true/false, enable(d)/disable(d).
    MiopenBool,
    /// One of a list, compared exactly.
    OneOf {
        /// The accepted values.
        values: Vec<String>,
    },
    /// An unsigned decimal number within bounds, both included.
    Integer {
        /// Smallest accepted value.
        min: u64,
        /// Largest accepted value.
        max: u64,
    },
    /// Three decimal numbers with dots, as libhsakmt reads them.
    GfxVersion,
    /// A directory or file: absolute, or below the user's home with `~/`.
    Path,
    /// Any text of at least one character.
    Text,
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        /// The same with empty braces: serde overlooks unknown keys beside the
        /// tag of a variant that has no fields at all.
        #[derive(Deserialize)]
        #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
        enum Strict {
            MiopenBool {},
            OneOf { values: Vec<String> },
            Integer { min: u64, max: u64 },
            GfxVersion {},
            Path {},
            Text {},
        }
        Ok(match Strict::deserialize(d)? {
            Strict::MiopenBool {} => Self::MiopenBool,
            Strict::OneOf { values } => Self::OneOf { values },
            Strict::Integer { min, max } => Self::Integer { min, max },
            Strict::GfxVersion {} => Self::GfxVersion,
            Strict::Path {} => Self::Path,
            Strict::Text {} => Self::Text,
        })
    }
}

/// Why a value is refused; says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value {value:?} is not allowed: {allowed}")]
pub struct InvalidValue {
    value: String,
    allowed: String,
}

impl Domain {
    /// What is allowed, for messages: "one of …", "a path …".
    pub fn describe(&self) -> String {
        match self {
            Self::MiopenBool => "0 or 1 (MIOpen also reads off/on, no/yes, false/true, disable/enable)".into(),
            Self::OneOf { values } => format!("one of {}", values.join(", ")),
            Self::Integer { min, max } => format!("a number from {min} to {max}"),
            Self::GfxVersion => "a gfx version such as 10.3.0".into(),
            Self::Path => "an absolute path, or one that starts with ~/".into(),
            Self::Text => "a text that is not empty".into(),
        }
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Says what is allowed. An empty value and one with a NUL byte are never
    /// allowed: the former breaks MIOpen and ROCm's start, the latter cannot
    /// be passed to a process.
    pub fn check(&self, value: &str) -> Result<(), InvalidValue> {
        let accepted = match self {
            _ if value.is_empty() || value.contains('\0') => false,
            Self::MiopenBool => MIOPEN_BOOL.contains(&value.to_ascii_lowercase().as_str()),
            Self::OneOf { values } => values.iter().any(|v| v == value),
            Self::Integer { min, max } => {
                value.bytes().all(|b| b.is_ascii_digit())
                    && value.parse().is_ok_and(|n: u64| (*min..=*max).contains(&n))
            }
            Self::GfxVersion => value.parse::<GfxVersion>().is_ok(),
            Self::Path => value.starts_with('/') || value.starts_with("~/"),
            Self::Text => true,
        };
        if accepted {
            Ok(())
        } else {
            let value = value.chars().take(80).collect();
            Err(InvalidValue { value, allowed: self.describe() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ever_empty_or_holds_a_nul() {
        let all = [
            Domain::MiopenBool,
            Domain::OneOf { values: vec![String::new(), "\0".into()] },
            Domain::Integer { min: 0, max: 9 },
            Domain::GfxVersion,
            Domain::Path,
            Domain::Text,
        ];
        for domain in all {
            assert!(domain.check("").is_err(), "{domain:?} accepts an empty value");
            assert!(domain.check("/a\0b").is_err(), "{domain:?} accepts a NUL");
        }
    }

    #[test]
    fn each_domain_accepts_what_its_reader_reads() {
        let finds = Domain::OneOf { values: vec!["1".into(), "2".into()] };
        let level = Domain::Integer { min: 1, max: 7 };
        for (domain, good, bad) in [
            (Domain::MiopenBool, &["0", "1", "OFF", "Enabled"][..], &[" 0", "2", "nope", "0 "][..]),
            (finds, &["1", "2"], &["3", "FAST"]),
            (level, &["1", "7"], &["0", "8", "-1", "+1", "0x2", "1e0", "18446744073709551617"]),
            (Domain::GfxVersion, &["10.3.0"], &["10.3", "gfx1030", "10.3.0 "]),
            (Domain::Path, &["/var/lib/x", "~/.cache/x"], &["cache", "~root/x", "./x"]),
        ] {
            for value in good {
                assert!(domain.check(value).is_ok(), "{domain:?} refuses {value:?}");
            }
            for value in bad {
                assert!(domain.check(value).is_err(), "{domain:?} accepts {value:?}");
            }
        }
    }
}
