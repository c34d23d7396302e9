// SPDX-License-Identifier: MIT OR Apache-2.0
//! A specification for the Container Device Interface (CNCF's CDI, SPEC.md):
//! with it an engine gives a container the cards and their environment together.

use serde_json::{Value, json};

use crate::machine::{Card, Machine};

/// What devices are of: vendor and class. Not `amd.com/gpu`, which AMD's own
/// toolkit defines, as two specifications of one name make both unusable.
pub const KIND: &str = "rdna1-rocm-fix/gpu";

/// The oldest version that has all that is used here (device names that begin
/// with a digit came with 0.5.0), as the specification asks for; newer engines
/// read older versions, older ones refuse newer.
const VERSION: &str = "0.5.0";

/// The device that stands for all cards.
const ALL: &str = "all";

/// What a container with these cards sees of a machine: them, and no other GPU.
///
/// That decides about the override. Beside another GPU the machine sets it for a
/// KFD node; ROCm counts only nodes that it may open, so in a container the
/// numbers are others (libhsakmt, `topology_sysfs_check_node_supported`).
#[must_use]
pub fn seen_from_inside(machine: &Machine) -> Machine {
    Machine { other_gpus: Vec::new(), ..machine.clone() }
}

/// The cards that can be given to a container: those with a device node.
pub fn cards(machine: &Machine) -> impl Iterator<Item = &Card> {
    machine.active_cards().filter(|card| card.render_node.as_ref().is_some_and(|node| node.exists))
}

/// The specification as JSON: a device for each card, by its place in the order
/// of PCI addresses, and `all`. `environment` holds names with values.
pub fn specification<'a>(machine: &Machine, environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let kfd = machine.kfd_device.path.as_str();
    let device = |name: &str, cards: &[&Card]| {
        let render = cards.iter().filter_map(|card| card.render_node.as_ref()).map(|node| node.path.as_str());
        let nodes = std::iter::once(kfd).chain(render);
        let nodes: Vec<Value> = nodes.map(|path| json!({ "path": path, "permissions": "rw" })).collect();
        json!({ "name": name, "containerEdits": { "deviceNodes": nodes } })
    };
    let cards: Vec<&Card> = cards(machine).collect();
    let one = |(i, card): (usize, &&Card)| device(&i.to_string(), &[*card]);
    let mut devices: Vec<Value> = cards.iter().enumerate().map(one).collect();
    devices.push(device(ALL, &cards));
    let environment: Vec<String> = environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let specification = json!({
        "cdiVersion": VERSION,
        "kind": KIND,
        "containerEdits": { "env": environment },
        "devices": devices,
    });
    // `{:#}` of a JSON value has no way to fail.
    format!("{specification:#}\n")
}
