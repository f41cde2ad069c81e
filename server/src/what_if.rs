//! What would happen if nodes went, were drained or came: the same commands and the same planner on a copy of the state,
//! with nothing written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::allocation::Allocation;
use model::evaluation::EvalStatus;
use model::id::{AllocId, JobKey, NodeId, Seed};
use model::metric::AllocMetric;
use model::node::{Eligibility, Node};
use model::time::Timestamp;
use state::{Command, Op, State, Touched};

use crate::leader::planner::Planner;
use crate::leader::status_of_silent;

/// Looks of the planner before it is given up: each places what the one before made room for.
const MAX_ROUNDS: u64 = 10_000;

/// The most nodes that can be imagined.
pub const MAX_NODES: u64 = 10_000;

/// Something that has not happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The node is lost.
    Down(NodeId),
    /// The node takes nothing new, and what runs there moves away.
    Drain(NodeId),
    /// As many nodes like that one join, empty.
    Add {
        /// How many.
        count: u64,
        /// What they look like.
        like: NodeId,
    },
}

/// A copy that would be placed.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: JobKey,
    /// Name of the node of the copy that it replaces.
    pub from: Option<String>,
    /// Name of its node.
    pub to: String,
}

/// A copy that would stop, with nothing in its place.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// Its name.
    pub name: String,
    /// Its job.
    pub job: JobKey,
    /// Name of its node.
    pub node: String,
    /// Why, in words.
    pub why: String,
}

/// Copies that would wait for room.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Their job.
    pub job: JobKey,
    /// Their group.
    pub group: String,
    /// How many.
    pub count: u64,
    /// How many of the group wait already.
    pub before: u64,
    /// Why, over all nodes.
    pub metric: Option<AllocMetric>,
}

/// How the cluster would settle.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The state's index that this was computed at.
    pub index: u64,
    /// In the order of their jobs and names.
    pub placed: Vec<Placed>,
    /// In the order of their jobs and names.
    pub stopped: Vec<Stopped>,
    /// In the order of their jobs and groups.
    pub waiting: Vec<Waiting>,
}

/// Makes the changes on a copy of `state` and lets the planner settle there.
pub fn run(state: &State, changes: &[Change], now: Timestamp, seed: Seed) -> Outcome {
    let mut imagined = Imagined { state: state.clone(), now, seed, commands: 0 };
    for change in changes {
        imagined.make(change);
    }
    imagined.settle();
    compare(state, &imagined.state)
}

struct Imagined {
    state: State,
    now: Timestamp,
    seed: Seed,
    commands: u64,
}

impl Imagined {
    fn seed(&mut self) -> Seed {
        self.commands += 1;
        self.seed.child(self.commands)
    }

    fn apply(&mut self, op: Op) -> Touched {
        let command = Command { at: self.now, seed: self.seed(), op };
        self.state.apply(self.state.index() + 1, &command).touched
    }

    fn make(&mut self, change: &Change) {
        match change {
            Change::Down(id) => {
                let (status, description) = (status_of_silent(&self.state, *id), "imagined".to_owned());
                self.apply(Op::UpdateNodeStatus { id: *id, status, description });
            }
            Change::Drain(id) => {
                self.apply(Op::UpdateNodeEligibility { id: *id, eligibility: Eligibility::Ineligible });
                let here = self.state.live_allocs_of_node(*id).filter(|alloc| !alloc.is_terminal());
                let here: Vec<AllocId> = here.map(|alloc| alloc.id).collect();
                for id in here {
                    self.apply(Op::StopAlloc { id, no_shutdown_delay: false });
                }
            }
            Change::Add { count, like } => {
                let Some(model) = self.state.node(*like) else { return };
                for number in 1..=*count {
                    let id = NodeId::derive(self.seed(), number);
                    let name = format!("{}-like-{number}", model.name);
                    let scheduling_eligibility = Eligibility::Eligible;
                    let node = Box::new(Node { id, name, scheduling_eligibility, ..Node::clone(&model) });
                    self.apply(Op::RegisterNode { node });
                }
            }
        }
    }

    /// Plans and applies until nothing is left to do now.
    fn settle(&mut self) {
        let mut planner = Planner::of(&self.state);
        for _ in 0..MAX_ROUNDS {
            let seed = self.seed();
            let round = planner.plan(&self.state, self.now, seed);
            if round.is_empty() {
                return;
            }
            let mut touched = self.apply(Op::UpdateEvals { evals: round.overtaken });
            touched.merge(self.apply(Op::ApplyPlans { plans: round.plans }));
            planner.committed(&self.state, &touched);
            planner.absorb(&self.state, &touched);
        }
    }
}

fn compare(before: &State, after: &State) -> Outcome {
    let node_name = |id: NodeId| after.node(id).map_or_else(|| id.short(), |node| node.name.clone());
    let by_name = |alloc: &Allocation| (alloc.job.clone(), alloc.name.clone(), alloc.id);
    let mut fresh: Vec<Arc<Allocation>> =
        after.allocs().filter(|alloc| before.alloc(alloc.id).is_none() && !alloc.is_terminal()).collect();
    fresh.sort_by_key(|alloc| by_name(alloc));
    let replaced: BTreeSet<AllocId> = fresh.iter().filter_map(|alloc| alloc.previous_allocation).collect();
    let placed = fresh.iter().map(|alloc| Placed {
        name: alloc.name.clone(),
        job: alloc.job.clone(),
        from: alloc.previous_allocation.and_then(|id| before.alloc(id)).map(|old| node_name(old.node_id)),
        to: node_name(alloc.node_id),
    });
    let ends = |alloc: &Arc<Allocation>| {
        let now = after.alloc(alloc.id);
        !alloc.is_terminal() && now.is_none_or(|now| now.is_terminal()) && !replaced.contains(&alloc.id)
    };
    let mut ended: Vec<Arc<Allocation>> = before.allocs().filter(ends).collect();
    ended.sort_by_key(|alloc| by_name(alloc));
    let stopped = ended.iter().map(|alloc| Stopped {
        name: alloc.name.clone(),
        job: alloc.job.clone(),
        node: node_name(alloc.node_id),
        why: after.alloc(alloc.id).map(|now| now.desired_description.to_string()).unwrap_or_default(),
    });
    let waits_before = waiting(before);
    let waiting = waiting(after).into_iter().map(|((job, group), (count, metric))| {
        let key = (job, group);
        let before = waits_before.get(&key).map_or(0, |(count, _)| *count);
        Waiting { job: key.0, group: key.1, count, before, metric }
    });
    Outcome { index: before.index(), placed: placed.collect(), stopped: stopped.collect(), waiting: waiting.collect() }
}

/// Copies that blocked evaluations wait for, by job and group.
fn waiting(state: &State) -> BTreeMap<(JobKey, String), (u64, Option<AllocMetric>)> {
    let mut found = BTreeMap::new();
    for eval in state.evals().filter(|eval| eval.status == EvalStatus::Blocked) {
        for (group, metric) in &eval.failed_tg_allocs {
            let count = eval.queued_allocations.get(group).copied().unwrap_or(1 + metric.coalesced_failures);
            let entry = found.entry((eval.job.clone(), group.clone())).or_insert((0, None));
            *entry = (entry.0 + count, Some(metric.as_ref().clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests;
