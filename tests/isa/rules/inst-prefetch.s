// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    s_inst_prefetch 0x1
endfunction hit

function clean
    s_nop 0
endfunction clean
