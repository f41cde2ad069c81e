//! The table as one plan leaves it: stops and placements of the plan laid over, the table itself untouched.
//!
//! Room and ports of an allocation that is about to end may be given on, but only to one that names it and starts
//! after it. [`Overlay::place`] finds out which names are needed; room that is free now is used without any.

use std::collections::BTreeMap;

use model::allocation::AllocatedPort;
use model::compiled::CompiledGroup;
use model::id::{AllocId, Seed};

use crate::ports;
use crate::table::{NodeTable, Room};

/// What one copy of a group needs.
pub(crate) struct Ask<'a> {
    pub group: &'a CompiledGroup,
    pub statics: Vec<u16>,
    pub dynamic: usize,
    pub cores: i64,
    room: Room,
}

impl<'a> Ask<'a> {
    /// What a copy of `group` needs.
    pub fn of(group: &'a CompiledGroup) -> Ask<'a> {
        let statics: Vec<u16> = group.ports.iter().filter_map(|port| port.static_port).collect();
        Ask {
            group,
            dynamic: group.ports.len() - statics.len(),
            statics,
            cores: group.tasks.iter().map(|task| task.cores).sum(),
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
        }
    }
}

/// What a copy was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub ports: Vec<AllocatedPort>,
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
    taken: Vec<u16>,
}

impl Delta {
    fn ending_room(&self) -> Room {
        self.ending.iter().fold(Room::default(), |sum, (_, room)| sum.plus(*room))
    }
}

/// See the module's text.
pub(crate) struct Overlay<'a> {
    pub table: &'a NodeTable,
    deltas: BTreeMap<usize, Delta>,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    pub fn new(table: &'a NodeTable) -> Overlay<'a> {
        Overlay { table, deltas: BTreeMap::new() }
    }

    fn fresh(table: &NodeTable, slot: usize) -> Delta {
        let ending = table.ending(slot).filter_map(|id| Some((id, table.holding(id)?.room))).collect();
        Delta { free: table.free(slot), ending, taken: Vec::new() }
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

    /// The plan stops `id`.
    pub fn stop(&mut self, id: AllocId) -> Option<usize> {
        let holding = self.table.holding(id)?;
        let slot = self.table.slot(holding.node)?;
        let delta = self.delta(slot);
        if !holding.ending && delta.ending.iter().all(|(known, _)| *known != id) {
            delta.ending.push((id, holding.room));
        }
        Some(slot)
    }

    /// The plan does not stop `id` after all; nothing was given of it.
    pub fn keep(&mut self, id: AllocId) {
        let Some(holding) = self.table.holding(id) else { return };
        if let Some(slot) = self.table.slot(holding.node) {
            self.delta(slot).ending.retain(|(known, _)| *known != id);
        }
    }

    /// Room of the node when everything that ends has ended.
    pub fn room_in_the_end(&self, slot: usize) -> Room {
        self.read(slot, |delta| delta.free.plus(delta.ending_room()))
    }

    /// Whether a copy fits, counting what is about to end; the first dimension that does not.
    pub fn fit(&self, slot: usize, ask: &Ask<'_>) -> Result<(), Shortage> {
        self.read(slot, |delta| self.fit_in(slot, delta, ask))
    }

    fn fit_in(&self, slot: usize, delta: &Delta, ask: &Ask<'_>) -> Result<(), Shortage> {
        let info = self.table.info(slot);
        let ends = |id: AllocId| self.ends(delta, id);
        let wants_ports = !ask.group.ports.is_empty();
        let holders = if wants_ports { self.table.port_holders(slot) } else { None };
        for port in ask.group.ports.iter() {
            let Some(number) = port.static_port else { continue };
            if !ports::is_available(number, info, holders, &delta.taken, ends) {
                return Err(Shortage::Port { label: port.label.clone(), port: number });
            }
        }
        let left = delta.free.plus(delta.ending_room()).minus(ask.room(info.core_mhz));
        if left.cpu < 0 {
            return Err(Shortage::Cpu);
        }
        if left.memory < 0 {
            return Err(Shortage::Memory);
        }
        if left.disk < 0 {
            return Err(Shortage::Disk);
        }
        if !ports::has_dynamic(ask.dynamic, info, holders, &delta.taken, &ask.statics) {
            return Err(Shortage::DynamicPorts);
        }
        Ok(())
    }

    /// Whether this plan, or an earlier one, ends the allocation.
    fn ends(&self, delta: &Delta, id: AllocId) -> bool {
        delta.ending.iter().any(|(known, _)| *known == id) || self.table.holding(id).is_some_and(|h| h.ending)
    }

    /// Gives a copy its room and ports; `first` is the allocation that it replaces, whose room is used before others'.
    /// None when it does not fit.
    pub fn place(&mut self, slot: usize, ask: &Ask<'_>, first: Option<AllocId>, seed: Seed) -> Option<Given> {
        self.fit(slot, ask).ok()?;
        let table = self.table;
        let info = table.info(slot);
        let holders = table.port_holders(slot);
        let room = ask.room(info.core_mhz);
        let delta = self.delta(slot);
        let ports = ports::choose(ask, info, holders, &delta.taken, seed)?;
        let mut starts_after = Vec::new();
        for port in &ports {
            starts_after.extend(holders.and_then(|held| held.get(&port.value)).into_iter().flatten().copied());
        }
        delta.taken.extend(ports.iter().map(|port| port.value));
        let short = delta.free.minus(room);
        if short.cpu < 0 || short.memory < 0 || short.disk < 0 {
            delta.give_on(room, first, &mut starts_after);
        } else {
            delta.free = short;
        }
        starts_after.sort_unstable();
        starts_after.dedup();
        Some(Given { ports, starts_after })
    }
}

impl Delta {
    /// Covers `room`, and what is missing already, from ending allocations first and free room last.
    fn give_on(&mut self, room: Room, first: Option<AllocId>, names: &mut Vec<AllocId>) {
        let positive = |free: Room| free.zip(Room::default(), i64::max);
        let debt = Room::default().minus(self.free.zip(Room::default(), i64::min));
        let mut need = room.plus(debt);
        if let Some(position) = self.ending.iter().position(|(id, _)| Some(*id) == first) {
            self.ending.swap(0, position);
        }
        let mut free = positive(self.free);
        for (id, left) in &mut self.ending {
            let short = need.minus(free);
            if short.cpu <= 0 && short.memory <= 0 && short.disk <= 0 {
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
        free = free.minus(need);
        self.free = free;
    }
}
