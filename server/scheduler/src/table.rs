//! The columnar table of nodes: what each has, what is free, which ports are held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::allocation::{Allocation, DesiredStatus};
use model::id::{AllocId, NodeId};
use model::node::{Node, NodeStatus};

/// CPU in MHz, memory and disk in MB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
}

impl Room {
    /// What `alloc` holds.
    pub fn of(alloc: &Allocation) -> Room {
        Room { cpu: alloc.grant.cpu(), memory: alloc.grant.memory_mb(), disk: alloc.grant.disk_mb }
    }

    /// Applies `f` to each dimension.
    pub fn zip(self, other: Room, f: impl Fn(i64, i64) -> i64) -> Room {
        Room { cpu: f(self.cpu, other.cpu), memory: f(self.memory, other.memory), disk: f(self.disk, other.disk) }
    }

    /// The sum; saturates.
    pub fn plus(self, other: Room) -> Room {
        self.zip(other, i64::saturating_add)
    }

    /// The difference; saturates.
    pub fn minus(self, other: Room) -> Room {
        self.zip(other, i64::saturating_sub)
    }
}

/// What the planner reads of a node besides its room.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeInfo {
    pub id: NodeId,
    pub name: String,
    pub datacenter: String,
    pub pool: String,
    pub class: String,
    pub attributes: BTreeMap<String, String>,
    pub meta: BTreeMap<String, String>,
    /// Driver name to whether it is present and healthy; else why not.
    pub drivers: BTreeMap<String, Result<(), String>>,
    /// Host volumes: name to read-only.
    pub volumes: BTreeMap<String, bool>,
    /// Ports that the node keeps for itself.
    pub reserved_ports: BTreeSet<u16>,
    /// First and last port that the planner may choose.
    pub dynamic_ports: (u16, u16),
    /// Address of its host ports.
    pub address: String,
    pub status: NodeStatus,
    pub schedulable: bool,
    /// MHz of one core.
    pub core_mhz: i64,
}

impl NodeInfo {
    fn of(node: &Node) -> NodeInfo {
        let drivers = node.drivers.iter().map(|(name, info)| {
            let state = match (info.detected, info.healthy) {
                (true, true) => Ok(()),
                (true, false) => Err(format!("unhealthy: {}", info.health_description)),
                (false, _) => Err("not detected".to_owned()),
            };
            (name.clone(), state)
        });
        let port = |value: i64, default: u16| u16::try_from(value).ok().filter(|port| *port > 0).unwrap_or(default);
        let cores = i64::try_from(node.node_resources.cpu.total_cpu_cores).unwrap_or(1).max(1);
        NodeInfo {
            id: node.id,
            name: node.name.clone(),
            datacenter: node.datacenter.clone(),
            pool: if node.node_pool.is_empty() { "default".to_owned() } else { node.node_pool.clone() },
            class: node.node_class.clone(),
            attributes: node.attributes.clone(),
            meta: node.meta.clone(),
            drivers: drivers.collect(),
            volumes: node.host_volumes.iter().map(|(name, volume)| (name.clone(), volume.read_only)).collect(),
            reserved_ports: parse_ports(&node.reserved_resources.networks.reserved_host_ports),
            dynamic_ports: (
                port(node.node_resources.min_dynamic_port, 20_000),
                port(node.node_resources.max_dynamic_port, 32_000),
            ),
            address: node.address().to_owned(),
            status: node.status,
            schedulable: node.is_schedulable(),
            core_mhz: node.node_resources.cpu.cpu_shares / cores,
        }
    }
}

/// Reads `22,80,8500-8600`; what cannot be read is left out.
fn parse_ports(text: &str) -> BTreeSet<u16> {
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    });
    ranges.flatten().collect()
}

/// What an allocation holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holding {
    pub node: NodeId,
    pub room: Room,
    pub ports: Vec<u16>,
    /// Meant to stop, not yet ended: what comes after it may wait for its end.
    pub ending: bool,
}

/// Holders of each port of one node, in order.
pub(crate) type PortHolders = BTreeMap<u16, Vec<AllocId>>;

/// Every node with its room and ports, kept up to date from nodes and allocations.
///
/// Columns are ordered by node id, so that the order of events leaves no trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeTable {
    ids: Vec<NodeId>,
    info: Vec<Arc<NodeInfo>>,
    capacity: Vec<Room>,
    free: Vec<Room>,
    holdings: BTreeMap<AllocId, Holding>,
    ports: BTreeMap<NodeId, PortHolders>,
    ending: BTreeMap<NodeId, BTreeSet<AllocId>>,
    /// Held on nodes, known or not, so that a node that comes back finds its allocations.
    used: BTreeMap<NodeId, Room>,
}

impl NodeTable {
    /// A table without nodes.
    pub fn new() -> NodeTable {
        NodeTable::default()
    }

