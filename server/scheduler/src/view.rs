//! What the planner sees of one job, and of the cluster beyond nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::document::Document;
use model::id::{AllocId, JobKey, NodeId};
use model::scheduling::SchedulerConfiguration;

/// One job with everything that belongs to it, as of one state index.
pub struct JobView<'a> {
    /// The current version; none when the job was purged.
    pub job: Option<&'a CompiledJob>,
    /// Its name, also when it was purged.
    pub key: &'a JobKey,
    /// All its allocations of any version, ended ones included.
    pub allocs: Vec<&'a Allocation>,
    /// A version, current or old, when the state still has it.
    pub documents: &'a dyn Fn(u64) -> Option<Arc<Document>>,
    /// How the planner behaves in this cluster.
    pub config: &'a SchedulerConfiguration,
    /// Allocations of any job on a node that have not ended; read when one may have to go.
    pub neighbours: &'a dyn Fn(NodeId) -> Vec<Neighbour>,
    /// How far the current version is rolled out; none when nobody watches over it, and then there are no canaries.
    pub rollout: Option<&'a Rollout>,
}

/// An allocation that may have to make way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Which one.
    pub id: AllocId,
    /// Its job.
    pub job: JobKey,
    /// Its group.
    pub group: String,
    /// Priority of its job.
    pub priority: i64,
    /// Copies of its group that may move at a time; 0 for no bound.
    pub migrate_max_parallel: u32,
}

/// What is decided about the current version while it replaces an older one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Groups whose canaries were promoted.
    pub promoted: BTreeSet<String>,
    /// Whether it is paused or has failed: nothing more is replaced.
    pub halted: bool,
}
