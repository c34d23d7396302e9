// SPDX-License-Identifier: MIT OR Apache-2.0
//! The gfx10 instruction encodings, as far as the rules need them: length,
//! opcode, scalar registers. Vector registers are not decoded.
//!
//! Sources: AMD's "RDNA" and "RDNA 2" instruction set architecture documents
//! (chapter "Microcode Formats") and LLVM's assembler, against which
//! `tests/suite/isa.rs` compares lengths, opcodes and targets exhaustively.

mod opcodes;
mod scalar;

pub(crate) use opcodes::{Defined, changed};
pub use opcodes::{defined, mnemonic};
pub use scalar::{Regs, reg_names};

/// An instruction format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Format {
    /// Vector ALU, one source.
    Vop1,
    /// Vector ALU, two sources.
    Vop2,
    /// Vector compare.
    Vopc,
    /// Vector ALU, three sources, or one of the above with modifiers.
    Vop3,
    /// Packed vector ALU.
    Vop3p,
    /// Vector interpolation.
    Vintrp,
    /// Scalar ALU, one source.
    Sop1,
    /// Scalar ALU, two sources.
    Sop2,
    /// Scalar ALU, 16-bit constant.
    Sopk,
    /// Scalar compare.
    Sopc,
    /// Program control.
    Sopp,
    /// Scalar memory.
    Smem,
    /// Local and global data share.
    Ds,
    /// Memory through a flat address.
    Flat,
    /// Scratch memory.
    Scratch,
    /// Global memory.
    Global,
    /// Untyped buffer.
    Mubuf,
    /// Typed buffer.
    Mtbuf,
    /// Image.
    Mimg,
    /// Export.
    Exp,
    /// No format of gfx10.
    Unknown,
}

impl Format {
    /// Whether the vector ALU executes it.
    pub fn is_valu(self) -> bool {
        self <= Self::Vintrp
    }

    /// Whether the scalar ALU (in LLVM's sense, program control included) executes it.
    pub fn is_salu(self) -> bool {
        (Self::Sop1..=Self::Sopp).contains(&self)
    }

    /// Buffer and image instructions: LLVM's `isVMEM`.
    pub fn is_vmem(self) -> bool {
        (Self::Mubuf..=Self::Mimg).contains(&self)
    }

    /// Flat, scratch and global instructions: LLVM's `isFLAT`.
    pub fn is_flat(self) -> bool {
        (Self::Flat..=Self::Global).contains(&self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vop1 => "vop1",
            Self::Vop2 => "vop2",
            Self::Vopc => "vopc",
            Self::Vop3 => "vop3",
            Self::Vop3p => "vop3p",
            Self::Vintrp => "vintrp",
            Self::Sop1 => "sop1",
            Self::Sop2 => "sop2",
            Self::Sopk => "sopk",
            Self::Sopc => "sopc",
            Self::Sopp => "sopp",
            Self::Smem => "smem",
            Self::Ds => "ds",
            Self::Flat => "flat",
            Self::Scratch => "scratch",
            Self::Global => "global",
            Self::Mubuf => "mubuf",
            Self::Mtbuf => "mtbuf",
            Self::Mimg => "mimg",
            Self::Exp => "exp",
            Self::Unknown => "unknown",
        }
    }
}

/// The wavefront size that code is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wave {
    /// 32 lanes: lane masks are one register.
    W32,
    /// 64 lanes: lane masks are two registers.
    W64,
}

/// One instruction: its first two words (0 where it has one) and what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inst {
    /// First word.
    pub w0: u32,
    /// Second word.
    pub w1: u32,
    /// Opcode within the format.
    pub op: u16,
    /// Format.
    pub format: Format,
    /// Length in words.
    pub words: u8,
}

/// Sources that are not registers: an extra word follows.
const SDWA: u32 = 249;
const DPP16: u32 = 250;
const DPP8: [u32; 2] = [233, 234];
const LITERAL: u32 = 255;

