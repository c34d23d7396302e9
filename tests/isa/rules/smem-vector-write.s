// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_compare
    s_load_dword s0, s[4:5], 0x0
    v_cmp_eq_u32_e64 s4, v0, v1
endfunction hit_compare

function hit_readfirstlane
    s_load_dword s0, s[4:5], 0x0
    v_readfirstlane_b32 s5, v0
endfunction hit_readfirstlane

function hit_carry
    s_buffer_load_dword s0, s[4:7], s9
    v_add_co_u32 v0, s9, v1, v2
endfunction hit_carry

function hit_vcc
    s_load_dword s0, vcc, 0x0
    v_cmp_eq_u32_e32 vcc_lo, v0, v1
endfunction hit_vcc

function hit_after_other_waits
    s_load_dword s0, s[4:5], 0x0
    s_waitcnt vmcnt(0)
    s_waitcnt_vscnt null, 0x0
    v_readlane_b32 s4, v0, 1
endfunction hit_after_other_waits

function clean_other_register
    s_load_dword s0, s[4:5], 0x0
    v_cmp_eq_u32_e64 s6, v0, v1
endfunction clean_other_register

function clean_null_move
    s_load_dword s0, s[4:5], 0x0
    s_mov_b32 null, 0
    v_cmp_eq_u32_e64 s4, v0, v1
endfunction clean_null_move

function clean_wait
    s_load_dword s0, s[4:5], 0x0
    s_waitcnt lgkmcnt(0)
    v_cmp_eq_u32_e64 s4, v0, v1
endfunction clean_wait

function clean_wait_lgkmcnt
    s_load_dword s0, s[4:5], 0x0
    s_waitcnt_lgkmcnt null, 0x0
    v_cmp_eq_u32_e64 s4, v0, v1
endfunction clean_wait_lgkmcnt
