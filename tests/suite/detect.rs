// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detection: exactly the policy's cards, whatever else the machine shows.

mod hostile;
mod ids;
mod kfd;
mod properties;
mod work;

/// Class codes that display controllers have: VGA, 3D, other.
const DISPLAY: [u32; 3] = [0x03_0000, 0x03_0200, 0x03_8000];
const AMD: u16 = 0x1002;
/// An RX 5600 XT among others.
const NAVI10: u16 = 0x731f;
