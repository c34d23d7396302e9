// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    v_cmpx_eq_u32_e32 v0, v1
    v_permlane16_b32 v2, v3, s0, s1
endfunction hit

function hit_nop_is_not_enough
    v_cmpx_eq_u32_e32 v0, v1
    v_nop
    s_nop 0
    v_permlanex16_b32 v2, v3, s0, s1
endfunction hit_nop_is_not_enough

function clean
    v_cmpx_eq_u32_e32 v0, v1
    v_mov_b32 v3, v3
    v_permlane16_b32 v2, v3, s0, s1
endfunction clean
