//! The table of allocations and its indexes.

use std::ops::RangeInclusive;
use std::sync::Arc;

use imbl::OrdMap;
use model::id::{AllocId, JobKey, NodeId};

use crate::alloc_row::AllocRow;
use crate::on_node::{Held, OnNode};
use crate::rows::{Rows, Slot};

/// All allocations. Two tables are equal when their rows are.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllocTable {
    rows: Rows<AllocId, AllocRow>,
    /// Nothing is there for a job without allocations.
    by_job: OrdMap<JobKey, OrdMap<AllocId, Slot>>,
    /// Nothing is there for a node without allocations.
    by_node: OrdMap<NodeId, OnNode>,
}

impl PartialEq for AllocTable {
    fn eq(&self, other: &AllocTable) -> bool {
        self.rows == other.rows
    }
}

impl AllocTable {
    /// Adds a row or replaces the one with its id, which is given to `pack` first. Job and node of a row never change.
    pub fn put(&mut self, id: AllocId, pack: impl FnOnce(Option<&AllocRow>) -> AllocRow) {
        let slot = self.rows.slot_of(id);
        let old = slot.and_then(|slot| self.rows.at(slot));
        let row = Arc::new(pack(old.map(Arc::as_ref)));
        match slot {
            Some(slot) => {
                if let Some(old) = self.rows.replace(slot, row.clone()) {
                    self.replaced(slot, &old, &row);
                }
            }
            None => {
                let slot = self.rows.add(id, row.clone());
                self.added(slot, &row);
            }
        }
    }

    fn added(&mut self, slot: Slot, row: &AllocRow) {
        match self.by_job.get_mut(row.job()) {
            Some(of_job) => drop(of_job.insert(row.id(), slot)),
            None => drop(self.by_job.insert(row.job().clone(), OrdMap::unit(row.id(), slot))),
        }
        self.by_node.entry(row.node_id()).or_default().add(row, slot);
    }

    fn replaced(&mut self, slot: Slot, old: &AllocRow, row: &AllocRow) {
        if !OnNode::sees_no_difference(old, row)
            && let Some(on_node) = self.by_node.get_mut(&row.node_id())
        {
            on_node.remove(old);
            on_node.add(row, slot);
        }
    }

    /// Removes a row.
    pub fn remove(&mut self, id: AllocId) -> Option<Arc<AllocRow>> {
        let row = self.rows.remove(id)?;
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

    fn all<'a>(&'a self, slots: impl Iterator<Item = &'a Slot>) -> impl Iterator<Item = &'a Arc<AllocRow>> {
        slots.filter_map(|slot| self.rows.at(*slot))
    }

    /// One row.
    pub fn get(&self, id: AllocId) -> Option<&Arc<AllocRow>> {
        self.rows.get(id)
    }

    /// Whether there is such a row.
    pub fn contains(&self, id: AllocId) -> bool {
        self.rows.get(id).is_some()
    }

    /// All rows, by id.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.rows.values()
    }

    /// The rows with these ids, by id.
    pub fn range(&self, ids: RangeInclusive<AllocId>) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.rows.range(ids)
    }

    /// The rows of a job, by id.
    pub fn of_job<'a>(&'a self, key: &JobKey) -> impl Iterator<Item = &'a Arc<AllocRow>> + use<'a> {
        self.all(self.by_job.get(key).into_iter().flat_map(OrdMap::values))
    }

    /// The rows on a node, those first that have not ended at the client.
    pub fn on_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_node.get(&node).into_iter().flat_map(OnNode::slots))
    }

    /// The rows on a node that have not ended at the client.
    pub fn live_on_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.all(self.by_node.get(&node).into_iter().flat_map(OnNode::live_slots))
    }

    /// The rows on a node of which the leader's side changed after `index`.
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
        let mut found = self.rows.damage("allocation", AllocRow::id);
        let mut fresh = AllocTable::default();
        self.rows.in_slots().for_each(|(slot, row)| fresh.added(slot, row));
        let same = [fresh.by_job == self.by_job, fresh.by_node == self.by_node];
        for (same, index) in same.into_iter().zip(["job", "node"]) {
            if !same {
                found.push(format!("the index of allocations by {index} differs from the allocations"));
            }
        }
        found
    }

    /// Nodes on which something is live.
    pub fn live_nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.by_node.iter().filter(|(_, on_node)| on_node.live_slots().next().is_some()).map(|(node, _)| node)
    }
}
