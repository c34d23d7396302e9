// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    s_getreg_b32 s0, hwreg(HW_REG_SHADER_CYCLES, 0, 20)
endfunction hit

function clean
    s_getreg_b32 s0, hwreg(HW_REG_MODE)
endfunction clean
