// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which opcodes the gfx10 targets have, and the names of those that a reader
//! of a listing needs.
//!
//! The ranges state facts about the hardware as LLVM's assembler knows them;
//! `tests/suite/isa.rs` asks the assembler about every opcode of every format
//! and compares. They were read off LLVM 19.1.7.

use std::sync::OnceLock;

use super::{Format, Inst};
use crate::target::Target;

/// All RDNA1 targets.
const RDNA1: u8 = 15;
/// All targets.
const ALL: u8 = 31;
/// The targets with dot products: gfx1011, gfx1012, gfx103x.
const DOT: u8 = 2 | 4 | 16;
/// gfx103x.
const RDNA2: u8 = 16;
/// The targets with ray tracing.
const RAYS: u8 = 8 | 16;

/// Ranges of opcodes and the targets that have them.
type Ranges = (Format, u8, &'static [(u16, u16)]);

const DEFINED: &[Ranges] = &[
    (
        Format::Vop1,
        ALL,
        &[
            (0x0, 0x8),
            (0xa, 0x1b),
            (0x20, 0x25),
            (0x27, 0x27),
            (0x2a, 0x2b),
            (0x2e, 0x2f),
            (0x31, 0x31),
            (0x33, 0x44),
            (0x48, 0x48),
            (0x50, 0x65),
            (0x68, 0x68),
        ],
    ),
    (
        Format::Vop2,
        ALL,
        &[
            (0x1, 0x1),
            (0x3, 0xc),
            (0xf, 0x14),
            (0x16, 0x16),
            (0x18, 0x18),
            (0x1a, 0x1e),
            (0x25, 0x2d),
            (0x2f, 0x2f),
            (0x32, 0x3c),
        ],
    ),
    (Format::Vop2, RDNA1, &[(0x1f, 0x21)]),
    (Format::Vop2, DOT, &[(0x02, 0x02), (0x0d, 0x0d)]),
    (Format::Vopc, ALL, &[(0x0, 0x3f), (0x80, 0xae), (0xb0, 0xbe), (0xc0, 0xff)]),
    (
        Format::Vop3,
        ALL,
        &[
            (0x0, 0x3f),
            (0x80, 0xae),
            (0xb0, 0xbe),
            (0xc0, 0xff),
            (0x101, 0x101),
            (0x103, 0x10c),
            (0x10f, 0x114),
            (0x116, 0x116),
            (0x118, 0x118),
            (0x11a, 0x11e),
            (0x125, 0x12b),
            (0x12f, 0x12f),
            (0x132, 0x136),
            (0x139, 0x13b),
            (0x140, 0x140),
            (0x142, 0x160),
            (0x164, 0x16a),
            (0x16c, 0x178),
            (0x180, 0x181),
            (0x183, 0x188),
            (0x18a, 0x19b),
            (0x1a0, 0x1a5),
            (0x1a7, 0x1a7),
            (0x1aa, 0x1ab),
            (0x1ae, 0x1af),
            (0x1b1, 0x1b1),
            (0x1b3, 0x1c4),
            (0x1c8, 0x1c8),
            (0x1d0, 0x1e4),
            (0x200, 0x202),
            (0x2ff, 0x301),
            (0x303, 0x305),
            (0x307, 0x314),
            (0x319, 0x319),
            (0x340, 0x340),
            (0x342, 0x347),
            (0x34b, 0x34b),
            (0x351, 0x35a),
            (0x35e, 0x366),
            (0x368, 0x36b),
            (0x36d, 0x36d),
            (0x36f, 0x36f),
            (0x371, 0x373),
            (0x375, 0x378),
            (0x37f, 0x37f),
        ],
    ),
    (Format::Vop3, RDNA1, &[(0x11f, 0x11f), (0x141, 0x141), (0x16b, 0x16b)]),
    (Format::Vop3p, ALL, &[(0x0, 0x12), (0x20, 0x22)]),
    (Format::Vop3p, DOT, &[(0x13, 0x19)]),
    (Format::Vintrp, ALL, &[(0x0, 0x2)]),
    (Format::Sop1, ALL, &[(0x3, 0x22), (0x24, 0x31), (0x34, 0x34), (0x37, 0x47), (0x49, 0x49)]),
    (Format::Sop2, ALL, &[(0x0, 0xb), (0xe, 0x2a), (0x2c, 0x2c), (0x2e, 0x36)]),
    (Format::Sopk, ALL, &[(0x0, 0x10), (0x12, 0x13), (0x15, 0x1c)]),
    (Format::Sopc, ALL, &[(0x0, 0xf), (0x12, 0x13)]),
    (Format::Sopp, ALL, &[(0x0, 0x1b), (0x1e, 0x25), (0x28, 0x28)]),
    (Format::Smem, ALL, &[(0x0, 0x4), (0x8, 0xc), (0x1f, 0x20), (0x24, 0x27)]),
    (
        Format::Smem,
        RDNA1,
        &[
            (0x5, 0x7),
            (0x10, 0x12),
            (0x15, 0x1a),
            (0x21, 0x21),
            (0x28, 0x2a),
            (0x40, 0x4c),
            (0x60, 0x6c),
            (0x80, 0x8c),
            (0xa0, 0xac),
        ],
    ),
    (
        Format::Ds,
        ALL,
        &[
            (0x0, 0x15),
            (0x18, 0x53),
            (0x55, 0x55),
            (0x60, 0x73),
            (0x76, 0x78),
            (0x7e, 0x7e),
            (0xa0, 0xa7),
            (0xb0, 0xb3),
            (0xde, 0xdf),
            (0xfe, 0xff),
        ],
    ),
    (
        Format::Ds,
        RDNA1,
        &[(0x80, 0x8b), (0x8d, 0x8d), (0x92, 0x93), (0x95, 0x95), (0xc0, 0xcb), (0xcd, 0xcd), (0xd2, 0xd3)],
    ),
    (Format::Flat, ALL, &[(0x8, 0xf), (0x18, 0x25), (0x30, 0x33), (0x35, 0x40), (0x50, 0x53), (0x55, 0x60)]),
    (Format::Scratch, ALL, &[(0x8, 0xf), (0x18, 0x25)]),
    (Format::Global, ALL, &[(0x8, 0xf), (0x18, 0x25), (0x30, 0x33), (0x35, 0x40), (0x50, 0x53), (0x55, 0x60)]),
    (Format::Global, RDNA2, &[(0x16, 0x17), (0x34, 0x34)]),
    (
        Format::Mubuf,
        ALL,
        &[(0x0, 0xf), (0x18, 0x27), (0x30, 0x33), (0x35, 0x40), (0x50, 0x53), (0x55, 0x60), (0x71, 0x72)],
    ),
    (Format::Mubuf, RDNA2, &[(0x34, 0x34)]),
    (Format::Mtbuf, ALL, &[(0x0, 0x7)]),
    (
        Format::Mimg,
        ALL,
        &[
            (0x0, 0x5),
            (0x8, 0xb),
            (0xe, 0x12),
            (0x14, 0x41),
            (0x44, 0x49),
            (0x4c, 0x51),
            (0x54, 0x59),
            (0x5c, 0x61),
            (0x68, 0x6f),
            (0xa2, 0xa3),
            (0xaa, 0xab),
            (0xb2, 0xb3),
            (0xba, 0xbb),
            (0xe8, 0xef),
        ],
    ),
    (Format::Mimg, RAYS, &[(0x80, 0x80), (0xe6, 0xe7)]),
    (Format::Exp, ALL, &[(0x0, 0x0)]),
];

/// Opcodes that RDNA1 and RDNA2 both have, for different operations: the first
/// generation multiplies and adds with two roundings, the second with one.
const CHANGED: [(Format, u16, &str, &str); 3] = [
    (Format::Vop2, 0x06, "v_mac_legacy_f32", "v_fmac_legacy_f32"),
    (Format::Vop3, 0x106, "v_mac_legacy_f32", "v_fmac_legacy_f32"),
    (Format::Vop3, 0x140, "v_mad_legacy_f32", "v_fma_legacy_f32"),
];

/// Opcodes per format in the table of targets.
const STRIDE: usize = 1024;

fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![0; STRIDE * (Format::Unknown as usize + 1)];
        for &(format, targets, ranges) in DEFINED {
            for &(from, to) in ranges {
                let start = STRIDE * format as usize;
                for entry in &mut table[start + usize::from(from)..=start + usize::from(to)] {
                    *entry |= targets;
                }
            }
        }
        table
    })
}

