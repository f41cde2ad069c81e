//! What a command changed: wakes blocked queries and the long-polls of nodes.

use std::collections::BTreeSet;

use model::id::{EvalId, JobKey, NodeId};
use serde::{Deserialize, Serialize};

/// A table with an index of its own. Job status, summaries and services are derived from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Table {
    /// Jobs and their versions.
    Jobs,
    /// Nodes.
    Nodes,
    /// Allocations.
    Allocs,
    /// Evaluations.
    Evals,
    /// The scheduler configuration, one row.
    Scheduling,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 5] = [Table::Jobs, Table::Nodes, Table::Allocs, Table::Evals, Table::Scheduling];
}

/// What changed, in order and each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Tables with a changed, new or removed row.
    pub tables: BTreeSet<Table>,
    /// Nodes whose own row or whose allocations changed.
    pub nodes: BTreeSet<NodeId>,
    /// Jobs that changed themselves or of which an allocation or an evaluation changed.
    pub jobs: BTreeSet<JobKey>,
    /// Evaluations that changed.
    pub evals: BTreeSet<EvalId>,
    /// Allocations that changed.
    pub allocs: BTreeSet<model::id::AllocId>,
}

impl Touched {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Adds what another command touched.
    pub fn merge(&mut self, other: Touched) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.tables.extend(other.tables);
        self.nodes.extend(other.nodes);
        self.jobs.extend(other.jobs);
        self.evals.extend(other.evals);
        self.allocs.extend(other.allocs);
    }
}
