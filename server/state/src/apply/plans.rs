//! Plans: checked once more against the state of now, then carried out.
//!
//! Between planning and applying other commands may have landed. A placement that no longer fits is dropped; a plan that
//! looked at allocations which have been changed since is dropped whole, because it may place what is there already. In
//! both cases a new evaluation makes the planner look again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::evaluation::{EvalStatus, Evaluation, Plan, PlannedStop, Preemption, trigger};
use model::id::{AllocId, EvalId, JobKey, NodeId};
use model::metric::AllocMetric;
use model::time::GoDuration;

use super::evals::{self, Cause};
use super::write::Writer;
use crate::fits::{Misfit, Room};
use crate::reply::{PlanDrop, Reply};

/// Wait before a plan is tried again that was itself a second try: never a busy loop.
const RETRY_DELAY: GoDuration = GoDuration::from_millis(250);

/// What the plans of one command share.
#[derive(Default)]
struct Batch {
    /// Rooms of the nodes where sums did not do, kept up to date with what the plans do.
    rooms: BTreeMap<NodeId, Room>,
    /// Jobs of the plans carried out so far: what those changed is no surprise to the plans behind them.
    planned: BTreeSet<JobKey>,
    /// The version of a job that was asked for last, and whether allocations may run it.
    wanted: Option<(JobKey, u64, u64, bool)>,
}

/// Carries out plans in order.
pub(super) fn apply(writer: &mut Writer<'_>, plans: &[Plan]) -> Reply {
    let mut batch = Batch::default();
    Reply::Plans(plans.iter().filter_map(|plan| batch.carry_out(writer, plan)).collect())
}

impl Batch {
    /// Carries out one plan. Answers what was dropped, if anything.
    fn carry_out(&mut self, writer: &mut Writer<'_>, plan: &Plan) -> Option<PlanDrop> {
        let stored = writer.state.eval(plan.eval.id);
        let everything = || plan.placements.iter().chain(&plan.in_place).map(|alloc| alloc.id).collect();
        if stored.as_ref().is_some_and(|eval| eval.status.is_terminal()) {
            // Planned by somebody else already, or overtaken.
            return Some(PlanDrop { eval_id: plan.eval.id, dropped: everything(), requeued: None });
        }
        let overtaken = self.is_overtaken(writer, plan);
        let dropped = if overtaken { everything() } else { self.change_allocs(writer, plan) };
        let woken_again = stored.is_some_and(|eval| eval.modify_index > plan.base_index);
        store_evals(writer, plan, overtaken);
        let requeued = match overtaken || !dropped.is_empty() {
            true => requeue(writer, plan),
            false if woken_again => want_again(writer, plan),
            false => None,
        };
        self.planned.insert(plan.eval.job.clone());
        (overtaken || !dropped.is_empty()).then_some(PlanDrop { eval_id: plan.eval.id, dropped, requeued })
    }

    /// Whether the leader's side of the job's allocations changed after the planner looked.
    fn is_overtaken(&self, writer: &Writer<'_>, plan: &Plan) -> bool {
        let mut allocs = writer.state.alloc_rows_of_job(&plan.eval.job);
        !self.planned.contains(&plan.eval.job) && allocs.any(|row| row.alloc_modify_index() > plan.base_index)
    }

    /// Stops, places and updates in place. Answers which placements and updates were dropped.
    fn change_allocs(&mut self, writer: &mut Writer<'_>, plan: &Plan) -> Vec<AllocId> {
        if plan.all_at_once && !self.whole_fits(writer, plan) {
            return plan.placements.iter().chain(&plan.in_place).map(|alloc| alloc.id).collect();
        }
        for stop in &plan.stops {
            if let Some(alloc) = stopped(writer, stop) {
                self.put(writer, alloc);
            }
        }
        let mut dropped = Vec::new();
        for update in &plan.in_place {
            match self.updated(writer, plan, update) {
                Some(alloc) => self.put(writer, alloc),
                None => dropped.push(update.id),
            }
        }
        let mut shared: Option<Arc<AllocMetric>> = None;
        for placement in &plan.placements {
            let Some(victims) = self.make_way(writer, plan, placement) else {
                dropped.push(placement.id);
                continue;
            };
            victims.into_iter().for_each(|victim| evict(writer, victim));
            let mut alloc = placed(writer, plan, placement);
            share_metrics(&mut shared, &mut alloc);
            if let Some(previous) = alloc.previous_allocation {
                link(writer, previous, alloc.id);
            }
            self.put(writer, alloc);
        }
        dropped
    }

