//! Nodes: announced by their agents, watched by the leader, opened and closed by users.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::compiled::JobKind;
use model::evaluation::trigger;
use model::id::{JobKey, NodeId};
use model::node::{Eligibility, Node, NodeEvent, NodeStatus};

use super::evals::{self, Cause};
use super::write::Writer;
use crate::reply::{NodeWritten, Refusal, Reply};
use crate::row::StoredJob;

/// Older events of a node are dropped beyond this number.
const MAX_EVENTS: usize = 10;

/// Inserts or updates a node and makes it ready. What users and the leader wrote to it stays.
pub(super) fn register(writer: &mut Writer<'_>, given: &Node) -> Result<Reply, Refusal> {
    if given.id.is_none() {
        return Err(Refusal::NodeWithoutId);
    }
    let stored = writer.state.node(given.id);
    if stored.as_ref().is_some_and(|node| !node.secret_id.is_empty() && node.secret_id != given.secret_id) {
        return Err(Refusal::NodeSecret(given.id));
    }
    let base = stored.as_deref().cloned().unwrap_or_default();
    let mut node = Node {
        scheduling_eligibility: stored.as_ref().map_or(given.scheduling_eligibility, |n| n.scheduling_eligibility),
        status: NodeStatus::Ready,
        status_description: String::new(),
        status_updated_at: base.status_updated_at,
        events: base.events.clone(),
        last_missed_heartbeat_index: base.last_missed_heartbeat_index,
        last_alloc_update_index: base.last_alloc_update_index,
        create_index: stored.as_ref().map_or(writer.index, |node| node.create_index),
        modify_index: base.modify_index,
        ..given.clone()
    };
    if stored.as_deref() == Some(&node) {
        return Ok(Reply::Node(NodeWritten::default()));
    }
    if stored.is_none() || base.status != NodeStatus::Ready {
        node.status_updated_at = seconds(writer);
        let message = if stored.is_none() { "Node joined" } else { "Node is back" };
        push_event(writer, &mut node, message);
    }
    writer.put_node(node);
    Ok(look_at_jobs(writer, given.id))
}

/// The leader's verdict on a node's heartbeats.
pub(super) fn set_status(
    writer: &mut Writer<'_>,
    id: NodeId,
    status: NodeStatus,
    description: &str,
) -> Result<Reply, Refusal> {
    let stored = writer.state.node(id).ok_or(Refusal::UnknownNode(id))?;
    if stored.status == status {
        return Ok(Reply::Node(NodeWritten::default()));
    }
    let mut node = (*stored).clone();
    node.status = status;
    node.status_description = description.to_owned();
    node.status_updated_at = seconds(writer);
    if matches!(status, NodeStatus::Down | NodeStatus::Disconnected) {
        node.last_missed_heartbeat_index = writer.index;
    }
    let message = match status {
        NodeStatus::Initializing => "Node starts",
        NodeStatus::Ready => "Node is back",
        NodeStatus::Down => "Node is down",
        NodeStatus::Disconnected => "Node is out of reach",
    };
    push_event(writer, &mut node, message);
    writer.put_node(node);
    Ok(look_at_jobs(writer, id))
}

/// A user opens or closes a node for new work.
pub(super) fn set_eligibility(writer: &mut Writer<'_>, id: NodeId, eligibility: Eligibility) -> Result<Reply, Refusal> {
    let stored = writer.state.node(id).ok_or(Refusal::UnknownNode(id))?;
    if stored.scheduling_eligibility == eligibility {
        return Ok(Reply::Node(NodeWritten::default()));
    }
    let mut node = (*stored).clone();
    node.scheduling_eligibility = eligibility;
    let message = match eligibility {
        Eligibility::Eligible => "Node takes new work",
        Eligibility::Ineligible => "Node takes no new work",
    };
    push_event(writer, &mut node, message);
    writer.put_node(node);
    Ok(look_at_jobs(writer, id))
}

/// Evaluations for the jobs with live allocations on a node and for those that want a copy on every node.
fn look_at_jobs(writer: &mut Writer<'_>, id: NodeId) -> Reply {
    let here: BTreeSet<JobKey> = writer.state.live_alloc_rows_of_node(id).map(|row| row.job().clone()).collect();
    let mut jobs: BTreeMap<JobKey, Arc<StoredJob>> = BTreeMap::new();
    for key in here {
        if let Some(job) = writer.state.job(&key) {
            jobs.insert(key, job);
        }
    }
    let everywhere = writer.state.jobs().filter(|(_, job)| wants_every_node(job));
    jobs.extend(everywhere.map(|(key, job)| (key.clone(), job.clone())));
    let cause = Cause { node: Some(id), ..Cause::of(trigger::NODE_UPDATE) };
    let evals = jobs.values().map(|job| evals::want(writer, job, cause)).collect();
    Reply::Node(NodeWritten { evals })
}

fn wants_every_node(job: &StoredJob) -> bool {
    matches!(job.head().kind, JobKind::System | JobKind::SysBatch) && !job.head().stopped && !job.head().is_template
}

fn push_event(writer: &Writer<'_>, node: &mut Node, message: &str) {
    if node.events.len() >= MAX_EVENTS {
        node.events.remove(0);
    }
    node.events.push(NodeEvent {
        message: message.to_owned(),
        subsystem: "Cluster".to_owned(),
        details: None,
        timestamp: writer.at.to_rfc3339(),
        create_index: writer.index,
    });
}

fn seconds(writer: &Writer<'_>) -> i64 {
    writer.at.0.div_euclid(1_000_000_000)
}
