// SPDX-License-Identifier: MIT OR Apache-2.0
//! What MIOpen would do with a convolution, on a machine that may have no GPU.
//!
//! Two ways to know. The [`rules`] say by which conditions MIOpen offers its
//! matrix-product solvers, how much workspace they want and up to which limit.
//! A [`query`] loads an unmodified MIOpen ([`library`]) in a process of its own,
//! above a simulated HIP runtime that reports the wanted [`card`], and asks it.
//! The tests hold the one against the other.
//!
//! [`plan`] answers a user's question with either: will these convolutions work
//! under that profile, on that card, and if not, why. [`proof`] holds the policy's
//! profiles against the library.
//!
//! Nothing here touches a GPU. What it cannot say stands in `docs/miopen.md`.

pub mod card;
pub mod debian;
pub mod driver;
mod error;
pub mod library;
pub mod models;
pub mod plan;
pub mod problem;
pub mod proof;
pub mod query;
pub mod rules;
mod runtime;
pub mod suite;
pub mod switches;

pub use card::Card;
pub use error::Error;
pub use library::Library;
pub use problem::{Convolution, DataType, Direction, Layout};
pub use runtime::Runtime;
pub use suite::Suite;
pub use switches::{FindMode, Switches};
