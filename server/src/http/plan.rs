//! `job plan`: what a registration would do, computed by the same scheduler, and how the documents differ.

use std::collections::BTreeMap;

use model::evaluation::DesiredUpdates;
use model::job::Job;
use serde_json::{Map, Value, json};
use state::State;

use super::allocations;
use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::register::Checked;
use super::response::Reply;
use super::views::{self, value_of};
use crate::DryRun;

/// `PUT /v1/job/:id/plan`
pub(super) async fn plan(mut call: Call) -> Answer {
    let Checked { request, job, warnings } = call.checked_job("Job ID does not match")?;
    let server = call.server.clone();
    let state = server.state();
    let dry_run = tokio::task::spawn_blocking(move || server.plan_dry_run(job)).await;
    let dry_run = dry_run.map_err(|why| ApiError::refused(format!("the planner stopped: {why}")))?;
    let before = dry_run.before.as_ref().map(|stored| stored.document.job());
    let index = before.and_then(|job| job.job_modify_index).unwrap_or(0);
    let annotations = &dry_run.plan.eval.annotations;
    let mut diff = Value::Null;
    if request.diff {
        diff = diff_of(before, Some(dry_run.after.job()));
        annotate(&mut diff, annotations);
    }
    let mut body = json!({
        "Annotations": {"DesiredTGUpdates": value_of(annotations), "PreemptedAllocs": preempted(&state, &dry_run)},
        "FailedTGAllocs": failures(&dry_run),
        "JobModifyIndex": index,
        "CreatedEvals": created(&dry_run),
        "Diff": diff,
        "NextPeriodicLaunch": null,
        "Warnings": warnings,
        "Index": index,
    });
    if call.query.lenient_bool("placements") {
        body["Placements"] = placements(&dry_run);
    }
    Ok(Reply::json(&body)?.written(index))
}

/// Who would have to go, as in lists; null when nobody.
fn preempted(state: &State, dry_run: &DryRun) -> Value {
    let victims = dry_run.plan.preemptions.iter().filter_map(|preemption| state.alloc(preemption.victim));
    let stubs: Vec<Value> = victims.map(|alloc| allocations::stub(state, &alloc)).collect();
    if stubs.is_empty() { Value::Null } else { Value::Array(stubs) }
}

fn failures(dry_run: &DryRun) -> Value {
    let failed = &dry_run.plan.eval.failed_tg_allocs;
    if failed.is_empty() { Value::Null } else { value_of(failed) }
}

/// Where each copy would go; drover's own field, for who asks with `placements=true`.
fn placements(dry_run: &DryRun) -> Value {
    let placed = dry_run.plan.placements.iter().map(|alloc| {
        json!({
            "Name": alloc.name, "TaskGroup": alloc.task_group, "NodeID": alloc.node_id, "NodeName": alloc.node_name,
            "PreviousAllocation": alloc.previous_allocation,
        })
    });
    placed.collect()
}

fn created(dry_run: &DryRun) -> Value {
    let evals: Vec<Value> = dry_run.plan.follow_ups.iter().map(views::evaluation::full).collect();
    if evals.is_empty() { Value::Null } else { Value::Array(evals) }
}

/// How two documents differ, in Nomad's shape.
fn diff_of(before: Option<&Job>, after: Option<&Job>) -> Value {
    value_of(&model::job::diff(before, after))
}

/// Each version, newest first, compared with the one before it, or all of them with version `against`, itself included.
pub(super) fn version_diffs(versions: &[&Job], against: Option<u64>) -> ApiResult<Value> {
    let Some(wanted) = against else {
        return Ok(versions.windows(2).map(|pair| diff_of(Some(pair[1]), Some(pair[0]))).collect());
    };
    let base = versions.iter().find(|job| job.version.unwrap_or(0) == wanted);
    let base = base.ok_or_else(|| ApiError::refused(format!("version {wanted} not found")))?;
    Ok(versions.iter().map(|job| diff_of(Some(base), Some(job))).collect())
}

/// Says beside each change what it will cause.
fn annotate(diff: &mut Value, updates: &BTreeMap<String, Box<DesiredUpdates>>) {
    for group in objects(diff, "TaskGroups") {
        let Some(update) = group.get("Name").and_then(Value::as_str).and_then(|name| updates.get(name)) else {
            continue;
        };
        annotate_count(group);
        annotate_tasks(group, update);
        let counts = [
            ("ignore", update.ignore),
            ("create", update.place),
            ("migrate", update.migrate),
            ("destroy", update.stop),
            ("in-place update", update.in_place_update),
            ("create/destroy update", update.destructive_update),
            ("canary", update.canary),
        ];
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        let counts: Map<String, Value> = counts.map(|(kind, count)| (kind.to_owned(), json!(count))).collect();
        let counts = if counts.is_empty() { Value::Null } else { Value::Object(counts) };
        group.insert("Updates".to_owned(), counts);
    }
}

fn annotate_count(group: &mut Map<String, Value>) {
    let Some(fields) = group.get_mut("Fields").and_then(Value::as_array_mut) else { return };
    let number = |field: &Value, key: &str| field[key].as_str().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    for field in fields.iter_mut().filter(|field| field["Name"] == "Count") {
        let (old, new) = (number(field, "Old"), number(field, "New"));
        if old != new {
            field["Annotations"] = json!([if new > old { "forces create" } else { "forces destroy" }]);
        }
    }
}

fn annotate_tasks(group: &mut Map<String, Value>, update: &DesiredUpdates) {
    let Some(tasks) = group.get_mut("Tasks").and_then(Value::as_array_mut) else { return };
    for task in tasks.iter_mut().filter(|task| task["Type"] != "None") {
        let forced = match () {
            () if update.destructive_update > 0 || update.canary > 0 => "forces create/destroy update",
            () if update.in_place_update > 0 => "forces in-place update",
            () if task["Type"] == "Added" => "forces create",
            () if task["Type"] == "Deleted" => "forces destroy",
            () => continue,
        };
        task["Annotations"] = json!([forced]);
    }
}

fn objects<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = value.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64, count: i64) -> Job {
        let document = json!({"ID": "bakery", "Version": number, "TaskGroups": [{"Name": "oven", "Count": count}]});
        let mut job: Job = serde_json::from_value(document).unwrap();
        job.canonicalise();
        job
    }

    fn kinds(diffs: &Value) -> Vec<&str> {
        diffs.as_array().unwrap().iter().map(|diff| diff["Type"].as_str().unwrap()).collect()
    }

    #[test]
    fn versions_are_compared_with_the_one_before_or_with_one() {
        let versions = [version(2, 5), version(1, 3), version(0, 3)];
        let versions: Vec<&Job> = versions.iter().collect();
        assert_eq!(kinds(&version_diffs(&versions, None).unwrap()), ["Edited", "None"]);
        assert_eq!(kinds(&version_diffs(&versions, Some(2)).unwrap()), ["None", "Edited", "Edited"]);
        assert!(version_diffs(&versions, Some(7)).is_err());
    }

    #[test]
    fn a_change_says_what_it_will_cause() {
        let mut diff = diff_of(Some(&version(0, 3)), Some(&version(1, 5)));
        let update = DesiredUpdates { place: 2, in_place_update: 3, ..DesiredUpdates::default() };
        annotate(&mut diff, &BTreeMap::from([("oven".to_owned(), Box::new(update))]));
        let group = &diff["TaskGroups"][0];
        assert_eq!(group["Updates"], json!({"create": 2, "in-place update": 3}));
        assert_eq!(group["Fields"][0]["Annotations"], json!(["forces create"]));
    }
}
