//! Evaluations: how they are made, and the leader's own bookkeeping of them.

use std::sync::Arc;

use model::evaluation::{EvalStatus, Evaluation};
use model::id::{EvalId, JobKey, NodeId};

use super::write::Writer;
use crate::reply::Reply;
use crate::row::StoredJob;

/// Why an evaluation is wanted.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    /// One of [`model::evaluation::trigger`].
    pub trigger: &'a str,
    /// The node that changed, if that is the cause.
    pub node: Option<NodeId>,
    /// Priority asked for; 0 for the job's.
    pub priority: i64,
}

impl<'a> Cause<'a> {
    pub fn of(trigger: &'a str) -> Cause<'a> {
        Cause { trigger, node: None, priority: 0 }
    }
}

/// Creates or replaces rows, keeping when they were created. One that changed after it was looked at stays as it is:
/// somebody may want it planned after all.
pub(super) fn update(writer: &mut Writer<'_>, evals: &[Evaluation]) -> Reply {
    for eval in evals {
        let stored = writer.state.evals.get(eval.id);
        if stored.is_none_or(|stored| stored.modify_index == eval.modify_index) {
            put(writer, eval.clone());
        }
    }
    Reply::Evals
}

/// Stores an evaluation that may exist already: creation index and time are kept.
pub(super) fn put(writer: &mut Writer<'_>, mut eval: Evaluation) {
    let stored = writer.state.evals.get(eval.id);
    (eval.create_index, eval.create_time) =
        stored.map_or((writer.index, writer.at), |stored| (stored.create_index, stored.create_time));
    writer.put_eval(eval);
}

/// Makes a new pending evaluation, whatever else waits.
pub(super) fn create(writer: &mut Writer<'_>, job: &StoredJob, cause: Cause<'_>) -> EvalId {
    let eval = new(writer, job, cause);
    let id = eval.id;
    writer.put_eval(eval);
    id
}

/// A pending evaluation that is not stored yet.
pub(super) fn new(writer: &mut Writer<'_>, job: &StoredJob, cause: Cause<'_>) -> Evaluation {
    let node_modify_index = cause.node.and_then(|id| writer.state.nodes.get(&id)).map_or(0, |node| node.modify_index);
    Evaluation {
        id: writer.new_eval_id(),
        priority: if cause.priority > 0 { cause.priority } else { job.head().priority },
        kind: job.head().kind.as_str().to_owned(),
        triggered_by: cause.trigger.to_owned(),
        job: job.head().key.clone(),
        job_modify_index: job.head().job_modify_index,
        node_id: cause.node,
        node_modify_index,
        status: EvalStatus::Pending,
        create_index: writer.index,
        create_time: writer.at,
        ..Evaluation::default()
    }
}

/// Makes sure that the planner looks at a job: finds the evaluation that waits for it already, or makes one.
///
/// The one that is found is marked as changed. The planner may be at it right now; then its plan says that it saw an
/// older state, and applying the plan makes a new evaluation (see [`super::plans`]), so nothing is overlooked.
pub(super) fn want(writer: &mut Writer<'_>, job: &StoredJob, cause: Cause<'_>) -> EvalId {
    match waiting(writer, &job.head().key) {
        Some(eval) => {
            let id = eval.id;
            if eval.modify_index != writer.index {
                writer.put_eval((*eval).clone());
            }
            id
        }
        None => create(writer, job, cause),
    }
}

/// The pending evaluation of a job that the planner will take without delay.
pub(super) fn waiting(writer: &Writer<'_>, key: &JobKey) -> Option<Arc<Evaluation>> {
    let mut pending = writer.state.evals_of_job(key).filter(|eval| eval.status == EvalStatus::Pending);
    pending.find(|eval| eval.wait_until.is_none()).cloned()
}
