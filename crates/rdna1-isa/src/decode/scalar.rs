// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which scalar registers an instruction reads and writes.
//!
//! A set of registers is a `u128` with one bit per operand code: 0 to 105 are
//! s0 to s105, 106 and 107 VCC, 124 M0, 126 and 127 EXEC. NULL (125) is in no set.

use super::{Format, Inst, SDWA, Wave};

/// A set of scalar registers.
pub type Regs = u128;

const VCC: u32 = 106;
const M0: u32 = 124;
const NULL: u32 = 125;
const EXEC: u32 = 126;

/// The registers `from`, `from + 1`, …; codes above 127 are constants.
#[inline]
fn regs(from: u32, count: u32) -> Regs {
    if from > 127 || from == NULL {
        return 0;
    }
    ((1_u128 << count) - 1) << from
}

/// Both halves of EXEC.
pub(crate) const EXEC_BITS: Regs = 3 << EXEC;

impl Wave {
    /// Registers of a lane mask.
    #[inline]
    fn mask_regs(self) -> u32 {
        match self {
            Self::W32 => 1,
            Self::W64 => 2,
        }
    }
}

impl Inst {
    /// The scalar registers that a memory instruction of the vector side reads:
    /// buffer and image descriptors, scalar addresses and offsets, M0, and always EXEC.
    #[inline]
    pub fn vector_memory_reads(&self) -> Regs {
        let w1 = self.w1;
        let own = match self.format {
            // buffer_gl0_inv, buffer_gl1_inv: fields without a meaning.
            Format::Mubuf if matches!(self.op, 0x71 | 0x72) => 0,
            Format::Mubuf | Format::Mtbuf => {
                let to_lds = self.format == Format::Mubuf && self.w0 & 1 << 16 != 0;
                regs((w1 >> 16 & 0x1f) * 4, 4) | regs(w1 >> 24, 1) | if to_lds { regs(M0, 1) } else { 0 }
            }
            Format::Mimg => {
                let descriptor = if self.w0 & 1 << 15 == 0 { 8 } else { 4 };
                let sampler = if self.samples() { regs((w1 >> 21 & 0x1f) * 4, 4) } else { 0 };
                regs((w1 >> 16 & 0x1f) * 4, descriptor) | sampler
            }
            Format::Global => regs(w1 >> 16 & 0x7f, 2),
            Format::Scratch => regs(w1 >> 16 & 0x7f, 1),
            Format::Ds => match self.op {
                // The global wave sync, consume, append, ordered count and
                // add-thread-id instructions.
                0x18..=0x1d | 0x3d..=0x3f | 0xb0 | 0xb1 => regs(M0, 1),
                _ => 0,
            },
            _ => 0,
        };
        own | EXEC_BITS
    }

    /// Whether an image instruction has a sampler.
    fn samples(&self) -> bool {
        matches!(self.op, 0x20..=0x6f | 0xa0..=0xbf | 0xe8..=0xef)
    }

    /// The scalar registers that a scalar memory instruction reads.
    #[inline]
    pub fn scalar_memory_reads(&self) -> Regs {
        let data = self.w0 >> 6 & 0x7f;
        let base = match self.op {
            0x08..=0x0c | 0x18..=0x1a | 0x27 | 0x40..=0x6c => 4,
            // Cache control and the clocks have no address.
            0x1f..=0x21 | 0x24 | 0x25 | 0x2a => return 0,
            _ => 2,
        };
        let stored = match self.op {
            0x10 | 0x15 | 0x18 => regs(data, 1),
            0x11 | 0x16 | 0x19 => regs(data, 2),
            0x12 | 0x17 | 0x1a => regs(data, 4),
            0x40..=0xac => regs(data, self.atomic_regs()),
            _ => 0,
        };
        regs((self.w0 & 0x3f) << 1, base) | regs(self.w1 >> 25, 1) | stored
    }

    /// Data registers of a scalar atomic: compare-and-swap has two operands,
    /// the upper half of the opcodes 64-bit ones.
    fn atomic_regs(&self) -> u32 {
        let wide = if self.op & 0x20 == 0 { 1 } else { 2 };
        if self.op & 0x1f == 1 { wide * 2 } else { wide }
    }

