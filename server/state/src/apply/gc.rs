//! Collection: forgets what has ended and is old enough.

use std::collections::BTreeSet;

use model::allocation::DesiredStatus;
use model::id::{AllocId, EvalId, JobKey, NodeId};
use model::node::NodeStatus;
use model::time::Timestamp;

use super::write::Writer;
use crate::reply::{GcDone, Reply};
use crate::state::State;
use crate::summary::JobStatus;

/// Removes whole jobs that are over, what others have replaced, and nodes that are down and empty.
pub(super) fn collect(writer: &mut Writer<'_>, before: Timestamp, force: bool) -> Reply {
    let old = |time: Timestamp| force || time < before;
    let over: BTreeSet<JobKey> = writer.state.jobs().map(|(key, _)| key).cloned().collect();
    let over = over.into_iter().filter(|key| is_over(writer.state, key, &old)).collect();
    let done = GcDone {
        allocs: collect_allocs(writer, &over, &old),
        evals: collect_evals(writer, &old),
        jobs: collect_jobs(writer, &over),
        nodes: collect_nodes(writer, &old),
    };
    Reply::Gc(done)
}

/// Whether a job is dead and none of its rows is recent. It is then forgotten whole: a batch job that lost only its
/// completed allocations would run again.
fn is_over(state: &State, key: &JobKey, old: &impl Fn(Timestamp) -> bool) -> bool {
    let submitted = state.jobs.get(key).map_or(0, |job| job.head().submit_time);
    state.job_status(key) == Some(JobStatus::Dead)
        && old(Timestamp(submitted))
        && state.alloc_rows_of_job(key).all(|row| !row.is_live() && old(row.modify_time()))
        && state.evals_of_job(key).all(|eval| eval.status.is_terminal() && old(eval.modify_time))
}

/// An ended allocation goes with its job, or when it was replaced, or when it is no longer wanted. Others stay: the
/// planner counts on them (what a batch job has completed, what failed and waits for its replacement).
fn collect_allocs(writer: &mut Writer<'_>, over: &BTreeSet<JobKey>, old: &impl Fn(Timestamp) -> bool) -> u64 {
    let ended = writer.state.alloc_rows().filter(|row| !row.is_live() && old(row.modify_time()));
    let doomed: Vec<(AllocId, JobKey)> = ended
        .filter(|row| {
            let superseded = row.next_allocation().is_some() || row.desired_status() != DesiredStatus::Run;
            superseded || over.contains(row.job()) || !writer.state.jobs.contains_key(row.job())
        })
        .map(|row| (row.id(), row.job().clone()))
        .collect();
    for (id, _) in &doomed {
        writer.remove_alloc(*id);
    }
    let jobs: BTreeSet<&JobKey> = doomed.iter().map(|(_, job)| job).collect();
    for key in jobs {
        writer.prune_versions(key);
    }
    doomed.len() as u64
}

/// An ended evaluation goes when no allocation is left that it placed.
fn collect_evals(writer: &mut Writer<'_>, old: &impl Fn(Timestamp) -> bool) -> u64 {
    let used: BTreeSet<EvalId> = writer.state.alloc_rows().map(|row| row.eval_id()).collect();
    let candidates = writer.state.evals().filter(|eval| eval.status.is_terminal() && old(eval.modify_time));
    let doomed: Vec<EvalId> = candidates.map(|eval| eval.id).filter(|id| !used.contains(id)).collect();
    for id in &doomed {
        writer.remove_eval(*id);
    }
    doomed.len() as u64
}

fn collect_jobs(writer: &mut Writer<'_>, over: &BTreeSet<JobKey>) -> u64 {
    for key in over {
        writer.remove_job(key);
        writer.prune_versions(key);
    }
    over.len() as u64
}

fn collect_nodes(writer: &mut Writer<'_>, old: &impl Fn(Timestamp) -> bool) -> u64 {
    let state = &*writer.state;
    let down = state.nodes().filter(|node| node.status == NodeStatus::Down);
    let since = |seconds: i64| Timestamp(seconds.saturating_mul(1_000_000_000));
    let doomed: Vec<NodeId> = down
        .filter(|node| old(since(node.status_updated_at)) && state.alloc_rows_of_node(node.id).next().is_none())
        .map(|node| node.id)
        .collect();
    for id in &doomed {
        writer.remove_node(*id);
    }
    doomed.len() as u64
}
