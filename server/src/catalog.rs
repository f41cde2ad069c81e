//! The service catalog, derived from allocations with every applied batch.

use std::sync::Arc;

use arc_swap::ArcSwap;
use catalog::{Catalog, Instance, Source};
use model::allocation::ClientStatus;
use model::id::AllocId;
use parking_lot::Mutex;
use state::{AllocRow, State, Table, Touched};

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
            changes.push((*id, state.alloc_row(*id).map(|row| instances(state, row)).unwrap_or_default()));
        }
        if touched.tables.contains(&Table::Nodes) {
            let on_nodes = touched.nodes.iter().flat_map(|node| state.live_alloc_rows_of_node(*node));
            changes.extend(on_nodes.map(|row| (row.id(), instances(state, row))));
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
        next.update_all(state.alloc_rows().map(|row| (row.id(), instances(state, row))));
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
fn instances(state: &State, row: &AllocRow) -> Vec<Instance> {
    if row.is_terminal() || row.client_status() == ClientStatus::Pending {
        return Vec::new();
    }
    let (Some(job), Some(node)) = (state.job_of_row(row), state.node(row.node_id())) else {
        return Vec::new();
    };
    // Most allocations of a big cluster offer nothing, and unpacking them all would cost more than the rest.
    if job.compiled().group(row.task_group()).is_none_or(|group| group.services.is_empty()) {
        return Vec::new();
    }
    catalog::instances_of(&row.unpack(), job.compiled(), node.address(), &node.datacenter)
}
