// SPDX-License-Identifier: MIT OR Apache-2.0
//! What device code built for one gfx10 target does on another, read off the
//! code: instructions that the card lacks, and hardware bugs of RDNA1 whose
//! workaround is absent because the code was built for a chip without them.
//!
//! Nothing here runs code or needs a GPU, and nothing here proves a failure: a
//! hit is code that AMD's own compiler would not emit for the card.

pub mod analyse;
pub mod container;
pub mod decode;
pub mod family;
pub mod rules;
pub mod scan;
pub mod target;

pub use scan::{Options, Report, kernels, scan};
pub use target::Target;
