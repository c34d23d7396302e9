// SPDX-License-Identifier: MIT OR Apache-2.0
//! What advisories ask about beside the cards: kernel parameters, firmware,
//! PCIe atomics, the C library, and variables in files. Only `status` looks;
//! nothing that is set depends on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{PciAddress, Version};
use crate::machine::Machine;
use crate::pci;
use crate::root::Root;

/// The kernel's command line.
pub const CMDLINE: &str = "/proc/cmdline";

/// Where the kernel shows the parameters of loaded modules.
pub const MODULES: &str = "/sys/module";

/// Where C libraries lie that say their version.
const C_LIBRARIES: [&str; 4] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/// How a C library introduces itself, up to its version.
const INTRODUCTION: &[u8] = b"stable release version ";

/// What was looked at. Absent values are those that could not be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The words of the kernel's command line.
    pub kernel_parameters: Option<Vec<String>>,
    /// The values of parameters of loaded modules, by `module.parameter`.
    pub module_parameters: BTreeMap<String, String>,
    /// The version of the GNU C library.
    pub glibc: Option<Version>,
    /// The compute firmware's version (MEC), for each card that shows it.
    pub mec_firmware: BTreeMap<PciAddress, u32>,
    /// Whether atomic operations of a card reach the processor, by the
    /// configuration space of the bridges between them; root may read it.
    pub pcie_atomics: BTreeMap<PciAddress, bool>,
    /// Variables of which a harmful setting was found in the environment or a file.
    pub stray: BTreeSet<String>,
    /// Whether there are files that set variables and could not be read.
    pub unread_files: bool,
}

impl Surroundings {
    /// Looks at the machine; `stray` and `unread_files` are for the caller, who
    /// knows which files concern the user.
    pub fn read(root: &Root, machine: &Machine) -> Self {
        let line = root.read_text(CMDLINE).ok().flatten();
        let mut it = Self {
            kernel_parameters: line.map(|line| line.split_whitespace().map(str::to_owned).collect()),
            glibc: glibc(root),
            ..Self::default()
        };
        for name in root.list(&format!("{MODULES}/amdgpu/parameters")).unwrap_or_default() {
            let value = root.read_text(&format!("{MODULES}/amdgpu/parameters/{name}")).ok().flatten();
            it.module_parameters.extend(value.map(|value| (format!("amdgpu.{name}"), value.trim().to_owned())));
        }
        for card in &machine.cards {
            let address = card.pci.address;
            it.mec_firmware.extend(mec_firmware(root, address).map(|version| (address, version)));
            it.pcie_atomics.extend(atomics(root, address).map(|reach| (address, reach)));
        }
        it
    }

    /// Whether a kernel parameter is given: `nomodeset`, `amdgpu.cwsr_enable=0`,
    /// or a member of a list (`modprobe.blacklist=amdgpu`).
    pub fn has_parameter(&self, parameter: &str) -> Option<bool> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        // A loaded module knows what it was given, on the command line or by modprobe.d.
        if let Some(given) = self.module_parameters.get(name) {
            return Some(given == value);
        }
        let words = self.kernel_parameters.as_ref()?;
        let is = |word: &String| match word.split_once('=') {
            Some((given, list)) => given == name && list.split(',').any(|item| item == value),
            None => word == parameter,
        };
        Some(words.iter().any(is))
    }
}

/// `stable release version 2.41.` in the library's own text.
fn glibc(root: &Root) -> Option<Version> {
    C_LIBRARIES.iter().find_map(|dir| {
        let bytes = root.read_start(&format!("{dir}/libc.so.6"), 4 << 20).ok().flatten()?;
        let at = bytes.windows(INTRODUCTION.len()).position(|window| window == INTRODUCTION)?;
        let rest = &bytes[at + INTRODUCTION.len()..];
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    })
}

/// `0x00000091`: the version of the firmware that runs compute queues.
fn mec_firmware(root: &Root, address: PciAddress) -> Option<u32> {
    let dir = root.dir(&format!("{}/{address}", pci::DEVICES)).ok().flatten()?;
    let text = dir.attribute("fw_version/mec_fw_version").ok().flatten()?;
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What the kernel asks before it lets a card use atomic operations
/// (`pci_enable_atomic_ops_to_root` for 32 and 64 bits): every switch port on
/// the way routes them and the root port completes them. `None` where the
/// configuration space shows too little, as to users who are not root, and for
/// chips that are part of the processor.
fn atomics(root: &Root, address: PciAddress) -> Option<bool> {
    const SPACE: usize = 4096;
    const ROUTES: u32 = 1 << 6;
    const COMPLETES: u32 = 1 << 7 | 1 << 8;
    let (upstream, downstream, root_port) = (5, 6, 4);
    let card = std::fs::canonicalize(root.join(&format!("{}/{address}", pci::DEVICES))).ok()?;
    for bridge in card.ancestors().skip(1) {
        bridge.file_name()?.to_str()?.parse::<PciAddress>().ok()?;
        let space = Root::new(bridge).read_start("config", SPACE).ok().flatten()?;
        let (port, capabilities) = express_capability(&space)?;
        if port == root_port {
            return Some(capabilities & COMPLETES == COMPLETES);
        }
        if (port == upstream || port == downstream) && capabilities & ROUTES == 0 {
            return Some(false);
        }
    }
    None
}

/// Port type and second device capabilities of a PCI Express function, by its
/// configuration space.
fn express_capability(space: &[u8]) -> Option<(u8, u32)> {
    const FIRST: usize = 0x34;
    const EXPRESS: u8 = 0x10;
    let mut at = usize::from(*space.get(FIRST)?);
    // No chain is longer than the space has room for.
    for _ in 0..48 {
        if at < 0x40 {
            return None;
        }
        if *space.get(at)? == EXPRESS {
            let port = space.get(at + 2)? >> 4;
            let capabilities = space.get(at + 0x24..at + 0x28)?;
            return Some((port, u32::from_le_bytes(capabilities.try_into().ok()?)));
        }
        at = usize::from(*space.get(at + 1)?);
    }
    None
}
