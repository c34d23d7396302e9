// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Python process that computes, and everything that may go wrong with one.
//!
//! [`process`] starts and ends it, [`protocol`] is what is said on its pipes,
//! [`Supervised`] asks it questions and gives every misbehaviour a name.

pub mod process;
pub mod protocol;
mod supervised;

pub use process::Spec;
pub(crate) use supervised::death;
pub use supervised::{Exchange, Log, Lost, Reply, Supervised};
