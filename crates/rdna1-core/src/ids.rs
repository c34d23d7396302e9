// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small typed identifiers, each with the one textual form it has in the field.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Why a text is not the identifier it should be; says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

impl ParseIdError {
    fn new(text: &str, expected: &'static str) -> Self {
        // Sysfs and configuration may hold anything: keep messages short and printable.
        let text = text.chars().take(40).flat_map(char::escape_default).collect();
        Self { text, expected }
    }
}

/// Reads `0x` and at most `digits` hexadecimal digits, as sysfs prints them.
fn parse_hex(text: &str, digits: usize, expected: &'static str) -> Result<u32, ParseIdError> {
    let err = || ParseIdError::new(text, expected);
    let hex = text.strip_prefix("0x").ok_or_else(err)?;
    if hex.is_empty() || hex.len() > digits || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(err());
    }
    u32::from_str_radix(hex, 16).map_err(|_| err())
}

/// Reads a text and nothing that YAML takes for a number or a boolean. A plain
/// `0x731f` or `6.10` would else be text here and a number (29471, 6.1) to
/// everyone who reads the file without knowing its shape, build.rs among them.
pub(crate) struct QuotedText<T>(pub PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> serde::de::Visitor<'_> for QuotedText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text; put it in quotes")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Serialises a type as the text that it displays and parses.
macro_rules! text_serde {
    ($type:ident, $pattern:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_any(crate::ids::QuotedText(std::marker::PhantomData))
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

pub(crate) use text_serde;

macro_rules! hex_id {
    ($(#[$doc:meta])* $type:ident($int:ty), $digits:literal, $format:literal, $expected:literal, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $int);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl FromStr for $type {
            type Err = ParseIdError;
            fn from_str(s: &str) -> Result<Self, ParseIdError> {
                let value = parse_hex(s, $digits, $expected)?;
                <$int>::try_from(value).map(Self).map_err(|_| ParseIdError::new(s, $expected))
            }
        }

        text_serde!($type, $pattern);
    };
}

hex_id!(
    /// A PCI vendor, device or subsystem id, 16 bits: `0x731f`.
    PciId(u16), 4, "{:#06x}", "a PCI id: 0x and four hexadecimal digits, in quotes", "^0x[0-9a-f]{4}$"
);
hex_id!(
    /// A PCI revision byte: `0xca`. AMD's marketing names depend on it.
    PciRevision(u8), 2, "{:#04x}", "a PCI revision: 0x and two hexadecimal digits, in quotes", "^0x[0-9a-f]{2}$"
);
hex_id!(
    /// A PCI class code, 24 bits (base class, subclass, interface): `0x030000`.
    PciClass(u32), 6, "{:#08x}", "a PCI class: 0x and six hexadecimal digits, in quotes", "^0x[0-9a-f]{6}$"
);

impl PciClass {
    /// The base class, the upper 8 of the 24 bits; 0x03 is a display controller.
    pub fn base(self) -> u8 {
        (self.0 >> 16) as u8
    }
}

/// Where a PCI function sits: domain, bus, device, function; `0000:03:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    /// Domain (segment): 16 bits in firmware, 32 where the kernel invents one.
    pub domain: u32,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl PciAddress {
    /// The `location_id` that KFD's topology gives this function:
    /// bus in bits 8-15, device in bits 3-7, function in bits 0-2.
    pub fn kfd_location(self) -> u32 {
        u32::from(self.bus) << 8 | u32::from(self.device) << 3 | u32::from(self.function)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

impl FromStr for PciAddress {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let err = || ParseIdError::new(s, "a PCI address such as 0000:03:00.0");
        let hex = |part: &str, digits: std::ops::RangeInclusive<usize>| {
            if !digits.contains(&part.len()) || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(err());
            }
            u32::from_str_radix(part, 16).map_err(|_| err())
        };
        let (domain, rest) = s.split_once(':').ok_or_else(err)?;
        let (bus, rest) = rest.split_once(':').ok_or_else(err)?;
        let (device, function) = rest.split_once('.').ok_or_else(err)?;
        let address = Self {
            domain: hex(domain, 4..=8)?,
            bus: hex(bus, 2..=2)? as u8,
            device: hex(device, 2..=2)? as u8,
            function: hex(function, 1..=1)? as u8,
        };
        if address.device > 31 || address.function > 7 {
            return Err(err());
        }
        Ok(address)
    }
}

text_serde!(PciAddress, "^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$");

/// A version of dotted decimal numbers, compared number by number
/// (`6.12` > `6.9`, `6.3` = `6.3.0`); anything after the numbers is dropped,
/// so that a kernel's `6.12.48+deb13-amd64` is read as `6.12.48`.
#[derive(Debug, Clone)]
pub struct Version(Vec<u32>);

impl Version {
    fn significant(&self) -> &[u32] {
        let end = self.0.iter().rposition(|&n| n != 0).map_or(0, |i| i + 1);
        &self.0[..end]
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}
impl Eq for Version {}
impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.significant().cmp(other.significant())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}

impl FromStr for Version {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let err = || ParseIdError::new(s, "a version such as 6.12");
        let end = s.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(s.len());
        let numbers = s[..end].trim_end_matches('.');
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        numbers.map(Self).map_err(|_| err())
    }
}

text_serde!(Version, "^[0-9]+(\\.[0-9]+)*$");

/// An AMD GPU instruction set as the compiler names it: `gfx1012` is major 10,
/// minor 1, stepping 2 (the last two are one hexadecimal digit each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GfxTarget {
    /// Major version, decimal: 10 for RDNA1 and RDNA2.
    pub major: u8,
    /// Minor version: 1 for RDNA1, 3 for RDNA2.
    pub minor: u8,
    /// Stepping: 0 for Navi 10, 1 for Navi 12, 2 for Navi 14.
    pub stepping: u8,
}

impl GfxTarget {
    /// Reads KFD's `gfx_target_version`: decimal, major * 10000 + minor * 100 + stepping.
    /// 0 (a CPU node) and numbers beyond the format give `None`.
    pub fn from_kfd(value: u64) -> Option<Self> {
        let part = |n: u64| u8::try_from(n).ok();
        (value > 0).then_some(())?;
        Some(Self { major: part(value / 10_000)?, minor: part(value / 100 % 100)?, stepping: part(value % 100)? })
    }

    /// The same target in the form that `HSA_OVERRIDE_GFX_VERSION` wants.
    pub fn version(self) -> GfxVersion {
        GfxVersion { major: self.major, minor: self.minor, stepping: self.stepping }
    }
}

impl fmt::Display for GfxTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gfx{}{:x}{:x}", self.major, self.minor, self.stepping)
    }
}

