//! What is asked of the node agent about an allocation: restarts and check results.

use model::allocation::CheckStatus;
use model::id::AllocId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, decode_json};
use super::error::{ApiError, ApiResult};
use super::response::Reply;
use crate::LocalClient;
use std::sync::Arc;

impl Call {
    /// The node agent of this process, which must be the one that runs allocation `id`.
    pub fn agent_of(&self, id: AllocId) -> ApiResult<Arc<dyn LocalClient>> {
        let unknown = || ApiError::not_found(format!("Unknown allocation \"{id}\""));
        let alloc = self.server.state().alloc(id).ok_or_else(unknown)?;
        self.server.local_client().ok_or_else(|| {
            ApiError::not_found(format!(
                "No path to node {}: this agent runs no allocations; ask the agent on {}",
                alloc.node_id, alloc.node_name
            ))
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RestartRequest {
    #[serde(rename = "TaskName", alias = "taskname", alias = "Task")]
    task: Option<String>,
    #[serde(rename = "AllTasks", alias = "alltasks")]
    all: Option<bool>,
}

/// `PUT /v1/client/allocation/:id/restart`
pub(super) async fn restart(call: Call) -> Answer {
    let id = call.alloc_id()?;
    let agent = call.agent_of(id)?;
    // A body that cannot be read is 500 on this route.
    let request: RestartRequest = if call.body.is_empty() {
        RestartRequest::default()
    } else {
        decode_json(&call.body).map_err(|error| ApiError::refused(error.text))?
    };
    let task = request.task.filter(|task| !task.is_empty());
    if request.all == Some(true) && task.is_some() {
        return Err(ApiError::refused("task name cannot be set when restarting all tasks").into());
    }
    if let Some(task) = &task {
        let knows = call.server.state().alloc(id).is_some_and(|alloc| alloc.grant.tasks.contains_key(task));
        if !knows {
            return Err(ApiError::refused(format!("Could not find task runner for task: {task}")).into());
        }
    }
    agent.restart(id, task.as_deref()).await.map_err(|why| ApiError::refused(why.to_string()))?;
    Ok(Reply::json(&json!({"Index": 0}))?)
}

/// `GET /v1/allocation/:id/checks` and `GET /v1/client/allocation/:id/checks`; null when it has none.
pub(super) async fn checks(call: Call) -> Answer {
    let id = call.alloc_id()?;
    let alloc = call.server.state().alloc(id);
    let alloc = alloc.ok_or_else(|| ApiError::not_found(format!("Unknown allocation \"{id}\"")))?;
    let checks = alloc.checks.iter().map(|(id, check)| {
        let status = match check.status {
            CheckStatus::Pending => "pending",
            CheckStatus::Success => "success",
            CheckStatus::Failure => "failure",
        };
        (
            id.clone(),
            json!({
                "ID": id, "Check": check.name, "Service": check.service, "Task": check.task, "Group": alloc.name,
                "Mode": "healthiness", "Output": check.output, "Status": status, "StatusCode": check.status_code,
                "Timestamp": check.at.0 / 1_000_000_000,
            }),
        )
    });
    let checks: Map<String, Value> = checks.collect();
    Ok(Reply::json(&if checks.is_empty() { Value::Null } else { Value::Object(checks) })?)
}
