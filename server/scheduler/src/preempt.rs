//! Which allocations must go so that a more important copy fits on a node.
//!
//! Looked at only when a copy fits nowhere without it, so it is dynamic and off the fast path; a node on which nothing is
//! less important is passed over by one look at the table.

use std::collections::BTreeMap;

use model::allocation::Exclusive;
use model::compiled::CompiledJob;
use model::id::{AllocId, JobKey};

use crate::overlay::{Ask, Overlay, Shortage};
use crate::table::Room;
use crate::view::Neighbour;

/// How much less important a victim's job must be.
const GAP: i64 = 10;

/// Added to the distance for each victim of a group beyond what may move at a time.
const CROWD: f64 = 50.0;

/// Victims so far in one plan, by job and group.
pub(crate) type Ledger = BTreeMap<(JobKey, String), u32>;

/// Those that must go on one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Victims {
    /// All, in the order in which they were chosen.
    pub all: Vec<Neighbour>,
    /// How many of the first ones hold a port, a core, a device or a volume that is wanted. A node's room is scored
    /// without these, and with the others.
    pub holders: usize,
}

impl Victims {
    /// Their ids.
    pub fn ids(&self) -> Vec<AllocId> {
        self.all.iter().map(|victim| victim.id).collect()
    }

    /// Close to 1 when few unimportant ones go, towards 0 with many important ones.
    pub fn score(&self) -> f64 {
        let highest = self.all.iter().map(|victim| victim.priority).max().unwrap_or(0) as f64;
        let sum = self.all.iter().map(|victim| victim.priority).sum::<i64>() as f64;
        let net = if highest > 0.0 { highest + sum / highest } else { 0.0 };
        1.0 / (1.0 + (0.0048 * (net - 2048.0)).exp())
    }
}

/// The highest priority that makes way for `job`.
pub(crate) fn highest_priority(job: &CompiledJob) -> i64 {
    job.priority.saturating_sub(GAP)
}

/// Chooses victims on one node; none when even all of the less important ones do not make enough room.
pub(crate) fn choose(
    overlay: &Overlay<'_>,
    slot: usize,
    ask: &Ask<'_>,
    job: &CompiledJob,
    neighbours: &dyn Fn(model::id::NodeId) -> Vec<Neighbour>,
) -> Option<Victims> {
    let highest = highest_priority(job);
    if !overlay.may_fit(slot, ask, highest) {
        return None;
    }
    let mut candidates = neighbours(overlay.table.info(slot).id);
    candidates.retain(|other| other.job != job.key && other.priority <= highest && overlay.stays(other.id));
    candidates.sort_by_key(|other| (other.priority, other.id));
    let mut search = Search { overlay, slot, ask, candidates, chosen: Vec::new() };
    let enough = search.take_holders()?;
    search.drop_superfluous();
    let holders = search.chosen.len();
    if !enough {
        search.take_room()?;
    }
    Some(Victims { all: search.chosen, holders })
}

fn covers(room: Room, wanted: Room) -> bool {
    let left = room.minus(wanted);
    left.cpu >= 0 && left.memory >= 0 && left.disk >= 0
}

struct Search<'a, 't> {
    overlay: &'a Overlay<'t>,
    slot: usize,
    ask: &'a Ask<'a>,
    /// Not chosen yet, the least important first.
    candidates: Vec<Neighbour>,
    chosen: Vec<Neighbour>,
}

impl Search<'_, '_> {
    fn fit_without(&self, victims: &[Neighbour]) -> Result<(), Shortage> {
        let ids: Vec<AllocId> = victims.iter().map(|victim| victim.id).collect();
        self.overlay.fit_without(self.slot, self.ask, &ids)
    }

    /// Takes those that hold what a copy must have and room cannot replace. Answers whether the copy fits then; none
    /// when it cannot.
    fn take_holders(&mut self) -> Option<bool> {
        loop {
            let holds: Box<dyn Fn(&Exclusive) -> bool> = match self.fit_without(&self.chosen) {
                Ok(()) => return Some(true),
                Err(Shortage::Cpu | Shortage::Memory | Shortage::Disk) => return Some(false),
                Err(Shortage::Port { label, port }) => {
                    let owners = self.port_owners(&label, port);
                    self.take_all(&owners)?;
                    continue;
                }
                Err(Shortage::Volume(name)) => Box::new(move |thing| *thing == Exclusive::Volume(name.clone())),
                Err(Shortage::Cores) => Box::new(|thing| matches!(thing, Exclusive::Core(_))),
                Err(Shortage::Devices) => Box::new(|thing| matches!(thing, Exclusive::Device(_))),
                Err(Shortage::MaxAllocs) => {
                    self.take_first(|_| true)?;
                    continue;
                }
                Err(Shortage::DynamicPorts) => {
                    let overlay = self.overlay;
                    self.take_first(|id| overlay.table.holding(id).is_some_and(|held| !held.ports.is_empty()))?;
                    continue;
                }
            };
            let overlay = self.overlay;
            self.take_first(|id| overlay.table.holding(id).is_some_and(|held| held.exclusives.iter().any(&holds)))?;
        }
    }

