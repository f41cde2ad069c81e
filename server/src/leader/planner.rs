//! The planner, pure: committed changes in, rounds of plans out. It owns the node table and the queues of evaluations.
//!
//! Everything it holds is derived from the state: [`Planner::of`] makes it anew when leadership starts or a round was
//! lost, [`Planner::absorb`] keeps it up with what was committed. Plans are in the table as soon as they are made, so that
//! later ones build on them, in the same round or in the next one, which is planned while the first is being written;
//! [`Planner::committed`] then puts the rows as they were applied.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use model::allocation::{Allocation, Claim};
use model::document::Document;
use model::evaluation::{DesiredUpdates, EvalStatus, Evaluation, Plan};
use model::id::{AllocId, EvalId, JobKey, NodeId, Seed};
use model::time::Timestamp;
use scheduler::blocked::BlockedEvals;
use scheduler::queue::EvalQueue;
use scheduler::{JobView, Neighbour, NodeTable, schedule};
use state::{State, StoredJob, Table, Touched};

/// The most plans in one round.
const MAX_PLANS: usize = 256;
/// A round takes no further evaluation once it changes this many allocations.
const MAX_CHANGES: usize = 4096;

/// What is to be written after one look at the queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Decisions, in the order in which they were made.
    pub plans: Vec<Plan>,
    /// Evaluations that others have overtaken, as cancelled.
    pub overtaken: Vec<Evaluation>,
    /// The time that the decisions were made for. The log keeps it, so that they can be made again.
    pub at: Timestamp,
    /// What chance was drawn from, kept for the same reason.
    pub seed: Seed,
}

impl Round {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty() && self.overtaken.is_empty()
    }
}

/// A round that was made and is not known to be written: what it was about, and what it does to rows that are there.
#[derive(Clone, Debug, Default)]
struct OpenRound {
    evals: Vec<(EvalId, u64)>,
    allocs: BTreeMap<AllocId, Assumed>,
}

/// What the table takes for true of an allocation until the round that makes it true is written.
#[derive(Clone, Copy, Debug)]
enum Assumed {
    /// As the plan has it: placed, or updated in place.
    AsPlanned,
    /// Meant to end; perhaps the leader speaks for the client and says whether it still lives.
    Ending(Option<bool>),
}

impl OpenRound {
    fn of(round: &Round) -> OpenRound {
        let mut open = OpenRound::default();
        for plan in &round.plans {
            open.evals.push((plan.eval.id, plan.base_index));
            for stop in plan.stops.iter().filter(|stop| stop.followup_eval_id.is_none()) {
                let live = stop.client_status.map(|status| !status.is_terminal());
                open.allocs.insert(stop.id, Assumed::Ending(live));
            }
            let victims = plan.preemptions.iter().map(|preemption| (preemption.victim, Assumed::Ending(None)));
            let rows = plan.in_place.iter().chain(&plan.placements).map(|alloc| (alloc.id, Assumed::AsPlanned));
            open.allocs.extend(victims.chain(rows));
        }
        open
    }
}

/// The planner's view of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    table: NodeTable,
    queue: EvalQueue,
    blocked: BlockedEvals,
    overtaken: Vec<Evaluation>,
    /// Rounds that are on their way into the log, the oldest first.
    open: VecDeque<OpenRound>,
    /// Whether operators let the planner rest.
    paused: bool,
}

impl Planner {
    /// The planner for `state`. Blocked evaluations are looked at once: what would have woken them was perhaps missed.
    pub fn of(state: &State) -> Planner {
        let blocked = BlockedEvals::since(state.index());
        let mut planner = Planner { table: table_of(state), blocked, ..Planner::default() };
        let mut open: Vec<&Arc<Evaluation>> = state.evals().filter(|eval| !eval.status.is_terminal()).collect();
        open.sort_by_key(|eval| (eval.create_index, eval.id));
        for eval in open {
            planner.queue.enqueue(pending(eval));
        }
        planner
    }

