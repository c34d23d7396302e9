// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device memory without memory: addresses are given out and accounted for,
//! and nothing lies behind them. So five gigabytes of workspace cost nothing,
//! and a library that reads "device" memory on the host crashes at once instead
//! of finding plausible zeros.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::device::Device;

/// Where device addresses begin: in the hole of the x86-64 address space that
/// no process can map, so that none is ever mistaken for host memory.
const BASE: usize = 0x8000_0000_0000;

/// What is allocated: address and size.
static ALLOCATED: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

fn table<R>(with: impl FnOnce(&mut BTreeMap<usize, usize>) -> R) -> R {
    with(&mut ALLOCATED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Gives out an address; `None` if the simulated memory is full.
pub fn allocate(size: usize) -> Option<usize> {
    let vram = Device::get()?.vram;
    table(|table| {
        let used: usize = table.values().sum();
        let end = table.last_key_value().map_or(BASE, |(address, size)| address + size);
        let address = end.next_multiple_of(4096) + 4096;
        (size <= vram.saturating_sub(used)).then(|| {
            table.insert(address, size);
            address
        })
    })
}

/// Takes an address back; false if it was never given out.
pub fn release(address: usize) -> bool {
    table(|table| table.remove(&address).is_some())
}

/// Whether the address points into device memory.
pub fn is_device(address: usize) -> bool {
    table(|table| table.range(..=address).next_back().is_some_and(|(start, size)| address < start + size))
}

/// The size of an allocation.
pub fn size_of(address: usize) -> Option<usize> {
    table(|table| table.get(&address).copied())
}

/// Bytes that are given out.
pub fn used() -> usize {
    table(|table| table.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_accounted_for() {
        let first = allocate(1000).expect("6 GiB are free");
        let second = allocate(1 << 30).expect("so is a part of them");
        assert_ne!(first, second);
        assert!(is_device(first + 999) && !is_device(first + 1000) && !is_device(0x1000));
        assert_eq!(size_of(second), Some(1 << 30));
        assert_eq!(allocate(7 << 30), None, "more than the card has");
        assert!(release(first) && !release(first) && release(second));
        assert_eq!(used(), 0);
    }
}
