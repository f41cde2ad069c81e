//! The service catalog, derived from allocations with every applied batch.

use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::{Catalog, Instance, Source};
use model::allocation::Allocation;
use model::id::AllocId;
use parking_lot::Mutex;
use state::{State, Table, Touched};

/// The catalog as of the last applied batch. Readers never lock.
#[derive(Default)]
pub struct CatalogView {
    current: ArcSwap<Catalog>,
    writing: Mutex<()>,
}

impl CatalogView {
    /// The whole catalog. Costs a pointer copy.
    pub fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Takes over what a batch changed: its allocations, and, when a node's address may have changed, those on it.
    pub fn apply(&self, state: &State, touched: &Touched) {
        if touched.allocs.is_empty() && !touched.tables.contains(&Table::Nodes) {
            return;
        }
        let mut changes: Vec<(AllocId, Vec<Instance>)> = Vec::new();
        for id in &touched.allocs {
            changes.push((*id, state.alloc(*id).map(|alloc| instances(state, &alloc)).unwrap_or_default()));
        }
        if touched.tables.contains(&Table::Nodes) {
            let on_nodes = touched.nodes.iter().flat_map(|node| state.live_allocs_of_node(*node));
            changes.extend(on_nodes.map(|alloc| (alloc.id, instances(state, &alloc))));
        }
        let _one_writer = self.writing.lock();
        let mut next = Catalog::clone(&self.current.load());
        next.update_all(changes);
        self.current.store(Arc::new(next));
    }

    /// Derives everything anew.
    pub fn rebuild(&self, state: &State) {
        let _one_writer = self.writing.lock();
        let mut next = Catalog::new();
        next.update_all(state.allocs().map(|alloc| (alloc.id, instances(state, &alloc))));
        self.current.store(Arc::new(next));
    }
}

impl Source for CatalogView {
    fn lookup(&self, namespace: &str, service: &str) -> Arc<[Instance]> {
        self.current.load().lookup(namespace, service)
    }

    fn version(&self) -> u64 {
        self.current.load().version()
    }
}

/// What one allocation contributes.
fn instances(state: &State, alloc: &Allocation) -> Vec<Instance> {
    if alloc.is_terminal() {
        return Vec::new();
    }
    let (Some(job), Some(node)) = (state.job_of_alloc(alloc), state.node(alloc.node_id)) else {
        return Vec::new();
    };
    catalog::instances_of(alloc, &job.compiled, node.address(), &node.datacenter)
}