/// Whether a target has an instruction, judged by format and opcode.
#[inline]
pub fn defined(target: Target, format: Format, op: u16) -> bool {
    table()[STRIDE * format as usize + usize::from(op) % STRIDE] & target.bit() != 0
}

/// A view of the table for many questions about one target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defined {
    table: &'static [u8],
    bit: u8,
}

impl Defined {
    pub(crate) fn on(target: Target) -> Self {
        Self { table: table(), bit: target.bit() }
    }

    #[inline]
    pub(crate) fn has(self, inst: &Inst) -> bool {
        self.table[STRIDE * inst.format as usize + usize::from(inst.op) % STRIDE] & self.bit != 0
    }
}

/// Whether an instruction is another operation on `on` than on `code`.
#[inline]
pub(crate) fn changed(inst: &Inst, code: Target, on: Target) -> bool {
    code.is_rdna1() != on.is_rdna1() && CHANGED.iter().any(|&(format, op, ..)| (format, op) == (inst.format, inst.op))
}

const SOP1: &str = "\
    - - - s_mov_b32 s_mov_b64 s_cmov_b32 s_cmov_b64 s_not_b32 s_not_b64 s_wqm_b32 s_wqm_b64 s_brev_b32 \
    s_brev_b64 s_bcnt0_i32_b32 s_bcnt0_i32_b64 s_bcnt1_i32_b32 s_bcnt1_i32_b64 s_ff0_i32_b32 s_ff0_i32_b64 \
    s_ff1_i32_b32 s_ff1_i32_b64 s_flbit_i32_b32 s_flbit_i32_b64 s_flbit_i32 s_flbit_i32_i64 s_sext_i32_i8 \
    s_sext_i32_i16 s_bitset0_b32 s_bitset0_b64 s_bitset1_b32 s_bitset1_b64 s_getpc_b64 s_setpc_b64 \
    s_swappc_b64 s_rfe_b64 - s_and_saveexec_b64 s_or_saveexec_b64 s_xor_saveexec_b64 s_andn2_saveexec_b64 \
    s_orn2_saveexec_b64 s_nand_saveexec_b64 s_nor_saveexec_b64 s_xnor_saveexec_b64 s_quadmask_b32 \
    s_quadmask_b64 s_movrels_b32 s_movrels_b64 s_movreld_b32 s_movreld_b64 - - s_abs_i32 - - \
    s_andn1_saveexec_b64 s_orn1_saveexec_b64 s_andn1_wrexec_b64 s_andn2_wrexec_b64 s_bitreplicate_b64_b32 \
    s_and_saveexec_b32 s_or_saveexec_b32 s_xor_saveexec_b32 s_andn2_saveexec_b32 s_orn2_saveexec_b32 \
    s_nand_saveexec_b32 s_nor_saveexec_b32 s_xnor_saveexec_b32 s_andn1_saveexec_b32 s_orn1_saveexec_b32 \
    s_andn1_wrexec_b32 s_andn2_wrexec_b32 - s_movrelsd_2_b32 \
";
const SOP2: &str = "\
    s_add_u32 s_sub_u32 s_add_i32 s_sub_i32 s_addc_u32 s_subb_u32 s_min_i32 s_min_u32 s_max_i32 s_max_u32 \
    s_cselect_b32 s_cselect_b64 - - s_and_b32 s_and_b64 s_or_b32 s_or_b64 s_xor_b32 s_xor_b64 s_andn2_b32 \
    s_andn2_b64 s_orn2_b32 s_orn2_b64 s_nand_b32 s_nand_b64 s_nor_b32 s_nor_b64 s_xnor_b32 s_xnor_b64 \
    s_lshl_b32 s_lshl_b64 s_lshr_b32 s_lshr_b64 s_ashr_i32 s_ashr_i64 s_bfm_b32 s_bfm_b64 s_mul_i32 s_bfe_u32 \
    s_bfe_i32 s_bfe_u64 s_bfe_i64 - s_absdiff_i32 - s_lshl1_add_u32 s_lshl2_add_u32 s_lshl3_add_u32 \
    s_lshl4_add_u32 s_pack_ll_b32_b16 s_pack_lh_b32_b16 s_pack_hh_b32_b16 s_mul_hi_u32 s_mul_hi_i32 \
";
const SOPK: &str = "\
    s_movk_i32 s_version s_cmovk_i32 s_cmpk_eq_i32 s_cmpk_lg_i32 s_cmpk_gt_i32 s_cmpk_ge_i32 s_cmpk_lt_i32 \
    s_cmpk_le_i32 s_cmpk_eq_u32 s_cmpk_lg_u32 s_cmpk_gt_u32 s_cmpk_ge_u32 s_cmpk_lt_u32 s_cmpk_le_u32 \
    s_addk_i32 s_mulk_i32 - s_getreg_b32 s_setreg_b32 - s_setreg_imm32_b32 s_call_b64 s_waitcnt_vscnt \
    s_waitcnt_vmcnt s_waitcnt_expcnt s_waitcnt_lgkmcnt s_subvector_loop_begin s_subvector_loop_end \
";
const SOPC: &str = "\
    s_cmp_eq_i32 s_cmp_lg_i32 s_cmp_gt_i32 s_cmp_ge_i32 s_cmp_lt_i32 s_cmp_le_i32 s_cmp_eq_u32 s_cmp_lg_u32 \
    s_cmp_gt_u32 s_cmp_ge_u32 s_cmp_lt_u32 s_cmp_le_u32 s_bitcmp0_b32 s_bitcmp1_b32 s_bitcmp0_b64 \
    s_bitcmp1_b64 - - s_cmp_eq_u64 s_cmp_lg_u64 \
";
const SOPP: &str = "\
    s_nop s_endpgm s_branch s_wakeup s_cbranch_scc0 s_cbranch_scc1 s_cbranch_vccz s_cbranch_vccnz \
    s_cbranch_execz s_cbranch_execnz s_barrier s_setkill s_waitcnt s_sethalt s_sleep s_setprio s_sendmsg \
    s_sendmsghalt s_trap s_icache_inv s_incperflevel s_decperflevel s_ttracedata s_cbranch_cdbgsys \
    s_cbranch_cdbguser s_cbranch_cdbgsys_or_user s_cbranch_cdbgsys_and_user s_endpgm_saved - - \
    s_endpgm_ordered_ps_done s_code_end s_inst_prefetch s_clause s_wait_idle s_waitcnt_depctr s_round_mode \
    s_denorm_mode - - s_ttracedata_imm \
";
const SMEM: &str = "\
    s_load_dword s_load_dwordx2 s_load_dwordx4 s_load_dwordx8 s_load_dwordx16 s_scratch_load_dword \
    s_scratch_load_dwordx2 s_scratch_load_dwordx4 s_buffer_load_dword s_buffer_load_dwordx2 \
    s_buffer_load_dwordx4 s_buffer_load_dwordx8 s_buffer_load_dwordx16 - - - s_store_dword s_store_dwordx2 \
    s_store_dwordx4 - - s_scratch_store_dword s_scratch_store_dwordx2 s_scratch_store_dwordx4 \
    s_buffer_store_dword s_buffer_store_dwordx2 s_buffer_store_dwordx4 - - - - s_gl1_inv s_dcache_inv \
    s_dcache_wb - - s_memtime s_memrealtime s_atc_probe s_atc_probe_buffer s_dcache_discard \
    s_dcache_discard_x2 s_get_waveid_in_workgroup \
";

