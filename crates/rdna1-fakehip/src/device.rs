// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which GPU is simulated: read once from the environment.

use std::sync::OnceLock;

/// The gfx target that HIP reports, for example `gfx1010`.
pub const GFX: &str = "RDNA1_SIM_GFX";
/// The number of compute units as HIP counts them. On RDNA it counts work-group
/// processors, half of what the data sheet says: an RX 5600 XT has 18.
pub const UNITS: &str = "RDNA1_SIM_UNITS";
/// The video memory in bytes.
pub const VRAM: &str = "RDNA1_SIM_VRAM";
/// Where to write a line for each call: a file, or `-` for standard error.
pub const TRACE: &str = "RDNA1_SIM_TRACE";

/// The simulated GPU.
#[derive(Debug)]
pub struct Device {
    /// Its gfx target.
    pub gfx: String,
    /// Compute units as HIP counts them.
    pub units: i32,
    /// Bytes of memory.
    pub vram: usize,
}

impl Device {
    /// The device of this process. What is missing is an RX 5600 XT's; what
    /// cannot be read is said, and then no device is there.
    pub fn get() -> Option<&'static Self> {
        static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
        DEVICE.get_or_init(Self::from_environment).as_ref()
    }

    fn from_environment() -> Option<Self> {
        Some(Self {
            gfx: std::env::var(GFX).unwrap_or_else(|_| "gfx1010".into()),
            units: number(UNITS, 18)?,
            vram: number(VRAM, 6 << 30)?,
        })
    }

    /// Major and minor version of the chip: 10 and 1 of gfx1010.
    pub fn version(&self) -> (i32, i32) {
        let digits = self.gfx.strip_prefix("gfx").unwrap_or_default();
        let (major, rest) = digits.split_at(digits.len().saturating_sub(2));
        (major.parse().unwrap_or(0), rest.chars().next().and_then(|c| c.to_digit(16)).map_or(0, |d| d as i32))
    }
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> Option<T> {
    let Ok(text) = std::env::var(name) else { return Some(default) };
    let value = text.parse().ok();
    if value.is_none() {
        crate::trace::say(&format!("{name}={text} is no number"));
    }
    value
}
