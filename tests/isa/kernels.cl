// SPDX-License-Identifier: MIT OR Apache-2.0
// Ordinary code whose build for gfx1030 runs into the bugs of gfx10.1, and whose
// build for gfx1010 does not. The test compiles it for both.

#define LANE __builtin_amdgcn_workitem_id_x()
#define SYNC() do { \
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup"); \
    __builtin_amdgcn_s_barrier(); \
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup"); \
} while (0)

// A load under a mask: EXEC is written behind it.
kernel void masked(global const float *in, global float *out, int n) {
    float sum = 0;
    for (int i = LANE; i < n; i += 64) {
        if (in[i] > 0) sum += in[i * 7];
        if (in[i] < -1) sum -= in[i * 5];
    }
    out[LANE] = sum;
}

// LDS and memory on both sides of branches.
kernel void staged(global const float *in, global float *out, int n) {
    local float part[256];
    float sum = 0;
    for (int i = 0; i < n; ++i) {
        part[LANE] = in[i * 256 + LANE];
        SYNC();
        if (LANE & 1) sum += part[LANE ^ 5];
        SYNC();
    }
    out[LANE] = sum;
}

// A generic pointer with a constant added.
kernel void through_flat(global int *table, global int *out, int which) {
    local int near[64];
    near[LANE] = LANE;
    int *from = which ? (int *)table : (int *)near;
    out[LANE] = from[LANE + 3] + from[LANE + 4];
}

// Arithmetic alone: nothing to find in either build.
kernel void looped(global float *data, int n) {
    float x = data[LANE], y = x * 2, z = y + 1;
    for (int i = 0; i < n; ++i) {
        x = x * 1.5f + y;
        y = y * 0.25f + z;
        z = z * 0.75f - x;
        x += y * z;
        y -= z * x;
        z += x * y;
        x = x * y + 0.125f;
        y = y * z + 0.5f;
        z = z * x + 0.25f;
    }
    data[LANE] = x + y + z;
}

// A division loop with a lane-dependent end: v_cmpx.
kernel void collatz(global uint *data) {
    uint n = data[LANE], steps = 0;
    while (n > 1) {
        if (n & 1) n = n * 3 + 1;
        else n >>= 1;
        ++steps;
        if (steps > data[n & 1023]) break;
    }
    data[LANE] = steps;
}