    /// Whether every placement and update fits, tried on copies of the rooms.
    fn whole_fits(&mut self, writer: &mut Writer<'_>, plan: &Plan) -> bool {
        let mut trial = Batch { rooms: self.rooms.clone(), ..Batch::default() };
        for stop in &plan.stops {
            if let Some(alloc) = stopped(writer, stop)
                && let Some(room) = trial.room(writer, alloc.node_id)
            {
                room.put(&alloc);
            }
        }
        for update in &plan.in_place {
            let Some(alloc) = trial.updated(writer, plan, update) else { return false };
            if let Some(room) = trial.room(writer, alloc.node_id) {
                room.put(&alloc);
            }
        }
        for placement in &plan.placements {
            if trial.make_way(writer, plan, placement).is_none() {
                return false;
            }
            if let Some(room) = trial.room(writer, placement.node_id) {
                room.put(placement);
            }
        }
        true
    }

    fn put(&mut self, writer: &mut Writer<'_>, alloc: Allocation) {
        if let Some(room) = self.rooms.get_mut(&alloc.node_id) {
            room.put(&alloc);
        }
        writer.put_alloc(alloc);
    }

    fn room(&mut self, writer: &Writer<'_>, id: NodeId) -> Option<&mut Room> {
        let node = writer.state.nodes.get(&id)?;
        Some(self.rooms.entry(id).or_insert_with(|| Room::of(writer.state, node)))
    }

    /// The evicted rows that make room for a placement, none of them written yet; none when it does not fit even so,
    /// or when one of them is no longer there to be evicted.
    fn make_way(&mut self, writer: &Writer<'_>, plan: &Plan, placement: &Allocation) -> Option<Vec<Allocation>> {
        let chosen = plan.preemptions.iter().filter(|preemption| preemption.by == placement.id);
        let victims = chosen.map(|preemption| evicted(writer, preemption)).collect::<Option<Vec<_>>>()?;
        self.note(writer, &victims);
        if self.may_place(writer, placement).is_ok() {
            return Some(victims);
        }
        let stored = victims.iter().filter_map(|victim| writer.state.alloc_row(victim.id));
        let stored: Vec<Allocation> = stored.map(|row| row.unpack()).collect();
        self.note(writer, &stored);
        None
    }

    fn note(&mut self, writer: &Writer<'_>, allocs: &[Allocation]) {
        for alloc in allocs {
            if let Some(room) = self.room(writer, alloc.node_id) {
                room.put(alloc);
            }
        }
    }

    /// Whether a placement is still wanted and fits.
    fn may_place(&mut self, writer: &Writer<'_>, placement: &Allocation) -> Result<(), Misfit> {
        let node = writer.state.nodes.get(&placement.node_id).ok_or(Misfit::NoNode)?;
        let known = placement.id.is_none() || writer.state.allocs.contains(placement.id);
        if !node.is_schedulable() || known || !self.is_wanted(writer, placement) {
            return Err(Misfit::NotSchedulable);
        }
        if !self.rooms.contains_key(&node.id)
            && let Some(answer) = Room::fits_by_sums(node, writer.state.allocs.held(node.id), placement)
        {
            return answer;
        }
        self.room(writer, placement.node_id).ok_or(Misfit::NoNode)?.fits(placement)
    }

