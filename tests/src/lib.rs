// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests of `suite/` share.

pub mod container;
pub mod program;
pub mod tools;
pub mod tree;
