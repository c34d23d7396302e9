// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_lds_first
    ds_read_b32 v0, v1
    s_cbranch_scc0 lds_first
    v_mov_b32 v2, 0
lds_first:
    global_load_dword v3, v[4:5], off
endfunction hit_lds_first

function hit_memory_first
    buffer_load_dword v0, v1, s[8:11], 0 offen
    s_branch memory_first
memory_first:
    ds_write_b32 v2, v3
endfunction hit_memory_first

// A count other than zero waits for nothing of use here.
function hit_wait_for_more
    ds_read_b32 v0, v1
    s_cbranch_scc0 wait_for_more
wait_for_more:
    s_waitcnt_vscnt null, 0x1
    global_load_dword v3, v[4:5], off
endfunction hit_wait_for_more

function clean_no_branch
    ds_read_b32 v0, v1
    global_load_dword v3, v[4:5], off
endfunction clean_no_branch

function clean_wait
    ds_read_b32 v0, v1
    s_cbranch_scc0 waits
waits:
    s_waitcnt_vscnt null, 0x0
    global_load_dword v3, v[4:5], off
endfunction clean_wait

function clean_wait_before
    ds_read_b32 v0, v1
    s_waitcnt_vscnt null, 0x0
    s_cbranch_scc0 waits_before
waits_before:
    global_load_dword v3, v[4:5], off
endfunction clean_wait_before

// Another access to memory before the branch.
function clean_same_side
    ds_read_b32 v0, v1
    global_load_dword v3, v[4:5], off
    s_cbranch_scc0 same_side
same_side:
    global_load_dword v3, v[4:5], off
endfunction clean_same_side

function clean_flat
    ds_read_b32 v0, v1
    s_cbranch_scc0 plain_flat
plain_flat:
    flat_load_dword v3, v[4:5]
endfunction clean_flat