impl FromStr for GfxTarget {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let err = || ParseIdError::new(s, "a gfx target such as gfx1010");
        let digits = s.strip_prefix("gfx").ok_or_else(err)?;
        if !(3..=4).contains(&digits.len()) || !digits.is_ascii() {
            return Err(err());
        }
        let (major, rest) = digits.split_at(digits.len() - 2);
        let hex = |part: &str| u8::from_str_radix(part, 16).map_err(|_| err());
        Ok(Self { major: major.parse().map_err(|_| err())?, minor: hex(&rest[..1])?, stepping: hex(&rest[1..])? })
    }
}

text_serde!(GfxTarget, "^gfx[0-9]{1,2}[0-9a-f]{2}$");

/// A value of `HSA_OVERRIDE_GFX_VERSION`: exactly three decimal numbers,
/// because libhsakmt reads it with `%u.%u.%u` and fails on anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GfxVersion {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Stepping.
    pub stepping: u8,
}

impl fmt::Display for GfxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.stepping)
    }
}

impl FromStr for GfxVersion {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let err = || ParseIdError::new(s, "a gfx version such as 10.3.0");
        let mut numbers = s.split('.').map(|part| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse::<u8>().ok()).flatten()
        });
        let mut next = || numbers.next().flatten().ok_or_else(err);
        let version = Self { major: next()?, minor: next()?, stepping: next()? };
        if numbers.next().is_some() {
            return Err(err());
        }
        Ok(version)
    }
}

