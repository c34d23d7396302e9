// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_load
    global_load_dword v0, v[2:3], off
    v_cmpx_eq_u32_e32 v0, v1
endfunction hit_load

function hit_scalar
    s_mov_b32 s0, exec_lo
    v_cmpx_eq_u32_e64 v0, v1
endfunction hit_scalar

function hit_saveexec
    s_and_saveexec_b32 s0, s1
    v_mov_b32 v0, 0
    v_cmpx_eq_u32_sdwa v0, v1 src0_sel:DWORD src1_sel:DWORD
endfunction hit_saveexec

function hit_branch
    s_cbranch_execz hit_branch_end
    v_cmpx_eq_u32_e32 v0, v1
hit_branch_end:
endfunction hit_branch

function clean_nothing_reads_exec
    s_mov_b32 s0, s1
    v_cmpx_eq_u32_e32 v0, v1
endfunction clean_nothing_reads_exec

function clean_vector_write
    s_mov_b32 s0, exec_lo
    v_cmp_eq_u32_e32 vcc_lo, v0, v1
    v_cmpx_eq_u32_e32 v0, v1
endfunction clean_vector_write

function clean_depctr
    s_mov_b32 s0, exec_lo
    s_waitcnt_depctr 0xfffe
    v_cmpx_eq_u32_e32 v0, v1
endfunction clean_depctr

// Reading a lane is no write of a scalar register in the sense of the rule.
function hit_readfirstlane
    s_mov_b32 s0, exec_lo
    v_readfirstlane_b32 s1, v0
    v_cmpx_eq_u32_e32 v0, v1
endfunction hit_readfirstlane

function hit_readlane
    s_mov_b32 s0, exec_lo
    v_readlane_b32 s1, v0, 3
    v_cmpx_eq_u32_e32 v0, v1
endfunction hit_readlane
