// SPDX-License-Identifier: MIT OR Apache-2.0
// Functions named hit_* have hits of the rule of this file's name, and only of it; clean_* have no hit.
.include "functions.inc"

function hit_dot2c
    v_dot2c_f32_f16 v0, v1, v2
endfunction hit_dot2c

function hit_dot4
    v_dot4_i32_i8 v0, v1, v2, v3
endfunction hit_dot4

function hit_csub
    global_atomic_csub v0, v1, v2, s[0:1] glc
endfunction hit_csub

function hit_addtid
    global_load_dword_addtid v0, s[2:3]
endfunction hit_addtid

function hit_bvh
    image_bvh_intersect_ray v[4:7], [v50, v46, v23, v17, v16, v15, v21, v20, v19, v37, v40], s[12:15]
endfunction hit_bvh

function clean
    v_fma_f32 v0, v1, v2, v3
    v_pk_fma_f16 v0, v1, v2, v3
endfunction clean
