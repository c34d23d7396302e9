// SPDX-License-Identifier: MIT OR Apache-2.0
//! Long branches: `s_getpc_b64`, an addition, `s_setpc_b64`.
//!
//! The branch field reaches 32,767 words; beyond that assemblers compute the
//! address. The few instructions from `s_getpc_b64` on are executed here, with
//! addresses counted from the start of the function.

use super::At;
use crate::decode::{Flow, Format, Inst};

/// How far back `s_getpc_b64` may be, in instructions.
const REACH: usize = 24;

/// Scalar registers whose values are known.
struct Machine {
    registers: [Option<u32>; 128],
    scc: Option<bool>,
}

/// The word, counted from the start of the function, that a jump leads to.
pub(super) fn resolve(code: &[u8], insts: &[At], jump: usize, register: u8) -> Option<i64> {
    let from = jump.saturating_sub(REACH);
    let is_start = |at: &At| {
        let inst = at.inst(code);
        (inst.format, inst.op) == (Format::Sop1, 0x1f) && inst.w0 >> 16 & 0x7f == u32::from(register)
    };
    let start = from + insts[from..jump].iter().rposition(is_start)?;
    let mut machine = Machine { registers: [None; 128], scc: None };
    let mut index = start;
    while index < jump {
        let at = *insts.get(index)?;
        let inst = at.inst(code);
        index += 1;
        match inst.flow() {
            Flow::Next => machine.execute(&inst, at),
            // Only a decided step forward to a place before the jump is followed.
            Flow::Branch { offset, conditional: true } if offset >= 0 => {
                let taken = match inst.op {
                    0x04 => machine.scc.map(|scc| !scc),
                    0x05 => machine.scc,
                    _ => None,
                };
                if taken == Some(true) {
                    let target = at.end() + u32::from(offset.unsigned_abs());
                    index = insts.binary_search_by_key(&target, |at| at.word).ok().filter(|&to| to <= jump)?;
                }
            }
            _ => return None,
        }
    }
    let target = machine.registers[usize::from(register)]? as i32;
    (target % 4 == 0).then_some(i64::from(target / 4))
}

impl Machine {
    fn execute(&mut self, inst: &Inst, at: At) {
        let destination = (inst.w0 >> 16 & 0x7f) as usize;
        let (a, b) = (self.source(inst.w0 & 0xff, inst), self.source(inst.w0 >> 8 & 0xff, inst));
        let carry = self.scc;
        let both = a.zip(b);
        let (value, scc) = match (inst.format, inst.op) {
            (Format::Sop1, 0x1f) => {
                // The upper half is the same for all of a function's code unless an
                // addition carries into it, and only the lower one counts here.
                self.set(destination + 1, Some(0));
                (Some(at.end() * 4), carry)
            }
            (Format::Sop1, 0x03) => (a, carry),
            (Format::Sop1, 0x34) => (a.map(|a| (a as i32).unsigned_abs()), a.map(|a| a != 0)),
            (Format::Sopk, 0x00) => (Some(i32::from(inst.simm16() as i16) as u32), carry),
            (Format::Sop2, 0x00) => add(both, Some(false)),
            (Format::Sop2, 0x02) => (add(both, Some(false)).0, None),
            (Format::Sop2, 0x01) => subtract(both, Some(false)),
            (Format::Sop2, 0x03) => (subtract(both, Some(false)).0, None),
            (Format::Sop2, 0x04) => add(both, carry),
            (Format::Sop2, 0x05) => subtract(both, carry),
            (Format::Sopc, 0x03) => {
                self.scc = both.map(|(a, b)| a as i32 >= b as i32);
                return;
            }
            (Format::Sopc, 0x04) => {
                self.scc = both.map(|(a, b)| (a as i32) < b as i32);
                return;
            }
            (Format::Sopp, _) => return,
            _ => {
                let written = inst.scalar_destination();
                for code in (0..128).filter(|code| written & (1 << code) != 0) {
                    self.registers[code] = None;
                }
                if inst.format.is_salu() {
                    self.scc = None;
                }
                return;
            }
        };
        self.set(destination, value);
        self.scc = scc;
    }

    fn set(&mut self, register: usize, value: Option<u32>) {
        if let Some(slot) = self.registers.get_mut(register) {
            *slot = value;
        }
    }

    fn source(&self, code: u32, inst: &Inst) -> Option<u32> {
        match code {
            0..=127 => self.registers[code as usize],
            128..=192 => Some(code - 128),
            193..=208 => Some(192_u32.wrapping_sub(code)),
            255 => Some(inst.w1),
            _ => None,
        }
    }
}

fn add(both: Option<(u32, u32)>, carry: Option<bool>) -> (Option<u32>, Option<bool>) {
    let Some(((a, b), carry)) = both.zip(carry) else { return (None, None) };
    let sum = u64::from(a) + u64::from(b) + u64::from(carry);
    (Some(sum as u32), Some(sum >> 32 != 0))
}

fn subtract(both: Option<(u32, u32)>, borrow: Option<bool>) -> (Option<u32>, Option<bool>) {
    let Some(((a, b), borrow)) = both.zip(borrow) else { return (None, None) };
    let difference = i64::from(a) - i64::from(b) - i64::from(borrow);
    (Some(difference as u32), Some(difference < 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    fn resolve_last(words: &[u32], register: u8) -> Option<i64> {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut insts = Vec::new();
        let mut index = 0;
        while index < words.len() {
            let inst = decode::decode(&code, index);
            insts.push(At { word: index as u32, op: inst.op, format: inst.format, words: inst.words });
            index += usize::from(inst.words);
        }
        resolve(&code, &insts, insts.len() - 1, register)
    }

    #[test]
    fn tensile_long_branch() {
        // s_getpc_b64 s[34:35]; s_add_i32 s36, 0x1e68, 4; s_add_u32 s34, s34, s36;
        // s_addc_u32 s35, s35, 0; s_setpc_b64 s[34:35]
        let words = [0xbea2_1f00, 0x8124_84ff, 0x1e68, 0x8022_2422, 0x8223_8023, 0xbe80_2022];
        assert_eq!(resolve_last(&words, 34), Some((4 + 0x1e6c) / 4));
    }

    #[test]
    fn a_return_is_not_resolved() {
        assert_eq!(resolve_last(&[0xbf8c_0000, 0xbe80_201e], 30), None);
    }
}
