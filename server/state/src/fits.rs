//! Whether something more fits on a node, given what holds room there now.
//!
//! Room and ports are held by every live allocation: one that has not ended at the client, even if it was asked to stop.
//! A newcomer may take over what a stopping allocation holds when it names it in `starts_after`: then it starts only
//! after the other has ended, and the two never hold the room at the same time.

mod handover;

use std::collections::BTreeMap;
use std::fmt;

use model::allocation::{AllocatedPort, Allocation, Claim, Exclusive, PortKey};
use model::id::AllocId;
use model::node::Node;

use crate::amounts::Amounts;
use crate::on_node::Held;
use crate::state::State;

/// Why something does not fit on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The node is gone.
    NoNode,
    /// The node takes no new work: it is down, or closed by a user.
    NotSchedulable,
    /// MHz are short.
    Cpu,
    /// Megabytes of memory are short.
    Memory,
    /// Megabytes of disk are short.
    Disk,
    /// This port is held by another allocation, or kept back by the node.
    Port(u16),
    /// A core that it was given is another's.
    Core,
    /// A device that it was given is another's.
    Device,
    /// A volume that it wants to itself is another's.
    Volume,
    /// The node takes no more allocations.
    MaxAllocs,
}

impl fmt::Display for Misfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::NoNode => out.write_str("the node is gone"),
            Misfit::NotSchedulable => out.write_str("the node takes no new work"),
            Misfit::Cpu => out.write_str("too little cpu is left"),
            Misfit::Memory => out.write_str("too little memory is left"),
            Misfit::Disk => out.write_str("too little disk is left"),
            Misfit::Port(port) => write!(out, "port {port} is taken"),
            Misfit::Core => out.write_str("a core is taken"),
            Misfit::Device => out.write_str("a device is taken"),
            Misfit::Volume => out.write_str("a volume is taken"),
            Misfit::MaxAllocs => out.write_str("the node takes no more allocations"),
        }
    }
}

/// Whether `held`, the newcomer included, stays within `capacity`. Who wants no more than its `own` is not refused when
/// the node has become smaller.
fn check_amounts(capacity: Amounts, held: Amounts, wanted: Amounts, own: Amounts) -> Result<(), Misfit> {
    let misfits = [Misfit::Cpu, Misfit::Memory, Misfit::Disk];
    let short = |i: &usize| wanted.0[*i] > own.0[*i] && held.0[*i] > capacity.0[*i];
    (0..misfits.len()).find(short).map_or(Ok(()), |i| Err(misfits[i]))
}

/// Whether one more may go on beside `others`, where there is a bound.
fn check_number(most: Option<usize>, others: impl FnOnce() -> usize) -> Result<(), Misfit> {
    match most.is_some_and(|most| others() >= most) {
        true => Err(Misfit::MaxAllocs),
        false => Ok(()),
    }
}

fn max_allocs(node: &Node) -> Option<usize> {
    usize::try_from(node.node_max_allocs).ok().filter(|most| *most > 0)
}

/// One live allocation as its node's room sees it.
#[derive(Clone, Debug)]
struct Holder {
    amounts: Amounts,
    ports: Vec<PortKey>,
    exclusives: Vec<Exclusive>,
    starts_after: Vec<AllocId>,
    stopping: bool,
}

impl Holder {
    fn of(claim: Claim<'_>) -> Holder {
        Holder {
            amounts: Amounts::of(claim.grant),
            ports: claim.ports.iter().map(AllocatedPort::key).collect(),
            exclusives: claim.grant.exclusives(),
            starts_after: claim.starts_after.to_vec(),
            stopping: claim.ending,
        }
    }
}

/// What is held on one node: built from its live allocations, never kept.
#[derive(Clone, Debug)]
pub struct Room {
    capacity: Amounts,
    kept_ports: Vec<(u16, u16)>,
    holders: BTreeMap<AllocId, Holder>,
    /// Sum over `holders`.
    held: Amounts,
    /// How many of `holders` name others to start after: while none does, sums are enough.
    followers: usize,
    ports: BTreeMap<PortKey, Vec<AllocId>>,
    exclusives: BTreeMap<Exclusive, Vec<AllocId>>,
    /// The most that may be meant to run at a time.
    max_allocs: Option<usize>,
}

