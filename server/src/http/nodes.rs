//! Nodes: lists, one, its allocations, and whether new work may go there.

use std::sync::Arc;

use model::id::NodeId;
use model::node::{Eligibility, Node};
use serde::Deserialize;
use serde_json::{Value, json};
use state::{Op, State, Table};

use super::allocations;
use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult, malformed_id};
use super::filter::Filter;
use super::jobs::{Page, list_reply, value_reply};
use super::query::{IdRange, ReadOptions, page};
use super::response::Reply;
use super::views;
use crate::Topic;

impl Call {
    /// The id of the node that the path names.
    fn node_id(&self) -> ApiResult<NodeId> {
        if self.id.is_empty() {
            return Err(ApiError::refused("missing node ID"));
        }
        self.id.parse().map_err(|why| malformed_id("node", &why))
    }
}

/// `GET /v1/nodes`
pub(super) async fn list(call: Call) -> Answer {
    let with_os = call.query.strict_bool("os")?;
    let with_resources = call.query.checked_bool("resources")?;
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Nodes);
    let find = |state: &State, options: &ReadOptions| list_page(state, options, with_os, with_resources);
    let (page, indexed) = call.read(&[Topic::Table(Table::Nodes)], index, find).await?;
    list_reply(page, indexed)
}

fn list_page(state: &State, options: &ReadOptions, with_os: bool, with_resources: bool) -> ApiResult<Page> {
    let range = IdRange::of(&options.prefix, "node")?;
    let filter = if options.filter.is_empty() { None } else { Some(Filter::parse(&options.filter)?) };
    let mut rows: Vec<&Arc<Node>> = Vec::new();
    for node in state.nodes().filter(|node| range.contains(node.id.0)) {
        if filter.as_ref().map_or(Ok(true), |filter| filter.accepts(&views::node::full(node)))? {
            rows.push(node);
        }
    }
    let (rows, next) = page(rows, options, |node| node.id, |node| node.id.to_string(), |text| text.parse().ok());
    Ok((rows.iter().map(|node| views::node::stub(node, with_os, with_resources)).collect(), next))
}

/// `GET /v1/node/:id`
pub(super) async fn get(call: Call) -> Answer {
    let id = call.node_id()?;
    let index = |state: &State, _: &ReadOptions| {
        state.node(id).map_or_else(|| state.table_index(Table::Nodes), |node| node.modify_index)
    };
    let find = |state: &State, _: &ReadOptions| {
        state.node(id).map(|node| views::node::full(&node)).ok_or_else(|| ApiError::not_found("node not found"))
    };
    let (node, indexed) = call.read(&[Topic::Table(Table::Nodes)], index, find).await?;
    value_reply(node, indexed)
}

/// `GET /v1/node/:id/allocations`: full objects.
pub(super) async fn allocations(call: Call) -> Answer {
    let id = call.node_id()?;
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Allocs);
    let find = |state: &State, _: &ReadOptions| -> ApiResult<Page> {
        let rows: Vec<Value> = state.allocs_of_node(id).map(|alloc| allocations::full(state, &alloc)).collect();
        Ok((rows, None))
    };
    let (page, indexed) = call.read(&[Topic::Table(Table::Allocs)], index, find).await?;
    list_reply(page, indexed)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EligibilityRequest {
    #[serde(rename = "Eligibility", alias = "eligibility")]
    eligibility: String,
}

/// `PUT /v1/node/:id/eligibility`
pub(super) async fn eligibility(mut call: Call) -> Answer {
    let request: EligibilityRequest = call.json()?;
    let wanted = match request.eligibility.as_str() {
        "eligible" => Eligibility::Eligible,
        "ineligible" => Eligibility::Ineligible,
        other => {
            let text = format!("invalid scheduling eligibility {other:?}; use \"eligible\" or \"ineligible\"");
            return Err(ApiError::refused(text).into());
        }
    };
    let id = call.node_id()?;
    let node = call.server.state().node(id).ok_or_else(|| ApiError::refused("node not found"))?;
    if node.scheduling_eligibility == wanted {
        return answer_eligibility(&[], 0);
    }
    let committed = call.propose(Op::UpdateNodeEligibility { id, eligibility: wanted }).await?;
    let state::Reply::Node(written) = &committed.reply else {
        return Err(ApiError::refused("the write was answered with something else").into());
    };
    let evals: Vec<Value> = written.evals.iter().map(|id| json!(id)).collect();
    answer_eligibility(&evals, committed.index)
}

fn answer_eligibility(evals: &[Value], index: u64) -> Answer {
    let body = json!({
        "EvalIDs": if evals.is_empty() { Value::Null } else { json!(evals) },
        "EvalCreateIndex": if evals.is_empty() { 0 } else { index },
        "NodeModifyIndex": 0,
        "Index": index,
    });
    Ok(Reply::json(&body)?.written(index))
}
