// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a process gets on this machine ([`given`]): everything that the
//! resolution rests on, read once ([`context`]), the PyTorch that the process's
//! interpreter will import ([`target`]), what that PyTorch is worth to the cards
//! ([`survey`]), what was measured with it ([`recorded`]), and the Python hook
//! of profile `bypass` ([`bypass`]).
//!
//! `rdna1-rocm-fix run` and `rdna1-validate` both start processes by it, so that
//! what is validated is what programs get.

pub mod applied;
pub mod bypass;
pub mod context;
pub mod given;
pub mod recorded;
pub mod survey;
pub mod target;
