// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    scratch_load_dword v0, v1, off offset:-3
endfunction hit

function clean_aligned
    scratch_load_dword v0, v1, off offset:-4
endfunction clean_aligned

function clean_positive
    scratch_load_dword v0, v1, off offset:3
endfunction clean_positive

function clean_scalar_address
    scratch_load_dword v0, off, s2 offset:-3
endfunction clean_scalar_address