impl Room {
    /// The room on `node` while `live` are on it.
    pub fn new<'a>(node: &Node, live: impl IntoIterator<Item = &'a Allocation>) -> Room {
        let mut room = Room {
            capacity: Amounts::capacity(node),
            kept_ports: port_ranges(&node.reserved_resources.networks.reserved_host_ports),
            holders: BTreeMap::new(),
            held: Amounts::default(),
            followers: 0,
            ports: BTreeMap::new(),
            exclusives: BTreeMap::new(),
            max_allocs: max_allocs(node),
        };
        for alloc in live {
            room.put(alloc);
        }
        room
    }

    /// The room on `node` as `state` knows it.
    pub fn of(state: &State, node: &Node) -> Room {
        let mut room = Room::new(node, []);
        for row in state.live_alloc_rows_of_node(node.id) {
            room.hold(row.id(), Holder::of(row.claim()));
        }
        room
    }

    /// Notes an allocation as it is now: it holds what it was granted unless it has ended.
    pub fn put(&mut self, alloc: &Allocation) {
        self.remove(alloc.id);
        if !alloc.is_live() {
            return;
        }
        self.hold(alloc.id, Holder::of(alloc.claim()));
    }

    fn hold(&mut self, id: AllocId, holder: Holder) {
        self.held = self.held.plus(holder.amounts);
        self.followers += usize::from(!holder.starts_after.is_empty());
        for port in &holder.ports {
            self.ports.entry(*port).or_default().push(id);
        }
        for thing in &holder.exclusives {
            self.exclusives.entry(thing.clone()).or_default().push(id);
        }
        self.holders.insert(id, holder);
    }

    /// Forgets an allocation.
    pub fn remove(&mut self, id: AllocId) {
        let Some(holder) = self.holders.remove(&id) else { return };
        self.held = self.held.minus(holder.amounts);
        self.followers -= usize::from(!holder.starts_after.is_empty());
        holder.ports.iter().for_each(|port| forget(&mut self.ports, port, id));
        holder.exclusives.iter().for_each(|thing| forget(&mut self.exclusives, thing, id));
    }

    /// Whether `alloc` fits beside all others; what it holds itself already does not count.
    ///
    /// # Errors
    /// The first thing that is short.
    pub fn fits(&self, alloc: &Allocation) -> Result<(), Misfit> {
        let newcomer = Holder::of(alloc.claim());
        let own = self.amounts_of(alloc.id);
        let held = self.bound(Some((alloc.id, &newcomer)));
        check_amounts(self.capacity, held, newcomer.amounts, own)?;
        if let Some((_, port)) = newcomer.ports.iter().find(|port| !self.port_is_free(**port, alloc.id, &newcomer)) {
            return Err(Misfit::Port(*port));
        }
        let free = |owners: Option<&Vec<AllocId>>| {
            owners.into_iter().flatten().all(|owner| *owner == alloc.id || self.makes_way(*owner, &newcomer))
        };
        match newcomer.exclusives.iter().find(|thing| !free(self.exclusives.get(thing))) {
            Some(Exclusive::Core(_)) => return Err(Misfit::Core),
            Some(Exclusive::Device(_)) => return Err(Misfit::Device),
            Some(Exclusive::Volume(_)) => return Err(Misfit::Volume),
            None => {}
        }
        let others = self.holders.iter().filter(|(id, holder)| **id != alloc.id && !holder.stopping);
        check_number(self.max_allocs, || others.count())
    }

    /// Whether `alloc`, which is new to `node`, fits beside what is held there; none when the sums do not tell, because
    /// single things or the order of ends matter. Says what [`Room::fits`] says.
    pub(crate) fn fits_by_sums(node: &Node, held: Held, alloc: &Allocation) -> Option<Result<(), Misfit>> {
        let plain =
            alloc.grant.ports.is_empty() && alloc.starts_after.is_empty() && alloc.grant.exclusives().is_empty();
        if held.followers > 0 || !plain {
            return None;
        }
        let wanted = Amounts::of(&alloc.grant);
        let amounts = check_amounts(Amounts::capacity(node), held.amounts.plus(wanted), wanted, Amounts::default());
        Some(amounts.and_then(|()| check_number(max_allocs(node), || held.staying)))
    }

    fn amounts_of(&self, id: AllocId) -> Amounts {
        self.holders.get(&id).map_or(Amounts::default(), |holder| holder.amounts)
    }

    /// The most that can be held at any one time once `newcomer` is here; see [`handover`].
    fn bound(&self, newcomer: Option<(AllocId, &Holder)>) -> Amounts {
        let total = newcomer.map_or(self.held, |(id, new)| self.held.minus(self.amounts_of(id)).plus(new.amounts));
        let follows = newcomer.is_some_and(|(_, new)| !new.starts_after.is_empty());
        if self.followers == 0 && !follows {
            return total;
        }
        let mut all: BTreeMap<AllocId, &Holder> = self.holders.iter().map(|(id, holder)| (*id, holder)).collect();
        all.extend(newcomer);
        let givers = givers(&all);
        Amounts(std::array::from_fn(|i| {
            let amounts: Vec<i64> = all.values().map(|holder| holder.amounts.0[i]).collect();
            total.0[i] - handover::passed_on(&amounts, &givers)
        }))
    }

    fn port_is_free(&self, port: PortKey, id: AllocId, newcomer: &Holder) -> bool {
        let own_address = port.0.is_none();
        let kept = own_address && self.kept_ports.iter().any(|(first, last)| (*first..=*last).contains(&port.1));
        let owners = self.ports.get(&port).map_or(&[][..], Vec::as_slice);
        !kept && owners.iter().all(|owner| *owner == id || self.makes_way(*owner, newcomer))
    }

    /// Whether `owner` stops and `newcomer` waits for its end.
    fn makes_way(&self, owner: AllocId, newcomer: &Holder) -> bool {
        let stopping = self.holders.get(&owner).is_none_or(|holder| holder.stopping);
        #[cfg(feature = "planted-bugs")]
        if stopping && crate::planted::is_enabled(crate::planted::Bug::PortFreeOnStop) {
            return true;
        }
        stopping && newcomer.starts_after.contains(&owner)
    }

    /// What is given twice, in words; for [`crate::invariant`].
    pub(crate) fn conflicts(&self) -> Vec<String> {
        let mut found = Vec::new();
        let ports = self.ports.iter().map(|((_, port), owners)| (format!("port {port}"), owners));
        let exclusives = self.exclusives.iter().map(|(thing, owners)| (format!("{thing:?}"), owners));
        for (what, owners) in ports.chain(exclusives) {
            for (i, one) in owners.iter().enumerate() {
                for other in owners[i + 1..].iter().filter(|other| !self.follows(*one, **other)) {
                    found.push(format!("{what} is held by both {one} and {other}"));
                }
            }
        }
        let held = self.bound(None);
        for (i, what) in ["cpu", "memory", "disk"].into_iter().enumerate() {
            if held.0[i] > self.capacity.0[i] {
                found.push(format!("{what} is given twice: {} of {}", held.0[i], self.capacity.0[i]));
            }
        }
        found
    }

    /// Whether one of the two stops and the other waits for its end.
    fn follows(&self, one: AllocId, other: AllocId) -> bool {
        let after = |ahead: AllocId, behind: AllocId| {
            let stopping = self.holders.get(&ahead).is_some_and(|holder| holder.stopping);
            stopping && self.holders.get(&behind).is_some_and(|holder| holder.starts_after.contains(&ahead))
        };
        after(one, other) || after(other, one)
    }
}

