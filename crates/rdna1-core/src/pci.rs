// SPDX-License-Identifier: MIT OR Apache-2.0
//! AMD GPUs on the PCI bus, as sysfs shows them; they are there before any
//! driver is loaded.

use serde::Serialize;

use crate::ids::{PciAddress, PciClass, PciId, PciRevision};
use crate::policy::PciMatch;
use crate::root::{Directory, Problem, Root};

/// Where the kernel lists PCI functions.
pub const DEVICES: &str = "/sys/bus/pci/devices";

/// The attributes of a function that [`scan`] reads.
pub const ATTRIBUTES: [&str; 7] =
    ["vendor", "class", "device", "revision", "subsystem_vendor", "subsystem_device", "mem_info_vram_total"];

/// The links of a function that [`scan`] reads.
pub const LINKS: [&str; 2] = ["driver", "physfn"];

/// Base class of AMD's GPUs without a display engine that do not call
/// themselves display controllers (Instinct MI300): amdgpu takes every
/// AMD function of it, so a machine-wide override would hit it too.
pub const ACCELERATOR: u8 = 0x12;

/// A PCI function of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PciFunction {
    /// Where it sits.
    pub address: PciAddress,
    /// Device id.
    pub device: PciId,
    /// Class code.
    pub class: PciClass,
    /// Revision byte.
    pub revision: Option<PciRevision>,
    /// Vendor of the board.
    pub subsystem_vendor: Option<PciId>,
    /// The board vendor's id for it.
    pub subsystem_device: Option<PciId>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
    /// Whether there is a sign of a driver that could not be read.
    #[serde(skip)]
    pub driver_unreadable: bool,
    /// For an SR-IOV virtual function, the physical function it belongs to.
    pub virtual_function_of: Option<PciAddress>,
    /// The name of its DRM render node: `renderD128`.
    pub render_node: Option<String>,
    /// Video memory in bytes, as amdgpu reports it.
    pub vram_bytes: Option<u64>,
}

/// The GPUs of one vendor, in order of address.
#[derive(Debug, Default)]
pub struct PciScan {
    /// What was found.
    pub functions: Vec<PciFunction>,
    /// What could not be read; such functions are left out.
    pub problems: Vec<Problem>,
}

/// Lists the display controllers and accelerators of the policy's vendor.
///
/// Cost is one small read for each function of another vendor and at most ten
/// for one of AMD's.
pub fn scan(root: &Root, pci: &PciMatch) -> PciScan {
    let mut scan = PciScan::default();
    let dir = match root.dir(DEVICES) {
        Ok(Some(dir)) => dir,
        // A machine without PCI is no error: it has no card.
        Ok(None) => return scan,
        Err(problem) => {
            scan.problems.push(problem);
            return scan;
        }
    };
    let names = dir.names().unwrap_or_else(|problem| {
        scan.problems.push(problem);
        Vec::new()
    });
    for name in names {
        let Ok(address) = name.parse() else { continue };
        match read_function(&dir, &name, address, pci) {
            Ok(Some(function)) => scan.functions.push(function),
            Ok(None) => {}
            Err(problem) => scan.problems.push(problem),
        }
    }
    scan.functions.sort_unstable_by_key(|function| function.address);
    scan
}

fn read_function(
    dir: &Directory,
    name: &str,
    address: PciAddress,
    pci: &PciMatch,
) -> Result<Option<PciFunction>, Problem> {
    // The vendor goes first: it rules out nearly everything with one read.
    let Some(vendor) = read_id::<PciId>(dir, name, "vendor")? else { return Ok(None) };
    if vendor != pci.vendor {
        return Ok(None);
    }
    let Some(class) = read_id::<PciClass>(dir, name, "class")? else { return Ok(None) };
    if ![pci.base_class, ACCELERATOR].contains(&class.base()) {
        return Ok(None);
    }
    let Some(device) = read_id::<PciId>(dir, name, "device")? else { return Ok(None) };
    // What follows is worth knowing but decides nothing: absent if unreadable.
    let optional = |attribute: &str| dir.attribute(&format!("{name}/{attribute}")).ok().flatten();
    let driver = dir.link_name(&format!("{name}/driver"));
    Ok(Some(PciFunction {
        address,
        device,
        class,
        revision: optional("revision").and_then(|text| text.parse().ok()),
        subsystem_vendor: optional("subsystem_vendor").and_then(|text| text.parse().ok()),
        subsystem_device: optional("subsystem_device").and_then(|text| text.parse().ok()),
        driver_unreadable: driver.is_none() && dir.has(&format!("{name}/driver")),
        driver,
        virtual_function_of: dir.link_name(&format!("{name}/physfn")).and_then(|text| text.parse().ok()),
        render_node: dir.names_in(&format!("{name}/drm")).into_iter().find(|node| node.starts_with("renderD")),
        vram_bytes: optional("mem_info_vram_total").and_then(|text| text.parse().ok()),
    }))
}

/// Reads an attribute that holds one id. A function that vanished meanwhile has none.
fn read_id<T>(dir: &Directory, function: &str, attribute: &str) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let name = format!("{function}/{attribute}");
    let Some(text) = dir.attribute(&name)? else { return Ok(None) };
    let id = text.parse().map_err(|e: T::Err| Problem { path: format!("{DEVICES}/{name}"), problem: e.to_string() })?;
    Ok(Some(id))
}
