//! Whether a change of the job needs a new copy, or the running one can go on.

use std::collections::BTreeMap;

use model::allocation::{Allocation, ClientStatus};
use model::compiled::{CompiledGroup, CompiledJob};
use model::job::{Job, Task, TaskGroup, unify_numbers};
use serde_json::Value;

use crate::view::JobView;

/// How a copy of an older version becomes one of the current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// It goes on.
    InPlace,
    /// A new copy replaces it.
    Destructive,
}

/// Compares the version that `alloc` runs with the current one.
pub(crate) fn of(view: &JobView<'_>, job: &CompiledJob, group: &CompiledGroup, alloc: &Allocation) -> Update {
    let versions = ((view.documents)(alloc.job_version), (view.documents)(job.version));
    let same = match &versions {
        (Some(old), Some(new)) => match (find(old.job(), &group.name), find(new.job(), &group.name)) {
            (Some(old_group), Some(new_group)) => runs_the_same(old.job(), old_group, new.job(), new_group),
            _ => false,
        },
        _ => false,
    };
    if same { Update::InPlace } else { Update::Destructive }
}

fn find<'a>(job: &'a Job, group: &str) -> Option<&'a TaskGroup> {
    job.task_groups.iter().flatten().find(|candidate| candidate.name.as_deref() == Some(group))
}

/// Whether a running copy of the old documents is as good as one of the new.
pub(crate) fn runs_the_same(old_job: &Job, old: &TaskGroup, new_job: &Job, new: &TaskGroup) -> bool {
    let same_group = [
        differs(&old.ephemeral_disk, &new.ephemeral_disk),
        differs(&old.volumes.clone().unwrap_or_default(), &new.volumes.clone().unwrap_or_default()),
        networks(old.networks.as_deref()) != networks(new.networks.as_deref()),
        mesh(old) != mesh(new),
        partition(old) != partition(new),
        render(old.restart_policy.as_ref()) != render(new.restart_policy.as_ref()),
    ];
    if same_group.contains(&true) {
        return false;
    }
    let by_name = |group: &TaskGroup, job: &Job| -> BTreeMap<String, Value> {
        group.tasks.iter().flatten().map(|task| (task.name.clone(), essence(job, group, task))).collect()
    };
    by_name(old, old_job) == by_name(new, new_job)
}

fn differs<T: serde::Serialize>(old: &T, new: &T) -> bool {
    json(old) != json(new)
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn partition(group: &TaskGroup) -> &str {
    group.consul.as_ref().map_or("", |consul| &consul.partition)
}

fn render(policy: Option<&model::job::RestartPolicy>) -> bool {
    policy.and_then(|policy| policy.render_templates).unwrap_or(false)
}

/// What of the networks a running copy depends on.
fn networks(networks: Option<&[model::job::NetworkResource]>) -> Value {
    let mut value = json(&networks.unwrap_or_default());
    for network in value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        network.retain(|key, _| !matches!(key.as_str(), "Device" | "IP" | "CIDR"));
        for list in ["ReservedPorts", "DynamicPorts"] {
            let entry = network.entry(list).or_insert(Value::Null);
            if entry.is_null() {
                *entry = Value::Array(Vec::new());
            }
        }
    }
    value
}

/// Mesh services decide which sidecar tasks there are.
fn mesh(group: &TaskGroup) -> Value {
    let services = group.services.iter().flatten().filter(|service| service.connect.is_some());
    let essence = services.map(|service| {
        let connect = json(&service.connect);
        serde_json::json!([
            service.name,
            service.port_label,
            connect["Native"],
            connect["Gateway"],
            connect["SidecarTask"],
            connect["SidecarService"]["Port"],
        ])
    });
    Value::Array(essence.collect())
}

/// The part of a task whose change needs a new copy.
fn essence(job: &Job, group: &TaskGroup, task: &Task) -> Value {
    const IN_PLACE: [&str; 16] = [
        "Actions",
        "Affinities",
        "Constraints",
        "Consul",
        "DispatchPayload",
        "KillSignal",
        "KillTimeout",
        "Kind",
        "Leader",
        "Lifecycle",
        "LogConfig",
        "Meta",
        "RestartPolicy",
        "ScalingPolicies",
        "Services",
        "ShutdownDelay",
    ];
    let mut value = json(task);
    let Some(fields) = value.as_object_mut() else { return value };
    fields.retain(|key, _| !IN_PLACE.contains(&key.as_str()));
    if let Some(resources) = fields.get_mut("Resources").and_then(Value::as_object_mut) {
        resources.retain(|key, value| !matches!(key.as_str(), "DiskMB" | "IOPS" | "Networks") && !is_empty(value));
    }
    if let Some(vault) = fields.get_mut("Vault").and_then(Value::as_object_mut) {
        vault.retain(|key, _| key != "Policies");
    }
    if let Some(identity) = fields.get_mut("Identity").and_then(Value::as_object_mut) {
        // What every task has anyway.
        let standard = |key: &str, value: &Value| match key {
            "Name" => value == "default",
            "Audience" => *value == serde_json::json!(["nomadproject.io"]),
            _ => false,
        };
        identity.retain(|key, value| !standard(key, value) && !is_empty(value));
    }
    // Absent, null and empty are one to a running task; whole numbers have one spelling.
    fields.retain(|_, value| !is_empty(value));
    fields.values_mut().for_each(unify_numbers);
    let task_networks = task.resources.as_ref().and_then(|resources| resources.networks.as_deref());
    fields.insert("TaskNetworks".to_owned(), networks(task_networks));
    let mut meta = job.meta.clone().unwrap_or_default();
    meta.extend(group.meta.clone().unwrap_or_default());
    meta.extend(task.meta.clone().unwrap_or_default());
    fields.insert("Meta".to_owned(), json(&meta));
    let logs = task.log_config.as_ref().and_then(|logs| logs.disabled).unwrap_or(false);
    fields.insert("LogsDisabled".to_owned(), Value::Bool(logs));
    let restart = task.restart_policy.as_ref().or(group.restart_policy.as_ref());
    fields.insert("RenderTemplates".to_owned(), Value::Bool(render(restart)));
    value
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
    }
}

/// How many copies may be replaced now. The newest version must prove itself: while one of its copies is not yet
/// healthy it takes a turn, and once one has failed nothing more is replaced.
pub(crate) fn allowed_now(job: &CompiledJob, group: &CompiledGroup, kept: &[&Allocation]) -> usize {
    let Some(update) = &group.update else { return usize::MAX };
    let newest = kept.iter().filter(|alloc| alloc.job_version == job.version);
    let mut waiting = 0;
    for alloc in newest {
        match &alloc.health {
            _ if alloc.client_status == ClientStatus::Failed => return 0,
            Some(health) if !health.healthy => return 0,
            Some(_) => {}
            None => waiting += 1,
        }
    }
    (update.max_parallel as usize).saturating_sub(waiting)
}
