//! Evaluations: the object that leaves out what it does not hold, and the short form of related ones.

use model::evaluation::Evaluation;
use serde_json::{Map, Value, json};

use super::{id_text, omit_empty, time_or_null, value_of};

/// The full object.
pub(in crate::http) fn full(eval: &Evaluation) -> Value {
    omit_empty(fields(eval))
}

/// The full object with the evaluations that are linked to it.
pub(in crate::http) fn with_related<'a>(eval: &Evaluation, related: impl Iterator<Item = &'a Evaluation>) -> Value {
    let mut object = fields(eval);
    object.insert("RelatedEvals".to_owned(), related.map(stub).collect());
    omit_empty(object)
}

/// The full object with nothing left out, for filters.
pub(in crate::http) fn all_fields(eval: &Evaluation) -> Value {
    Value::Object(fields(eval))
}

fn fields(eval: &Evaluation) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("ID", json!(eval.id));
    put("Namespace", json!(eval.job.namespace));
    put("Priority", json!(eval.priority));
    put("Type", json!(eval.kind));
    put("TriggeredBy", json!(eval.triggered_by));
    put("JobID", json!(eval.job.id));
    put("JobModifyIndex", json!(eval.job_modify_index));
    put("NodeID", json!(id_text(&eval.node_id)));
    put("NodeModifyIndex", json!(eval.node_modify_index));
    put("DeploymentID", json!(id_text(&eval.deployment_id)));
    put("Status", value_of(&eval.status));
    put("StatusDescription", json!(eval.status_description));
    put("WaitUntil", time_or_null(eval.wait_until));
    put("NextEval", json!(id_text(&eval.next_eval)));
    put("PreviousEval", json!(id_text(&eval.previous_eval)));
    put("BlockedEval", json!(id_text(&eval.blocked_eval)));
    put("FailedTGAllocs", value_of(&eval.failed_tg_allocs));
    put("QueuedAllocations", value_of(&eval.queued_allocations));
    let annotations = json!({"DesiredTGUpdates": value_of(&eval.annotations), "PreemptedAllocs": null});
    put("PlanAnnotations", if eval.annotations.is_empty() { Value::Null } else { annotations });
    put("SnapshotIndex", json!(eval.snapshot_index));
    put("CreateIndex", json!(eval.create_index));
    put("ModifyIndex", json!(eval.modify_index));
    put("CreateTime", json!(eval.create_time.0));
    put("ModifyTime", json!(eval.modify_time.0));
    object
}

fn stub(eval: &Evaluation) -> Value {
    json!({
        "ID": eval.id,
        "Namespace": eval.job.namespace,
        "Priority": eval.priority,
        "Type": eval.kind,
        "TriggeredBy": eval.triggered_by,
        "JobID": eval.job.id,
        "NodeID": id_text(&eval.node_id),
        "DeploymentID": id_text(&eval.deployment_id),
        "Status": value_of(&eval.status),
        "StatusDescription": eval.status_description,
        "WaitUntil": time_or_null(eval.wait_until),
        "NextEval": id_text(&eval.next_eval),
        "PreviousEval": id_text(&eval.previous_eval),
        "BlockedEval": id_text(&eval.blocked_eval),
        "CreateIndex": eval.create_index,
        "ModifyIndex": eval.modify_index,
        "CreateTime": eval.create_time.0,
        "ModifyTime": eval.modify_time.0,
    })
}
