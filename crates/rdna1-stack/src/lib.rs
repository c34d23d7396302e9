// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds ROCm and PyTorch installations by their files, and which of them a
//! command will use. Nothing is run or imported: an interpreter that hangs at
//! its start or prints junk has no part in it.
//!
//! What a [`Stack`] is worth to a card follows from the device code in it:
//! [`Stack::fit`]. One library decides (for PyTorch `libtorch_hip.so`); device
//! code that a program compiles for itself at run time is not known.

pub mod check;
mod code;
pub mod command;
pub mod evidence;
mod fingerprint;
mod model;
mod place;
pub mod python;
mod system;
mod torch;

pub use model::{Code, Fit, Pytorch, Stack, StackKind, Survey};
pub use place::Place;
pub use python::Environment;
