// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decoder against LLVM's: every opcode of every format on every target, and
//! the instructions of real code.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rdna1_isa::Target;
use rdna1_isa::decode::{self, Format, Inst, defined, mnemonic};

use super::{MC, OBJDUMP, Objects, have_llvm, must, workdir};

/// Forms of an instruction: LLVM takes an opcode only with operands that fit it.
fn forms() -> Vec<(Format, u16, Vec<u32>)> {
    const V: u32 = 256;
    let mut forms = Vec::new();
    let mut add = |format, op: u32, words: &[u32]| forms.push((format, op as u16, words.to_vec()));
    for op in 0..0x3e {
        for source in [V, 0] {
            add(Format::Vop2, op, &[op << 25 | 1 << 17 | 1 << 9 | source, 1]);
        }
    }
    for op in 0..256 {
        for source in [V, 0] {
            add(Format::Vopc, op, &[0x3e << 25 | op << 17 | 1 << 9 | source]);
            add(Format::Vop1, op, &[0x3f << 25 | 1 << 17 | op << 9 | source]);
        }
        add(Format::Vop1, op, &[0x3f << 25 | op << 9]);
        add(Format::Sop1, op, &[0x17d << 23 | 4 << 16 | op << 8 | 2]);
        add(Format::Smem, op, &[0x3d << 26 | op << 18 | 4 << 6 | 2, 0xfa00_0000]);
        add(Format::Smem, op, &[0x3d << 26 | op << 18, 0]);
        for gds in [0, 1] {
            add(Format::Ds, op, &[0x36 << 26 | op << 18 | gds << 17, 0]);
        }
    }
    for op in 0..128 {
        if op < 0x60 {
            add(Format::Sop2, op, &[2 << 30 | op << 23 | 4 << 16 | 6 << 8 | 2]);
        }
        if op < 0x1d {
            add(Format::Sopk, op, &[0xb << 28 | op << 23 | 4 << 16 | 1, 0]);
        }
        add(Format::Sopc, op, &[0x17e << 23 | op << 16 | 6 << 8 | 2]);
        add(Format::Sopp, op, &[0x17f << 23 | op << 16]);
        for (segment, format) in [(0, Format::Flat), (1, Format::Scratch), (2, Format::Global)] {
            for (address, glc) in [(0x7d, 0), (0x7f, 0), (2, 0), (0x7d, 1)] {
                add(format, op, &[0x37 << 26 | op << 18 | segment << 14 | glc << 16, address << 16]);
            }
        }
        for flags in [0, 1 << 12, 1 << 14, 1 << 16] {
            add(Format::Mubuf, op, &[0x38 << 26 | op << 18 | flags, 1 << 16]);
        }
        for (high, mask) in [(0, 1), (1, 1), (0, 15), (1, 15)] {
            for flags in [0, 1 << 3, 1 << 15, 1 << 3 | 1 << 15] {
                let word = 0x3c << 26 | op << 18 | high | mask << 8 | flags;
                add(Format::Mimg, op | high << 7, &[word, 1 << 16]);
            }
            // Ray intersection: a long address list, 128-bit descriptor, unnormalised.
            for list in 0..4 {
                let word = 0x3c << 26 | op << 18 | high | 0xf00 | 1 << 15 | 1 << 12 | list << 1;
                if op >= 0x66 {
                    add(Format::Mimg, op | high << 7, &[word, 1 << 16, 0, 0, 0]);
                }
            }
        }
        for sources in [V | V << 9, V | V << 9 | V << 18] {
            for halves in [0, 3 << 27] {
                add(Format::Vop3p, op, &[0x33 << 26 | op << 16 | 1, sources | halves]);
            }
        }
    }
    for op in 0..1024 {
        for sources in [V | V << 9 | V << 18, V, 2 | 4 << 9 | 6 << 18, V | V << 18, 0] {
            for destination in [1, 1 | 4 << 8, 0] {
                add(Format::Vop3, op, &[0x35 << 26 | op << 16 | destination, sources]);
            }
        }
    }
    for op in 0..4 {
        add(Format::Vintrp, op, &[0x32 << 26 | op << 16 | 1 << 18]);
    }
    forms
}

/// Runs `llvm-mc --disassemble` over the forms. Between them stands `s_nop` with
/// a number, as the disassembler passes silently over what it does not know.
fn accepted(target: Target, forms: &[(Format, u16, Vec<u32>)]) -> BTreeMap<(Format, u16), BTreeSet<(String, usize)>> {
    let bytes = |words: &[u32]| -> String {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        bytes.map(|byte| format!("{byte:#04x}")).collect::<Vec<_>>().join(" ")
    };
    let mut text = String::new();
    for (number, (.., words)) in forms.iter().enumerate() {
        let number = u16::try_from(number).expect("fewer forms than s_nop can count");
        text += &format!("[{}]\n[{}]\n", bytes(words), bytes(&[0xbf80_0000 | u32::from(number)]));
    }
    let mut mc = Command::new(MC)
        .args(["--disassemble", "-triple=amdgcn", "-mattr=+wavefrontsize32", "-show-encoding"])
        .arg(format!("-mcpu={target}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("llvm-mc runs");
    let mut stdin = mc.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = mc.wait_with_output().expect("llvm-mc runs");
    writer.join().expect("no panic").expect("llvm-mc reads it all");
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut first: Option<(String, usize)> = None;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((text, encoding)) = line.split_once("encoding: [") else { continue };
        let encoding: Vec<u8> = encoding
            .trim_end_matches(']')
            .split(',')
            .map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).expect("a byte"))
            .collect();
        let name = text.split_whitespace().next().unwrap_or_default();
        if name == "s_nop" && encoding[2..] == [0x80, 0xbf] {
            let (format, op, _) = &forms[usize::from(u16::from_le_bytes([encoding[0], encoding[1]]))];
            let own = first.take().filter(|(name, _)| name != "v_illegal");
            found.entry((*format, *op)).or_default().extend(own);
        } else if first.is_none() {
            first = Some((name.to_owned(), encoding.len()));
        }
    }
    found
}

