//! Why a copy is where it is, why not elsewhere, and what would happen if: drover's own routes, nothing of them writes.

use model::id::{AllocId, EvalId, JobKey, NodeId};
use model::metric::AllocMetric;
use scheduler::inspect::{NodeInspection, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};
use state::State;

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult, malformed_id};
use super::jobs::no_job;
use super::response::Reply;
use super::views::value_of;
use crate::explain::{self, GroupInspection};
use crate::raft::HistoryError;
use crate::what_if::{self, Change, MAX_NODES};

/// Runs `look` on the state of now, away from the threads that serve.
async fn compute<T: Send + 'static>(
    call: &Call,
    look: impl FnOnce(&State) -> ApiResult<T> + Send + 'static,
) -> ApiResult<(T, u64)> {
    let state = call.server.state();
    let index = state.index();
    let looked = tokio::task::spawn_blocking(move || look(&state)).await;
    looked.map_err(|why| ApiError::refused(format!("the planner stopped: {why}")))?.map(|value| (value, index))
}

fn answer(body: &Value, index: u64) -> Answer {
    Ok(Reply::json(body)?.read_at(index, true))
}

/// The node whose name is `text` or whose id starts with it.
fn find_node(state: &State, text: &str) -> ApiResult<NodeId> {
    let named: Vec<NodeId> = state.nodes().filter(|node| node.name == text).map(|node| node.id).collect();
    let starts = |id: NodeId| id.to_string().starts_with(text);
    let found = match named.as_slice() {
        [] => state.nodes().map(|node| node.id).filter(|id| starts(*id)).collect(),
        _ => named,
    };
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(ApiError::not_found(format!("no node is called {text:?} or has an id that starts so"))),
        many => Err(ApiError::bad_request(format!("{} nodes are meant by {text:?}: write more of the id", many.len()))),
    }
}

fn asked_node(state: &State, text: Option<&str>) -> ApiResult<Option<NodeId>> {
    text.map(|text| find_node(state, text)).transpose()
}

fn node_view(node: &NodeInspection) -> Value {
    let (verdict, reason, rank, of) = match &node.verdict {
        Verdict::Apart(why) => ("apart", why.as_str(), None, None),
        Verdict::Filtered => ("filtered", "", None, None),
        Verdict::Exhausted => ("exhausted", "", None, None),
        Verdict::Fits { rank, of } => ("fits", "", Some(rank), Some(of)),
    };
    json!({
        "NodeID": node.id, "NodeName": node.name, "Verdict": verdict, "Reason": reason, "Rank": rank, "Fitting": of,
        "Metric": node.metric,
    })
}

fn group_view(group: &GroupInspection, recorded: Option<&AllocMetric>) -> Value {
    json!({
        "Name": group.group,
        "Recorded": recorded,
        "Now": group.inspection.metric,
        "Node": group.inspection.node.as_ref().map(node_view),
    })
}

/// `GET /v1/job/:id/explain?node=`: what one more copy of each group would find.
pub(super) async fn of_job(call: Call) -> Answer {
    let (key, node) = (call.job_key(), call.query.non_empty("node").map(str::to_owned));
    let look = move |state: &State| {
        state.job(&key).ok_or_else(|| no_job(&key))?;
        let node = asked_node(state, node.as_deref())?;
        let groups = explain::of_job(state, &key, None, None, node);
        let recorded = failures_of(state, &key);
        let recorded = |group: &GroupInspection| recorded.iter().find(|(name, _)| *name == group.group);
        let groups: Vec<Value> =
            groups.iter().map(|group| group_view(group, recorded(group).map(|(_, metric)| metric))).collect();
        Ok(json!({"JobID": &key.id, "Namespace": &key.namespace, "Groups": groups}))
    };
    let (body, index) = compute(&call, look).await?;
    answer(&body, index)
}

/// Why copies of a job wait, by group.
fn failures_of(state: &State, key: &JobKey) -> Vec<(String, AllocMetric)> {
    let waiting = state.evals_of_job(key).filter(|eval| !eval.status.is_terminal());
    let failed = waiting.flat_map(|eval| eval.failed_tg_allocs.clone());
    failed.map(|(group, metric)| (group.clone(), metric.as_ref().clone())).collect()
}

/// `GET /v1/allocation/:id/explain?node=`: how it came to its node, and what its place looks like now.
pub(super) async fn of_alloc(call: Call) -> Answer {
    let (id, node): (AllocId, _) = (call.alloc_id()?, call.query.non_empty("node").map(str::to_owned));
    let look = move |state: &State| {
        let alloc = state.alloc(id).ok_or_else(|| ApiError::not_found("alloc not found"))?;
        let node = asked_node(state, node.as_deref())?;
        let groups = explain::of_job(state, &alloc.job, Some(&alloc.task_group), Some(id), node);
        let recorded = alloc.metrics.as_deref();
        let groups: Vec<Value> = groups.iter().map(|group| group_view(group, recorded)).collect();
        Ok(json!({
            "AllocID": id, "Name": alloc.name, "JobID": alloc.job.id, "Namespace": alloc.job.namespace,
            "NodeID": alloc.node_id, "NodeName": alloc.node_name, "Groups": groups,
        }))
    };
    let (body, index) = compute(&call, look).await?;
    answer(&body, index)
}

