// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the hazards need to know at a place of the code, and how an instruction
//! changes it.

use super::{Found, Ignore};
use crate::decode::{Flow, Format};
use crate::decode::{Inst, Regs, Wave};
use crate::rules::Rule;

/// What may be pending, over all paths to a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Scalar registers that vector memory, flat or LDS instructions may still have to read.
    vector_reads: Regs,
    /// Scalar registers that scalar memory instructions may still have to read.
    scalar_reads: Regs,
    /// The rest; see the constants.
    flags: u8,
}

/// Something outside the vector ALU may still have to read EXEC.
const EXEC_READ: u8 = 1;
/// `v_cmpx` with no vector ALU instruction since.
const CMPX: u8 = 2;
/// LDS access with no memory access nor wait since.
const LDS: u8 = 4;
/// Memory access with no LDS access nor wait since.
const MEMORY: u8 = 8;
/// As [`LDS`], with a branch since and no LDS access after it.
const LDS_BRANCH: u8 = 16;
/// As [`MEMORY`], with a branch since and no memory access after it.
const MEMORY_BRANCH: u8 = 32;
/// The instruction before was an image access with a long address list.
const NSA: u8 = 64;
const SIDES: u8 = LDS | MEMORY | LDS_BRANCH | MEMORY_BRANCH;

/// Mitigations to be overlooked, and what the last of them ended: the instruction
/// that it protects still sees that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Overlook {
    what: Ignore,
    ended: State,
}

impl Overlook {
    /// Whether there is anything to overlook; [`State::step`] is compiled for both
    /// cases, as nearly all of its calls have nothing.
    pub(super) fn is_needed(what: Ignore) -> bool {
        what != Ignore::default()
    }

    pub(super) fn new(what: Ignore) -> Self {
        Self { what, ended: State::default() }
    }
}

/// What a block does to a state: it drops part of it and adds something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transfer {
    /// What is added.
    gain: State,
    /// Whether pending reads of vector memory end.
    ends_vector_reads: bool,
    /// Whether pending reads of scalar memory end.
    ends_scalar_reads: bool,
    /// Flags that end.
    ends: u8,
    /// Whether a branch ends the block.
    branch: bool,
}

