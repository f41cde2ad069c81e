//! Allocations: what clients see of them, and users who stop one.

use std::collections::BTreeMap;

use model::allocation::{AllocUpdate, Allocation, ClientStatus, DesiredStatus, DesiredTransition};
use model::evaluation::trigger;
use model::id::{AllocId, EvalId, JobKey, NodeId};

use super::evals::{self, Cause};
use super::write::Writer;
use crate::reply::{AllocStopped, AllocsWritten, Refusal, Reply};
use crate::state::State;

/// Takes over what a client sees of its allocations and asks the planner to look where that may matter. A report that
/// a later one has overtaken is passed over.
pub(super) fn observe(writer: &mut Writer<'_>, node: NodeId, updates: &[AllocUpdate]) -> Result<Reply, Refusal> {
    if !writer.state.nodes.contains_key(&node) {
        return Err(Refusal::UnknownNode(node));
    }
    for update in updates {
        if let Some(row) = writer.state.alloc_row(update.id)
            && row.node_id() != node
        {
            return Err(Refusal::ForeignAlloc { alloc: row.id(), owner: row.node_id(), node });
        }
    }
    let mut changed = 0;
    let mut wanted: BTreeMap<JobKey, &'static str> = BTreeMap::new();
    for update in updates {
        let Some(old) = writer.state.alloc(update.id).filter(|old| old.report <= update.report) else { continue };
        let new = observed(&old, update);
        if new == (Allocation { report: new.report, ..Allocation::clone(&old) }) {
            continue;
        }
        changed += 1;
        writer.put_alloc(new.clone());
        if let Some(trigger) = reason_to_look(writer.state, &old, &new) {
            // A failure is the stronger reason when several allocations of a job changed at once.
            let strongest = wanted.entry(new.job.clone()).or_insert(trigger);
            if trigger == trigger::ALLOC_FAILURE {
                *strongest = trigger;
            }
        }
    }
    let evals = wanted.iter().filter_map(|(key, trigger)| look_at(writer, key, trigger)).collect();
    Ok(Reply::Allocs(AllocsWritten { changed, evals }))
}

fn look_at(writer: &mut Writer<'_>, key: &JobKey, trigger: &str) -> Option<EvalId> {
    let job = writer.state.job(key)?;
    Some(evals::want(writer, &job, Cause::of(trigger)))
}

/// The row with the client's side replaced. What has ended stays ended; the first verdict on health stays.
fn observed(old: &Allocation, update: &AllocUpdate) -> Allocation {
    let mut new = old.clone();
    new.report = update.report;
    new.task_states.clone_from(&update.task_states);
    new.checks.clone_from(&update.checks);
    if old.client_status.is_terminal() {
        return new;
    }
    new.client_status = update.client_status;
    new.client_description.clone_from(&update.client_description);
    new.driver_addresses.clone_from(&update.driver_addresses);
    new.health = old.health.clone().or_else(|| update.health.clone());
    new
}

/// Why the planner should look at the job after this change; none when nothing can follow from it.
fn reason_to_look(state: &State, old: &Allocation, new: &Allocation) -> Option<&'static str> {
    let ended = old.is_live() && !new.is_live();
    let wanted = new.desired_status == DesiredStatus::Run;
    if ended && wanted && new.client_status == ClientStatus::Failed {
        return Some(trigger::ALLOC_FAILURE);
    }
    let judged = old.health.is_none() && new.health.is_some();
    if (ended || judged) && older_version_runs(state, new) {
        return Some(trigger::DEPLOYMENT_WATCHER);
    }
    let batch = state.job_of_alloc(new).is_some_and(|job| job.head().kind.is_batch());
    let done_well = batch && new.client_status == ClientStatus::Complete;
    let back = old.client_status == ClientStatus::Unknown && new.client_status != ClientStatus::Unknown;
    let job_stops = state.jobs.get(&new.job).is_none_or(|job| job.head().stopped);
    let lasting_change = (ended && !done_well) || back;
    (wanted && lasting_change && !job_stops).then_some(trigger::ALLOC_FAILURE)
}

/// Whether a copy of the same job still runs an older version and is to be replaced.
fn older_version_runs(state: &State, alloc: &Allocation) -> bool {
    let Some(job) = state.jobs.get(&alloc.job) else { return false };
    let current = (job.head().create_index, job.head().version);
    let oldest = (alloc.job.clone(), 0, 0)..(alloc.job.clone(), current.0, current.1);
    // Most jobs have one version only: then there is no need to look at each of their allocations.
    if job.head().stopped || state.versions.range(oldest).next().is_none() {
        return false;
    }
    let mut others = state.alloc_rows_of_job(&alloc.job);
    others.any(|other| !other.is_terminal() && other.job_version() < current)
}

/// Marks one allocation for replacement and makes the evaluation that does it.
pub(super) fn stop(writer: &mut Writer<'_>, id: AllocId, no_shutdown_delay: bool) -> Result<Reply, Refusal> {
    let alloc = writer.state.alloc(id).ok_or(Refusal::UnknownAlloc(id))?;
    let job = writer.state.job(&alloc.job).or_else(|| writer.state.job_of_alloc(&alloc));
    let job = job.ok_or(Refusal::UnknownAlloc(id))?;
    if !alloc.is_terminal() {
        let mut marked = (*alloc).clone();
        marked.desired_transition = DesiredTransition {
            migrate: Some(true),
            no_shutdown_delay: no_shutdown_delay.then_some(true),
            ..alloc.desired_transition.clone()
        };
        marked.alloc_modify_index = writer.index;
        writer.put_alloc(marked);
    }
    let eval_id = evals::want(writer, &job, Cause::of(trigger::ALLOC_STOP));
    Ok(Reply::AllocStop(AllocStopped { eval_id }))
}
