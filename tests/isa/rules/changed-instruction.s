// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit_fmac_legacy
    v_fmac_legacy_f32 v0, v1, v2
endfunction hit_fmac_legacy

function hit_fma_legacy
    v_fma_legacy_f32 v0, v1, v2, v3
endfunction hit_fma_legacy

function clean
    v_mul_legacy_f32 v0, v1, v2
endfunction clean