    /// Takes over what was committed. `state` is at least as new as what `touched` tells of.
    pub fn absorb(&mut self, state: &State, touched: &Touched) {
        let mut roomier: BTreeSet<NodeId> = BTreeSet::new();
        for id in &touched.allocs {
            let assumed = self.open.iter().rev().find_map(|round| round.allocs.get(id)).copied();
            let roomy = match assumed {
                Some(assumed) => self.assume_again(state, *id, assumed),
                None => self.absorb_alloc(state, *id),
            };
            if let Some(node) = roomy {
                roomier.insert(node);
            }
        }
        if touched.tables.contains(&Table::Nodes) {
            for id in &touched.nodes {
                match state.node(*id) {
                    Some(node) => self.table.apply_node(&node),
                    None => self.table.remove_node(*id),
                }
                roomier.insert(*id);
            }
        }
        for id in &touched.evals {
            self.absorb_eval(state, *id);
        }
        if touched.tables.contains(&Table::Scheduling) {
            self.blocked.take_all().into_iter().for_each(|eval| self.queue.enqueue(eval));
        }
        for node in roomier {
            self.wake_for(node, state);
        }
    }

    fn wake_for(&mut self, node: NodeId, state: &State) {
        for eval in self.blocked.node_changed(&self.table, node, state.index()) {
            self.queue.enqueue(eval);
        }
    }

    /// Puts one row into the table; answers with its node when room may have become free there.
    fn absorb_alloc(&mut self, state: &State, id: AllocId) -> Option<NodeId> {
        match state.alloc_row(id) {
            Some(row) => {
                self.table.apply_alloc(row.claim());
                (!row.is_live()).then_some(row.node_id())
            }
            None => {
                self.table.remove_alloc(id);
                None
            }
        }
    }

    /// A row changed while a round that changes it too is on its way: the table keeps what the round will make of it.
    fn assume_again(&mut self, state: &State, id: AllocId, assumed: Assumed) -> Option<NodeId> {
        match assumed {
            Assumed::AsPlanned => None,
            Assumed::Ending(live) => self.assume_end(state, id, live),
        }
    }

    /// Puts a row into the table as one that is meant to end; `live` when the leader says whether it still lives.
    /// Answers with its node when its room is free.
    fn assume_end(&mut self, state: &State, id: AllocId, live: Option<bool>) -> Option<NodeId> {
        let row = state.alloc_row(id)?;
        let live = live.unwrap_or(row.is_live());
        self.table.apply_alloc(Claim { ending: true, live, ..row.claim() });
        (!live).then_some(row.node_id())
    }

    fn absorb_eval(&mut self, state: &State, id: EvalId) {
        match state.eval(id) {
            Some(eval) if eval.status == EvalStatus::Pending => self.queue.enqueue(eval.as_ref().clone()),
            Some(eval) if eval.status == EvalStatus::Blocked => self.block(state, &eval),
            Some(_) | None => {
                self.queue.remove(id);
                self.blocked.remove(id);
            }
        }
    }

    fn block(&mut self, state: &State, eval: &Evaluation) {
        let config = state.scheduling();
        let Some(job) = state.job(&eval.job) else {
            self.overtaken.push(cancelled(eval, "the job is gone"));
            return;
        };
        let outcome = self.blocked.block(eval.clone(), job.compiled(), &self.table, config.preempts(job.head().kind));
        if let Some(replaced) = outcome.replaced.filter(|replaced| replaced.id != eval.id) {
            self.overtaken.push(cancelled(&replaced, &format!("overtaken by evaluation {}", eval.id)));
        }
        if let Some(woken) = outcome.woken {
            self.queue.enqueue(woken);
        }
    }

