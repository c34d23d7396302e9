// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this machine has: RDNA1 cards, other AMD GPUs, and how far the kernel
//! has taken them.

use serde::Serialize;

use crate::ids::{GfxTarget, PciAddress, PciId, PciRevision, Version};
use crate::kfd::{self, KfdNode};
use crate::pci::{self, PciFunction};
use crate::policy::Policy;
use crate::root::{DeviceNode, Problem, Root};

/// Drivers that hold a device for a virtual machine: the host cannot use it.
const PASS_THROUGH: [&str; 3] = ["vfio-pci", "pci-stub", "xen-pciback"];

/// How far the kernel has taken a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// amdgpu drives it and KFD offers it for compute.
    Ready,
    /// amdgpu drives it, but KFD did not take it.
    NoCompute,
    /// No driver is bound: too early at boot, blacklisted or missing.
    NoDriver,
    /// Held for a virtual machine (vfio-pci and the like).
    PassedThrough,
    /// Another driver is bound.
    OtherDriver,
    /// It cannot be told: the driver or KFD's topology could not be read.
    Unknown,
}

/// An RDNA1 card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Card {
    /// Marketing name; the revision byte decides between several.
    pub name: String,
    /// gfx target by the policy's table.
    pub gfx: GfxTarget,
    /// The chip's code name.
    pub chip: String,
    /// How far the kernel has taken it.
    pub state: CardState,
    /// Its PCI function.
    pub pci: PciFunction,
    /// Its node in KFD's topology, where there is one.
    pub kfd: Option<KfdNode>,
    /// Its render node, where there is one.
    pub render_node: Option<DeviceNode>,
}

impl Card {
    /// Whether this machine's own processes may use it, now or once its driver
    /// is loaded.
    pub fn takes_part(&self) -> bool {
        self.state != CardState::PassedThrough
    }

    /// Compute units, by KFD.
    pub fn compute_units(&self) -> Option<u32> {
        self.kfd.as_ref().and_then(|node| node.compute_units)
    }

    /// Video memory in bytes, by amdgpu or KFD.
    pub fn vram_bytes(&self) -> Option<u64> {
        self.pci.vram_bytes.or_else(|| self.kfd.as_ref().and_then(|node| node.vram_bytes))
    }
}

/// An AMD GPU that is not RDNA1, or one that the policy does not list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OtherGpu {
    /// Where it sits.
    pub address: PciAddress,
    /// Device id.
    pub device: PciId,
    /// Revision byte.
    pub revision: Option<PciRevision>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
    /// The name of its DRM render node: `renderD129`.
    pub render_node: Option<String>,
    /// gfx target by KFD, where KFD has it.
    pub gfx: Option<GfxTarget>,
    /// KFD topology node, where there is one.
    pub kfd_node: Option<u32>,
    /// Whether KFD says that it is one of RDNA1's gfx targets although the
    /// policy does not list its PCI id: worth a report.
    pub unlisted_rdna1: bool,
}

/// What this machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// The RDNA1 cards, by PCI address.
    pub cards: Vec<Card>,
    /// The other AMD GPUs, by PCI address.
    pub other_gpus: Vec<OtherGpu>,
    /// The running kernel's release.
    pub kernel: Option<String>,
    /// KFD's device.
    pub kfd_device: DeviceNode,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Machine {
    /// Reads the machine below a root directory. Never fails: what cannot be
    /// read is in `problems`, and a function that cannot be identified is no card.
    pub fn detect(root: &Root, policy: &Policy) -> Self {
        let scan = pci::scan(root, &policy.pci);
        let mut problems = scan.problems;
        // Without an AMD display function there is nothing to ask KFD about.
        let before = problems.len();
        let nodes = if scan.functions.is_empty() { Vec::new() } else { kfd::scan(root, &mut problems) };
        let kfd_unreadable = problems.len() > before;
        let mut cards = Vec::new();
        let mut other_gpus = Vec::new();
        for function in scan.functions {
            let node = nodes.iter().find(|node| node.is_at(function.address)).cloned();
            // An accelerator is no card, whatever its id.
            let is_display = function.class.base() == policy.pci.base_class;
            match policy.card(function.device).filter(|_| is_display) {
                Some(fact) => cards.push(Card {
                    name: fact.name_for(function.revision).to_owned(),
                    gfx: fact.gfx,
                    chip: policy.gfx_target(fact.gfx).map(|t| t.chip.clone()).unwrap_or_default(),
                    state: state(&function, node.is_some(), kfd_unreadable),
                    render_node: function.render_node.as_ref().map(|n| root.device_node(&format!("/dev/dri/{n}"))),
                    kfd: node,
                    pci: function,
                }),
                None => other_gpus.push(OtherGpu {
                    address: function.address,
                    device: function.device,
                    revision: function.revision,
                    driver: function.driver,
                    render_node: function.render_node,
                    gfx: node.as_ref().and_then(|node| node.gfx),
                    kfd_node: node.as_ref().map(|node| node.node),
                    unlisted_rdna1: node
                        .and_then(|node| node.gfx)
                        .is_some_and(|target| policy.gfx_target(target).is_some()),
                }),
            }
        }
        let kernel = root.read_text("/proc/sys/kernel/osrelease").unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        Self {
            cards,
            other_gpus,
            kernel: kernel.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
            kfd_device: root.device_node(kfd::DEVICE),
            problems,
        }
    }

    /// Whether the bus has functions that could not be read: there may be a
    /// card or another GPU among them.
    pub fn has_unread_functions(&self) -> bool {
        self.problems.iter().any(|problem| problem.path.starts_with(pci::DEVICES))
    }

    /// The cards that this machine's own processes may use.
    pub fn active_cards(&self) -> impl Iterator<Item = &Card> {
        self.cards.iter().filter(|card| card.takes_part())
    }

    /// Whether there is a card to act for.
    pub fn has_card(&self) -> bool {
        self.active_cards().next().is_some()
    }

    /// The AMD GPUs that a machine-wide override would hit beside the cards.
    ///
    /// ROCm sees the GPUs that KFD knows, so these count, and those that may
    /// still get there: amdgpu takes one GPU after the other, and the card's
    /// udev event can come before the next one's turn.
    pub fn bystanders(&self) -> impl Iterator<Item = &OtherGpu> {
        self.other_gpus.iter().filter(|gpu| match &gpu.driver {
            _ if gpu.kfd_node.is_some() => true,
            None => true,
            // A GPU is bound first, offered to KFD next and gets its render
            // node last: one with a render node will not get into KFD any more.
            Some(driver) => driver == "amdgpu" && gpu.render_node.is_none(),
        })
    }

    /// The running kernel's version.
    pub fn kernel_version(&self) -> Option<Version> {
        self.kernel.as_ref()?.parse().ok()
    }
}

fn state(function: &PciFunction, in_kfd: bool, kfd_unreadable: bool) -> CardState {
    match function.driver.as_deref() {
        None if function.driver_unreadable => CardState::Unknown,
        None => CardState::NoDriver,
        Some("amdgpu") if in_kfd => CardState::Ready,
        Some("amdgpu") if kfd_unreadable => CardState::Unknown,
        Some("amdgpu") => CardState::NoCompute,
        Some(driver) if PASS_THROUGH.contains(&driver) => CardState::PassedThrough,
        Some(_) => CardState::OtherDriver,
    }
}