    /// Whether the job is still there, not stopped, and has the version that `alloc` runs. Plans change no job.
    fn is_wanted(&mut self, writer: &Writer<'_>, alloc: &Allocation) -> bool {
        let (create_index, version) = (alloc.job_create_index, alloc.job_version);
        if let Some((job, create, of, wanted)) = &self.wanted
            && (job, *create, *of) == (&alloc.job, create_index, version)
        {
            return *wanted;
        }
        let job = writer.state.jobs.get(&alloc.job);
        let running = job.is_some_and(|job| !job.head().stopped && job.head().create_index == create_index);
        let wanted = running && writer.state.job_of_alloc(alloc).is_some();
        self.wanted = Some((alloc.job.clone(), create_index, version, wanted));
        wanted
    }

    /// The stored row under a newer version of its job; none when it has ended, moved or grown too big.
    fn updated(&mut self, writer: &Writer<'_>, plan: &Plan, update: &Allocation) -> Option<Allocation> {
        let stored = writer.state.alloc(update.id)?;
        if stored.is_terminal() || stored.node_id != update.node_id || !self.is_wanted(writer, update) {
            return None;
        }
        let alloc = Allocation {
            job_version: update.job_version,
            grant: update.grant.clone(),
            priority: update.priority,
            unknown_since: None,
            metrics: update.metrics.clone().or_else(|| stored.metrics.clone()),
            deployment_id: update.deployment_id,
            eval_id: plan.eval.id,
            alloc_modify_index: writer.index,
            ..(*stored).clone()
        };
        let fits = self.room(writer, alloc.node_id)?.fits(&alloc).is_ok();
        (fits && alloc.job_create_index == update.job_create_index).then_some(alloc)
    }
}

/// The row after a stop; none when there is nothing to change. With a follow-up evaluation it is only marked.
fn stopped(writer: &Writer<'_>, stop: &PlannedStop) -> Option<Allocation> {
    let mut alloc = writer.state.alloc_row(stop.id)?.unpack();
    alloc.followup_eval_id = stop.followup_eval_id;
    if stop.followup_eval_id.is_none() {
        alloc.desired_status = DesiredStatus::Stop;
        alloc.desired_description.clone_from(&stop.description);
    }
    if let Some(status) = stop.client_status.filter(|_| alloc.is_live()) {
        alloc.unknown_since = alloc.unknown_since.or((status == ClientStatus::Unknown).then_some(writer.at));
        alloc.client_status = status;
        alloc.client_description.clone_from(&stop.description);
    }
    alloc.alloc_modify_index = writer.index;
    Some(alloc)
}

/// The row of one that goes for a more important one; none when it is gone already.
fn evicted(writer: &Writer<'_>, preemption: &Preemption) -> Option<Allocation> {
    let stored = writer.state.alloc_row(preemption.victim).filter(|stored| !stored.is_terminal())?;
    Some(Allocation {
        desired_status: DesiredStatus::Evict,
        desired_description: format!("Preempted by alloc ID {}", preemption.by),
        preempted_by: Some(preemption.by),
        alloc_modify_index: writer.index,
        ..stored.unpack()
    })
}

/// Stores an evicted row and makes the planner look for another place for it.
fn evict(writer: &mut Writer<'_>, victim: Allocation) {
    let key = victim.job.clone();
    writer.put_alloc(victim);
    if let Some(job) = writer.state.job(&key) {
        evals::want(writer, &job, Cause::of(trigger::PREEMPTION));
    }
}

/// A new row: what the planner decided, with the client's side as it is before the client has seen it.
fn placed(writer: &Writer<'_>, plan: &Plan, placement: &Allocation) -> Allocation {
    let node = writer.state.nodes.get(&placement.node_id);
    Allocation {
        eval_id: plan.eval.id,
        node_name: node.map_or_else(String::new, |node| node.name.clone()),
        desired_status: DesiredStatus::Run,
        create_index: writer.index,
        alloc_modify_index: writer.index,
        create_time: writer.at,
        ..placement.clone()
    }
}

/// Lets placements of one plan share their explanation: in the log each carries its own copy.
fn share_metrics(shared: &mut Option<Arc<AllocMetric>>, alloc: &mut Allocation) {
    if shared.is_some() && *shared == alloc.metrics {
        alloc.metrics.clone_from(shared);
    } else {
        shared.clone_from(&alloc.metrics);
    }
}