    /// Plans what is ready, up to the bounds of a round. The plans are in the table as if they had been applied, so that
    /// the next round can be planned while this one is written; [`Planner::committed`] or a new planner must follow.
    pub fn plan(&mut self, state: &State, now: Timestamp, seed: Seed) -> Round {
        let mut round = Round { at: now, seed, ..Round::default() };
        let mut changes = 0;
        self.paused = state.scheduling().pause_eval_broker;
        while !self.paused && round.plans.len() < MAX_PLANS && changes < MAX_CHANGES {
            if self.blocked.has_more_to_offer() {
                self.offer_again();
            }
            let Some(eval) = self.queue.dequeue(now) else {
                if self.offer_again() {
                    continue;
                }
                break;
            };
            self.blocked.planned(eval.id);
            let plan = plan_safely(&self.table, state, &eval, now, plan_seed(seed, round.plans.len()));
            if let Some(blocked) = self.blocked.job_changed(&eval.job).filter(|blocked| blocked.id != eval.id) {
                self.overtaken.push(cancelled(&blocked, &format!("overtaken by evaluation {}", eval.id)));
            }
            changes += plan.stops.len() + plan.preemptions.len() + plan.placements.len() + plan.in_place.len();
            self.assume(state, &plan);
            round.plans.push(plan);
        }
        round.overtaken = std::mem::take(&mut self.overtaken);
        let planned: BTreeSet<EvalId> = round.plans.iter().map(|plan| plan.eval.id).collect();
        round.overtaken.retain(|eval| !planned.contains(&eval.id));
        if !round.is_empty() {
            self.open.push_back(OpenRound::of(&round));
        }
        round
    }

    /// Offers what those who were woken have left to others; whether there are any.
    fn offer_again(&mut self) -> bool {
        let others = self.blocked.offer_again(&self.table);
        let any = !others.is_empty();
        others.into_iter().for_each(|eval| self.queue.enqueue(eval));
        any
    }

    /// Makes the decision of one evaluation again: `state` is as of the index that its round was planned from, `before`
    /// are the plans that were made before and that it does not show, `seed` is what [`plan_seed`] gave.
    pub fn replan(state: &State, before: &[Plan], eval: &Evaluation, now: Timestamp, seed: Seed) -> Plan {
        let mut planner = Planner { table: table_of(state), ..Planner::default() };
        before.iter().for_each(|plan| planner.assume(state, plan));
        plan_safely(&planner.table, state, eval, now, seed)
    }

    /// Puts a plan into the table as if it had been applied.
    fn assume(&mut self, state: &State, plan: &Plan) {
        for stop in plan.stops.iter().filter(|stop| stop.followup_eval_id.is_none()) {
            self.assume_end(state, stop.id, stop.client_status.map(|status| !status.is_terminal()));
        }
        for preemption in &plan.preemptions {
            self.assume_end(state, preemption.victim, None);
        }
        plan.in_place.iter().chain(&plan.placements).for_each(|alloc| self.table.apply_alloc(alloc.claim()));
    }

    /// Whether `state` shows an open round: the one behind the oldest `told`. Then [`Planner::committed`] must come
    /// before [`Planner::absorb`], both with a state in which it is applied for certain.
    pub fn is_applied(&self, state: &State, told: usize) -> bool {
        let is_done = |id| state.eval(id).is_none_or(|eval| eval.status.is_terminal());
        self.open.get(told).is_some_and(|round| round.evals.iter().any(|(id, _)| is_done(*id)))
    }

    /// The oldest open round was applied: the rows as they are now replace what was assumed, and its evaluations are
    /// done. `touched` includes the changes of the round, and [`Planner::absorb`] must follow with it.
    pub fn committed(&mut self, state: &State, touched: &Touched) {
        let Some(round) = self.open.pop_front() else { return };
        for id in round.allocs.keys().filter(|id| !touched.allocs.contains(id)) {
            let held = self.table.node_of(*id);
            self.absorb_alloc(state, *id);
            // A placement that was dropped leaves its room to whoever waits.
            if let Some(node) = held.filter(|_| self.table.node_of(*id).is_none()) {
                self.wake_for(node, state);
            }
        }
        for (id, base_index) in round.evals {
            let answered = self.queue.done(id, base_index);
            self.overtaken.extend(answered);
        }
    }