fn decoded(words: &[u32]) -> Inst {
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    decode::decode(&code, 0)
}

/// Without suffixes that name a form.
fn base(name: &str) -> &str {
    ["_e32", "_e64", "_sdwa", "_dpp", "_dpp8"].iter().find_map(|form| name.strip_suffix(form)).unwrap_or(name)
}

/// Whether our name, exact or a kind with an opcode, fits LLVM's.
fn fits(ours: &str, theirs: &str) -> bool {
    let theirs = base(theirs);
    let Some((kind, _)) = ours.split_once('.') else { return ours == theirs };
    match kind {
        "valu" | "vintrp" => theirs.starts_with("v_") && !theirs.starts_with("v_cmp"),
        "v_cmp" => theirs.starts_with("v_cmp_"),
        "v_cmpx" => theirs.starts_with("v_cmpx_"),
        "buffer" => theirs.starts_with("buffer_") || theirs.starts_with("tbuffer_"),
        "smem" => theirs.starts_with("s_") && theirs.contains("atomic"),
        "image" | "ds" | "flat" | "scratch" | "global" | "exp" => theirs.starts_with(kind),
        _ => false,
    }
}

#[test]
fn every_opcode_is_where_llvm_has_it() {
    if !have_llvm() {
        return;
    }
    let forms = forms();
    let mut wrong = Vec::new();
    for target in Target::RDNA1.into_iter().chain([Target::GFX1030, Target::Gfx103x(5)]) {
        let accepted = accepted(target, &forms);
        for (format, op, words) in &forms {
            let inst = decoded(words);
            assert_eq!((inst.format, inst.op), (*format, *op), "{words:08x?}");
            // s_nop is what separates the forms.
            if (*format, *op) == (Format::Sopp, 0) {
                continue;
            }
            let theirs = accepted.get(&(*format, *op)).filter(|names| !names.is_empty());
            if defined(target, *format, *op) != theirs.is_some() {
                wrong.push(format!("{target} {} {op:#x}: {theirs:?}", format.name()));
            }
            for (name, _) in theirs.into_iter().flatten() {
                let ours = mnemonic(&inst, target);
                if !fits(&ours, name) {
                    wrong.push(format!("{target} {} {op:#x}: {ours} is {name}", format.name()));
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The instructions of a listing by `llvm-objdump -d`: address, words, name.
pub(super) fn listing(object: &Path) -> BTreeMap<u64, (Vec<u32>, String)> {
    let text = must(Command::new(OBJDUMP).arg("-d").arg(object).output());
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let Some((name, place)) = line.trim().rsplit_once("// ") else { continue };
        let Some((address, words)) = place.split_once(": ") else { continue };
        // A branch has its target behind the words.
        let words = words.split(' ').map_while(|word| u32::from_str_radix(word, 16).ok()).collect();
        let address = u64::from_str_radix(address, 16).expect("an address");
        found.insert(address, (words, name.split_whitespace().next().unwrap_or_default().to_owned()));
    }
    found
}

/// Compares every instruction of every function with `llvm-objdump`; returns how many.
pub(super) fn compare(dir: &Path, objects: &Objects) -> usize {
    let mut compared = 0;
    for (number, (object, bytes)) in objects.parsed().enumerate() {
        let file = dir.join(format!("object-{number}.co"));
        std::fs::write(&file, bytes).expect("target is writable");
        let listing = listing(&file);
        for function in &object.functions {
            let code = &bytes[function.offset..function.offset + function.size];
            let mut index = 0;
            while index < code.len() / 4 {
                let inst = decode::decode(code, index);
                let address = function.address + index as u64 * 4;
                let words: Vec<u32> =
                    (index..index + usize::from(inst.words)).map(|index| decode::word(code, index)).collect();
                let ours = mnemonic(&inst, object.target);
                // Behind the end of a function without a size lie zeros up to the
                // next one; llvm-objdump passes them over.
                if words == [0] && !listing.contains_key(&address) {
                    index += 1;
                    continue;
                }
                let Some((theirs, name)) = listing.get(&address) else {
                    panic!("{}: no instruction at {address:#x} for llvm-objdump, {ours} for us", function.name);
                };
                assert_eq!(words, *theirs, "{} at {address:#x}: {ours}, {name}", function.name);
                assert!(fits(&ours, name), "{} at {address:#x}: {ours}, {name}", function.name);
                index += usize::from(inst.words);
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn compiled_kernels_are_cut_as_llvm_cuts_them() {
    if !have_llvm() {
        return;
    }
    let dir = workdir("listing");
    let mut compared = 0;
    for (target, wave) in [("gfx1010", 32), ("gfx1010", 64), ("gfx1030", 32), ("gfx1030", 64)] {
        let object = super::compile(&dir, target, wave);
        let target: Target = target.parse().expect("a target");
        compared += compare(&dir, &Objects::of(&object, &[target]));
    }
    assert!(compared > 500, "{compared}");
}
