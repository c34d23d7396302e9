// SPDX-License-Identifier: MIT OR Apache-2.0
//! The compute topology that the kernel's KFD driver shows, once amdgpu drives a GPU.

use std::collections::HashMap;
use std::str::FromStr;

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

/// One node; `None` for a CPU. A node that does not say what and where it is
/// would be taken for a CPU or for another GPU, so that is an error.
fn read_node(root: &Root, node: u32) -> Result<Option<KfdNode>, Problem> {
    let path = format!("{NODES}/{node}");
    let Some(properties) = Properties::read(root, &path)? else { return Ok(None) };
    // CPUs have no SIMDs.
    let simds = properties.needed("simd_count")?;
    if simds == 0 {
        return Ok(None);
    }
    let per_unit = properties.get("simd_per_cu")?.filter(|&n: &u32| n > 0);
    Ok(Some(KfdNode {
        node,
        // Absent in old kernels.
        gfx: properties.get("gfx_target_version")?.and_then(GfxTarget::from_kfd),
        domain: properties.get("domain")?.unwrap_or(0),
        location: properties.needed("location_id")?,
        compute_units: per_unit.map(|per_unit| simds / per_unit),
        render_minor: properties.get("drm_render_minor")?.filter(|&minor| minor > 0),
        vram_bytes: video_memory(root, &path),
    }))
}

/// The sum of the memory banks that are video memory: heap type 1 (visible to
/// the CPU) and 2 (not visible).
fn video_memory(root: &Root, node: &str) -> Option<u64> {
    let mut total = 0_u64;
    for bank in root.list(&format!("{node}/mem_banks")).ok()? {
        let Ok(Some(bank)) = Properties::read(root, &format!("{node}/mem_banks/{bank}")) else { continue };
        if matches!(bank.get::<u32>("heap_type"), Ok(Some(1 | 2))) {
            total = total.saturating_add(bank.get("size_in_bytes").ok().flatten().unwrap_or(0));
        }
    }
    (total > 0).then_some(total)
}

/// A `properties` attribute: lines of a name, a space and a decimal number.
/// Lines that nobody asks for may hold anything, as newer kernels add some.
struct Properties {
    path: String,
    values: HashMap<String, String>,
}

impl Properties {
    fn read(root: &Root, dir: &str) -> Result<Option<Self>, Problem> {
        let Some(open) = root.dir(dir)? else { return Ok(None) };
        let Some(text) = open.attribute("properties")? else { return Ok(None) };
        let pair = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Ok(Some(Self { path: format!("{dir}/properties"), values: text.lines().filter_map(pair).collect() }))
    }

    /// A number that may be absent, but not something else.
    fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| self.problem(format!("{name} is no number in its range")))
    }

    fn needed(&self, name: &str) -> Result<u32, Problem> {
        self.get(name)?.ok_or_else(|| self.problem(format!("{name} is missing")))
    }

    fn problem(&self, problem: String) -> Problem {
        Problem { path: self.path.clone(), problem }
    }
}
