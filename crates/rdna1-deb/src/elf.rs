// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program's ELF file says about where it runs and what it needs.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _};
use rdna1_payload::Payload;

use crate::DebError;

/// An architecture, by its ELF machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Architecture {
    /// Debian's name for it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// What matters of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Where it is installed.
    pub path: String,
    /// What it runs on.
    pub architecture: Architecture,
    /// Sonames of the libraries that it loads.
    pub needed: Vec<String>,
    /// Library and symbol version, for each version that it needs.
    pub versions: Vec<(String, String)>,
}

impl Elf {
    /// Parses a file; `path` is its name in messages.
    ///
    /// # Errors
    /// It is no 64-bit ELF file of a known architecture, or damaged.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, DebError> {
        let fail = |problem: String| DebError::Elf { path: path.to_owned(), problem };
        let broken = |error: object::Error| fail(format!("is no sound 64-bit ELF file: {error}"));
        let header = FileHeader64::<Endianness>::parse(bytes).map_err(broken)?;
        let endian = header.endian().map_err(broken)?;
        let architecture = match header.e_machine(endian) {
            elf::EM_X86_64 => Architecture::X86_64,
            elf::EM_AARCH64 => Architecture::Aarch64,
            other => return Err(fail(format!("is for a machine that no package is made for ({other:?})"))),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sections = header.sections(endian, bytes).map_err(broken)?;
        let mut needed = Vec::new();
        if let Some((entries, strings)) = sections.dynamic(endian, bytes).map_err(broken)? {
            let strings = sections.strings(endian, bytes, strings).map_err(broken)?;
            for entry in entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED) {
                needed.push(text(entry.string(endian, strings).map_err(broken)?));
            }
        }
        let mut versions = Vec::new();
        if let Some((mut libraries, strings)) = sections.gnu_verneed(endian, bytes).map_err(broken)? {
            let strings = sections.strings(endian, bytes, strings).map_err(broken)?;
            while let Some((library, mut nodes)) = libraries.next().map_err(broken)? {
                let library = text(library.file(endian, strings).map_err(broken)?);
                while let Some(node) = nodes.next().map_err(broken)? {
                    versions.push((library.clone(), text(node.name(endian, strings).map_err(broken)?)));
                }
            }
        }
        Ok(Self { path: path.to_owned(), architecture, needed, versions })
    }
}

/// The ELF files of a payload: its programs, and whatever else begins like one.
pub(crate) fn find(payload: &Payload) -> Result<Vec<Elf>, DebError> {
    let regular = payload.entries().iter().filter(|entry| entry.kind.is_regular());
    let elves = regular.filter(|entry| entry.bytes.starts_with(&elf::ELFMAG));
    elves.map(|entry| Elf::parse(&entry.path, &entry.bytes)).collect()
}

/// The one architecture of all ELF files.
pub(crate) fn architecture(elves: &[Elf]) -> Result<Architecture, DebError> {
    let fail = |path: &str, problem: &str| DebError::Elf { path: path.to_owned(), problem: problem.to_owned() };
    let first = elves.first().ok_or_else(|| fail("the payload", "has no program in ELF form"))?;
    match elves.iter().find(|elf| elf.architecture != first.architecture) {
        Some(other) => Err(fail(&other.path, &format!("is not for the same architecture as {}", first.path))),
        None => Ok(first.architecture),
    }
}
