//! The table as one plan leaves it: stops and placements of the plan laid over, the table itself untouched.
//!
//! Room and ports of an allocation that is about to end may be given on, but only to one that names it and starts
//! after it. [`Overlay::place`] finds out which names are needed; room that is free now is used without any.

use std::collections::BTreeMap;

use model::allocation::{AllocatedPort, Exclusive, PortKey};
use model::compiled::CompiledGroup;
use model::id::{AllocId, Seed};

use crate::exclusive::{ExclusiveAsk, ExclusiveGrant, ExclusiveView};
use crate::planted;
use crate::ports::PortView;
use crate::preempt::Ledger;
use crate::table::{NodeTable, Room};

/// What one copy of a group needs.
pub(crate) struct Ask<'a> {
    pub group: &'a CompiledGroup,
    pub cores: i64,
    pub exclusive: ExclusiveAsk<'a>,
    room: Room,
}

impl<'a> Ask<'a> {
    /// What a copy of `group` needs.
    pub fn of(group: &'a CompiledGroup) -> Ask<'a> {
        Ask {
            group,
            cores: group.tasks.iter().map(|task| task.cores).sum(),
            exclusive: ExclusiveAsk::of(group),
            room: Room { cpu: group.cpu(), memory: group.memory_mb(), disk: group.disk_mb },
        }
    }

    /// The room on a node whose cores have `core_mhz` each.
    pub fn room(&self, core_mhz: i64) -> Room {
        Room { cpu: self.room.cpu.saturating_add(self.cores.saturating_mul(core_mhz)), ..self.room }
    }
}

/// Why a copy does not fit on a feasible node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shortage {
    Cpu,
    Memory,
    Disk,
    Port { label: String, port: u16 },
    DynamicPorts,
    Cores,
    Devices,
    Volume(String),
    MaxAllocs,
}

impl Shortage {
    /// The key under which it is counted.
    pub fn key(&self) -> String {
        match self {
            Shortage::Cpu => "cpu".to_owned(),
            Shortage::Memory => "memory".to_owned(),
            Shortage::Disk => "disk".to_owned(),
            Shortage::Port { label, port } => format!("network: reserved port collision {label}={port}"),
            Shortage::DynamicPorts => "network: dynamic port selection failed".to_owned(),
            Shortage::Cores => "cores".to_owned(),
            Shortage::Devices => "devices: no devices match request".to_owned(),
            Shortage::Volume(_) => "conflicting claims for host volume with single-writer".to_owned(),
            Shortage::MaxAllocs => "max allocation exceeded".to_owned(),
        }
    }
}

/// What a copy was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub ports: Vec<AllocatedPort>,
    pub exclusive: ExclusiveGrant,
    pub starts_after: Vec<AllocId>,
}

/// Changes to one node.
#[derive(Clone, Debug, Default)]
struct Delta {
    /// Free room at this point of the plan; may be negative where something waits for an end.
    free: Room,
    /// Room of ending allocations that is not given on yet.
    ending: Vec<(AllocId, Room)>,
    /// Ports given in this plan.
    taken: Vec<PortKey>,
    /// Cores, devices and volumes given in this plan.
    exclusives: Vec<Exclusive>,
    /// Allocations meant to go on.
    staying: u32,
}

impl Delta {
    fn ending_room(&self) -> Room {
        self.ending.iter().fold(Room::default(), |sum, (_, room)| sum.plus(*room))
    }
}