    /// When the next delayed evaluation becomes ready.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.paused { None } else { self.queue.next_deadline() }
    }

    /// Evaluations that wait for their turn or time, and evaluations that wait for room.
    pub fn waiting(&self) -> (usize, usize) {
        (self.queue.len(), self.blocked.len())
    }

    /// Whether the node table has become another one than that of `state`, of which everything was absorbed. While a round
    /// is open the table shows more than the state, and nothing can be said.
    pub fn has_drifted(&self, state: &State) -> bool {
        self.open.is_empty() && self.table != table_of(state)
    }
}

/// The node table of a state.
pub fn table_of(state: &State) -> NodeTable {
    NodeTable::of(state.nodes().map(Arc::as_ref), state.alloc_rows().map(|row| row.claim()))
}

/// What the plan at `position` of a round draws chance from.
pub fn plan_seed(round: Seed, position: usize) -> Seed {
    round.child(position as u64)
}

/// Runs the scheduler for one evaluation on the state as it is.
pub fn plan_one(table: &NodeTable, state: &State, eval: &Evaluation, now: Timestamp, seed: Seed) -> Plan {
    with_view(state, &eval.job, |view| schedule(table, view, eval, now, seed, state.index()))
}

/// Shows one job of the state as the scheduler sees it.
pub fn with_view<T>(state: &State, key: &JobKey, look: impl FnOnce(&JobView<'_>) -> T) -> T {
    let stored: Option<Arc<StoredJob>> = state.job(key);
    let create_index = stored.as_ref().map_or(0, |job| job.head().create_index);
    let documents = |number: u64| -> Option<Arc<Document>> {
        state.job_version(key, create_index, number).map(|job| job.document.clone())
    };
    let config = state.scheduling();
    let allocs: Vec<Arc<Allocation>> = state.allocs_of_job(key).collect();
    let view = JobView {
        job: stored.as_ref().map(|job| job.compiled().as_ref()),
        key,
        allocs: allocs.iter().map(Arc::as_ref).collect(),
        documents: &documents,
        config: &config,
        neighbours: &|node| neighbours(state, node),
        // Nobody watches over rollouts yet.
        rollout: None,
    };
    look(&view)
}

/// The allocations on a node that have not ended, as preemption sees them.
fn neighbours(state: &State, node: NodeId) -> Vec<Neighbour> {
    let here = state.live_allocs_of_node(node);
    here.map(|alloc| Neighbour {
        id: alloc.id,
        job: alloc.job.clone(),
        group: alloc.task_group.clone(),
        priority: alloc.priority,
        migrate_max_parallel: state
            .job_of_alloc(&alloc)
            .and_then(|job| job.compiled().group(&alloc.task_group).map(|group| group.migrate_max_parallel))
            .unwrap_or(1),
    })
    .collect()
}

/// As [`plan_one`]; a panic fails this evaluation instead of ending all planning.
fn plan_safely(table: &NodeTable, state: &State, eval: &Evaluation, now: Timestamp, seed: Seed) -> Plan {
    // The scheduler only reads what it is given, so nothing is left half changed.
    let attempt = std::panic::AssertUnwindSafe(|| plan_one(table, state, eval, now, seed));
    let mut plan = std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
        tracing::error!(eval = %eval.id, job = %eval.job, "the scheduler panicked; the evaluation fails");
        let description = "the scheduler failed on this job, which is a bug in drover; see the server's log".to_owned();
        let eval = Evaluation { status: EvalStatus::Failed, status_description: description, ..eval.clone() };
        Plan { eval, base_index: state.index(), ..Plan::default() }
    });
    // That nothing is done to a group is nothing to keep.
    plan.eval.annotations.retain(|_, counts| **counts != DesiredUpdates::default());
    plan
}

/// An evaluation as it goes into the queue.
pub fn pending(eval: &Evaluation) -> Evaluation {
    Evaluation { status: EvalStatus::Pending, ..eval.clone() }
}

fn cancelled(eval: &Evaluation, why: &str) -> Evaluation {
    Evaluation { status: EvalStatus::Cancelled, status_description: why.to_owned(), ..eval.clone() }
}
