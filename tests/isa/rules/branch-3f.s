// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    s_cbranch_scc0 hit_target
.rept 63
    s_nop 0
.endr
hit_target:
endfunction hit

function clean
    s_cbranch_scc0 clean_target
.rept 62
    s_nop 0
.endr
clean_target:
endfunction clean

// The constant of something that is no branch.
function clean_wait
    s_waitcnt 0x3f
    s_sleep 0x3f
endfunction clean_wait