text_serde!(GfxVersion, "^[0-9]+\\.[0-9]+\\.[0-9]+$");

/// An environment variable's name: ASCII letters, digits and `_`, not starting
/// with a digit, so that every shell and systemd accept it unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VarName(String);

impl VarName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for VarName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for VarName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for VarName {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let valid = s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && s.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if valid {
            Ok(Self(s.to_owned()))
        } else {
            Err(ParseIdError::new(s, "a variable name: letters, digits and _, no digit first"))
        }
    }
}

text_serde!(VarName, "^[A-Za-z_][A-Za-z0-9_]*$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_ids_have_one_form() {
        assert_eq!("0x731f".parse(), Ok(PciId(0x731f)));
        assert_eq!(PciId(0x1002).to_string(), "0x1002");
        assert_eq!("0x030000".parse::<PciClass>().map(PciClass::base), Ok(0x03));
        assert_eq!("0xca".parse(), Ok(PciRevision(0xca)));
        for bad in ["", "0x", "731f", "0x731ff", "0x-731", "0x+31f", "0X731F", "0x73 f", "\u{0}"] {
            assert!(bad.parse::<PciId>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn pci_addresses_round_trip_and_refuse_the_impossible() {
        for good in ["0000:03:00.0", "10000:e1:00.0", "ffff:ff:1f.7"] {
            assert_eq!(good.parse::<PciAddress>().map(|a| a.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "03:00.0", "0000:03:20.0", "0000:03:00.8", "0000:3:0.0", "0000:03:00.0x", "zzzz:03:00.0"] {
            assert!(bad.parse::<PciAddress>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!("0000:2d:00.1".parse::<PciAddress>().map(PciAddress::kfd_location), Ok(0x2d01));
    }

    #[test]
    fn versions_compare_by_number_and_ignore_suffixes() {
        let v = |s: &str| s.parse::<Version>().expect(s);
        assert!(v("6.12") > v("6.9.99"));
        assert_eq!(v("6.3"), v("6.3.0"));
        assert!(v("6.12.48+deb13-amd64") >= v("6.12"));
        assert_eq!(v("6.12.0-rc1").to_string(), "6.12.0");
        for bad in ["", "x", "-1", ".6", "6..1", "99999999999"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn gfx_targets_and_versions_agree() {
        let t = |s: &str| s.parse::<GfxTarget>().expect(s);
        assert_eq!(t("gfx1012").version().to_string(), "10.1.2");
        assert_eq!(t("gfx90a").stepping, 10);
        assert_eq!(GfxTarget::from_kfd(100_103), Some(t("gfx1013")));
        assert_eq!(GfxTarget::from_kfd(90_010), Some(t("gfx90a")));
        assert_eq!(GfxTarget::from_kfd(0), None);
        assert_eq!(GfxTarget::from_kfd(u64::MAX), None);
        for bad in ["", "gfx", "gfx10", "gfx10100", "GFX1010", "gfx10é", "navi10"] {
            assert!(bad.parse::<GfxTarget>().is_err(), "{bad:?} was accepted");
        }
        for bad in ["", "10.3", "10.3.0.0", "10.3.x", "10. 3.0", "+1.3.0", "10.3.0\n", "300.1.1"] {
            assert!(bad.parse::<GfxVersion>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn variable_names_are_plain_identifiers() {
        assert!("MIOPEN_FIND_MODE".parse::<VarName>().is_ok());
        for bad in ["", "1A", "A-B", "A B", "A=B", "Ä", "A\n"] {
            assert!(bad.parse::<VarName>().is_err(), "{bad:?} was accepted");
        }
    }
}