    /// The scalar registers that a scalar ALU or scalar memory instruction names as
    /// its destination. What it writes besides (EXEC by `s_*_saveexec`) is left
    /// out, as LLVM leaves it out of its hazard checks.
    #[inline]
    pub fn scalar_destination(&self) -> Regs {
        let dst = self.w0 >> 16 & 0x7f;
        match self.format {
            Format::Sop2 => regs(dst, if sop2_is_64(self.op) { 2 } else { 1 }),
            Format::Sop1 => match self.op {
                // s_setpc, s_rfe
                0x20 | 0x22 => 0,
                op => regs(dst, if sop1_is_64(op) { 2 } else { 1 }),
            },
            Format::Sopk => match self.op {
                0x00 | 0x02 | 0x0f | 0x10 | 0x12 | 0x1b | 0x1c => regs(dst, 1),
                0x16 => regs(dst, 2),
                _ => 0,
            },
            Format::Smem => {
                let data = self.w0 >> 6 & 0x7f;
                match self.op {
                    0x00 | 0x05 | 0x08 | 0x2a => regs(data, 1),
                    0x01 | 0x06 | 0x09 | 0x24 | 0x25 => regs(data, 2),
                    0x02 | 0x07 | 0x0a => regs(data, 4),
                    0x03 | 0x0b => regs(data, 8),
                    0x04 | 0x0c => regs(data, 16),
                    // Atomics that return the old value.
                    0x40..=0xac if self.w0 & 1 << 16 != 0 => regs(data, self.atomic_regs()),
                    _ => 0,
                }
            }
            _ => 0,
        }
    }

    /// The scalar registers that a vector ALU instruction writes, EXEC by `v_cmpx` aside.
    #[inline]
    pub fn vector_alu_scalar_writes(&self, wave: Wave) -> Regs {
        let mask = wave.mask_regs();
        match (self.format, self.op) {
            (Format::Vopc, _) if self.is_cmpx() => 0,
            (Format::Vopc, _) => {
                let named = self.w0 & 0x1ff == SDWA && self.w1 & 1 << 15 != 0;
                regs(if named { self.w1 >> 8 & 0x7f } else { VCC }, mask)
            }
            // v_add_co_ci, v_sub_co_ci, v_subrev_co_ci
            (Format::Vop2, 0x28..=0x2a) => regs(VCC, mask),
            // v_readfirstlane
            (Format::Vop1, 0x02) => regs(self.w0 >> 17 & 0xff, 1),
            (Format::Vop3, 0..=0xff) if self.is_cmpx() => 0,
            (Format::Vop3, 0..=0xff) => regs(self.w0 & 0xff, mask),
            // Carry, v_div_scale, v_mad_u64_u32 and v_mad_i64_i32.
            (Format::Vop3, 0x128..=0x12a | 0x16d | 0x16e | 0x176 | 0x177 | 0x30f | 0x310 | 0x319) => {
                regs(self.w0 >> 8 & 0x7f, mask)
            }
            // v_readfirstlane, v_readlane
            (Format::Vop3, 0x182 | 0x360) => regs(self.w0 & 0xff, 1),
            _ => 0,
        }
    }

    /// Whether it is `v_readfirstlane` or `v_readlane`, whose scalar register is a
    /// vector destination by LLVM's names.
    #[inline]
    pub fn reads_lane(&self) -> bool {
        matches!((self.format, self.op), (Format::Vop1, 0x02) | (Format::Vop3, 0x182 | 0x360))
    }

    /// Whether an instruction that is not of the vector ALU reads EXEC.
    #[inline]
    pub fn reads_exec(&self) -> bool {
        let is_exec = |code: u32| code == EXEC || code == EXEC + 1;
        let (s0, s1, dst) = (self.w0 & 0xff, self.w0 >> 8 & 0xff, self.w0 >> 16 & 0x7f);
        match self.format {
            Format::Sop2 | Format::Sopc => is_exec(s0) || is_exec(s1),
            // s_*_saveexec and s_*_wrexec do not name it.
            Format::Sop1 => is_exec(s0) || matches!(self.op, 0x24..=0x2b | 0x37..=0x3a | 0x3c..=0x47),
            // Compare, add, multiply and s_setreg read the register that the others write.
            Format::Sopk => is_exec(dst) && matches!(self.op, 0x02..=0x10 | 0x13),
            // s_cbranch_execz/nz, s_sendmsg, s_sendmsghalt
            Format::Sopp => matches!(self.op, 0x08 | 0x09 | 0x10 | 0x11),
            Format::Ds | Format::Exp => true,
            format => format.is_vmem() || format.is_flat(),
        }
    }
}

fn sop2_is_64(op: u16) -> bool {
    matches!(op, 0x0b | 0x29 | 0x2a) || matches!(op, 0x0e..=0x25) && op & 1 == 1
}