/// The word at an index; code that ends within an instruction reads as zeros,
/// and [`decode`]'s caller sees from the length that it does not fit.
#[inline]
pub fn word(code: &[u8], index: usize) -> u32 {
    match code.get(index * 4..index * 4 + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Decodes the instruction at a word index.
#[inline]
pub fn decode(code: &[u8], index: usize) -> Inst {
    let w0 = word(code, index);
    let (format, op, words) = head(w0);
    let mut inst = Inst { w0, w1: 0, op, format, words };
    if words > 1 {
        inst.w1 = word(code, index + 1);
        if matches!(format, Format::Vop3 | Format::Vop3p) && has_literal3(inst.w1) {
            inst.words = 3;
        }
    }
    inst
}

/// Whether one of the three source fields of the long vector formats asks for a literal.
fn has_literal3(w1: u32) -> bool {
    [w1 & 0x1ff, w1 >> 9 & 0x1ff, w1 >> 18 & 0x1ff].contains(&LITERAL)
}

/// Format, opcode and length, the last without the literal of the long vector formats.
#[inline]
fn head(w: u32) -> (Format, u16, u8) {
    if w >> 31 == 0 {
        return short_vector(w);
    }
    if w >> 30 == 0b10 {
        return scalar_alu(w);
    }
    match w >> 26 {
        0b11_0010 => (Format::Vintrp, bits(w, 16, 2), 1),
        0b11_0011 => (Format::Vop3p, bits(w, 16, 7), 2),
        0b11_0101 => (Format::Vop3, bits(w, 16, 10), 2),
        0b11_0110 => (Format::Ds, bits(w, 18, 8), 2),
        0b11_0111 => {
            let format = match w >> 14 & 3 {
                0 => Format::Flat,
                1 => Format::Scratch,
                2 => Format::Global,
                _ => return (Format::Unknown, 0, 2),
            };
            (format, bits(w, 18, 7), 2)
        }
        0b11_1000 => (Format::Mubuf, bits(w, 18, 7), 2),
        // Bit 3 of the opcode is in the second word; nothing here asks for it.
        0b11_1010 => (Format::Mtbuf, bits(w, 16, 3), 2),
        0b11_1100 => (Format::Mimg, bits(w, 18, 7) | bits(w, 0, 1) << 7, 2 + bits(w, 1, 2) as u8),
        0b11_1101 => (Format::Smem, bits(w, 18, 8), 2),
        0b11_1110 => (Format::Exp, 0, 2),
        _ => (Format::Unknown, 0, 1),
    }
}

#[inline]
fn short_vector(w: u32) -> (Format, u16, u8) {
    let source = w & 0x1ff;
    let extra = source == LITERAL || source == SDWA || source == DPP16 || DPP8.contains(&source);
    match w >> 25 & 0x3f {
        0x3e => (Format::Vopc, bits(w, 17, 8), 1 + u8::from(extra)),
        0x3f => (Format::Vop1, bits(w, 9, 8), 1 + u8::from(extra)),
        op => {
            // v_madmk/madak_f32, v_fmamk/fmaak_f32 and _f16 always bring a constant.
            let constant = matches!(op, 0x20 | 0x21 | 0x2c | 0x2d | 0x37 | 0x38);
            (Format::Vop2, op as u16, 1 + u8::from(extra || constant))
        }
    }
}

#[inline]
fn scalar_alu(w: u32) -> (Format, u16, u8) {
    let literal = |second: bool| 1 + u8::from(w & 0xff == LITERAL || second && w >> 8 & 0xff == LITERAL);
    match w >> 23 & 0x7f {
        0x7d => (Format::Sop1, bits(w, 8, 8), literal(false)),
        0x7e => (Format::Sopc, bits(w, 16, 7), literal(true)),
        0x7f => (Format::Sopp, bits(w, 16, 7), 1),
        op if op >= 0x60 => {
            let op = op & 0x1f;
            // s_setreg_imm32_b32 brings the value.
            (Format::Sopk, op as u16, 1 + u8::from(op == 0x15))
        }
        op => (Format::Sop2, op as u16, literal(true)),
    }
}

#[inline]
const fn bits(word: u32, from: u32, count: u32) -> u16 {
    (word >> from & ((1 << count) - 1)) as u16
}

impl Inst {
    /// The 16-bit constant of [`Format::Sopp`] and [`Format::Sopk`].
    pub fn simm16(&self) -> u16 {
        self.w0 as u16
    }

    /// Whether the vector instruction is in one of the sub-dword forms.
    pub fn is_sdwa(&self) -> bool {
        self.format <= Format::Vopc && self.w0 & 0x1ff == SDWA
    }

    /// `s_swappc_b64` and `s_call_b64`.
    pub fn is_call(&self) -> bool {
        matches!((self.format, self.op), (Format::Sop1, 0x21) | (Format::Sopk, 0x16))
    }

    /// Whether control may go somewhere else than to the next instruction.
    pub fn flow(&self) -> Flow {
        let relative = |conditional| Flow::Branch { offset: self.simm16() as i16, conditional };
        match (self.format, self.op) {
            (Format::Sopp, 0x02) => relative(false),
            (Format::Sopp, 0x04..=0x09 | 0x17..=0x1a) | (Format::Sopk, 0x1b | 0x1c) => relative(true),
            (Format::Sopp, 0x01 | 0x1b | 0x1e) => Flow::End,
            (Format::Sop1, 0x20) => Flow::Jump { register: (self.w0 & 0xff) as u8 },
            (Format::Sop1, 0x22) => Flow::End,
            _ => Flow::Next,
        }
    }

    /// Whether it is one of the relative branches whose constant the assembler
    /// must keep from being 0x3f.
    pub fn is_sopp_branch(&self) -> bool {
        self.format == Format::Sopp && matches!(self.flow(), Flow::Branch { .. })
    }

    /// `v_cmpx_*` in any form: a compare that writes EXEC.
    pub fn is_cmpx(&self) -> bool {
        match self.format {
            Format::Vopc => self.op & 0x10 != 0,
            Format::Vop3 => self.op < 0x100 && self.op & 0x10 != 0,
            _ => false,
        }
    }

    /// `v_nop` in any form.
    pub fn is_v_nop(&self) -> bool {
        matches!((self.format, self.op), (Format::Vop1, 0) | (Format::Vop3, 0x180))
    }

    /// `v_permlane16_b32`, `v_permlanex16_b32`.
    pub fn is_permlane(&self) -> bool {
        self.format == Format::Vop3 && matches!(self.op, 0x377 | 0x378)
    }

    /// An image instruction with an address list in words of its own.
    pub fn is_nsa(&self) -> bool {
        self.format == Format::Mimg && self.words > 2
    }

    /// The 12-bit offset of flat, scratch and global instructions, with its sign.
    pub fn flat_offset(&self) -> i32 {
        ((self.w0 << 20) as i32) >> 20
    }
}

/// Where control goes after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To a place that the instruction names, counted in words from the next instruction.
    Branch {
        /// Distance.
        offset: i16,
        /// Whether the next instruction may follow as well.
        conditional: bool,
    },
    /// To an address in two scalar registers.
    Jump {
        /// The first of them.
        register: u8,
    },
    /// Nowhere: the program ends.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(words: &[u32]) -> Inst {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        decode(&code, 0)
    }

    #[test]
    fn lengths_by_format() {
        let cases: [(&[u32], Format, u16, u8); 22] = [
            (&[0x7e70_0280], Format::Vop1, 1, 1),              // v_mov_b32 v56, 0
            (&[0x7e70_02ff, 1], Format::Vop1, 1, 2),           // v_mov_b32 v56, 1 as literal
            (&[0x0202_02f9, 0x0606_0600], Format::Vop2, 1, 2), // sdwa
            (&[0x0602_02fa, 0xff00_e400], Format::Vop2, 3, 2), // dpp
            (&[0x0602_02e9, 0], Format::Vop2, 3, 2),           // dpp8
            (&[0x5802_0300, 0], Format::Vop2, 0x2c, 2),        // v_fmamk_f32
            (&[0x7da4_0501], Format::Vopc, 0xd2, 1),           // v_cmpx_eq_u32
            (&[0xd4d2_007e, 0x0002_0501], Format::Vop3, 0xd2, 2),
            (&[0xd54b_0000, 0x03fc_02ff, 5], Format::Vop3, 0x14b, 3), // v_fma_f32 with literals
            (&[0xbe84_1f00], Format::Sop1, 0x1f, 1),                  // s_getpc_b64
            (&[0x8124_84ff, 0x1e68], Format::Sop2, 2, 2),             // s_add_i32 with literal
            (&[0xbf06_8005], Format::Sopc, 6, 1),
            (&[0xbf06_ff05, 7], Format::Sopc, 6, 2),
            (&[0xba80_f801, 5], Format::Sopk, 0x15, 2), // s_setreg_imm32_b32
            (&[0xbbfd_0000], Format::Sopk, 0x17, 1),    // s_waitcnt_vscnt null, 0
            (&[0xbf8c_0000], Format::Sopp, 0x0c, 1),
            (&[0xf404_0080, 0xfa00_0000], Format::Smem, 1, 2),
            (&[0xd8d8_0000, 0], Format::Ds, 0x36, 2),
            (&[0xdc30_8000, 0x007d_0000], Format::Global, 0x0c, 2),
            (&[0xe030_1000, 0x8002_0467], Format::Mubuf, 0x0c, 2),
            (&[0xf198_9f07, 0x0003_0432, 0, 0, 0], Format::Mimg, 0xe6, 5),
            (&[0xc800_0000], Format::Vintrp, 0, 1),
        ];
        for (words, format, op, length) in cases {
            let inst = one(words);
            assert_eq!((inst.format, inst.op, inst.words), (format, op, length), "{words:08x?}");
        }
    }

    #[test]
    fn code_that_ends_early_is_no_panic() {
        assert_eq!(decode(&[], 0).w0, 0);
        assert_eq!(decode(&[0xff, 0x02, 0x70, 0x7e], 0).words, 2);
    }

    #[test]
    fn branches() {
        assert_eq!(one(&[0xbf82_fffe]).flow(), Flow::Branch { offset: -2, conditional: false });
        assert_eq!(one(&[0xbf84_0006]).flow(), Flow::Branch { offset: 6, conditional: true });
        assert_eq!(one(&[0xbe80_2022]).flow(), Flow::Jump { register: 34 });
        assert_eq!(one(&[0xbf81_0000]).flow(), Flow::End);
        assert!(one(&[0xbf82_003f]).is_sopp_branch());
    }

    #[test]
    fn flat_offsets_have_a_sign() {
        assert_eq!(one(&[0xdc30_4fff, 0]).flat_offset(), -1);
        assert_eq!(one(&[0xdc30_4010, 0]).flat_offset(), 16);
    }
}
