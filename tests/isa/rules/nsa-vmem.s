// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    image_sample_d v0, [v4, v9, v1, v12, v3, v20], s[0:7], s[8:11] dmask:0x1 dim:SQ_RSRC_IMG_2D
    buffer_load_dword v0, v1, s[12:15], 0 offen offset:2
endfunction hit

function clean_offset
    image_sample_d v0, [v4, v9, v1, v12, v3, v20], s[0:7], s[8:11] dmask:0x1 dim:SQ_RSRC_IMG_2D
    buffer_load_dword v0, v1, s[12:15], 0 offen offset:8
endfunction clean_offset

function clean_between
    image_sample_d v0, [v4, v9, v1, v12, v3, v20], s[0:7], s[8:11] dmask:0x1 dim:SQ_RSRC_IMG_2D
    s_nop 0
    buffer_load_dword v0, v1, s[12:15], 0 offen offset:2
endfunction clean_between

function clean_short_list
    image_load v0, [v4, v9], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
    buffer_load_dword v0, v1, s[12:15], 0 offen offset:2
endfunction clean_short_list
