// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installations that end in the middle.
