// SPDX-License-Identifier: MIT OR Apache-2.0
//! A MIOpen that lies somewhere, and what it needs to be loaded.

use std::fs;
use std::path::{Path, PathBuf};

use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Sym};
use object::{Endianness, elf};

use crate::error::{Error, io};

/// Where a directory that is named may have it: itself, a ROCm prefix, a
/// wheel's or an unpacked package's top.
const PLACES: [&str; 6] = [".", "lib", "lib64", "usr/lib/x86_64-linux-gnu", "usr/lib64", "torch/lib"];

/// Where an unpacked C library has its loader.
const LOADERS: [&str; 3] =
    ["usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"];

/// The machine's own loader: fixed by the x86-64 ABI.
const SYSTEM_LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Beginnings of the names of libraries whose part the simulated runtime plays.
const SIMULATED: [&str; 3] = ["libamdhip64.so", "librocblas.so", "libroctx64.so"];

/// A MIOpen that can be asked.
#[derive(Debug, Clone)]
pub struct Library {
    /// The library.
    pub path: PathBuf,
    /// The dynamic loader under which it runs.
    pub(crate) loader: PathBuf,
    /// Where the loader finds what it needs.
    pub(crate) search: Vec<PathBuf>,
    /// The names under which it wants the simulated libraries.
    pub(crate) simulated: Vec<String>,
}

impl Library {
    /// Finds it in a directory and looks whether it can be asked at all.
    ///
    /// # Errors
    /// If there is none, if the file is something else, or if it needs more
    /// of HIP than is simulated.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        // The process that loads it works in another directory.
        let dir = &fs::canonicalize(dir).map_err(io("cannot find", dir))?;
        let found = PLACES.iter().find_map(|place| in_directory(&dir.join(place)));
        let path = found.ok_or_else(|| Error::NoLibrary {
            dir: dir.to_owned(),
            looked: PLACES.iter().map(|place| (*place).to_owned()).collect(),
        })?;
        let problem = |problem| Error::NotMiopen { path: path.clone(), problem };
        let bytes = fs::read(&path).map_err(io("cannot read", &path))?;
        let needs = Needs::read(&bytes).map_err(problem)?;
        if !needs.defines_miopen {
            return Err(problem("it does not define miopenConvolutionForwardGetSolution".into()));
        }
        let simulated: Vec<String> = needs.libraries.into_iter().filter(|name| is_simulated(name)).collect();
        if !simulated.iter().any(|name| name.starts_with(SIMULATED[0])) {
            return Err(problem("it does not use HIP (libamdhip64); MIOpen's OpenCL form cannot be asked".into()));
        }
        let mut missing: Vec<String> = needs.imports.into_iter().filter(|name| !exported(name)).collect();
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            return Err(problem(format!("it needs functions that are not simulated: {}", missing.join(", "))));
        }
        let beside = path.parent().unwrap_or(dir).to_owned();
        let loader = LOADERS.iter().map(|place| dir.join(place)).find(|loader| loader.exists());
        let loader = loader.unwrap_or_else(|| SYSTEM_LOADER.into());
        Ok(Self { path, loader, search: vec![beside], simulated })
    }

    /// The same library with this in place of the given environment's loader
    /// and search path; for tests of what goes wrong.
    #[doc(hidden)]
    #[must_use]
    pub fn with_search(mut self, search: Vec<PathBuf>) -> Self {
        self.search = search;
        self
    }
}

/// The library in a directory: the plain name, or the highest version of it.
fn in_directory(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libMIOpen.so")) && path.is_file()
        })
        .collect();
    found.sort();
    found.pop()
}

fn is_simulated(name: &str) -> bool {
    SIMULATED.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether the simulated runtime has a function.
fn exported(name: &str) -> bool {
    const MAP: &str = include_str!("../../rdna1-fakehip/exports.map");
    // rocBLAS stands there as a pattern; its source is the list.
    const ROCBLAS: &str = include_str!("../../rdna1-fakehip/src/rocblas.rs");
    [MAP, ROCBLAS]
        .iter()
        .any(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name))
}

/// What an ELF file asks of the loader.
#[derive(Debug, Default)]
struct Needs {
    libraries: Vec<String>,
    /// Undefined functions of HIP, rocBLAS and ROCTX.
    imports: Vec<String>,
    defines_miopen: bool,
}

impl Needs {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err("it is no ELF file".into());
        }
        let wrong = |e: object::Error| format!("its ELF structure is damaged ({e})");
        let header = FileHeader64::<Endianness>::parse(bytes).map_err(|_| "it is not for 64 bits".to_owned())?;
        let endian = header.endian().map_err(wrong)?;
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err(format!("it is for ELF machine {}, not for x86-64", header.e_machine(endian)));
        }
        let segments = header.program_headers(endian, bytes).map_err(wrong)?;
        if header.e_type(endian) != elf::ET_DYN || segments.iter().any(|s| s.p_type(endian) == PT_INTERP) {
            return Err("it is no shared library".into());
        }
        let sections = header.sections(endian, bytes).map_err(wrong)?;
        let mut needs = Self::default();
        let (dynamic, link) = sections.dynamic(endian, bytes).map_err(wrong)?.ok_or("it has no dynamic section")?;
        let strings = sections.strings(endian, bytes, link).map_err(wrong)?;
        for entry in dynamic.iter().filter(|entry| entry.d_tag(endian) == elf::DT_NEEDED) {
            let name = entry.string(endian, strings).map_err(wrong)?;
            needs.libraries.push(String::from_utf8_lossy(name).into_owned());
        }
        let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM).map_err(wrong)?;
        for symbol in symbols.iter() {
            let name = symbol.name(endian, symbols.strings()).map_err(wrong)?;
            if symbol.is_undefined(endian) {
                if [&b"hip"[..], b"__hip", b"rocblas_", b"roctx"].iter().any(|p| name.starts_with(p)) {
                    needs.imports.push(String::from_utf8_lossy(name).into_owned());
                }
            } else if name == b"miopenConvolutionForwardGetSolution" {
                needs.defines_miopen = true;
            }
        }
        Ok(needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulated_functions_are_known() {
        assert!(exported("hipMalloc") && exported("rocblas_gemm_ex") && exported("roctxRangePop"));
        assert!(!exported("hipGraphLaunch") && !exported("rocblas_dgemm"));
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        let read = |bytes: &[u8]| Needs::read(bytes).expect_err("no library");
        assert!(read(b"").contains("no ELF"));
        assert!(read(b"\x7fELF\x01\x01\x01").contains("64 bits"));
        let own = fs::read(std::env::current_exe().expect("a test is a file")).expect("readable");
        assert!(read(&own).contains("no shared library"));
        // Cut off anywhere, it is an error and not a panic.
        let whole = crate::runtime::tests_library();
        for length in (0..whole.len()).step_by(997) {
            let _ = Needs::read(&whole[..length]);
        }
    }
}
