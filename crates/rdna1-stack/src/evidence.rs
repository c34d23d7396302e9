// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the policy's variables a stack's libraries contain at all.
//!
//! A library can only ask for a variable whose name it holds. So a name that is
//! nowhere in any library of a stack is read by none of them, which is near to
//! a proof; a name that is there may still be read under conditions only. Names
//! are looked for in the whole host part of a file, not only among its strings:
//! MIOpen keeps some of them inside the mangled names of C++ types alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use rdna1_core::policy::{Policy, Variable};
use rdna1_core::root::Problem;
use serde::Serialize;

use crate::model::Stack;
use crate::place::{Place, file_name};

/// Libraries that read variables: how their files' names begin, and the
/// component under which the policy knows them. libhsakmt is part of
/// libhsa-runtime64 since ROCm 6.3.
const COMPONENTS: [(&str, &[&str]); 6] = [
    ("libMIOpen.so", &["MIOpen"]),
    ("libamdhip64.so", &["HIP"]),
    ("libhsa-runtime64.so", &["ROCR-Runtime", "libhsakmt"]),
    ("libhsakmt.so", &["libhsakmt"]),
    ("librocblas.so", &["rocBLAS"]),
    ("libtorch_hip.so", &["PyTorch"]),
];

/// How much of a file is held at once.
const CHUNK: usize = 1 << 20;

/// What was found about one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "EvidenceVerdict"))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A library of a component that the policy names contains it.
    Confirmed,
    /// The policy says that nothing reads it, and no library contains it.
    NothingReadsIt,
    /// A component that the policy names was looked at and has it not: this
    /// version does not read it.
    NotInThisVersion,
    /// No library of the components that the policy names was looked at.
    NotLookedAt,
    /// Only libraries contain it of which the policy does not say so.
    Unexpected,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Confirmed => "read here",
            Self::NothingReadsIt => "no library here contains it, as expected: it does nothing",
            Self::NotInThisVersion => "not contained in this version of its reader: it does nothing here",
            Self::NotLookedAt => "its reader is not among these libraries",
            Self::Unexpected => "contained in a library that is not known to read it",
        }
    }
}

/// One variable of the policy in the libraries of a stack.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VariableEvidence {
    /// Its name.
    pub name: String,
    /// The libraries that contain it.
    pub found_in: Vec<String>,
    /// The components that read it, as the policy has it.
    pub read_by: Vec<String>,
    /// What follows.
    pub verdict: Verdict,
}

/// The policy's variables in the libraries of a stack.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// The libraries that were looked at, links followed.
    pub libraries: Vec<String>,
    /// The variables, in the policy's order.
    pub variables: Vec<VariableEvidence>,
}

impl Evidence {
    /// What was found about a variable.
    pub fn variable(&self, name: &str) -> Option<&VariableEvidence> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

/// The libraries of a stack that read variables: the real files, links followed.
pub fn libraries(place: Place<'_>, stack: &Stack) -> Vec<String> {
    let mut found = BTreeSet::new();
    for dir in &stack.libraries {
        for name in place.names(dir) {
            if COMPONENTS.iter().any(|(beginning, _)| name.starts_with(beginning)) {
                let real = place.real(&format!("{dir}/{name}"));
                found.extend(real.filter(|path| place.is_file(path)));
            }
        }
    }
    found.into_iter().collect()
}

/// Looks for every variable of the policy in these libraries.
///
/// # Errors
/// If a file cannot be read or is no ELF file.
pub fn look(policy: &Policy, place: Place<'_>, libraries: &[String]) -> Result<Evidence, Problem> {
    let names: Vec<&str> = policy.variables.iter().map(|variable| variable.name.as_str()).collect();
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut components = BTreeSet::new();
    for path in libraries {
        let wrong = |problem: String| Problem { path: path.clone(), problem };
        let file = place.open(path)?.ok_or_else(|| wrong("is missing".into()))?;
        components.extend(components_of(path));
        for name in contained(file, &names).map_err(wrong)? {
            found.entry(name).or_default().push(path.clone());
        }
    }
    let variables = policy.variables.iter().map(|variable| {
        let found_in = found.remove(variable.name.as_str()).unwrap_or_default();
        let read_by: Vec<String> = variable.read_by.iter().map(|reader| reader.component.clone()).collect();
        let verdict = verdict(variable, &found_in, &components);
        VariableEvidence { name: variable.name.to_string(), found_in, read_by, verdict }
    });
    Ok(Evidence { libraries: libraries.to_vec(), variables: variables.collect() })
}

fn components_of(path: &str) -> impl Iterator<Item = &'static str> {
    let name = file_name(path).to_owned();
    let of = COMPONENTS.iter().filter(move |(beginning, _)| name.starts_with(beginning));
    of.flat_map(|(_, components)| components.iter().copied())
}

