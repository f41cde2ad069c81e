//! Allocations: the full object with its job and resources, and the stub of lists.

use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::job::Job;
use serde_json::{Map, Value, json};
use state::StoredJob;

use super::resources::{self, Group};
use super::{id_text, omit_empty, task, value_of};

/// The job version that an allocation runs.
#[derive(Clone, Copy)]
pub(in crate::http) struct JobOf<'a> {
    pub document: &'a Job,
    pub compiled: &'a CompiledJob,
}

impl<'a> JobOf<'a> {
    pub fn of(stored: &'a StoredJob) -> JobOf<'a> {
        JobOf { document: stored.document.job(), compiled: stored.compiled() }
    }

    fn group(self, name: &str) -> Group<'a> {
        Group::of(self.document, self.compiled.group(name), name)
    }
}

const NO_GROUP: Group<'static> = Group { compiled: None, document: None };

/// The full object. Fields that hold nothing are left out, as Nomad does here.
pub(in crate::http) fn full(alloc: &Allocation, job: Option<JobOf<'_>>) -> Value {
    let group = job.map_or(NO_GROUP, |job| job.group(&alloc.task_group));
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("ID", json!(alloc.id));
    put("Namespace", json!(alloc.job.namespace));
    put("EvalID", json!(alloc.eval_id));
    put("Name", json!(alloc.name));
    put("NodeID", json!(alloc.node_id));
    put("NodeName", json!(alloc.node_name));
    put("JobID", json!(alloc.job.id));
    put("Job", job.map_or(Value::Null, |job| super::job::document(job.document)));
    put("TaskGroup", json!(alloc.task_group));
    put("Resources", resources::total(alloc, group));
    put("SharedResources", resources::shared(alloc, group));
    put("TaskResources", resources::by_task(alloc, group));
    put("AllocatedResources", resources::allocated(alloc, group));
    put("Metrics", alloc.metrics.as_deref().map_or(Value::Null, value_of));
    put("DesiredStatus", value_of(&alloc.desired_status));
    put("DesiredDescription", json!(alloc.desired_description));
    if alloc.desired_transition != Default::default() {
        put("DesiredTransition", value_of(&alloc.desired_transition));
    }
    put("ClientStatus", value_of(&alloc.client_status));
    put("ClientDescription", json!(alloc.client_description));
    put("TaskStates", task::states(&alloc.task_states));
    put("PreviousAllocation", json!(id_text(&alloc.previous_allocation)));
    put("NextAllocation", json!(id_text(&alloc.next_allocation)));
    put("PreemptedAllocations", json!(alloc.preempted));
    put("PreemptedByAllocation", json!(id_text(&alloc.preempted_by)));
    put("DeploymentID", json!(id_text(&alloc.deployment_id)));
    put("DeploymentStatus", deployment_status(alloc));
    put("RescheduleTracker", alloc.reschedule_tracker.as_ref().map_or(Value::Null, value_of));
    put("NetworkStatus", network_status(alloc));
    put("FollowupEvalID", json!(id_text(&alloc.followup_eval_id)));
    put("CreateIndex", json!(alloc.create_index));
    put("ModifyIndex", json!(alloc.modify_index));
    put("AllocModifyIndex", json!(alloc.alloc_modify_index));
    put("CreateTime", json!(alloc.create_time.0));
    put("ModifyTime", json!(alloc.modify_time.0));
    omit_empty(object)
}

/// The stub of lists. `with_resources` adds what it holds, `with_states` says whether its tasks are wanted.
pub(in crate::http) fn stub(
    alloc: &Allocation,
    job: Option<JobOf<'_>>,
    with_resources: bool,
    with_states: bool,
) -> Value {
    let mut stub = json!({
        "ID": alloc.id,
        "EvalID": alloc.eval_id,
        "Name": alloc.name,
        "Namespace": alloc.job.namespace,
        "NodeID": alloc.node_id,
        "NodeName": alloc.node_name,
        "JobID": alloc.job.id,
        "JobType": job.map_or("", |job| job.compiled.kind.as_str()),
        "JobVersion": alloc.job_version,
        "TaskGroup": alloc.task_group,
        "DesiredStatus": value_of(&alloc.desired_status),
        "DesiredDescription": alloc.desired_description,
        "DesiredTransition": value_of(&alloc.desired_transition),
        "ClientStatus": value_of(&alloc.client_status),
        "ClientDescription": alloc.client_description,
        "TaskStates": if with_states { task::states(&alloc.task_states) } else { Value::Null },
        "DeploymentStatus": deployment_status(alloc),
        "FollowupEvalID": id_text(&alloc.followup_eval_id),
        "NextAllocation": id_text(&alloc.next_allocation),
        "RescheduleTracker": alloc.reschedule_tracker.as_ref().map_or(Value::Null, value_of),
        "PreemptedAllocations": if alloc.preempted.is_empty() { Value::Null } else { json!(alloc.preempted) },
        "PreemptedByAllocation": id_text(&alloc.preempted_by),
        "CreateIndex": alloc.create_index,
        "ModifyIndex": alloc.modify_index,
        "CreateTime": alloc.create_time.0,
        "ModifyTime": alloc.modify_time.0,
    });
    if with_resources && let Some(fields) = stub.as_object_mut() {
        let group = job.map_or(NO_GROUP, |job| job.group(&alloc.task_group));
        fields.insert("AllocatedResources".to_owned(), resources::allocated(alloc, group));
    }
    stub
}

fn deployment_status(alloc: &Allocation) -> Value {
    alloc.health.as_ref().map_or(Value::Null, |health| {
        json!({
            "Healthy": health.healthy,
            "Timestamp": health.at.to_rfc3339(),
            "Canary": alloc.canary,
            "ModifyIndex": alloc.modify_index,
        })
    })
}

/// Null until the client has seen the allocation.
fn network_status(alloc: &Allocation) -> Value {
    if alloc.task_states.is_empty() {
        return Value::Null;
    }
    let address = alloc.driver_addresses.values().next().map(|address| address.ip.as_str()).unwrap_or_default();
    json!({"InterfaceName": "", "Address": address, "AddressIPv6": "", "DNS": null})
}
