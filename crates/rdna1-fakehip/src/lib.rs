// SPDX-License-Identifier: MIT OR Apache-2.0
//! A HIP runtime without a GPU, for the process in which the real MIOpen runs.
//!
//! MIOpen decides from what HIP tells it: the chip's name, its compute units,
//! its memory. This library tells it what the environment says
//! ([`device`]), hands out addresses behind which there is nothing
//! ([`memory`]), and lets every kernel take the same time. MIOpen's *choice* is
//! then its own; times and results are not to be had here.
//!
//! One shared object plays four parts, under the names by which MIOpen looks
//! for them: HIP, rocBLAS, ROCTX, and, preloaded, the compiler that MIOpen
//! would start for its kernels ([`compiler`]). MIOpen binds all its imports at
//! load time, so each exists; what is not simulated says its name on standard
//! error and returns hipErrorNotSupported.
//!
//! Why this is not an ordinary `cdylib`: the symbols need version names
//! (`hip_4.2` and others), those need a linker version script, and the linker
//! takes no second one beside rustc's own. So build.rs of `rdna1-miopen`
//! compiles this package as a static library and links it with `exports.map`;
//! it is Rust all the same. Why it is a package of its own: it needs `unsafe`,
//! and nothing else in the workspace may.

mod compiler;
mod device;
mod hip;
mod kernels;
mod memory;
mod random;
mod rocblas;
mod trace;