/// `GET /v1/evaluation/:id/explain?node=`: what it placed and what not, and what one more copy would find now.
pub(super) async fn of_eval(call: Call) -> Answer {
    let id: EvalId = call.id.parse().map_err(|why| malformed_id("eval", &why))?;
    let node = call.query.non_empty("node").map(str::to_owned);
    let look = move |state: &State| {
        let eval = state.eval(id).ok_or_else(|| ApiError::not_found("eval not found"))?;
        let node = asked_node(state, node.as_deref())?;
        let groups = explain::of_job(state, &eval.job, None, None, node);
        let recorded = |group: &GroupInspection| eval.failed_tg_allocs.get(&*group.group).map(AsRef::as_ref);
        let groups: Vec<Value> = groups.iter().map(|group| group_view(group, recorded(group))).collect();
        let placed = state.allocs_of_job(&eval.job).filter(|alloc| alloc.eval_id == id);
        let placed = placed.map(|alloc| {
            json!({
                "AllocID": alloc.id, "Name": alloc.name, "TaskGroup": alloc.task_group, "NodeID": alloc.node_id,
                "NodeName": alloc.node_name, "Metric": alloc.metrics.as_deref(),
            })
        });
        Ok(json!({
            "EvalID": id, "JobID": eval.job.id, "Namespace": eval.job.namespace, "Status": eval.status,
            "TriggeredBy": eval.triggered_by, "Placed": placed.collect::<Vec<_>>(), "Groups": groups,
        }))
    };
    let (body, index) = compute(&call, look).await?;
    answer(&body, index)
}

/// `GET /v1/evaluation/:id/replay`: the recorded decision made again, and whether every bit is the same.
pub(super) async fn replay(call: Call) -> Answer {
    let id: EvalId = call.id.parse().map_err(|why| malformed_id("eval", &why))?;
    let (server, index) = (call.server.clone(), call.server.state().index());
    let done = tokio::task::spawn_blocking(move || server.replay(id)).await;
    let done = done.map_err(|why| ApiError::refused(format!("the replay stopped: {why}")))?;
    let replay = done.map_err(|why| match why {
        HistoryError::Forgotten(_) | HistoryError::TooOld { .. } => ApiError::not_found(why.to_string()),
        HistoryError::Database(_) => ApiError::refused(why.to_string()),
    })?;
    let view = |plan: &model::evaluation::Plan, hash: &str| {
        let places = plan.placements.iter().map(|alloc| json!({"Name": alloc.name, "NodeName": alloc.node_name}));
        json!({"Hash": hash, "Placed": places.collect::<Vec<_>>(), "Stopped": plan.stops.len()})
    };
    let body = json!({
        "EvalID": id, "JobID": replay.recorded.eval.job.id, "BaseIndex": replay.recorded.base_index,
        "Equal": replay.hashes[0] == replay.hashes[1],
        "Recorded": view(&replay.recorded, &replay.hashes[0]),
        "Replayed": view(&replay.replayed, &replay.hashes[1]),
        "Differences": replay.differences,
    });
    answer(&body, index)
}

/// The body of a question: nodes by name or start of id.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Question {
    down: Vec<String>,
    drain: Vec<String>,
    add: Option<More>,
}

/// Nodes that are imagined.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct More {
    count: u64,
    like: String,
}

impl Question {
    fn changes(&self, state: &State) -> ApiResult<Vec<Change>> {
        let mut changes = Vec::new();
        for name in &self.down {
            changes.push(Change::Down(find_node(state, name)?));
        }
        for name in &self.drain {
            changes.push(Change::Drain(find_node(state, name)?));
        }
        if let Some(more) = &self.add {
            if !(1..=MAX_NODES).contains(&more.count) {
                return Err(ApiError::bad_request(format!("Add.Count must be 1 to {MAX_NODES}, not {}", more.count)));
            }
            changes.push(Change::Add { count: more.count, like: find_node(state, &more.like)? });
        }
        if changes.is_empty() {
            return Err(ApiError::bad_request("nothing to imagine: give Down, Drain or Add"));
        }
        Ok(changes)
    }
}

/// `POST /v1/what-if`: how the cluster would settle; nothing is changed.
pub(super) async fn what_if(mut call: Call) -> Answer {
    let question: Question = call.json()?;
    let look = move |state: &State| {
        let changes = question.changes(state)?;
        let (now, seed) = (crate::server::now(), crate::server::new_seed());
        let outcome = what_if::run(state, &changes, now, seed);
        let placed = outcome.placed.iter().map(|one| {
            json!({"Name": one.name, "JobID": one.job.id, "Namespace": one.job.namespace, "From": one.from, "To": one.to})
        });
        let stopped = outcome.stopped.iter().map(|one| {
            json!({
                "Name": one.name, "JobID": one.job.id, "Namespace": one.job.namespace, "NodeName": one.node,
                "Description": one.why,
            })
        });
        let waiting = outcome.waiting.iter().map(|one| {
            json!({
                "JobID": one.job.id, "Namespace": one.job.namespace, "TaskGroup": one.group, "Count": one.count,
                "Before": one.before, "Metric": value_of(&one.metric),
            })
        });
        Ok(json!({
            "Placed": placed.collect::<Vec<_>>(), "Stopped": stopped.collect::<Vec<_>>(),
            "Waiting": waiting.collect::<Vec<_>>(),
        }))
    };
    let (body, index) = compute(&call, look).await?;
    answer(&body, index)
}
