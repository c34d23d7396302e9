// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small files of every kind, made by hand: sound ones, to be broken by the tests
//! and to begin with for the fuzzer in `../fuzz`.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

/// Name, kind, flags, offset, size, link, info, size of an entry.
type Section = (u32, u32, u64, u64, u64, u32, u32, u64);

/// A code object with one kernel, made by hand: ELF header, code, kernel
/// descriptor, symbols and their names, section names, section table.
pub fn code_object(flags: u32, code: &[u32]) -> Vec<u8> {
    let mut file = vec![0; 64];
    let mut sections: Vec<Section> = vec![(0, 0, 0, 0, 0, 0, 0, 0)];
    let names = b"\0.text\0.rodata\0.symtab\0.strtab\0";
    let strings = b"\0kernel\0kernel.kd\0";
    let text: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut add = |file: &mut Vec<u8>, name, kind, flags: u64, bytes: &[u8], link, info, each| {
        let offset = file.len() as u64;
        file.extend(bytes);
        sections.push((name, kind, flags, offset, bytes.len() as u64, link, info, each));
        offset
    };
    let text_at = add(&mut file, 1, 1, 6, &text, 0, 0, 0);
    let mut descriptor = [0; 64];
    descriptor[57] = 1 << 2;
    let descriptor_at = add(&mut file, 7, 1, 2, &descriptor, 0, 0, 0);
    let symbol = |name: u32, info: u8, section: u16, value: u64, size: u64| {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([info, 0]);
        bytes.extend(section.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    };
    let mut symbols = vec![0; 24];
    symbols.extend(symbol(1, 0x12, 1, text_at, text.len() as u64));
    symbols.extend(symbol(8, 0x11, 2, descriptor_at, 64));
    add(&mut file, 15, 2, 0, &symbols, 4, 1, 24);
    add(&mut file, 23, 3, 0, &[&strings[..], names].concat(), 0, 0, 0);
    // Names of sections lie behind those of symbols.
    let shift = strings.len() as u32;
    let table = file.len() as u64;
    for (name, kind, flags, offset, size, link, info, each) in sections {
        file.extend((name + shift).to_le_bytes());
        file.extend(kind.to_le_bytes());
        for number in [flags, offset, offset, size] {
            file.extend(number.to_le_bytes());
        }
        file.extend(link.to_le_bytes());
        file.extend(info.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend(each.to_le_bytes());
    }
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\x40\x04\0\0\0\0\0\0\0\x03\0\xe0\0");
    file[20] = 1;
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[48..52].copy_from_slice(&flags.to_le_bytes());
    file[52..54].copy_from_slice(&64_u16.to_le_bytes());
    file[58..60].copy_from_slice(&64_u16.to_le_bytes());
    file[60..62].copy_from_slice(&5_u16.to_le_bytes());
    file[62..64].copy_from_slice(&4_u16.to_le_bytes());
    file
}

/// buffer_load_dword, s_add_u32 of its descriptor, a loop, s_endpgm: one hit.
pub const CODE: [u32; 7] = [0xe030_1000, 0x8002_0100, 0x8008_0708, 0xbf06_8006, 0xbf85_fffb, 0xbf80_0000, 0xbf81_0000];

fn bundle() -> Vec<u8> {
    let objects = [code_object(0x33, &CODE), code_object(0x36, &CODE)];
    let ids = ["hipv4-amdgcn-amd-amdhsa--gfx1010", "hipv4-amdgcn-amd-amdhsa--gfx1030"];
    let mut bytes = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    bytes.extend(2_u64.to_le_bytes());
    let mut at = 512_u64;
    for (object, id) in objects.iter().zip(ids) {
        for number in [at, object.len() as u64, id.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(id.as_bytes());
        at += object.len() as u64;
    }
    bytes.resize(512, 0);
    bytes.extend(objects.concat());
    bytes
}

/// A compressed bundle of each version and method.
pub fn compressed(version: u16, zstd: bool) -> Vec<u8> {
    let plain = bundle();
    let data = if zstd {
        ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest)
    } else {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let mut bytes = b"CCOB".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(u16::from(zstd).to_le_bytes());
    match version {
        1 => bytes.extend((plain.len() as u32).to_le_bytes()),
        2 => {
            bytes.extend((data.len() as u32 + 24).to_le_bytes());
            bytes.extend((plain.len() as u32).to_le_bytes());
        }
        _ => {
            bytes.extend((data.len() as u64 + 32).to_le_bytes());
            bytes.extend((plain.len() as u64).to_le_bytes());
        }
    }
    bytes.extend([0; 8]);
    bytes.extend(data);
    bytes
}

fn wheel(library: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    let builder = archive.new_file("torch/lib/libdemo.so").compression_method(rawzip::CompressionMethod::DEFLATE);
    let (mut entry, config) = builder.start().unwrap();
    let encoder = flate2::write::DeflateEncoder::new(&mut entry, Compression::default());
    let mut writer = config.wrap(encoder);
    writer.write_all(library).unwrap();
    let (encoder, descriptor) = writer.finish().unwrap();
    encoder.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap();
    bytes
}

/// One file of each kind.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("object", code_object(0x36, &CODE)),
        ("bundle", bundle()),
        ("packed1", compressed(1, false)),
        ("packed2", compressed(2, true)),
        ("packed3", compressed(3, true)),
        ("wheel", wheel(&bundle())),
    ]
}