    /// Who holds the static port and goes on.
    fn port_owners(&self, label: &str, port: u16) -> Vec<AllocId> {
        let table = self.overlay.table;
        let asked = self.ask.group.ports.iter().find(|ask| ask.label == label && ask.static_port == Some(port));
        let network = asked.and_then(|ask| table.info(self.slot).network(&ask.host_network));
        let key = (network.and_then(|network| network.key), port);
        let owners = table.port_holders(self.slot).and_then(|held| held.get(&key)).into_iter().flatten().copied();
        owners.filter(|id| self.overlay.stays(*id) && self.chosen.iter().all(|known| known.id != *id)).collect()
    }

    /// Takes each of `ids`; none when one of them is no candidate, or there is none.
    fn take_all(&mut self, ids: &[AllocId]) -> Option<()> {
        if ids.is_empty() {
            return None;
        }
        ids.iter().try_for_each(|id| self.take_first(|candidate| candidate == *id))
    }

    fn take_first(&mut self, wanted: impl Fn(AllocId) -> bool) -> Option<()> {
        let position = self.candidates.iter().position(|candidate| wanted(candidate.id))?;
        self.chosen.push(self.candidates.remove(position));
        Some(())
    }

    /// Spares the most important ones that are not needed after all.
    fn drop_superfluous(&mut self) {
        let is_room = |result: &Result<(), Shortage>| {
            matches!(result, Ok(()) | Err(Shortage::Cpu | Shortage::Memory | Shortage::Disk))
        };
        for position in (0..self.chosen.len()).rev() {
            let mut fewer = self.chosen.clone();
            let spared = fewer.remove(position);
            if is_room(&self.fit_without(&fewer)) {
                self.chosen = fewer;
                self.candidates.push(spared);
            }
        }
        self.candidates.sort_by_key(|other| (other.priority, other.id));
    }

    fn room_of(&self, victim: &Neighbour) -> Room {
        self.overlay.table.holding(victim.id).map(|held| held.room).unwrap_or_default()
    }

    /// Takes room: from the least important first, among equals from the one that is closest in size to what is still
    /// needed. Then spares those without which it fits.
    fn take_room(&mut self) -> Option<()> {
        let wanted = self.ask.room(self.overlay.table.info(self.slot).core_mhz);
        let freed = self.chosen.iter().fold(Room::default(), |sum, victim| sum.plus(self.room_of(victim)));
        let before = self.overlay.room_in_the_end(self.slot).plus(freed);
        let (mut available, mut needed) = (before, wanted);
        let mut ledger = self.overlay.preempted.clone();
        let mut taken: Vec<Neighbour> = Vec::new();
        while !covers(available, wanted) {
            let lowest = self.candidates.first()?.priority;
            let equals = self.candidates.iter().take_while(|candidate| candidate.priority == lowest);
            let costs =
                equals.map(|candidate| distance(needed, self.room_of(candidate)) + crowding(&ledger, candidate));
            let closest = costs.enumerate().min_by(|left, right| left.1.total_cmp(&right.1))?.0;
            let victim = self.candidates.remove(closest);
            let room = self.room_of(&victim);
            available = available.plus(room);
            needed = needed.minus(room);
            *ledger.entry((victim.job.clone(), victim.group.clone())).or_insert(0) += 1;
            taken.push(victim);
        }
        // What is farthest from the ask in size is used first: the last ones are then spared.
        taken.sort_by(|left, right| {
            distance(wanted, self.room_of(right)).total_cmp(&distance(wanted, self.room_of(left)))
        });
        let mut available = before;
        for victim in taken {
            if covers(available, wanted) {
                break;
            }
            available = available.plus(self.room_of(&victim));
            self.chosen.push(victim);
        }
        Some(())
    }
}

/// How far a victim's size is from what is needed, each dimension relative to the need.
fn distance(needed: Room, size: Room) -> f64 {
    let relative = |needed: i64, size: i64| if needed > 0 { (needed - size) as f64 / needed as f64 } else { 0.0 };
    let (cpu, memory) = (relative(needed.cpu, size.cpu), relative(needed.memory, size.memory));
    let disk = relative(needed.disk, size.disk);
    (cpu * cpu + memory * memory + disk * disk).sqrt()
}

/// What it costs that more copies of the victim's group go than may move at a time.
fn crowding(ledger: &Ledger, victim: &Neighbour) -> f64 {
    let gone = ledger.get(&(victim.job.clone(), victim.group.clone())).copied().unwrap_or(0);
    let most = victim.migrate_max_parallel;
    if most > 0 && gone >= most { f64::from(gone + 1 - most) * CROWD } else { 0.0 }
}
