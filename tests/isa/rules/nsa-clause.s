// SPDX-License-Identifier: MIT OR Apache-2.0
// As in missing-instruction.s.
.include "functions.inc"

function hit
    s_clause 0x1
    image_load v0, v[0:1], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
    image_load v1, [v4, v9], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
endfunction hit

function clean_behind_the_clause
    s_clause 0x0
    image_load v0, v[0:1], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
    image_load v1, [v4, v9], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
endfunction clean_behind_the_clause

function clean_no_list
    s_clause 0x1
    image_load v0, v[0:1], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
    image_load v1, v[2:3], s[0:7] dmask:0x1 dim:SQ_RSRC_IMG_2D
endfunction clean_no_list
