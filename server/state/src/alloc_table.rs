//! The table of allocations and its indexes.
//!
//! Rows lie in slots, in the order in which they came; the indexes hold the numbers of slots. So a snapshot that is
//! kept by somebody costs the next writer a copy of a few numbers, and a row that changes is written in one place.

use std::ops::RangeInclusive;
use std::sync::Arc;

use imbl::{OrdMap, Vector};
use model::id::{AllocId, JobKey, NodeId};

use crate::alloc_row::AllocRow;
use crate::on_node::{Held, OnNode};

/// Where a row lies.
pub(crate) type Slot = u32;

/// All allocations. Two tables are equal when their rows are, whatever the slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllocTable {
    slots: Vector<Option<Arc<AllocRow>>>,
    free: Vector<Slot>,
    by_id: OrdMap<AllocId, Slot>,
    /// Nothing is there for a job without allocations.
    by_job: OrdMap<JobKey, OrdMap<AllocId, Slot>>,
    /// Nothing is there for a node without allocations.
    by_node: OrdMap<NodeId, OnNode>,
}

impl PartialEq for AllocTable {
    fn eq(&self, other: &AllocTable) -> bool {
        self.by_id.len() == other.by_id.len() && self.rows().eq(other.rows())
    }
}

impl AllocTable {
    /// Adds a row or replaces the one with its id. Job and node of a row never change.
    pub fn put(&mut self, row: AllocRow) {
        let row = Arc::new(row);
        match self.by_id.get(&row.id()) {
            Some(slot) => self.replace(*slot, row),
            None => self.add(row),
        }
    }

    fn add(&mut self, row: Arc<AllocRow>) {
        let slot = match self.free.pop_back() {
            Some(slot) => slot,
            None => {
                self.slots.push_back(None);
                // Four thousand million rows do not fit into memory.
                (self.slots.len() - 1) as Slot
            }
        };
        self.by_id.insert(row.id(), slot);
        match self.by_job.get_mut(row.job()) {
            Some(of_job) => drop(of_job.insert(row.id(), slot)),
            None => drop(self.by_job.insert(row.job().clone(), OrdMap::unit(row.id(), slot))),
        }
        self.by_node.entry(row.node_id()).or_default().add(&row, slot);
        self.slots.set(slot as usize, Some(row));
    }

    fn replace(&mut self, slot: Slot, row: Arc<AllocRow>) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let node = row.node_id();
        let Some(old) = place.replace(row) else { return };
        let Some(Some(row)) = self.slots.get(slot as usize) else { return };
        if !OnNode::sees_no_difference(&old, row)
            && let Some(on_node) = self.by_node.get_mut(&node)
        {
            on_node.remove(&old);
            on_node.add(row, slot);
        }
    }

    /// Removes a row.
    pub fn remove(&mut self, id: AllocId) -> Option<Arc<AllocRow>> {
        let slot = self.by_id.remove(&id)?;
        let row = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push_back(slot);
        if let Some(of_job) = self.by_job.get_mut(row.job()) {
            of_job.remove(&id);
            if of_job.is_empty() {
                self.by_job.remove(row.job());
            }
        }
        if let Some(on_node) = self.by_node.get_mut(&row.node_id()) {
            on_node.remove(&row);
            if on_node.len() == 0 {
                self.by_node.remove(&row.node_id());
            }
        }
        Some(row)
    }

    fn at(&self, slot: Slot) -> Option<&Arc<AllocRow>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    fn all<'a>(&'a self, slots: impl Iterator<Item = &'a Slot>) -> impl Iterator<Item = &'a Arc<AllocRow>> {
        slots.filter_map(|slot| self.at(*slot))
    }

    /// One row.
    pub fn get(&self, id: AllocId) -> Option<&Arc<AllocRow>> {
        self.at(*self.by_id.get(&id)?)
    }

    /// Whether there is such a row.
    pub fn contains(&self, id: AllocId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// All rows, by id.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_id.values())
    }

    /// The rows with these ids, by id.
    pub fn range(&self, ids: RangeInclusive<AllocId>) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_id.range(ids).map(|(_, slot)| slot))
    }

    /// The rows of a job, by id.
    pub fn of_job<'a>(&'a self, key: &JobKey) -> impl Iterator<Item = &'a Arc<AllocRow>> + use<'a> {
        self.all(self.by_job.get(key).into_iter().flat_map(OrdMap::values))
    }

    /// The rows on a node, those first that have not ended at the client.
    pub fn on_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_node.get(&node).into_iter().flat_map(OnNode::slots))
    }

    /// The rows on a node that have not ended at the client, by id.
    pub fn live_on_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_node.get(&node).into_iter().flat_map(OnNode::live_slots))
    }

    /// The rows on a node of which the leader's side changed after `index`, in the order of their changes.
    pub fn changed_on_node(&self, node: NodeId, index: u64) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_node.get(&node).into_iter().flat_map(move |on_node| on_node.changed_after(index)))
    }

    /// What is kept of a node besides its rows.
    pub fn node(&self, node: NodeId) -> Option<&OnNode> {
        self.by_node.get(&node)
    }

    /// What live allocations hold on a node.
    pub fn held(&self, node: NodeId) -> Held {
        self.by_node.get(&node).map_or(Held::default(), OnNode::held)
    }

    /// What is wrong with the indexes, in words; for [`crate::invariant`].
    pub fn damage(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, slot) in &self.by_id {
            match self.at(*slot) {
                Some(row) if row.id() == *id => {}
                _ => found.push(format!("allocation {id} is not where its index says")),
            }
        }
        let mut fresh = AllocTable { slots: self.slots.clone(), ..AllocTable::default() };
        for (slot, row) in self.slots.iter().enumerate().filter_map(|(slot, row)| Some((slot as Slot, row.as_ref()?))) {
            fresh.by_id.insert(row.id(), slot);
            fresh.by_job.entry(row.job().clone()).or_default().insert(row.id(), slot);
            fresh.by_node.entry(row.node_id()).or_default().add(row, slot);
        }
        let same = [fresh.by_id == self.by_id, fresh.by_job == self.by_job, fresh.by_node == self.by_node];
        for (same, index) in same.into_iter().zip(["id", "job", "node"]) {
            if !same {
                found.push(format!("the index of allocations by {index} differs from the allocations"));
            }
        }
        if self.slots.len() != self.by_id.len() + self.free.len() {
            found.push("a slot is neither used nor free".to_owned());
        }
        found
    }

    /// Nodes on which something is live.
    pub fn live_nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.by_node.iter().filter(|(_, on_node)| on_node.live_slots().next().is_some()).map(|(node, _)| node)
    }
}
