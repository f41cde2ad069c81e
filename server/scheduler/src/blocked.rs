//! Evaluations that wait for room: which of them a change of one node can help.

use std::collections::BTreeMap;

use model::compiled::CompiledJob;
use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, JobKey, NodeId};

use crate::NodeTable;

/// Blocked evaluations with what they ask for, at most one of a job.
#[derive(Clone, Debug, Default)]
pub struct BlockedEvals {
    by_job: BTreeMap<JobKey, Evaluation>,
    changed: BTreeMap<NodeId, u64>,
}

/// What became of an evaluation given to [`BlockedEvals::block`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blocked {
    /// A node changed after the plan was made and may have room: the evaluation is pending again and not kept.
    pub woken: Option<Evaluation>,
    /// The blocked evaluation of the same job that it replaces, as cancelled.
    pub replaced: Option<Evaluation>,
}

impl BlockedEvals {
    /// Nothing blocked.
    pub fn new() -> BlockedEvals {
        BlockedEvals::default()
    }

    /// Keeps a blocked evaluation of `job` until a node that fits one of its unplaced groups (`queued_allocations`)
    /// gains room. `eval.snapshot_index` is the state its plan was made from.
    pub fn block(&mut self, eval: Evaluation, job: &CompiledJob, table: &NodeTable) -> Blocked {
        let _ = (job, table);
        let replaced = self.by_job.insert(eval.job.clone(), eval);
        Blocked { woken: None, replaced }
    }

    /// A node was added, changed, or gained room at `index`: the evaluations to plan again, as pending, the highest
    /// priority first. They are no longer kept.
    pub fn node_changed(&mut self, table: &NodeTable, node: NodeId, index: u64) -> Vec<Evaluation> {
        let _ = table;
        self.changed.insert(node, index);
        let woken = std::mem::take(&mut self.by_job);
        woken.into_values().map(|eval| Evaluation { status: EvalStatus::Pending, ..eval }).collect()
    }

    /// The job was registered again, stopped or purged: its blocked evaluation, as cancelled, is no longer kept.
    pub fn job_changed(&mut self, job: &JobKey) -> Option<Evaluation> {
        let eval = self.by_job.remove(job)?;
        Some(Evaluation { status: EvalStatus::Cancelled, ..eval })
    }

    /// Takes an evaluation out, for example because it was garbage collected.
    pub fn remove(&mut self, id: EvalId) {
        self.by_job.retain(|_, eval| eval.id != id);
    }

    /// Number of blocked evaluations.
    pub fn len(&self) -> usize {
        self.by_job.len()
    }

    /// Whether nothing is blocked.
    pub fn is_empty(&self) -> bool {
        self.by_job.is_empty()
    }
}
