//! What this version cannot run: a job that asks for it is refused.

use super::{Notes, groups, services, some, tasks};
use crate::job::{Connect, FieldPath, Job, Resources, Service, Task, TaskGroup};

pub(super) fn look(job: &Job, notes: &mut Notes) {
    for (path, group) in groups(job) {
        of_group(group, &path, notes);
        services(&path, group, |path, service| of_service(service, path, notes));
        for (path, task) in tasks(&path, group) {
            of_task(task, &path, notes);
        }
    }
}

fn of_group(group: &TaskGroup, path: &FieldPath<'_>, notes: &mut Notes) {
    for (name, volume) in group.volumes.iter().flatten() {
        let help = "use a host volume: client { host_volume } in the agent's configuration";
        let message = format_args!("volumes of type {:?} are not supported", volume.r#type);
        notes.when(volume.r#type != "host", format_args!("{path}.Volumes.{name}.Type"), message, help);
    }
    for (at, network) in group.networks.iter().flatten().enumerate() {
        let foreign = network.mode == "none" || network.mode.starts_with("cni/");
        let message = format_args!("the network mode {:?} is not supported yet", network.mode);
        notes.when(foreign, format_args!("{path}.Networks[{at}].Mode"), message, "use host or bridge");
    }
    if let Some(consul) = &group.consul {
        let other = !consul.cluster.is_empty() && consul.cluster != "default";
        notes.when(other, format_args!("{path}.Consul.Cluster"), "there is no other Consul cluster", "remove the line");
    }
}

fn of_service(service: &Service, path: &FieldPath<'_>, notes: &mut Notes) {
    if let Some(connect) = &service.connect {
        let Connect { native, gateway, sidecar_service, sidecar_task } = connect;
        let asked = *native || gateway.is_some() || sidecar_service.is_some() || sidecar_task.is_some();
        notes.when(
            asked,
            format_args!("{path}.Connect"),
            "a service mesh is not supported",
            "remove the connect block",
        );
    }
    for (at, check) in service.checks.iter().flatten().enumerate() {
        let foreign = check.r#type == "script" || check.r#type == "grpc";
        let message = format_args!("checks of type {:?} are not supported yet", check.r#type);
        notes.when(foreign, format_args!("{path}.Checks[{at}].Type"), message, "use http or tcp");
    }
}

fn of_task(task: &Task, path: &FieldPath<'_>, notes: &mut Notes) {
    let templates = some(&task.templates);
    notes.when(templates, format_args!("{path}.Templates[0]"), "templates are not rendered yet", "");
    let artifacts = some(&task.artifacts);
    notes.when(artifacts, format_args!("{path}.Artifacts[0]"), "artifacts are not fetched yet", "");
    let vault = task.vault.is_some();
    notes.when(vault, format_args!("{path}.Vault"), "there is no Vault to ask", "remove the vault block");
    let secrets = some(&task.secrets);
    notes.when(secrets, format_args!("{path}.Secrets[0]"), "secret blocks are not supported yet", "");
    let plugin = task.csi_plugin_config.is_some();
    notes.when(plugin, format_args!("{path}.CSIPluginConfig"), "storage plugins are not supported", "");
    if let Some(resources) = &task.resources {
        of_resources(resources, &path.field("Resources"), notes);
    }
}

fn of_resources(resources: &Resources, path: &FieldPath<'_>, notes: &mut Notes) {
    let numa = resources.numa.as_ref().is_some_and(|numa| !numa.affinity.is_empty() && numa.affinity != "none");
    notes.when(numa, format_args!("{path}.NUMA"), "placing by NUMA node is not supported", "remove the numa block");
}
