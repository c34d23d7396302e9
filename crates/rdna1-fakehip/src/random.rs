// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers that are not.
//!
//! MIOpen draws one for the name of each scratch directory, through
//! `std::random_device`. The C++ library looks for the processor's generator
//! every time, and inside a virtual machine that look costs more than the rest
//! of a question: a third of all time. Each process has its own directory for
//! scratch, so a sequence will do, and makes every run alike.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

/// The golden ratio in 32 bits: steps by it visit all numbers, far apart.
const STEP: u32 = 0x9e37_79b9;

/// `std::random_device::_M_init(std::string const&)`
// SAFETY: same signature as the C++ library's; the object needs nothing, as
// the two functions below do not look at it.
#[unsafe(export_name = "_ZNSt13random_device7_M_initERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE")]
extern "C" fn init(_object: *mut c_void, _token: *const c_void) {}

/// `std::random_device::_M_getval()`
// SAFETY: same signature as the C++ library's.
#[unsafe(export_name = "_ZNSt13random_device9_M_getvalEv")]
extern "C" fn value(_object: *mut c_void) -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(STEP, Ordering::Relaxed)
}

/// `std::random_device::_M_fini()`
// SAFETY: same signature as the C++ library's; `init` took nothing.
#[unsafe(export_name = "_ZNSt13random_device7_M_finiEv")]
extern "C" fn fini(_object: *mut c_void) {}