/// See the module's text.
pub(crate) struct Overlay<'a> {
    pub table: &'a NodeTable,
    /// Allocations that had to make way so far.
    pub preempted: Ledger,
    deltas: BTreeMap<usize, Delta>,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    pub fn new(table: &'a NodeTable) -> Overlay<'a> {
        Overlay { table, preempted: Ledger::new(), deltas: BTreeMap::new() }
    }

    fn fresh(table: &NodeTable, slot: usize) -> Delta {
        let ending = table.ending(slot).filter_map(|id| Some((id, table.holding(id)?.room))).collect();
        // Only where there is a bound does anybody ask.
        let staying = if table.info(slot).max_allocs.is_some() { table.staying(slot) } else { 0 };
        Delta { free: table.free(slot), ending, staying, ..Delta::default() }
    }

    fn read<T>(&self, slot: usize, look: impl FnOnce(&Delta) -> T) -> T {
        match self.deltas.get(&slot) {
            Some(delta) => look(delta),
            None => look(&Overlay::fresh(self.table, slot)),
        }
    }

    fn delta(&mut self, slot: usize) -> &mut Delta {
        let table = self.table;
        self.deltas.entry(slot).or_insert_with(|| Overlay::fresh(table, slot))
    }

    /// Nodes that the plan has changed so far.
    pub fn changed(&self) -> impl Iterator<Item = usize> {
        self.deltas.keys().copied()
    }

    /// The plan stops `id`.
    pub fn stop(&mut self, id: AllocId) -> Option<usize> {
        let holding = self.table.holding(id)?;
        let slot = self.table.slot(holding.node)?;
        let delta = self.delta(slot);
        if !holding.ending && delta.ending.iter().all(|(known, _)| *known != id) {
            delta.ending.push((id, holding.room));
            delta.staying = delta.staying.saturating_sub(1);
        }
        Some(slot)
    }

    /// The plan does not stop `id` after all; nothing was given of it.
    pub fn keep(&mut self, id: AllocId) {
        let Some(holding) = self.table.holding(id) else { return };
        if let Some(slot) = self.table.slot(holding.node)
            && !holding.ending
        {
            let delta = self.delta(slot);
            let before = delta.ending.len();
            delta.ending.retain(|(known, _)| *known != id);
            delta.staying += (before - delta.ending.len()) as u32;
        }
    }

    /// Whether the allocation goes on, as the plan stands.
    pub fn stays(&self, id: AllocId) -> bool {
        let Some(slot) = self.table.holding(id).and_then(|holding| self.table.slot(holding.node)) else { return false };
        self.read(slot, |delta| !self.ends(delta, id))
    }

    /// Room of the node when everything that ends has ended.
    pub fn room_in_the_end(&self, slot: usize) -> Room {
        self.read(slot, |delta| delta.free.plus(delta.ending_room()))
    }

    /// Whether a copy fits, counting what is about to end; the first dimension that does not.
    pub fn fit(&self, slot: usize, ask: &Ask<'_>) -> Result<(), Shortage> {
        self.read(slot, |delta| self.fit_in(slot, delta, ask))
    }

    /// As [`Overlay::fit`], as if `gone` were about to end too.
    pub fn fit_without(&self, slot: usize, ask: &Ask<'_>, gone: &[AllocId]) -> Result<(), Shortage> {
        let mut delta = self.read(slot, Delta::clone);
        for id in gone {
            let Some(holding) = self.table.holding(*id) else { continue };
            delta.ending.push((*id, holding.room));
            delta.staying = delta.staying.saturating_sub(1);
        }
        self.fit_in(slot, &delta, ask)
    }

    /// Whether a copy could fit if all of at most this priority went; looks at room alone, so it may say yes too often.
    pub fn may_fit(&self, slot: usize, ask: &Ask<'_>, highest: i64) -> bool {
        let (held, count) = self.table.held_up_to(slot, highest);
        let left = self.room_in_the_end(slot).plus(held).minus(ask.room(self.table.info(slot).core_mhz));
        count > 0 && shortage(left).is_ok()
    }

    fn fit_in(&self, slot: usize, delta: &Delta, ask: &Ask<'_>) -> Result<(), Shortage> {
        let info = self.table.info(slot);
        if !ask.group.ports.is_empty() {
            let ports = self.ports(slot, delta);
            for port in &ask.group.ports {
                let Some(number) = port.static_port else { continue };
                if !ports.static_is_free(port, number) {
                    return Err(Shortage::Port { label: port.label.clone(), port: number });
                }
            }
            if !ports.has_dynamic(&ask.group.ports) {
                return Err(Shortage::DynamicPorts);
            }
        }
        if !ask.exclusive.is_empty() {
            self.exclusives(slot, delta).choose(&ask.exclusive)?;
        }
        if info.max_allocs.is_some_and(|most| delta.staying >= most) {
            return Err(Shortage::MaxAllocs);
        }
        shortage(delta.free.plus(delta.ending_room()).minus(ask.room(info.core_mhz)))
    }

    fn ports<'d>(&'d self, slot: usize, delta: &'d Delta) -> PortView<'d, impl Fn(AllocId) -> bool + 'd> {
        let (node, holders) = (self.table.info(slot), self.table.port_holders(slot));
        PortView { node, holders, taken: &delta.taken, ends: move |id| self.ends(delta, id) }
    }

    fn exclusives<'d>(&'d self, slot: usize, delta: &'d Delta) -> ExclusiveView<'d, impl Fn(AllocId) -> bool + 'd> {
        let (node, holders) = (self.table.info(slot), self.table.exclusive_holders(slot));
        ExclusiveView { node, holders, taken: &delta.exclusives, ends: move |id| self.ends(delta, id) }
    }

    /// Matching over all weights of device affinities of a copy here; none when there are none.
    pub fn device_score(&self, slot: usize, ask: &Ask<'_>) -> Option<f64> {
        if ask.exclusive.devices.is_empty() {
            return None;
        }
        self.device_score_without(slot, ask, &[])
    }

    /// As [`Overlay::device_score`], as if `gone` were about to end too.
    pub fn device_score_without(&self, slot: usize, ask: &Ask<'_>, gone: &[AllocId]) -> Option<f64> {
        let mut delta = self.read(slot, Delta::clone);
        delta.ending.extend(gone.iter().map(|id| (*id, Room::default())));
        self.exclusives(slot, &delta).choose(&ask.exclusive).ok()?.score
    }

    /// Whether this plan, or an earlier one, ends the allocation.
    fn ends(&self, delta: &Delta, id: AllocId) -> bool {
        delta.ending.iter().any(|(known, _)| *known == id) || self.table.holding(id).is_some_and(|h| h.ending)
    }

    /// Gives a copy its room, ports, cores, devices and volumes; `first` are the allocations that it replaces, whose room
    /// is used before others'. None when it does not fit.
    pub fn place(&mut self, slot: usize, ask: &Ask<'_>, first: &[AllocId], seed: Seed) -> Option<Given> {
        self.fit(slot, ask).ok()?;
        let (ports, exclusive) = self.read(slot, |delta| {
            let ports = self.ports(slot, delta).choose(&ask.group.ports, seed)?;
            let exclusive = self.exclusives(slot, delta).choose(&ask.exclusive).ok()?;
            Some((ports, exclusive))
        })?;
        let table = self.table;
        let room = ask.room(table.info(slot).core_mhz);
        let holders = table.port_holders(slot);
        let mut starts_after = exclusive.after.clone();
        for port in ports.iter().filter(|_| !planted::is_enabled(planted::Bug::PortFreeOnStop)) {
            starts_after.extend(holders.and_then(|held| held.get(&port.key())).into_iter().flatten().copied());
        }
        let delta = self.delta(slot);
        delta.taken.extend(ports.iter().map(AllocatedPort::key));
        delta.exclusives.extend(exclusive.things());
        delta.staying += 1;
        let short = delta.free.minus(room);
        if shortage(short).is_ok() {
            delta.free = short;
        } else if shortage(delta.free).is_err() {
            // Others wait already, and what of the ending ones is theirs is not known: this one waits for all.
            starts_after.extend(delta.ending.iter().map(|(id, _)| *id));
            delta.free = short;
        } else {
            delta.give_on(room, first, &mut starts_after);
        }
        Some(Given { ports, exclusive, starts_after: self.and_before(starts_after) })
    }

    /// `named`, and all that those wait for in their turn: who waits may end without ever having held anything, and then
    /// its room is not free before what it waited for has ended too.
    pub fn and_before(&self, mut named: Vec<AllocId>) -> Vec<AllocId> {
        let mut position = 0;
        while let Some(id) = named.get(position) {
            let before = self.table.holding(*id).map(|holding| holding.starts_after.clone()).unwrap_or_default();
            let live = before.into_iter().filter(|id| self.table.holding(*id).is_some());
            let new: Vec<AllocId> = live.filter(|id| !named.contains(id)).collect();
            named.extend(new);
            position += 1;
        }
        named.sort_unstable();
        named.dedup();
        named
    }
}

/// The first dimension of which less than nothing is left.
fn shortage(left: Room) -> Result<(), Shortage> {
    match left {
        Room { cpu, .. } if cpu < 0 => Err(Shortage::Cpu),
        Room { memory, .. } if memory < 0 => Err(Shortage::Memory),
        Room { disk, .. } if disk < 0 => Err(Shortage::Disk),
        _ => Ok(()),
    }
}

impl Delta {
    /// Covers `room` from ending allocations first and free room last.
    fn give_on(&mut self, room: Room, first: &[AllocId], names: &mut Vec<AllocId>) {
        let mut need = room;
        self.ending.sort_by_key(|(id, _)| !first.contains(id));
        for (id, left) in &mut self.ending {
            if shortage(self.free.minus(need)).is_ok() {
                break;
            }
            let used = need.zip(*left, |need, left| need.clamp(0, left.max(0)));
            if used == Room::default() {
                continue;
            }
            need = need.minus(used);
            *left = left.minus(used);
            names.push(*id);
        }
        self.free = self.free.minus(need);
    }
}