fn forget<K: Ord>(owners_of: &mut BTreeMap<K, Vec<AllocId>>, key: &K, id: AllocId) {
    if let Some(owners) = owners_of.get_mut(key) {
        owners.retain(|owner| *owner != id);
        if owners.is_empty() {
            owners_of.remove(key);
        }
    }
}

/// For each holder, in order: the positions of those that stop and after whose end it starts.
///
/// One that stops may wait itself, and may then end before it ever held anything. It passes room on only to who waits
/// for the same ones too; that makes the relation transitive.
fn givers(all: &BTreeMap<AllocId, &Holder>) -> Vec<Vec<usize>> {
    let positions: BTreeMap<AllocId, usize> = all.keys().enumerate().map(|(position, id)| (*id, position)).collect();
    let gives_to = |giver: &Holder, taker: &Holder| {
        let mut ahead = giver.starts_after.iter().filter(|id| all.contains_key(id));
        giver.stopping && ahead.all(|id| taker.starts_after.contains(id))
    };
    let of = |taker: &Holder| {
        let ahead = taker.starts_after.iter().filter(|id| all.get(id).is_some_and(|giver| gives_to(giver, taker)));
        ahead.filter_map(|id| positions.get(id).copied()).collect()
    };
    all.values().map(|taker| of(taker)).collect()
}

/// Reads `22,80,8500-8600`; what is not a port or a range of ports is passed over.
fn port_ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests;
