//! No port and no memory is used twice by what really runs on a machine, whatever the tables say.

use std::collections::{BTreeMap, BTreeSet};

use model::id::AllocId;

use crate::world::World;

pub(super) fn check(world: &World, node: usize) -> Vec<String> {
    let node = &world.nodes[node];
    let running: BTreeSet<AllocId> = node.processes.running().map(|id| id.alloc).collect();
    let mut found = Vec::new();
    let mut owners: BTreeMap<u16, AllocId> = BTreeMap::new();
    let mut memory = 0;
    for stored in running.iter().filter_map(|id| node.disk.get(id)) {
        let alloc = &stored.source.alloc;
        memory += alloc.grant.memory_mb();
        for port in &alloc.grant.ports {
            if let Some(other) = owners.insert(port.value, alloc.id) {
                let (one, other) = (alloc.id.short(), other.short());
                found.push(format!("port {} of {} is used by both {one} and {other}", port.value, node.node.name));
            }
        }
    }
    let has = node.node.node_resources.memory.memory_mb;
    if memory > has {
        found.push(format!("{memory} MB of {has} MB are used on {}", node.node.name));
    }
    found
}
