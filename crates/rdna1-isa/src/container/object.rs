// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code objects: ELF files of machine code for one target.
//!
//! Format: "Code Object" and "Kernel Descriptor" in LLVM's documentation of the
//! AMDGPU back end.

use std::collections::HashMap;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{LittleEndian, SectionIndex};

use super::Error;
use crate::decode::Wave;
use crate::target::Target;

/// `EM_AMDGPU`.
const MACHINE: u16 = 224;

/// What a kernel descriptor says that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Wavefront size.
    pub wave: Wave,
    /// Whether work-groups run on two compute units (work-group processor mode).
    pub wgp_mode: bool,
}

/// A function: a kernel, or one that kernels call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Address as the symbol table has it.
    pub address: u64,
    /// Where its code starts in the file.
    pub offset: usize,
    /// Size of its code.
    pub size: usize,
    /// The kernel's descriptor; `None` for a function that is no kernel.
    pub kernel: Option<Kernel>,
}

/// The functions of a code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeObject {
    /// The target that it was built for.
    pub target: Target,
    /// By address; they do not overlap.
    pub functions: Vec<Function>,
}

/// Whether these are the first bytes of an ELF file for AMD GPUs.
pub(super) fn is_code_object(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF\x02\x01") && start.get(18..20) == Some(&MACHINE.to_le_bytes())
}

/// The target of a code object; `None` where it is not of gfx10.
pub(super) fn target(bytes: &[u8]) -> Option<Target> {
    let flags: [u8; 4] = bytes.get(48..52)?.try_into().ok()?;
    Target::from_elf_flags(u32::from_le_bytes(flags))
}

impl CodeObject {
    /// Reads the tables of a code object; `None` where its target is not of gfx10.
    ///
    /// # Errors
    /// If the ELF structure is broken.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let Some(target) = target(bytes) else { return Ok(None) };
        let header = FileHeader64::<LittleEndian>::parse(bytes)?;
        let sections = header.sections(LittleEndian, bytes)?;
        let mut symbols = sections.symbols(LittleEndian, bytes, elf::SHT_SYMTAB)?;
        if symbols.is_empty() {
            symbols = sections.symbols(LittleEndian, bytes, elf::SHT_DYNSYM)?;
        }
        let mut functions = Vec::new();
        let mut descriptors: HashMap<Vec<u8>, Kernel> = HashMap::new();
        for symbol in symbols.iter() {
            let kind = symbol.st_type();
            if kind != elf::STT_FUNC && kind != elf::STT_OBJECT {
                continue;
            }
            let name = symbol.name(LittleEndian, symbols.strings())?;
            let index = SectionIndex(usize::from(symbol.st_shndx(LittleEndian).0));
            let Ok(section) = sections.section(index) else { continue };
            let Some((from, size)) = section.file_range(LittleEndian) else { continue };
            let address = symbol.st_value(LittleEndian);
            let place = address
                .checked_sub(section.sh_addr(LittleEndian))
                .filter(|&place| place < size)
                .and_then(|place| usize::try_from(from.checked_add(place)?).ok());
            let Some(offset) = place.filter(|&offset| offset < bytes.len()) else { continue };
            let rest = usize::try_from(size - (offset as u64 - from)).unwrap_or(usize::MAX).min(bytes.len() - offset);
            if kind == elf::STT_FUNC && section.sh_flags(LittleEndian).0 & elf::SHF_EXECINSTR.0 != 0 {
                let own = symbol.st_size(LittleEndian);
                // Without a size it reaches to the next one or the section's end.
                let size = if own == 0 { rest } else { usize::try_from(own).unwrap_or(usize::MAX).min(rest) };
                let name = String::from_utf8_lossy(name).into_owned();
                functions.push(Function { name, address, offset, size, kernel: None });
            } else if let Some(kernel) = name.strip_suffix(b".kd") {
                descriptors.extend(descriptor(&bytes[offset..offset + rest]).map(|found| (kernel.to_vec(), found)));
            }
        }
        functions.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
        functions.dedup_by(|later, first| later.offset == first.offset);
        for index in 0..functions.len() {
            // Clipped, so that no byte is looked at twice whatever the sizes say.
            if let Some(next) = functions.get(index + 1).map(|next| next.offset) {
                let function = &mut functions[index];
                function.size = function.size.min(next - function.offset);
            }
            let function = &mut functions[index];
            function.kernel = descriptors.get(function.name.as_bytes()).copied();
        }
        Ok(Some(Self { target, functions }))
    }

    /// The wavefront size of functions that are no kernels: that of the kernels,
    /// which call them.
    pub fn wave(&self) -> Wave {
        let mut waves = self.functions.iter().filter_map(|function| function.kernel).map(|kernel| kernel.wave);
        waves.next().unwrap_or(Wave::W32)
    }
}

/// The fields of a kernel descriptor.
fn descriptor(bytes: &[u8]) -> Option<Kernel> {
    let bytes = bytes.get(..64)?;
    // COMPUTE_PGM_RSRC1 bit 29 is WGP_MODE; KERNEL_CODE_PROPERTIES bit 10 is
    // ENABLE_WAVEFRONT_SIZE32.
    let wgp_mode = bytes[51] & 1 << 5 != 0;
    let wave = if bytes[57] & 1 << 2 != 0 { Wave::W32 } else { Wave::W64 };
    Some(Kernel { wave, wgp_mode })
}
