// SPDX-License-Identifier: MIT OR Apache-2.0
//! Libraries and wheels that hold nothing but what is read of them.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::tree::Tree;

/// A bundle as the offload bundler writes it, code objects left empty of code.
pub fn bundle(targets: &[&str]) -> Vec<u8> {
    let empty = [0; PAGE];
    bundle_of(&targets.iter().map(|target| (*target, &empty[..])).collect::<Vec<_>>())
}

/// What code objects are aligned to.
const PAGE: usize = 4096;

/// The same with code objects: a target and its bytes each.
pub fn bundle_of(objects: &[(&str, &[u8])]) -> Vec<u8> {
    let host = ("host-x86_64-unknown-linux-gnu-".to_owned(), &[][..]);
    let device = objects.iter().map(|(target, object)| (format!("hipv4-amdgcn-amd-amdhsa--{target}"), *object));
    let entries: Vec<(String, &[u8])> = std::iter::once(host).chain(device).collect();
    let mut bytes = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    bytes.extend((entries.len() as u64).to_le_bytes());
    // The table fits the first page.
    let (mut at, mut starts) = (0, Vec::new());
    for (id, object) in &entries {
        starts.push(at);
        for number in [at, object.len(), id.len()] {
            bytes.extend((number as u64).to_le_bytes());
        }
        bytes.extend(id.as_bytes());
        at = (at + object.len()).next_multiple_of(PAGE).max(PAGE);
    }
    for ((_, object), start) in entries.iter().zip(starts).skip(1) {
        bytes.resize(start, 0);
        bytes.extend(*object);
    }
    bytes.resize(at, 0);
    bytes
}

/// The same, compressed: the second version of the format, zlib.
///
/// # Panics
/// Never, as memory takes it.
pub fn packed(targets: &[&str]) -> Vec<u8> {
    let plain = bundle(targets);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).expect("memory takes it");
    let stream = encoder.finish().expect("memory takes it");
    let mut bytes = b"CCOB".to_vec();
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend((24 + stream.len() as u32).to_le_bytes());
    bytes.extend((plain.len() as u32).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(stream);
    bytes
}

/// A shared library with one section.
pub fn library(section: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.hip_fatbin\0.shstrtab\0";
    let names_at = 4096_u64;
    let at = 8192_u64;
    let table = at + section.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([3_u16, 62].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0, 0, table].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend([64_u16, 0, 0, 64, 3, 2].iter().flat_map(|n| n.to_le_bytes()));
    bytes.resize(names_at as usize, 0);
    bytes.extend(NAMES);
    bytes.resize(at as usize, 0);
    bytes.extend(section);
    bytes.resize(table as usize + 64, 0);
    for (name, kind, offset, size) in [(1_u32, 1_u32, at, section.len() as u64), (13, 3, names_at, NAMES.len() as u64)]
    {
        bytes.extend(name.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend([2_u64, 0, offset, size, 0, 1, 0].iter().flat_map(|n| n.to_le_bytes()));
        // The two 32-bit fields in the middle are one zero of the above.
    }
    bytes
}

/// What official wheels have code for.
pub const ROCM: &[&str] = &["gfx900", "gfx906", "gfx90a", "gfx1030", "gfx1100"];
/// What TheRock has code for.
pub const THEROCK: &[&str] = &["gfx1010", "gfx1011", "gfx1012"];

/// An environment of `python -m venv` with a PyTorch in it.
pub fn venv(tree: &Tree, prefix: &str, version: &str, hip: &str, fatbin: &[u8]) {
    tree.write(format!("{prefix}/pyvenv.cfg"), "home = /usr/bin\ninclude-system-site-packages = false\n");
    tree.link(format!("{prefix}/bin/python"), "/usr/bin/python3.12");
    let torch = format!("{prefix}/lib/python3.12/site-packages/torch");
    tree.write(format!("{torch}/version.py"), version_py(version, hip));
    tree.write(format!("{torch}/lib/libtorch_hip.so"), library(fatbin));
    tree.write(format!("{torch}/lib/libMIOpen.so"), "\x7fELF");
    for target in ["gfx90a", "gfx1030"] {
        tree.write(format!("{torch}/lib/rocblas/library/TensileLibrary_lazy_{target}.dat"), "");
    }
}

/// `torch/version.py`; `hip` is Python's notation of the text or `None`.
pub fn version_py(version: &str, hip: &str) -> String {
    format!(
        "from typing import Optional\n\n__version__ = '{version}'\ndebug = False\ncuda: Optional[str] = None\nhip: Optional[str] = {hip}\n"
    )
}
