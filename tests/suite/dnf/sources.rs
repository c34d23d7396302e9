// SPDX-License-Identifier: MIT OR Apache-2.0
//! The spec file against the package that is built in process.
