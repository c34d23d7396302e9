// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests across crates and against real components, one module per subject.

mod advisories;
mod boot;
mod cases;
mod cdi;
mod channels;
mod cli;
mod debian;
mod detect;
mod dnf;
mod engine;
mod fleet;
mod guest;
mod installed;
mod isa;
mod miopen;
mod native;
mod nix;
mod release;
mod render;
mod schema;
mod select;
mod selection;
mod stack;
mod terminal;
mod udev;
mod validate;
