//! Evaluations that wait for room: which of them a change of one node can help.

use std::collections::BTreeMap;

use model::compiled::{CompiledGroup, CompiledJob};
use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, JobKey, NodeId};

use crate::NodeTable;
use crate::feasible::Rules;
use crate::overlay::{Ask, Overlay};
use crate::preempt;

/// A blocked evaluation with the groups that wait.
#[derive(Clone, Debug)]
struct Waiting {
    eval: Evaluation,
    /// The job with only the groups that wait; what they ask for is read from it.
    job: CompiledJob,
    /// Whether less important allocations may have to make way for it.
    preempts: bool,
}

/// Blocked evaluations with what they ask for, at most one of a job.
#[derive(Clone, Debug, Default)]
pub struct BlockedEvals {
    by_job: BTreeMap<JobKey, Waiting>,
    /// Index of the last change of each node, for changes between the making of a plan and its blocking.
    changed: BTreeMap<NodeId, u64>,
    /// Changes up to this index are not known.
    since: u64,
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

    /// Nothing blocked, and nothing known of what changed up to `index`.
    pub fn since(index: u64) -> BlockedEvals {
        BlockedEvals { since: index, ..BlockedEvals::default() }
    }

    /// Keeps a blocked evaluation of `job` until a node that fits one of its unplaced groups (`queued_allocations`)
    /// gains room. `eval.snapshot_index` is the state its plan was made from; `preempts` whether jobs of its type may
    /// take room from less important ones.
    pub fn block(&mut self, eval: Evaluation, job: &CompiledJob, table: &NodeTable, preempts: bool) -> Blocked {
        let replaced = match self.by_job.get(&eval.job) {
            Some(known) if known.eval.id == eval.id => None,
            _ => self.job_changed(&eval.job),
        };
        let waits = |group: &&CompiledGroup| eval.queued_allocations.get(&group.name).is_some_and(|count| *count > 0);
        let groups = job.groups.iter().filter(waits).cloned().collect();
        let waiting = Waiting { job: CompiledJob { groups, ..job.clone() }, preempts, eval };
        let unknown = waiting.eval.snapshot_index < self.since;
        let late = self.changed.iter().filter(|(_, index)| **index > waiting.eval.snapshot_index);
        if unknown || late.map(|(node, _)| *node).any(|node| waiting.is_helped_by(table, node)) {
            self.by_job.remove(&waiting.eval.job);
            return Blocked { woken: Some(wake(waiting.eval)), replaced };
        }
        self.by_job.insert(waiting.eval.job.clone(), waiting);
        Blocked { woken: None, replaced }
    }

    /// A node was added, changed, or gained room at `index`: the evaluations to plan again, as pending, the highest
    /// priority first. They are no longer kept.
    pub fn node_changed(&mut self, table: &NodeTable, node: NodeId, index: u64) -> Vec<Evaluation> {
        if table.slot(node).is_none() {
            self.changed.remove(&node);
            return Vec::new();
        }
        self.changed.insert(node, index);
        let helped = self.by_job.iter().filter(|(_, waiting)| waiting.is_helped_by(table, node));
        let helped: Vec<JobKey> = helped.map(|(key, _)| key.clone()).collect();
        let woken = helped.iter().filter_map(|key| self.by_job.remove(key));
        let mut woken: Vec<Evaluation> = woken.map(|waiting| wake(waiting.eval)).collect();
        woken.sort_by_key(|eval| (-eval.priority, eval.create_index, eval.id));
        woken
    }

    /// The job was registered again, stopped or purged: its blocked evaluation, as cancelled, is no longer kept.
    pub fn job_changed(&mut self, job: &JobKey) -> Option<Evaluation> {
        let eval = self.by_job.remove(job)?.eval;
        let status_description = "overtaken by a newer evaluation of the job".to_owned();
        Some(Evaluation { status: EvalStatus::Cancelled, status_description, ..eval })
    }

    /// The rules have changed: all of them as pending, the highest priority first. They are no longer kept.
    pub fn take_all(&mut self) -> Vec<Evaluation> {
        let all = std::mem::take(&mut self.by_job);
        let mut woken: Vec<Evaluation> = all.into_values().map(|waiting| wake(waiting.eval)).collect();
        woken.sort_by_key(|eval| (-eval.priority, eval.create_index, eval.id));
        woken
    }

    /// Takes an evaluation out, for example because it was garbage collected.
    pub fn remove(&mut self, id: EvalId) {
        self.by_job.retain(|_, waiting| waiting.eval.id != id);
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

fn wake(eval: Evaluation) -> Evaluation {
    Evaluation { status: EvalStatus::Pending, ..eval }
}

impl Waiting {
    /// Whether a copy of one of the groups could go to the node. Other copies of the job are not looked at, so it may
    /// say yes too often, never no too often.
    fn is_helped_by(&self, table: &NodeTable, node: NodeId) -> bool {
        let Some(slot) = table.slot(node) else { return false };
        let info = table.info(slot);
        let overlay = Overlay::new(table);
        info.schedulable
            && self.job.groups.iter().any(|group| {
                // The cheap question first: rules have patterns to compile.
                let ask = Ask::of(group);
                let highest = preempt::highest_priority(&self.job);
                let fits = overlay.fit(slot, &ask).is_ok() || (self.preempts && overlay.may_fit(slot, &ask, highest));
                fits && Rules::of(&self.job, group).admit(info)
            })
    }
}
