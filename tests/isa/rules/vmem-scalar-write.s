// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_descriptor
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_add_u32 s8, s8, s7
endfunction hit_descriptor

function hit_exec
    global_load_dword v0, v[2:3], off
    s_mov_b32 exec_lo, s4
endfunction hit_exec

function hit_lds_exec
    ds_read_b32 v0, v1
    s_or_b64 exec, exec, s[4:5]
endfunction hit_lds_exec

function hit_m0
    buffer_load_dword v1, s[8:11], 0 offen lds
    s_mov_b32 m0, s4
endfunction hit_m0

function hit_scalar_load
    global_load_dword v0, v2, s[4:5]
    s_load_dwordx2 s[4:5], s[0:1], 0x0
endfunction hit_scalar_load

function hit_round_a_loop
hit_loop:
    s_add_u32 s8, s8, s7
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_cmp_lg_u32 s6, 0
    s_cbranch_scc1 hit_loop
endfunction hit_round_a_loop

// A wait for one counter does not clear it.
function hit_after_vmcnt
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_waitcnt vmcnt(0)
    s_add_u32 s8, s8, s7
endfunction hit_after_vmcnt

function clean_other_register
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_add_u32 s12, s8, s7
    s_cmp_eq_u32 s8, 0
endfunction clean_other_register

function clean_vector_alu
    buffer_load_dword v0, v1, s[8:11], 0 offen
    v_mov_b32 v2, 0
    s_add_u32 s8, s8, s7
endfunction clean_vector_alu

function clean_depctr
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_waitcnt_depctr 0xffe3
    s_add_u32 s8, s8, s7
endfunction clean_depctr

function clean_wait
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_waitcnt 0
    s_add_u32 s8, s8, s7
endfunction clean_wait

function clean_cache_control
    buffer_gl0_inv
    s_mov_b32 s0, 0
    s_mov_b32 null, 0
endfunction clean_cache_control

// They take the place of the counter from M0.
function hit_consume
    ds_consume v0
    s_mov_b32 m0, s4
endfunction hit_consume

function hit_append
    ds_append v0
    s_mov_b32 m0, s4
endfunction hit_append
