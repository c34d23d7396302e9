// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything rdna1-rocm-fix knows and decides, as pure values.
//!
//! Data flows one way: the [`policy`] (what is true of the cards and of the
//! ROCm environment) and the [`machine`] (what sysfs shows) are [`resolve`]d,
//! together with the administrator's [`config`] and the environment that the
//! user already set, into one ordered [`resolve::Resolution`], which [`render`]
//! writes in the syntax of whoever will read it.
//!
//! This crate prints nothing and writes nothing. All reading goes through
//! [`root::Root`], so that a directory can stand for a whole machine.

pub mod advisory;
pub mod cdi;
pub mod config;
pub mod gfx;
pub mod guidance;
pub mod ids;
pub mod kfd;
pub mod machine;
pub mod pci;
pub mod policy;
pub mod render;
pub mod resolve;
pub mod root;
#[cfg(feature = "schema")]
pub mod schema;
pub mod selection;
pub mod stack;
pub mod surroundings;
pub mod yaml;

/// The program's and the packages' name; also the name of its directories
/// below `/etc`, `/run`, `/usr/share` and `/var/lib`.
pub const NAME: &str = "rdna1-rocm-fix";
