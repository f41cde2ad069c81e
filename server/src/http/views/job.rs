//! Jobs: the stored document in the server's shape, and the stub of lists.

use model::job::Job;
use serde_json::{Map, Value, json};

use super::{omit_empty, value_of};

/// The document as Nomad's server shows it, which differs from what users send: `Reschedule` and `Migrate` of the job
/// have moved into its groups, networks and ports leave out what is not set.
pub(in crate::http) fn document(job: &Job) -> Value {
    let mut object = value_of(job);
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("Reschedule");
    fields.remove("Migrate");
    for name in ["AllAtOnce", "Dispatched", "Stop", "Stable"] {
        or_default(fields, name, json!(false));
    }
    for name in [
        "ParentID",
        "DispatchIdempotencyToken",
        "ConsulNamespace",
        "VaultNamespace",
        "NomadTokenID",
        "StatusDescription",
    ] {
        or_default(fields, name, json!(""));
    }
    if let Some(update) = fields.get_mut("Update").and_then(Value::as_object_mut) {
        job_update(update);
    } else {
        let mut update = Map::new();
        job_update(&mut update);
        fields.insert("Update".to_owned(), Value::Object(update));
    }
    let namespace = job.namespace.as_deref().unwrap_or("default");
    for group in items(fields.get_mut("TaskGroups")) {
        server_group(group, namespace);
    }
    object
}

/// Of a job's own update strategy the server keeps how many and how fast; the rest is each group's.
fn job_update(update: &mut Map<String, Value>) {
    let rest = [
        ("HealthCheck", json!("")),
        ("MinHealthyTime", json!(0)),
        ("HealthyDeadline", json!(0)),
        ("ProgressDeadline", json!(0)),
        ("Canary", json!(0)),
        ("AutoRevert", json!(false)),
        ("AutoPromote", json!(false)),
    ];
    for (name, value) in rest {
        update.insert(name.to_owned(), value);
    }
    or_default(update, "Stagger", json!(0));
    or_default(update, "MaxParallel", json!(0));
}

fn server_group(group: &mut Map<String, Value>, namespace: &str) {
    or_default(group, "PreventRescheduleOnLost", json!(false));
    server_networks(group);
    server_services(group, namespace);
    for task in items(group.get_mut("Tasks")) {
        or_default(task, "CSIPluginConfig", Value::Null);
        server_services(task, namespace);
        if let Some(logs) = task.get_mut("LogConfig").and_then(Value::as_object_mut) {
            logs.remove("Enabled");
        }
        if let Some(resources) = task.get_mut("Resources").and_then(Value::as_object_mut) {
            for name in ["CPU", "Cores", "MemoryMB", "MemoryMaxMB", "DiskMB", "SecretsMB", "IOPS"] {
                or_default(resources, name, json!(0));
            }
            server_networks(resources);
        }
    }
}

fn server_services(owner: &mut Map<String, Value>, namespace: &str) {
    for service in items(owner.get_mut("Services")) {
        service.insert("Namespace".to_owned(), json!(namespace));
        service.remove("CheckRestart");
        for check in items(service.get_mut("Checks")) {
            check.remove("Advertise");
        }
    }
}

fn server_networks(owner: &mut Map<String, Value>) {
    let Some(Value::Array(networks)) = owner.get_mut("Networks") else { return };
    for network in networks {
        let Value::Object(mut fields) = network.take() else { continue };
        for list in ["ReservedPorts", "DynamicPorts"] {
            let Some(Value::Array(ports)) = fields.get_mut(list) else { continue };
            for port in ports {
                if let Value::Object(mut port_fields) = port.take() {
                    if port_fields.get("HostNetwork").is_none_or(|name| name == "") {
                        port_fields.insert("HostNetwork".to_owned(), json!("default"));
                    }
                    *port = omit_empty(port_fields);
                }
            }
        }
        *network = omit_empty(fields);
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let list = list.and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Sets `name` where it is absent or null.
fn or_default(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let field = fields.entry(name).or_insert(Value::Null);
    if field.is_null() {
        *field = value;
    }
}

/// The stub of lists with the job's present status and counts. Its `Meta` is for filters and `meta=true`.
pub(in crate::http) fn stub(job: &Job, status: &str, summary: Value) -> Value {
    json!({
        "ID": job.id,
        "ParentID": job.parent_id.as_deref().unwrap_or_default(),
        "Name": job.name,
        "Namespace": job.namespace,
        "Datacenters": job.datacenters,
        "NodePool": job.node_pool.as_deref().unwrap_or_default(),
        "Multiregion": value_of(&job.multiregion),
        "Type": job.r#type,
        "Priority": job.priority,
        "Periodic": job.periodic.is_some(),
        "ParameterizedJob": job.parameterized_job.is_some(),
        "Stop": job.stop.unwrap_or(false),
        "Status": status,
        "StatusDescription": job.status_description.as_deref().unwrap_or_default(),
        "JobSummary": summary,
        "CreateIndex": job.create_index.unwrap_or(0),
        "ModifyIndex": job.modify_index.unwrap_or(0),
        "JobModifyIndex": job.job_modify_index.unwrap_or(0),
        "SubmitTime": job.submit_time.unwrap_or(0),
        "Meta": value_of(&job.meta),
    })
}