fn verdict(variable: &Variable, found_in: &[String], looked_at: &BTreeSet<&str>) -> Verdict {
    let claimed = |component: &str| variable.read_by.iter().any(|reader| reader.component == component);
    if found_in.iter().any(|path| components_of(path).any(claimed)) {
        Verdict::Confirmed
    } else if !found_in.is_empty() {
        Verdict::Unexpected
    } else if variable.is_inert() {
        Verdict::NothingReadsIt
    } else if looked_at.iter().any(|component| claimed(component)) {
        Verdict::NotInThisVersion
    } else {
        Verdict::NotLookedAt
    }
}

/// The names that the host part of a library contains. Its device code, most of
/// the gigabytes of some libraries, is passed over.
fn contained<'a>(mut file: File, names: &[&'a str]) -> Result<BTreeSet<&'a str>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut magic = [0; 4];
    if file.read_exact(&mut magic).is_err() || magic != *b"\x7fELF" {
        return Err("is no ELF file".into());
    }
    let copy = file.try_clone().map_err(unreadable)?;
    let mut device = rdna1_isa::container::device_sections(copy).map_err(|error| error.to_string())?;
    device.sort_unstable();
    let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    let mut words = Words::new(names);
    let mut at = 0;
    for (from, to) in device.into_iter().chain([(length, length)]) {
        if from > at {
            file.seek(SeekFrom::Start(at)).map_err(unreadable)?;
            words.read(file.by_ref().take(from - at)).map_err(unreadable)?;
        }
        at = at.max(to);
    }
    Ok(words.found)
}

/// Looks for names among the runs of letters that such names are made of;
/// everything else, and most of a library is something else, is passed over.
struct Words<'n> {
    /// Each name, and how it stands in a mangled name: with its length before it.
    names: Vec<(&'n str, String)>,
    shortest: usize,
    found: BTreeSet<&'n str>,
}

impl<'n> Words<'n> {
    fn new(names: &[&'n str]) -> Self {
        Self {
            names: names.iter().map(|name| (*name, format!("{}{name}", name.len()))).collect(),
            shortest: names.iter().map(|name| name.len()).min().unwrap_or(0),
            found: BTreeSet::new(),
        }
    }

    /// Reads to the end, a part at a time; a word that a part cuts is kept for the next.
    fn read(&mut self, mut from: impl Read) -> std::io::Result<()> {
        let mut buffer = Vec::with_capacity(2 * CHUNK);
        while from.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)? > 0 {
            let whole = buffer.len() - buffer.iter().rev().take_while(|byte| is_word(**byte)).count();
            self.look(&buffer[..whole]);
            buffer.drain(..whole);
            if buffer.len() > CHUNK {
                // No name is that long.
                buffer.clear();
            }
        }
        Ok(())
    }

    /// Looks through bytes that end behind a word.
    fn look(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if is_word(*byte) {
                continue;
            }
            if at - start >= self.shortest {
                self.word(&bytes[start..at], *byte == 0);
            }
            start = at + 1;
        }
    }

    /// A name counts as a string that ends in a zero byte (the linker may keep
    /// one string as the end of another), or within a mangled name.
    fn word(&mut self, word: &[u8], is_string: bool) {
        for (name, mangled) in &self.names {
            if is_string && word.ends_with(name.as_bytes()) || has(word, mangled.as_bytes()) {
                self.found.insert(name);
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

fn has(word: &[u8], part: &[u8]) -> bool {
    word.len() >= part.len() && word.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["HSA_XNACK", "MIOPEN_FIND_MODE", "MIOPEN_FIND_MODE_FUSION"];

    fn look(bytes: &[u8]) -> Vec<&'static str> {
        let mut words = Words::new(&NAMES);
        words.read(bytes).expect("it is memory");
        words.found.into_iter().collect()
    }

    #[test]
    fn names_are_told_from_longer_ones() {
        assert_eq!(look(b"\0MIOPEN_FIND_MODE\0"), ["MIOPEN_FIND_MODE"]);
        assert_eq!(look(b"\0MIOPEN_FIND_MODE_FUSION\0"), ["MIOPEN_FIND_MODE_FUSION"]);
        assert_eq!(look(b"_ZN6miopen3env16MIOPEN_FIND_MODEE\0"), ["MIOPEN_FIND_MODE"]);
        assert_eq!(look(b"set HSA_XNACK=1"), Vec::<&str>::new());
        assert_eq!(look(b"PREFIX_HSA_XNACK\0"), ["HSA_XNACK"]);
        assert_eq!(look(b""), Vec::<&str>::new());
        assert_eq!(look(b"HSA_XNACK"), Vec::<&str>::new());
    }

    #[test]
    fn names_across_parts_and_behind_endless_words_are_found() {
        let mut bytes = vec![b' '; CHUNK - 4];
        bytes.extend(b"HSA_XNACK\0");
        assert_eq!(look(&bytes), ["HSA_XNACK"]);
        let mut bytes = vec![b'A'; 3 * CHUNK];
        bytes.extend(b"\0MIOPEN_FIND_MODE\0");
        assert_eq!(look(&bytes), ["MIOPEN_FIND_MODE"]);
    }
}