/// Names of the vector and memory instructions that the rules speak of.
const NAMED: [(Format, u16, &str); 27] = [
    (Format::Vop1, 0x00, "v_nop"),
    (Format::Vop1, 0x02, "v_readfirstlane_b32"),
    (Format::Vop2, 0x02, "v_dot2c_f32_f16"),
    (Format::Vop2, 0x0d, "v_dot4c_i32_i8"),
    (Format::Vop3, 0x16d, "v_div_scale_f32"),
    (Format::Vop3, 0x16e, "v_div_scale_f64"),
    (Format::Vop3, 0x176, "v_mad_u64_u32"),
    (Format::Vop3, 0x177, "v_mad_i64_i32"),
    (Format::Vop3, 0x180, "v_nop"),
    (Format::Vop3, 0x30f, "v_add_co_u32"),
    (Format::Vop3, 0x360, "v_readlane_b32"),
    (Format::Vop3, 0x377, "v_permlane16_b32"),
    (Format::Vop3, 0x378, "v_permlanex16_b32"),
    (Format::Vop3p, 0x13, "v_dot2_f32_f16"),
    (Format::Vop3p, 0x14, "v_dot2_i32_i16"),
    (Format::Vop3p, 0x15, "v_dot2_u32_u16"),
    (Format::Vop3p, 0x16, "v_dot4_i32_i8"),
    (Format::Vop3p, 0x17, "v_dot4_u32_u8"),
    (Format::Vop3p, 0x18, "v_dot8_i32_i4"),
    (Format::Vop3p, 0x19, "v_dot8_u32_u4"),
    (Format::Global, 0x16, "global_load_dword_addtid"),
    (Format::Global, 0x17, "global_store_dword_addtid"),
    (Format::Global, 0x34, "global_atomic_csub"),
    (Format::Mubuf, 0x34, "buffer_atomic_csub"),
    (Format::Mimg, 0x80, "image_msaa_load"),
    (Format::Mimg, 0xe6, "image_bvh_intersect_ray"),
    (Format::Mimg, 0xe7, "image_bvh64_intersect_ray"),
];

