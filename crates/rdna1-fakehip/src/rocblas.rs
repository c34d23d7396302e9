// SPDX-License-Identifier: MIT OR Apache-2.0
//! rocBLAS and ROCTX, as far as MIOpen imports them: ten and two functions.
//! A matrix product is over at once; MIOpen only times it.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::trace::{api, not_simulated, put};

/// rocblas_status_success.
const SUCCESS: i32 = 0;
/// rocblas_status_invalid_pointer.
const INVALID_POINTER: i32 = 5;
/// rocblas_status_not_implemented.
const NOT_IMPLEMENTED: i32 = 2;
/// rocblas_atomics_allowed, rocBLAS's own default.
const ATOMICS_ALLOWED: c_uint = 1;

fn stored(done: bool) -> i32 {
    if done { SUCCESS } else { INVALID_POINTER }
}

api! {
    fn rocblas_create_handle(handle: *mut *mut c_void) { stored(put(handle, std::ptr::without_provenance_mut(16))) }
    fn rocblas_destroy_handle(_handle: usize) { SUCCESS }
    fn rocblas_set_stream(_handle: usize, _stream: usize) { SUCCESS }
    fn rocblas_set_atomics_mode(_handle: usize, _mode: c_uint) { SUCCESS }
    fn rocblas_get_atomics_mode(_handle: usize, mode: *mut c_uint) { stored(put(mode, ATOMICS_ALLOWED)) }
    // The first four of about twenty arguments; the C calling convention lets
    // a function ignore the rest.
    fn rocblas_gemm_ex(_handle: usize, _a: c_uint, _b: c_uint, _m: c_int) { SUCCESS }
    fn rocblas_gemm_strided_batched_ex(_handle: usize, _a: c_uint, _b: c_uint, _m: c_int) { SUCCESS }
    fn rocblas_sgemv(_handle: usize, _a: c_uint, _m: c_int, _n: c_int) { SUCCESS }

    fn roctxRangePushA(_message: *const c_char) { SUCCESS }
    fn roctxRangePop() { SUCCESS }
}

// The ex3 forms are for 8-bit floating point, which no RDNA chip has.
not_simulated! { NOT_IMPLEMENTED, rocblas_gemm_ex3 rocblas_gemm_strided_batched_ex3 }

// SAFETY: as in `api!`; it returns nothing.
#[unsafe(no_mangle)]
extern "C" fn roctxMarkA(_message: *const c_char) {}
