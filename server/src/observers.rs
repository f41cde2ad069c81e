//! Everybody who wants to know what was applied, in the order in which they may rely on each other.

use std::sync::Arc;

use state::{State, Touched};

use crate::catalog::CatalogView;
use crate::changes::Changes;
use crate::leader::Leader;
use crate::metrics::Metrics;
use crate::raft::Listener;

/// The listeners of a server's log.
pub struct Observers {
    /// Names answer with the new instances first, ...
    pub catalog: Arc<CatalogView>,
    /// ... then everybody wakes who waits for a change, ...
    pub changes: Arc<Changes>,
    /// ... then the planner learns of its work.
    pub leader: Arc<Leader>,
    /// Counts all that.
    pub metrics: Arc<Metrics>,
}

impl Listener for Observers {
    fn applied(&self, state: &Arc<State>, touched: Touched, commands: u64) {
        self.metrics.commands_applied.add(commands);
        self.catalog.apply(state, &touched);
        self.changes.wake(&touched);
        self.leader.applied(state, touched);
    }

    fn replaced(&self, state: &Arc<State>) {
        self.catalog.rebuild(state);
        self.changes.wake_all();
    }

    fn snapshot_taken(&self) {
        self.metrics.snapshots.incr();
    }
}