/// Notes at the replaced allocation what replaced it.
fn link(writer: &mut Writer<'_>, previous: AllocId, next: AllocId) {
    if let Some(stored) = writer.state.alloc(previous) {
        writer.put_alloc(Allocation { next_allocation: Some(next), ..(*stored).clone() });
    }
}

/// Stores the planned evaluation and its follow-ups; older blocked ones of the job are overtaken by this plan.
fn store_evals(writer: &mut Writer<'_>, plan: &Plan, overtaken: bool) {
    let mut eval = plan.eval.clone();
    if overtaken {
        eval.status = EvalStatus::Complete;
        eval.status_description = "allocations changed while it was planned; planned again".to_owned();
        eval.blocked_eval = None;
        evals::put(writer, eval);
        return;
    }
    cancel_blocked(writer, plan);
    evals::put(writer, eval);
    for follow_up in &plan.follow_ups {
        evals::put(writer, follow_up.clone());
    }
}

/// A plan looks at the whole job, so an older blocked evaluation has nothing left to wait for.
fn cancel_blocked(writer: &mut Writer<'_>, plan: &Plan) {
    let own = |id: EvalId| id == plan.eval.id || plan.follow_ups.iter().any(|follow_up| follow_up.id == id);
    let blocked = writer.state.evals_of_job(&plan.eval.job).filter(|eval| eval.status == EvalStatus::Blocked);
    let old: Vec<Arc<Evaluation>> = blocked.filter(|eval| !own(eval.id)).cloned().collect();
    for eval in old {
        writer.put_eval(Evaluation {
            status: EvalStatus::Cancelled,
            status_description: "overtaken by a newer plan for the job".to_owned(),
            ..(*eval).clone()
        });
    }
}

/// Something new came up while the plan was made: that is no conflict, and is looked at without delay.
fn want_again(writer: &mut Writer<'_>, plan: &Plan) -> Option<EvalId> {
    let Some(job) = writer.state.job(&plan.eval.job) else { return requeue_purged(writer, plan) };
    let cause = Cause { node: plan.eval.node_id, ..Cause::of(&plan.eval.triggered_by) };
    Some(evals::want(writer, &job, cause))
}

/// Makes the planner look again, at once the first time and later with a delay. None when the job is gone for good.
fn requeue(writer: &mut Writer<'_>, plan: &Plan) -> Option<EvalId> {
    let key = &plan.eval.job;
    let Some(job) = writer.state.job(key) else { return requeue_purged(writer, plan) };
    let cause = Cause::of(trigger::MAX_PLAN_ATTEMPTS);
    if evals::waiting(writer, key).is_some() {
        return Some(evals::want(writer, &job, cause));
    }
    let mut eval = evals::new(writer, &job, cause);
    eval.previous_eval = Some(plan.eval.id);
    if plan.eval.triggered_by == trigger::MAX_PLAN_ATTEMPTS {
        eval.wait_until = Some(writer.at.after(RETRY_DELAY));
    }
    let id = eval.id;
    writer.put_eval(eval);
    Some(id)
}

/// A purged job may still have allocations to stop.
fn requeue_purged(writer: &mut Writer<'_>, plan: &Plan) -> Option<EvalId> {
    let left = writer.state.alloc_rows_of_job(&plan.eval.job).any(|row| !row.is_terminal());
    if !left {
        return None;
    }
    let id = writer.new_eval_id();
    let eval = Evaluation {
        id,
        priority: plan.eval.priority,
        kind: plan.eval.kind.clone(),
        triggered_by: trigger::MAX_PLAN_ATTEMPTS.to_owned(),
        job: plan.eval.job.clone(),
        previous_eval: Some(plan.eval.id),
        create_index: writer.index,
        create_time: writer.at,
        ..Evaluation::default()
    };
    writer.put_eval(eval);
    Some(id)
}
