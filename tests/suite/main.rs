// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests across crates and against real components, one module per subject.

mod isa;
