//! Whether two documents ask for the same, whatever a server wrote into them.

use serde_json::Value;

use super::{Job, Service, Task, TaskGroup, WorkloadIdentity};
use crate::time::GoDuration;

/// Whether `given` asks for what `stored` does. Absent, empty and the default are one; what the server alone writes and
/// what nobody reads any more does not count. A tag counts only when it is given.
pub fn asks_the_same(stored: &Job, given: &Job) -> bool {
    let retagged = given.version_tag.is_some() && given.version_tag != stored.version_tag;
    let (stored, given) = (written_by_users(stored), written_by_users(given));
    !retagged && (stored == given || essence(&stored) == essence(&given))
}

fn written_by_users(document: &Job) -> Job {
    let mut job = Job {
        stop: Some(document.stop == Some(true)),
        status: None,
        status_description: None,
        stable: None,
        version: None,
        submit_time: None,
        create_index: None,
        modify_index: None,
        job_modify_index: None,
        version_tag: None,
        nomad_token_id: None,
        dispatch_idempotency_token: None,
        priority: document.priority.filter(|priority| *priority != 50),
        node_pool: document.node_pool.clone().filter(|pool| pool != "default" && !pool.is_empty()),
        datacenters: document.datacenters.clone().filter(|globs| *globs != ["*"]),
        ..document.clone()
    };
    job.priority = job.priority.filter(|priority| *priority != 0);
    job.task_groups.iter_mut().flatten().for_each(settle_group);
    job
}

fn settle_group(group: &mut TaskGroup) {
    group.prevent_reschedule_on_lost = None;
    group.stop_after_client_disconnect = None;
    group.max_client_disconnect = None;
    group.networks.iter_mut().flatten().for_each(|network| network.device.clear());
    group.services.iter_mut().flatten().for_each(settle_service);
    for task in group.tasks.iter_mut().flatten() {
        settle_task(task);
    }
}

/// Checks have the service's `check_restart` unless they have their own.
fn settle_service(service: &mut Service) {
    let inherited = service.check_restart.take();
    for check in service.checks.iter_mut().flatten() {
        check.check_restart = check.check_restart.take().or_else(|| inherited.clone());
    }
}

fn settle_task(task: &mut Task) {
    task.kill_timeout = task.kill_timeout.filter(|timeout| timeout.0 != 0 && *timeout != GoDuration::from_secs(5));
    task.services.iter_mut().flatten().for_each(settle_service);
    if let Some(resources) = &mut task.resources {
        resources.disk_mb = None;
        resources.memory_max_mb = resources.memory_max_mb.filter(|most| *most != 0);
    }
    if let Some(logs) = &mut task.log_config {
        logs.enabled = None;
    }
    if let Some(vault) = &mut task.vault {
        vault.policies = None;
    }
    // What every task has anyway.
    if let Some(identity) = &mut task.identity {
        if identity.name == "default" {
            identity.name.clear();
        }
        identity.audience = identity.audience.take().filter(|audience| *audience != ["nomadproject.io"]);
    }
    task.identity = task.identity.take().filter(|identity| *identity != WorkloadIdentity::default());
}

/// The document without what is empty; in drivers' settings nothing is dropped, and numbers have one spelling.
fn essence(job: &Job) -> Value {
    let mut value = serde_json::to_value(job).unwrap_or_default();
    drop_empty(&mut value);
    value
}

/// Gives whole numbers one spelling, at any depth: `1.0` becomes `1`.
pub fn unify_numbers(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Array(list) => list.iter_mut().for_each(unify_numbers),
        Value::Object(map) => map.values_mut().for_each(unify_numbers),
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT) {
                *value = Value::from(float as i64);
            }
        }
        _ => {}
    }
}

fn drop_empty(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if key == "Config" { unify_numbers(value) } else { drop_empty(value) }
            }
            map.retain(|_, value| !is_empty(value));
        }
        Value::Array(list) => list.iter_mut().for_each(drop_empty),
        _ => {}
    }
}
