// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration space of a display controller without resources.

use std::str::FromStr;

/// Bytes of a conventional PCI configuration space.
const SIZE: usize = 256;

/// Offsets in the header (PCI Local Bus Specification 3.0, chapter 6.1).
const VENDOR: usize = 0x00;
const DEVICE: usize = 0x02;
const COMMAND: usize = 0x04;
const REVISION: usize = 0x08;
const CLASS: usize = 0x0a;
const CACHE_LINE: usize = 0x0c;
const LATENCY: usize = 0x0d;
const SUBSYSTEM_VENDOR: usize = 0x2c;
const SUBSYSTEM_DEVICE: usize = 0x2e;
const INTERRUPT_LINE: usize = 0x3c;

/// VGA compatible controller.
const DISPLAY: u16 = 0x0300;

/// A board that AMD made itself (pci.ids: "Reference RX 5700").
const REFERENCE_BOARD: (u16, u16) = (0x1002, 0x0b36);

/// A PCI function; what the guest writes into it is kept as hardware would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    space: [u8; SIZE],
}

impl Function {
    /// A VGA controller of a vendor, with a device id and a revision.
    pub fn display(vendor: u16, device: u16, revision: u8) -> Self {
        let mut function = Self { space: [0; SIZE] };
        let (board_vendor, board) = REFERENCE_BOARD;
        for (at, value) in [
            (VENDOR, vendor),
            (DEVICE, device),
            (CLASS, DISPLAY),
            (SUBSYSTEM_VENDOR, board_vendor),
            (SUBSYSTEM_DEVICE, board),
        ] {
            function.space[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        function.space[REVISION] = revision;
        function
    }

    /// `length` bytes (1, 2 or 4) at an offset, as a little-endian number; all
    /// ones outside the configuration space, as a bus without an answer has it.
    pub fn read(&self, at: u32, length: u32) -> u32 {
        let mut bytes = [0; 4];
        for (i, byte) in bytes.iter_mut().enumerate().take(length.min(4) as usize) {
            *byte = self.space.get(at as usize + i).copied().unwrap_or(0xff);
        }
        u32::from_le_bytes(bytes)
    }

    /// Writes `length` bytes; read-only bits stay. The base addresses are
    /// read-only zeros: there is nothing behind them.
    pub fn write(&mut self, at: u32, value: u32, length: u32) {
        for (i, byte) in value.to_le_bytes().into_iter().enumerate().take(length.min(4) as usize) {
            let at = at as usize + i;
            let Some(old) = self.space.get_mut(at) else { return };
            let writable = writable(at);
            *old = *old & !writable | byte & writable;
        }
    }
}

/// The bits of a byte that software may change.
fn writable(at: usize) -> u8 {
    const COMMAND_HIGH: usize = COMMAND + 1;
    match at {
        // Memory and I/O decoding, bus master, parity; SERR and interrupts off.
        COMMAND => 0x47,
        COMMAND_HIGH => 0x05,
        CACHE_LINE | LATENCY | INTERRUPT_LINE => 0xff,
        _ => 0,
    }
}

impl FromStr for Function {
    type Err = String;

    /// `VENDOR:DEVICE` or `VENDOR:DEVICE:REVISION`, in hexadecimal as lspci prints them.
    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("`{text}` is not VENDOR:DEVICE[:REVISION] in hexadecimal, such as 1002:731f:c1");
        let mut fields = text.split(':');
        let mut next = || fields.next().map(|field| u16::from_str_radix(field, 16).map_err(|_| fail())).transpose();
        let vendor = next()?.ok_or_else(fail)?;
        let device = next()?.ok_or_else(fail)?;
        let revision = next()?.unwrap_or(0);
        let revision = u8::try_from(revision).map_err(|_| fail())?;
        if fields.next().is_some() { Err(fail()) } else { Ok(Self::display(vendor, device, revision)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_reads_what_identifies_the_card() {
        let card: Function = "1002:731f:ca".parse().expect("valid");
        assert_eq!(card.read(0, 4), 0x731f_1002);
        assert_eq!(card.read(8, 4), 0x0300_00ca);
        assert_eq!(card.read(9, 1), 0, "no programming interface");
        assert_eq!(card.read(0x0e, 1), 0, "one function, ordinary header");
        assert_eq!(card.read(0x2c, 4), 0x0b36_1002);
        assert_eq!(card.read(254, 4), 0xffff_0000, "beyond the end");
    }

    #[test]
    fn only_what_hardware_lets_change_changes() {
        let fresh = Function::display(0x1002, 0x731f, 0);
        let mut card = fresh.clone();
        for at in (0..256).step_by(4) {
            card.write(at, 0xffff_ffff, 4);
        }
        assert_eq!(card.read(4, 4), 0x0547, "command register");
        assert_eq!(card.read(0x3c, 1), 0xff, "interrupt line");
        assert_eq!(card.read(0, 4), 0x731f_1002, "ids");
        for bar in (0x10..0x28).step_by(4) {
            assert_eq!(card.read(bar, 4), 0, "a base address of size zero");
        }
        card.write(u32::MAX, 1, 4);
        card.write(4, 0, 2);
        assert_eq!(card.read(4, 2), 0);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1002", "1002:", "1002:731f:100", "1002:731f:c1:0", "0x1002:731f", "1002:x", "11002:731f"] {
            assert!(text.parse::<Function>().is_err(), "{text}");
        }
        assert_eq!("1002:731F".parse(), Ok(Function::display(0x1002, 0x731f, 0)));
    }
}
