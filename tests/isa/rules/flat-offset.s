// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_load
    flat_load_dword v0, v[2:3] offset:16
endfunction hit_load

function hit_store
    flat_store_dword v[2:3], v0 offset:4
endfunction hit_store

function clean_no_offset
    flat_load_dword v0, v[2:3]
endfunction clean_no_offset

function clean_global
    global_load_dword v0, v[2:3], off offset:16
endfunction clean_global
