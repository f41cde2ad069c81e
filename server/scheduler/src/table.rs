//! The columnar table of nodes: what each has, what is free, which ports are held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::allocation::{AllocatedPort, Claim, Exclusive, Grant, PortKey};
use model::id::{AllocId, NodeId};
use model::node::{Node, NodeDevice, NodeStatus};

use crate::exclusive::ExclusiveHolders;
use crate::memo::{Memo, Stamps};
use crate::ports::{DEFAULT_NETWORK, HostNetwork};

/// CPU in MHz, memory and disk in MB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
}

impl Room {
    /// What was granted.
    pub fn of(grant: &Grant) -> Room {
        Room { cpu: grant.cpu(), memory: grant.memory_mb(), disk: grant.disk_mb }
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
    /// Host volumes by name.
    pub volumes: BTreeMap<String, HostVolume>,
    /// Ports that the node keeps for itself.
    pub reserved_ports: BTreeSet<u16>,
    /// First and last port that the planner may choose.
    pub dynamic_ports: (u16, u16),
    pub status: NodeStatus,
    pub schedulable: bool,
    /// MHz of one core.
    pub core_mhz: i64,
    /// Cores that may be given to one allocation alone.
    pub cores: Vec<u16>,
    /// Devices by kind.
    pub devices: Vec<NodeDevice>,
    /// The most allocations at a time, if there is a bound.
    pub max_allocs: Option<u32>,
    /// By name: networks that ports can be announced on; `default` is the node's own address.
    pub networks: BTreeMap<String, HostNetwork>,
    /// Network modes that are there, such as `cni/mynet`; `host`, `bridge` and `none` are everywhere.
    pub network_modes: BTreeSet<String>,
}

/// A directory of the host that groups may mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostVolume {
    pub read_only: bool,
    /// Made while the node runs, so that it has an id that an allocation can be bound to.
    pub dynamic: bool,
}

fn networks_of(node: &Node) -> BTreeMap<String, HostNetwork> {
    let own = HostNetwork { address: node.address().to_owned(), ..HostNetwork::default() };
    let mut networks: BTreeMap<String, HostNetwork> = BTreeMap::new();
    for (name, network) in &node.host_networks {
        let address = if network.ip.is_empty() { node.address().to_owned() } else { network.ip.clone() };
        // A name for the node's own address shares its ports.
        let key = if address == own.address { None } else { address.parse().ok() };
        networks.insert(name.clone(), HostNetwork { key, address, reserved: parse_ports(&network.reserved_ports) });
    }
    networks.entry(DEFAULT_NETWORK.to_owned()).or_insert(own);
    networks
}

fn cores_of(node: &Node) -> Vec<u16> {
    let cpu = &node.node_resources.cpu;
    let all = match &cpu.reservable_cpu_cores {
        Some(cores) => cores.clone(),
        None => (0..cpu.total_cpu_cores).collect(),
    };
    let kept = node.reserved_resources.cpu.reserved_cpu_cores.as_deref().unwrap_or_default();
    all.into_iter().filter(|core| !kept.contains(core)).filter_map(|core| u16::try_from(core).ok()).collect()
}

