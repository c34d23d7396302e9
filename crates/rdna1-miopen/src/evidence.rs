// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the policy's variables a ROCm's libraries contain at all.
//!
//! A library can only ask for a variable whose name it holds. So a name that is
//! nowhere in any library of a stack is read by none of them, which is near to
//! a proof; a name that is there may still be read under conditions only. Names
//! are looked for in the whole file, not only among its strings: MIOpen keeps
//! some of them inside the mangled names of C++ types alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rdna1_core::policy::{Policy, Variable};
use serde::Serialize;

use crate::error::{Error, io};

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

/// What was found about one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
            Self::NothingReadsIt => "nothing here reads it, as expected",
            Self::NotInThisVersion => "not read by this version",
            Self::NotLookedAt => "its reader was not among these libraries",
            Self::Unexpected => "contained in a library that is not known to read it",
        }
    }
}

/// One variable of the policy in the libraries of a stack.
#[derive(Debug, Clone, Serialize)]
pub struct VariableEvidence {
    /// Its name.
    pub name: String,
    /// The libraries that contain it.
    pub found_in: Vec<PathBuf>,
    /// The components that read it, as the policy has it.
    pub read_by: Vec<String>,
    /// What follows.
    pub verdict: Verdict,
}

/// The policy's variables in the libraries of a stack.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// The libraries that were looked at.
    pub libraries: Vec<PathBuf>,
    /// The variables, in the policy's order.
    pub variables: Vec<VariableEvidence>,
}

impl Evidence {
    /// What was found about a variable.
    pub fn variable(&self, name: &str) -> Option<&VariableEvidence> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

/// The libraries in a directory that read variables, the real files without
/// the links to them.
pub fn libraries_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let known = COMPONENTS.iter().any(|(beginning, _)| name.to_string_lossy().starts_with(beginning));
        if let Some(path) = fs::canonicalize(entry.path()).ok().filter(|path| known && path.is_file()) {
            found.insert(path);
        }
    }
    found.into_iter().collect()
}

/// Looks for every variable of the policy in these libraries.
///
/// # Errors
/// If a file cannot be read or is no ELF file.
pub fn look(policy: &Policy, libraries: &[PathBuf]) -> Result<Evidence, Error> {
    let names: Vec<&str> = policy.variables.iter().map(|variable| variable.name.as_str()).collect();
    let mut found: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    let mut components = BTreeSet::new();
    for path in libraries {
        let bytes = fs::read(path).map_err(io("cannot read", path))?;
        if !bytes.starts_with(b"\x7fELF") {
            return Err(Error::NotMiopen { path: path.clone(), problem: "it is no ELF file".into() });
        }
        components.extend(components_of(path));
        for name in contained(&bytes, &names) {
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

fn components_of(path: &Path) -> impl Iterator<Item = &'static str> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of = COMPONENTS.iter().filter(move |(beginning, _)| name.starts_with(beginning));
    of.flat_map(|(_, components)| components.iter().copied())
}

fn verdict(variable: &Variable, found_in: &[PathBuf], looked_at: &BTreeSet<&str>) -> Verdict {
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

fn is_word(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The names that occur in a file: as a string that ends in a zero byte, or as
/// an identifier within a mangled name, which has its length before it.
fn contained<'a>(bytes: &[u8], names: &[&'a str]) -> BTreeSet<&'a str> {
    let shortest = names.iter().map(|name| name.len()).min().unwrap_or(0);
    let mangled: Vec<String> = names.iter().map(|name| format!("{}{name}", name.len())).collect();
    let mut found = BTreeSet::new();
    let mut start = 0;
    // Runs of the letters that such names are made of; everything else, and
    // most of a library is something else, is passed over.
    while start < bytes.len() {
        let Some(run) = bytes[start..].iter().position(|&byte| !is_word(byte)) else { break };
        if run >= shortest {
            let word = &bytes[start..start + run];
            let ends = bytes[start + run] == 0;
            for (name, mangled) in names.iter().zip(&mangled) {
                // The linker may keep one string as the end of another.
                if ends && word.ends_with(name.as_bytes()) || has(word, mangled.as_bytes()) {
                    found.insert(*name);
                }
            }
        }
        start += run + 1;
    }
    found
}

fn has(word: &[u8], part: &[u8]) -> bool {
    word.len() >= part.len() && word.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_longer_ones() {
        let names = ["HSA_XNACK", "MIOPEN_FIND_MODE", "MIOPEN_FIND_MODE_FUSION"];
        let look = |bytes: &[u8]| contained(bytes, &names).into_iter().collect::<Vec<_>>();
        assert_eq!(look(b"\0MIOPEN_FIND_MODE\0"), ["MIOPEN_FIND_MODE"]);
        assert_eq!(look(b"\0MIOPEN_FIND_MODE_FUSION\0"), ["MIOPEN_FIND_MODE_FUSION"]);
        assert_eq!(look(b"_ZN6miopen3env16MIOPEN_FIND_MODEE\0"), ["MIOPEN_FIND_MODE"]);
        assert_eq!(look(b"set HSA_XNACK=1"), Vec::<&str>::new());
        assert_eq!(look(b"PREFIX_HSA_XNACK\0"), ["HSA_XNACK"]);
        assert_eq!(look(b""), Vec::<&str>::new());
        assert_eq!(look(b"HSA_XNACK"), Vec::<&str>::new());
    }
}