    /// The table of these nodes and allocations; equal to one kept incrementally.
    pub fn of<'a>(nodes: impl Iterator<Item = &'a Node>, allocs: impl Iterator<Item = &'a Allocation>) -> NodeTable {
        let mut table = NodeTable::new();
        nodes.for_each(|node| table.apply_node(node));
        allocs.for_each(|alloc| table.apply_alloc(alloc));
        table
    }

    /// Adds a node or replaces what was known of it.
    pub fn apply_node(&mut self, node: &Node) {
        let resources = &node.node_resources;
        let reserved = &node.reserved_resources;
        let capacity = Room {
            cpu: resources.cpu.cpu_shares.saturating_sub(reserved.cpu.cpu_shares),
            memory: resources.memory.memory_mb.saturating_sub(reserved.memory.memory_mb),
            disk: resources.disk.disk_mb.saturating_sub(reserved.disk.disk_mb),
        };
        let free = capacity.minus(self.used.get(&node.id).copied().unwrap_or_default());
        let info = Arc::new(NodeInfo::of(node));
        match self.ids.binary_search(&node.id) {
            Ok(slot) => {
                self.info[slot] = info;
                self.capacity[slot] = capacity;
                self.free[slot] = free;
            }
            Err(slot) => {
                self.ids.insert(slot, node.id);
                self.info.insert(slot, info);
                self.capacity.insert(slot, capacity);
                self.free.insert(slot, free);
            }
        }
    }

    /// Forgets a node; its allocations stay known, should it come back.
    pub fn remove_node(&mut self, id: NodeId) {
        if let Ok(slot) = self.ids.binary_search(&id) {
            self.ids.remove(slot);
            self.info.remove(slot);
            self.capacity.remove(slot);
            self.free.remove(slot);
        }
    }

    /// Adds an allocation or replaces what was known of it. One that has ended frees its room.
    pub fn apply_alloc(&mut self, alloc: &Allocation) {
        self.remove_alloc(alloc.id);
        if !alloc.is_live() {
            return;
        }
        let ports: Vec<u16> = alloc.grant.ports.iter().map(|port| port.value).collect();
        let holding = Holding {
            node: alloc.node_id,
            room: Room::of(alloc),
            ports,
            ending: alloc.desired_status != DesiredStatus::Run,
        };
        self.add_room(holding.node, holding.room);
        for port in &holding.ports {
            let holders = self.ports.entry(holding.node).or_default().entry(*port).or_default();
            if let Err(position) = holders.binary_search(&alloc.id) {
                holders.insert(position, alloc.id);
            }
        }
        if holding.ending {
            self.ending.entry(holding.node).or_default().insert(alloc.id);
        }
        self.holdings.insert(alloc.id, holding);
    }

    /// Forgets an allocation that was garbage collected.
    pub fn remove_alloc(&mut self, id: AllocId) {
        let Some(holding) = self.holdings.remove(&id) else { return };
        self.add_room(holding.node, Room::default().minus(holding.room));
        if let Some(by_port) = self.ports.get_mut(&holding.node) {
            for port in &holding.ports {
                if let Some(holders) = by_port.get_mut(port) {
                    holders.retain(|holder| *holder != id);
                    if holders.is_empty() {
                        by_port.remove(port);
                    }
                }
            }
            if by_port.is_empty() {
                self.ports.remove(&holding.node);
            }
        }
        if let Some(ending) = self.ending.get_mut(&holding.node) {
            ending.remove(&id);
            if ending.is_empty() {
                self.ending.remove(&holding.node);
            }
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn slot(&self, id: NodeId) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    pub(crate) fn info(&self, slot: usize) -> &NodeInfo {
        &self.info[slot]
    }

    pub(crate) fn infos(&self) -> &[Arc<NodeInfo>] {
        &self.info
    }

    pub(crate) fn capacity(&self, slot: usize) -> Room {
        self.capacity[slot]
    }

    pub(crate) fn free(&self, slot: usize) -> Room {
        self.free[slot]
    }

    pub(crate) fn holding(&self, id: AllocId) -> Option<&Holding> {
        self.holdings.get(&id)
    }

    pub(crate) fn port_holders(&self, slot: usize) -> Option<&PortHolders> {
        self.ports.get(&self.ids[slot])
    }

    /// Allocations on the node that are meant to stop and have not ended, in order of their ids.
    pub(crate) fn ending(&self, slot: usize) -> impl Iterator<Item = AllocId> {
        self.ending.get(&self.ids[slot]).into_iter().flatten().copied()
    }

    fn add_room(&mut self, node: NodeId, room: Room) {
        let used = self.used.entry(node).or_default();
        *used = used.plus(room);
        if *used == Room::default() {
            self.used.remove(&node);
        }
        if let Ok(slot) = self.ids.binary_search(&node) {
            self.free[slot] = self.free[slot].minus(room);
        }
    }
}