impl NodeInfo {
    fn of(node: &Node) -> NodeInfo {
        let drivers = node.drivers.iter().map(|(name, info)| {
            let state = match (info.detected, info.healthy) {
                (true, true) => Ok(()),
                (true, false) => Err(format!("unhealthy: {}", info.health_description)),
                (false, _) if info.health_description.is_empty() => Err("not detected".to_owned()),
                (false, _) => Err(format!("not detected: {}", info.health_description)),
            };
            (name.clone(), state)
        });
        let volumes = node.host_volumes.iter().map(|(name, volume)| {
            let read_only = volume.read_only;
            (name.clone(), HostVolume { read_only, dynamic: !volume.id.is_empty() })
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
            volumes: volumes.collect(),
            reserved_ports: parse_ports(&node.reserved_resources.networks.reserved_host_ports),
            dynamic_ports: (
                port(node.node_resources.min_dynamic_port, 20_000),
                port(node.node_resources.max_dynamic_port, 32_000),
            ),
            status: node.status,
            schedulable: node.is_schedulable(),
            core_mhz: node.node_resources.cpu.cpu_shares / cores,
            cores: cores_of(node),
            devices: node.node_resources.devices.clone(),
            max_allocs: u32::try_from(node.node_max_allocs).ok().filter(|most| *most > 0),
            networks: networks_of(node),
            network_modes: node.node_resources.networks.iter().map(|network| network.mode.clone()).collect(),
        }
    }

    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<&HostNetwork> {
        self.networks.get(name)
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
    pub ports: Box<[PortKey]>,
    /// Cores, devices and volumes of its own.
    pub exclusives: Box<[Exclusive]>,
    /// Priority of its job.
    pub priority: i64,
    /// What must have ended before it starts.
    pub starts_after: Box<[AllocId]>,
    /// Meant to stop, not yet ended: what comes after it may wait for its end.
    pub ending: bool,
}

impl Holding {
    fn of(claim: Claim<'_>) -> Holding {
        Holding {
            node: claim.node,
            room: Room::of(claim.grant),
            ports: claim.ports.iter().map(AllocatedPort::key).collect(),
            exclusives: claim.grant.exclusives().into(),
            priority: claim.priority,
            starts_after: claim.starts_after.into(),
            ending: claim.ending,
        }
    }
}

/// Holders of each port of one node, in order.
pub(crate) type PortHolders = BTreeMap<PortKey, Vec<AllocId>>;

/// Per node and priority: what those that stay hold, and how many they are.
type ByPriority = BTreeMap<(NodeId, i64), (Room, u32)>;

/// Every node with its room and ports, kept up to date from nodes and allocations.
///
/// Columns are ordered by node id, so that the order of events leaves no trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeTable {
    ids: Vec<NodeId>,
    stamps: Stamps,
    memo: Memo,
    info: Vec<Arc<NodeInfo>>,
    capacity: Vec<Room>,
    free: Vec<Room>,
    holdings: BTreeMap<AllocId, Holding>,
    ports: BTreeMap<NodeId, PortHolders>,
    exclusives: BTreeMap<NodeId, ExclusiveHolders>,
    by_priority: ByPriority,
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
    pub fn of<'a>(nodes: impl Iterator<Item = &'a Node>, claims: impl Iterator<Item = Claim<'a>>) -> NodeTable {
        let mut table = NodeTable::new();
        nodes.for_each(|node| table.apply_node(node));
        claims.for_each(|claim| table.apply_alloc(claim));
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
                if *self.info[slot] != *info {
                    self.stamps.infos = self.stamps.now + 1;
                }
                self.info[slot] = info;
                self.capacity[slot] = capacity;
                self.free[slot] = free;
                self.touch(slot);
            }
            Err(slot) => {
                self.stamps.layout += 1;
                self.stamps.rows.insert(slot, 0);
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
            self.stamps.layout += 1;
            self.stamps.rows.remove(slot);
            self.ids.remove(slot);
            self.info.remove(slot);
            self.capacity.remove(slot);
            self.free.remove(slot);
        }
    }

    fn touch(&mut self, slot: usize) {
        self.stamps.now += 1;
        self.stamps.rows[slot] = self.stamps.now;
    }

    /// How often nodes came or went, and how often anything changed.
    pub(crate) fn clock(&self) -> (u64, u64) {
        (self.stamps.layout, self.stamps.now)
    }

    /// Nodes that have changed after `seen`, in any way.
    pub(crate) fn changed_since(&self, seen: u64) -> impl Iterator<Item = usize> {
        self.stamps.rows.iter().enumerate().filter(move |(_, stamp)| **stamp > seen).map(|(slot, _)| slot)
    }

    /// Whether a node changed after `seen` in what it is.
    pub(crate) fn infos_changed_since(&self, seen: u64) -> bool {
        self.stamps.infos > seen
    }

    /// What earlier evaluations found out.
    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Adds an allocation or replaces what was known of it. One that has ended frees its room.
    pub fn apply_alloc(&mut self, alloc: Claim<'_>) {
        if !alloc.live {
            self.remove_alloc(alloc.id);
            return;
        }
        let holding = Holding::of(alloc);
        match self.holdings.get(&alloc.id) {
            Some(old) if *old == holding => return,
            Some(_) => self.remove_alloc(alloc.id),
            None => {}
        }
        self.add_room(holding.node, holding.room);
        for port in &holding.ports {
            hold(self.ports.entry(holding.node).or_default(), *port, alloc.id);
        }
        for thing in &holding.exclusives {
            hold(self.exclusives.entry(holding.node).or_default(), thing.clone(), alloc.id);
        }
        if holding.ending {
            self.ending.entry(holding.node).or_default().insert(alloc.id);
        } else {
            let (room, count) = self.by_priority.entry((holding.node, holding.priority)).or_default();
            (*room, *count) = (room.plus(holding.room), *count + 1);
        }
        self.holdings.insert(alloc.id, holding);
    }

    /// Forgets an allocation that was garbage collected.
    pub fn remove_alloc(&mut self, id: AllocId) {
        let Some(holding) = self.holdings.remove(&id) else { return };
        self.add_room(holding.node, Room::default().minus(holding.room));
        release(&mut self.ports, holding.node, &holding.ports, id);
        release(&mut self.exclusives, holding.node, &holding.exclusives, id);
        let key = (holding.node, holding.priority);
        if !holding.ending
            && let Some((room, count)) = self.by_priority.get_mut(&key)
        {
            (*room, *count) = (room.minus(holding.room), *count - 1);
            if *count == 0 {
                self.by_priority.remove(&key);
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

    /// The node on which a live allocation holds room.
    pub fn node_of(&self, id: AllocId) -> Option<NodeId> {
        self.holdings.get(&id).map(|holding| holding.node)
    }

    pub(crate) fn holding(&self, id: AllocId) -> Option<&Holding> {
        self.holdings.get(&id)
    }

    pub(crate) fn port_holders(&self, slot: usize) -> Option<&PortHolders> {
        self.ports.get(&self.ids[slot])
    }

    pub(crate) fn exclusive_holders(&self, slot: usize) -> Option<&ExclusiveHolders> {
        self.exclusives.get(&self.ids[slot])
    }

    /// What allocations of at most this priority hold on the node, and how many they are; ending ones apart.
    pub(crate) fn held_up_to(&self, slot: usize, priority: i64) -> (Room, u32) {
        let node = self.ids[slot];
        let held = self.by_priority.range((node, i64::MIN)..=(node, priority));
        held.fold((Room::default(), 0), |(room, count), (_, (r, c))| (room.plus(*r), count + c))
    }

    /// How many allocations on the node are meant to go on.
    pub(crate) fn staying(&self, slot: usize) -> u32 {
        self.held_up_to(slot, i64::MAX).1
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
            self.touch(slot);
        }
    }
}

fn hold<K: Ord>(holders_of: &mut BTreeMap<K, Vec<AllocId>>, key: K, id: AllocId) {
    let holders = holders_of.entry(key).or_default();
    if let Err(position) = holders.binary_search(&id) {
        holders.insert(position, id);
    }
}

fn release<K: Ord>(on: &mut BTreeMap<NodeId, BTreeMap<K, Vec<AllocId>>>, node: NodeId, keys: &[K], id: AllocId) {
    let Some(holders_of) = on.get_mut(&node) else { return };
    for key in keys {
        if let Some(holders) = holders_of.get_mut(key) {
            holders.retain(|holder| *holder != id);
            if holders.is_empty() {
                holders_of.remove(key);
            }
        }
    }
    if holders_of.is_empty() {
        on.remove(&node);
    }
}
