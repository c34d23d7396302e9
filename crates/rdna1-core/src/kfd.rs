// SPDX-License-Identifier: MIT OR Apache-2.0
//! The compute topology that the kernel's KFD driver shows, once amdgpu drives a GPU.

use std::collections::HashMap;

use serde::Serialize;

use crate::ids::{GfxTarget, PciAddress};
use crate::root::{Problem, Root};

/// Where KFD lists its nodes.
pub const NODES: &str = "/sys/class/kfd/kfd/topology/nodes";

/// The device through which a process reaches KFD.
pub const DEVICE: &str = "/dev/kfd";

/// The lines of `properties` files that [`scan`] reads.
pub const PROPERTIES: [&str; 8] = [
    "simd_count",
    "simd_per_cu",
    "gfx_target_version",
    "domain",
    "location_id",
    "drm_render_minor",
    "heap_type",
    "size_in_bytes",
];

/// A GPU in KFD's topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KfdNode {
    /// Topology node number, counted from 0 over CPUs and GPUs. On a host where
    /// every render node is accessible, libhsakmt uses the same number in
    /// `HSA_OVERRIDE_GFX_VERSION_<node>`.
    pub node: u32,
    /// gfx target by KFD's `gfx_target_version`.
    pub gfx: Option<GfxTarget>,
    /// PCI domain.
    pub domain: u32,
    /// Bus, device and function in one number; see [`PciAddress::kfd_location`].
    pub location: u32,
    /// Compute units.
    pub compute_units: Option<u32>,
    /// Minor number of the DRM render node, 128 and up.
    pub render_minor: Option<u32>,
    /// Video memory in bytes.
    pub vram_bytes: Option<u64>,
}

impl KfdNode {
    /// Whether this node is the GPU at that PCI address.
    pub fn is_at(&self, address: PciAddress) -> bool {
        self.domain == address.domain && self.location == address.kfd_location()
    }
}

/// Lists the GPUs of the topology, by node number. Without KFD there are none.
pub fn scan(root: &Root, problems: &mut Vec<Problem>) -> Vec<KfdNode> {
    let names = root.list(NODES).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let mut nodes: Vec<KfdNode> = names
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter_map(|node| {
            read_node(root, node).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        })
        .collect();
    nodes.sort_unstable_by_key(|node| node.node);
    nodes
}

/// One node; `None` for a CPU.
fn read_node(root: &Root, node: u32) -> Result<Option<KfdNode>, Problem> {
    let path = format!("{NODES}/{node}");
    let Some(properties) = properties(root, &path)? else { return Ok(None) };
    let get = |name: &str| properties.get(name).copied();
    let small = |name: &str| get(name).and_then(|n| u32::try_from(n).ok());
    // CPUs have no SIMDs; a GPU without gfx_target_version comes from an old kernel.
    let simds = get("simd_count").unwrap_or(0);
    if simds == 0 {
        return Ok(None);
    }
    let per_unit = get("simd_per_cu").filter(|&n| n > 0);
    Ok(Some(KfdNode {
        node,
        gfx: get("gfx_target_version").and_then(GfxTarget::from_kfd),
        domain: small("domain").unwrap_or(0),
        location: small("location_id").unwrap_or(u32::MAX),
        compute_units: per_unit.and_then(|per_unit| u32::try_from(simds / per_unit).ok()),
        render_minor: small("drm_render_minor").filter(|&minor| minor > 0),
        vram_bytes: video_memory(root, &path),
    }))
}

/// The sum of the memory banks that are video memory: heap type 1 (visible to
/// the CPU) and 2 (not visible).
fn video_memory(root: &Root, node: &str) -> Option<u64> {
    let banks = root.list(&format!("{node}/mem_banks")).ok()?;
    let mut total = 0_u64;
    for bank in banks {
        let Ok(Some(properties)) = properties(root, &format!("{node}/mem_banks/{bank}")) else { continue };
        if matches!(properties.get("heap_type"), Some(1 | 2)) {
            total = total.saturating_add(properties.get("size_in_bytes").copied().unwrap_or(0));
        }
    }
    (total > 0).then_some(total)
}

/// A `properties` attribute: lines of a name, a space and a decimal number.
/// Other lines are passed over, as newer kernels add some.
fn properties(root: &Root, dir: &str) -> Result<Option<HashMap<String, u64>>, Problem> {
    let Some(dir) = root.dir(dir)? else { return Ok(None) };
    let Some(text) = dir.attribute("properties")? else { return Ok(None) };
    let parse = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    Ok(Some(text.lines().filter_map(parse).collect()))
}