impl State {
    /// Adds what another path brings; whether that changed anything.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let before = *self;
        self.vector_reads |= other.vector_reads;
        self.scalar_reads |= other.scalar_reads;
        self.flags |= other.flags;
        before != *self
    }

    /// Applies an instruction; reports what it runs into.
    #[inline]
    pub(super) fn step<const OVERLOOK: bool>(
        &mut self,
        inst: &Inst,
        wave: Wave,
        overlook: &mut Overlook,
        transfer: &mut Transfer,
        found: &mut impl Found,
    ) {
        let format = inst.format;
        let ended = if OVERLOOK { std::mem::take(&mut overlook.ended) } else { State::default() };
        let was_nsa = self.flags & NSA != 0;
        self.flags &= !NSA;
        transfer.ends |= NSA;
        if format.is_valu() {
            self.vector_alu(inst, wave, &ended, transfer, found);
        } else if format.is_salu() {
            if inst.scalar_destination() & (self.vector_reads | ended.vector_reads) != 0 {
                found.hit(Rule::VmemScalarWrite);
            }
            self.scalar_alu(inst, overlook, &ended, transfer);
        } else if format == Format::Smem {
            if inst.scalar_destination() & (self.vector_reads | ended.vector_reads) != 0 {
                found.hit(Rule::VmemScalarWrite);
            }
            self.scalar_reads |= inst.scalar_memory_reads();
        } else if format == Format::Exp {
            self.flags |= EXEC_READ;
        } else if format != Format::Unknown {
            // The offset fields of the two buffer formats are in the same place.
            if was_nsa && matches!(format, Format::Mubuf | Format::Mtbuf) && inst.w0 & 6 != 0 {
                found.hit(Rule::NsaVmem);
            }
            self.vector_memory(inst, &ended, transfer, found);
        }
    }

    #[inline]
    fn vector_alu(&mut self, inst: &Inst, wave: Wave, ended: &Self, transfer: &mut Transfer, found: &mut impl Found) {
        let cmpx = inst.is_cmpx();
        let writes = inst.vector_alu_scalar_writes(wave);
        if cmpx && (self.flags | ended.flags) & EXEC_READ != 0 {
            found.hit(Rule::CmpxExecWar);
        }
        if self.flags & CMPX != 0 && inst.is_permlane() {
            found.hit(Rule::CmpxPermlane);
        }
        if writes & (self.scalar_reads | ended.scalar_reads) != 0 {
            found.hit(Rule::SmemVectorWrite);
        }
        self.vector_reads = 0;
        transfer.ends_vector_reads = true;
        // As LLVM has it: a scalar destination or an implicit one, not that of a lane read.
        if cmpx || writes != 0 && !inst.reads_lane() {
            self.end(EXEC_READ, transfer);
        }
        if cmpx {
            self.flags |= CMPX;
        } else if !inst.is_v_nop() {
            self.end(CMPX, transfer);
        }
    }

    #[inline]
    fn scalar_alu(&mut self, inst: &Inst, overlook: &mut Overlook, ended: &Self, transfer: &mut Transfer) {
        let imm = inst.simm16();
        // Field SDST of s_waitcnt_*cnt: only with NULL is the constant the whole count.
        let waits_for_zero = imm == 0 && inst.w0 >> 16 & 0x7f == 125;
        match (inst.format, inst.op) {
            // s_waitcnt; bits 8 to 13 are lgkmcnt.
            (Format::Sopp, 0x0c) => {
                if imm == 0 {
                    self.end_vector_reads(transfer);
                }
                if imm >> 8 & 0x3f == 0 {
                    self.end_scalar_reads(transfer);
                }
            }
            // s_waitcnt_depctr; bits 2 to 4 are vm_vsrc, bit 0 sa_sdst.
            (Format::Sopp, 0x23) => {
                overlook.ended = *ended;
                if imm & 0x1c == 0 {
                    if overlook.what.vm_vsrc {
                        overlook.ended.vector_reads |= self.vector_reads;
                    }
                    if !(overlook.what.vm_vsrc && overlook.what.throughout) {
                        self.end_vector_reads(transfer);
                    }
                }
                if imm & 1 == 0 {
                    if overlook.what.sa_sdst {
                        overlook.ended.flags |= self.flags & EXEC_READ;
                    }
                    if !(overlook.what.sa_sdst && overlook.what.throughout) {
                        self.end(EXEC_READ, transfer);
                    }
                }
            }
            (Format::Sopp, _) => {}
            // s_version and the waits for other counters do not touch scalar reads.
            (Format::Sopk, 0x17) => {
                overlook.ended = *ended;
                if waits_for_zero {
                    if overlook.what.vscnt {
                        overlook.ended.flags |= self.flags & SIDES;
                    }
                    if !(overlook.what.vscnt && overlook.what.throughout) {
                        self.end(SIDES, transfer);
                    }
                }
            }
            (Format::Sopk, 0x01 | 0x18 | 0x19) => {}
            (Format::Sopk, 0x1a) => {
                if waits_for_zero {
                    self.end_scalar_reads(transfer);
                }
            }
            // s_mov_b32 null, 0
            (Format::Sop1, 0x03) if inst.w0 == 0xbefd_0380 => {
                overlook.ended = *ended;
                if overlook.what.null_move {
                    overlook.ended.scalar_reads |= self.scalar_reads;
                }
                if !(overlook.what.null_move && overlook.what.throughout) {
                    self.end_scalar_reads(transfer);
                }
            }
            _ => self.end_scalar_reads(transfer),
        }
        if inst.reads_exec() {
            self.flags |= EXEC_READ;
        }
        if matches!(inst.flow(), Flow::Branch { .. } | Flow::Jump { .. }) {
            transfer.branch = true;
            self.flags |= (self.flags & (LDS | MEMORY)) << 2;
        }
    }

    #[inline]
    fn vector_memory(&mut self, inst: &Inst, ended: &Self, transfer: &mut Transfer, found: &mut impl Found) {
        self.vector_reads |= inst.vector_memory_reads();
        self.flags |= EXEC_READ;
        // Plain FLAT is neither side, as in LLVM.
        let (here, other_side) = match inst.format {
            Format::Ds => (LDS, MEMORY_BRANCH),
            Format::Flat => return,
            _ => (MEMORY, LDS_BRANCH),
        };
        if (self.flags | ended.flags) & other_side != 0 {
            found.hit(Rule::LdsBranchVmem);
        }
        self.end(SIDES, transfer);
        self.flags |= here | if inst.is_nsa() && inst.words >= 4 { NSA } else { 0 };
    }

    #[inline]
    fn end(&mut self, flags: u8, transfer: &mut Transfer) {
        self.flags &= !flags;
        transfer.ends |= flags;
    }

    #[inline]
    fn end_vector_reads(&mut self, transfer: &mut Transfer) {
        self.vector_reads = 0;
        transfer.ends_vector_reads = true;
    }

    #[inline]
    fn end_scalar_reads(&mut self, transfer: &mut Transfer) {
        self.scalar_reads = 0;
        transfer.ends_scalar_reads = true;
    }
}

impl Transfer {
    /// A block that does nothing yet.
    pub(super) fn finish(mut self, gain: State) -> Self {
        self.gain = gain;
        self
    }

    /// The state after the block.
    pub(super) fn apply(&self, before: &State) -> State {
        let mut after = self.gain;
        if !self.ends_vector_reads {
            after.vector_reads |= before.vector_reads;
        }
        if !self.ends_scalar_reads {
            after.scalar_reads |= before.scalar_reads;
        }
        let kept = before.flags & !self.ends;
        after.flags |= kept;
        // A branch can only be the last instruction of a block.
        if self.branch {
            after.flags |= (kept & (LDS | MEMORY)) << 2;
        }
        after
    }
}
