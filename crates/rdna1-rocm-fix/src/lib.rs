// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program at run time: the command line, and what runs at boot.
//!
//! Everything that is decided is decided in `rdna1-core`; here it is shown,
//! written below `/run`, or given to a process.

pub mod boot;
pub mod cli;
pub mod commands;
#[cfg(feature = "schema")]
pub mod schema;
pub mod state;
mod text;

pub use rdna1_launch::context;
