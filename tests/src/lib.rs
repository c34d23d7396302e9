// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of `suite/` share.

pub mod archive;
pub mod chroot;
pub mod container;
pub mod engine;
pub mod guest;
pub mod program;
pub mod table;
pub mod tools;
pub mod tree;
pub mod wheel;
