//! Old spellings: they work, and the new form is shown.

use serde_json::Value;

use super::{Notes, groups, services, tasks};
use crate::job::{FieldPath, Job, Task, TaskGroup};

pub(super) fn look(job: &Job, notes: &mut Notes) {
    for (path, group) in groups(job) {
        of_group(group, &path, notes);
        services(&path, group, |path, service| {
            let consul = service.provider == "consul";
            let message = format_args!("service {:?} is served by drover's own catalog, not by Consul", service.name);
            notes.when(consul, format_args!("{path}.Provider"), message, "write provider = \"nomad\"");
        });
        for (path, task) in tasks(&path, group) {
            of_task(task, &path, notes);
        }
    }
}

fn of_group(group: &TaskGroup, path: &FieldPath<'_>, notes: &mut Notes) {
    let old = [
        (group.stop_after_client_disconnect.is_some(), "StopAfterClientDisconnect", "stop_on_client_after = ..."),
        (group.max_client_disconnect.is_some(), "MaxClientDisconnect", "lost_after = ..."),
        (group.prevent_reschedule_on_lost == Some(true), "PreventRescheduleOnLost", "replace = false"),
    ];
    for (written, field, new) in old {
        let help = format_args!("write it so:\ndisconnect {{\n  {new}\n}}");
        notes.when(written, format_args!("{path}.{field}"), "this is the old spelling and has no effect", help);
    }
    for (at, network) in group.networks.iter().flatten().enumerate() {
        of_network(network.mbits, &path.item("Networks", at), notes);
    }
}

fn of_network(mbits: Option<i64>, path: &FieldPath<'_>, notes: &mut Notes) {
    let written = mbits.is_some_and(|mbits| mbits > 0);
    notes.when(
        written,
        format_args!("{path}.MBits"),
        "mbits is no longer used",
        "remove the line; bandwidth is not reserved",
    );
}

fn of_task(task: &Task, path: &FieldPath<'_>, notes: &mut Notes) {
    if let Some(config) = task.config.as_ref().filter(|config| config.contains_key("port_map")) {
        let (labels, blocks) = port_map(config.get("port_map"));
        let help = format!(
            "put the ports into the group and name them in config:\nnetwork {{\n{blocks}}}\nconfig {{\n  ports = [{labels}]\n}}"
        );
        notes.when(true, format_args!("{path}.Config.port_map"), "port_map is the old spelling", help);
        if let Some(note) = notes.list.last_mut() {
            note.of_name = true;
        }
    }
    let Some(resources) = &task.resources else { return };
    let of_resources = path.field("Resources");
    for (at, network) in resources.networks.iter().flatten().enumerate() {
        let place = of_resources.item("Networks", at);
        let help = "move it to the group, with the port inside the container as `to`:\nnetwork {\n  port \"http\" {\n    to = 80\n  }\n}";
        notes.when(true, place, "network inside resources is the old spelling", help);
        of_network(network.mbits, &place, notes);
    }
    let disk = resources.disk_mb.unwrap_or(0) > 0;
    let help = "write it in the group:\nephemeral_disk {\n  size = ...\n}";
    notes.when(disk, format_args!("{path}.Resources.DiskMB"), "disk of a task is no longer used", help);
    let iops = resources.iops.unwrap_or(0) > 0;
    notes.when(iops, format_args!("{path}.Resources.IOPS"), "iops is no longer used", "remove the line");
    let logs = task.log_config.as_ref().is_some_and(|logs| logs.enabled.is_some());
    notes.when(
        logs,
        format_args!("{path}.LogConfig.Enabled"),
        "enabled has no effect",
        "write disabled = true to have no logs",
    );
    let policies = task.vault.as_ref().is_some_and(|vault| vault.policies.is_some());
    notes.when(policies, format_args!("{path}.Vault.Policies"), "policies is no longer used", "write role = ...");
}

/// The labels of an old `port_map` as a list, and as `port` blocks of the new form.
fn port_map(written: Option<&Value>) -> (String, String) {
    let maps: Vec<&Value> = match written {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(other) => vec![other],
        None => Vec::new(),
    };
    let (mut labels, mut blocks) = (Vec::new(), String::new());
    for (label, inside) in maps.into_iter().filter_map(Value::as_object).flatten() {
        labels.push(format!("{label:?}"));
        blocks.push_str(&format!("  port \"{label}\" {{\n    to = {inside}\n  }}\n"));
    }
    (labels.join(", "), blocks)
}