/// The name of an instruction: exact for scalar instructions and those that the
/// rules speak of, otherwise the kind, format and opcode.
pub fn mnemonic(inst: &Inst, target: Target) -> String {
    let scalar = match inst.format {
        Format::Sop1 => SOP1,
        Format::Sop2 => SOP2,
        Format::Sopk => SOPK,
        Format::Sopc => SOPC,
        Format::Sopp => SOPP,
        Format::Smem => SMEM,
        _ => "",
    };
    if let Some(name) = scalar.split_whitespace().nth(usize::from(inst.op)).filter(|name| *name != "-") {
        return name.to_owned();
    }
    let is_this = |format, op| (format, op) == (inst.format, inst.op);
    if let Some(&(_, _, first, second)) = CHANGED.iter().find(|&&(format, op, ..)| is_this(format, op)) {
        return if target.is_rdna1() { first } else { second }.to_owned();
    }
    if let Some((.., name)) = NAMED.iter().find(|&&(format, op, _)| is_this(format, op)) {
        return (*name).to_owned();
    }
    let kind = match inst.format {
        _ if inst.is_cmpx() => "v_cmpx",
        Format::Vopc => "v_cmp",
        Format::Vop3 if inst.op < 0x100 => "v_cmp",
        Format::Mubuf | Format::Mtbuf => "buffer",
        Format::Mimg => "image",
        format if format.is_valu() => "valu",
        format => format.name(),
    };
    if kind == inst.format.name() {
        format!("{kind}.{:#x}", inst.op)
    } else {
        format!("{kind}.{}.{:#x}", inst.format.name(), inst.op)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn dot_products_are_not_on_every_target() {
        let has = |target| defined(target, Format::Vop2, 0x02);
        assert_eq!(Target::RDNA1.map(has), [false, true, true, false]);
        assert!(has(Target::GFX1030));
    }

    #[test]
    fn names() {
        let name = |words: &[u32]| {
            let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            mnemonic(&decode(&code, 0), Target::GFX1030)
        };
        assert_eq!(name(&[0xbf8c_0000]), "s_waitcnt");
        assert_eq!(name(&[0xbe80_2022]), "s_setpc_b64");
        assert_eq!(name(&[0x0402_0300]), "v_dot2c_f32_f16");
        assert_eq!(name(&[0x0c02_0300]), "v_fmac_legacy_f32");
        assert_eq!(name(&[0xe030_1000, 0]), "buffer.mubuf.0xc");
        assert_eq!(name(&[0xdc30_8000, 0]), "global.0xc");
        assert_eq!(name(&[0x7da4_0501]), "v_cmpx.vopc.0xd2");
    }
}