fn sop1_is_64(op: u16) -> bool {
    match op {
        // Moves, logic and bit operations come in pairs, the wide one second.
        0x03..=0x0c | 0x2c..=0x31 => op & 1 == 0 && op < 0x2c || op & 1 == 1 && op >= 0x2c,
        // s_bitset0/1, s_getpc, s_swappc, s_*_saveexec_b64, s_*_wrexec_b64, s_bitreplicate
        0x1c | 0x1e | 0x1f | 0x21 | 0x24..=0x2b | 0x37..=0x3b => true,
        _ => false,
    }
}

/// A set of registers as assembly writes it: `s[8:11] vcc_lo exec`.
pub fn reg_names(set: Regs) -> String {
    let mut names: Vec<String> = Vec::new();
    let has = |code: u32| set & (1 << code) != 0;
    let mut code = 0;
    while code < VCC {
        let start = code;
        while code < VCC && has(code) {
            code += 1;
        }
        match code - start {
            0 => code += 1,
            1 => names.push(format!("s{start}")),
            _ => names.push(format!("s[{start}:{}]", code - 1)),
        }
    }
    for (low, name) in [(VCC, "vcc"), (EXEC, "exec")] {
        match (has(low), has(low + 1)) {
            (true, true) => names.push(name.to_owned()),
            (true, false) => names.push(format!("{name}_lo")),
            (false, true) => names.push(format!("{name}_hi")),
            (false, false) => {}
        }
    }
    if has(M0) {
        names.push("m0".to_owned());
    }
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    fn one(words: &[u32]) -> Inst {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        decode(&code, 0)
    }

    #[test]
    fn a_buffer_load_reads_descriptor_offset_and_exec() {
        // buffer_load_dword v4, v103, s[8:11], 0 offen
        let inst = one(&[0xe030_1000, 0x8002_0467]);
        assert_eq!(reg_names(inst.vector_memory_reads()), "s[8:11] exec");
    }

    #[test]
    fn scalar_memory() {
        // s_load_dwordx4 s[4:7], s[2:3], null
        let inst = one(&[0xf408_0101, 0xfa00_0000]);
        assert_eq!(reg_names(inst.scalar_memory_reads()), "s[2:3]");
        assert_eq!(reg_names(inst.scalar_destination()), "s[4:7]");
    }

    #[test]
    fn scalar_destinations() {
        let names = |word| reg_names(one(&[word, 0]).scalar_destination());
        assert_eq!(names(0x8008_0708), "s8"); // s_add_u32 s8, s8, s7
        assert_eq!(names(0xbe84_0402), "s[4:5]"); // s_mov_b64 s[4:5], s[2:3]
        assert_eq!(names(0xbefd_0380), ""); // s_mov_b32 null, 0
        assert_eq!(names(0x887e_047e), "exec_lo"); // s_or_b32 exec_lo, exec_lo, s4
        assert_eq!(names(0xb182_0001), ""); // s_cmpk_eq_i32 s2, 1
        assert_eq!(names(0xbe80_2022), ""); // s_setpc_b64
        assert_eq!(names(0x8700_0402), "s0"); // s_and_b32 s0, s2, s4
        assert_eq!(names(0x8784_0402), "s[4:5]"); // s_and_b64 s[4:5], …
    }

    #[test]
    fn vector_instructions_that_write_scalars() {
        let names = |words: &[u32], wave| reg_names(one(words).vector_alu_scalar_writes(wave));
        assert_eq!(names(&[0x7e02_0502], Wave::W32), "s1"); // v_readfirstlane_b32 s1, v2
        assert_eq!(names(&[0xd760_0001, 0x0702], Wave::W64), "s1"); // v_readlane_b32 s1
        assert_eq!(names(&[0xd70f_0200, 0x0002_0501], Wave::W32), "s2"); // v_add_co_u32
        assert_eq!(names(&[0xd70f_0200, 0x0002_0501], Wave::W64), "s[2:3]");
        assert_eq!(names(&[0x7d84_0501], Wave::W32), "vcc_lo"); // v_cmp_eq_u32 vcc_lo
        assert_eq!(names(&[0x7da4_0501], Wave::W32), ""); // v_cmpx_eq_u32
    }

    #[test]
    fn who_reads_exec() {
        assert!(one(&[0xbf88_0004]).reads_exec()); // s_cbranch_execz
        assert!(one(&[0xbe84_3c02]).reads_exec()); // s_and_saveexec_b32
        assert!(one(&[0xbe84_037e]).reads_exec()); // s_mov_b32 s4, exec_lo
        assert!(!one(&[0xbefe_0304]).reads_exec()); // s_mov_b32 exec_lo, s4
        assert!(!one(&[0xf408_0101, 0]).reads_exec());
    }
}
