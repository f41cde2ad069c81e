//! What is kept in the job and has no effect in this version: a job that asks for it runs, with a warning.

use super::{Notes, groups, services, some, tasks};
use crate::job::{FieldPath, Job, Resources, Service, ServiceCheck, Task, TaskGroup, UpdateStrategy};

pub(super) fn look(job: &Job, notes: &mut Notes) {
    let later = "periodic jobs are stored, drover does not launch them yet";
    notes.when(job.periodic.is_some(), "Periodic", later, "");
    let later = "parameterized jobs are stored, drover cannot dispatch them yet";
    notes.when(job.parameterized_job.is_some(), "ParameterizedJob", later, "");
    if let Some(update) = &job.update {
        of_update(update, &FieldPath::JOB.field("Update"), notes);
    }
    for (path, group) in groups(job) {
        of_group(group, job, &path, notes);
        services(&path, group, |path, service| of_service(service, path, notes));
        for (path, task) in tasks(&path, group) {
            of_task(task, &path, notes);
        }
    }
}

fn of_group(group: &TaskGroup, job: &Job, path: &FieldPath<'_>, notes: &mut Notes) {
    if let Some(update) = group.update.as_ref().filter(|update| job.update.as_ref() != Some(*update)) {
        of_update(update, &path.field("Update"), notes);
    }
    let limited = group.max_run_duration.is_some_and(|limit| limit.0 > 0);
    let message = "max_run_duration is stored, drover does not enforce it yet";
    notes.when(limited, format_args!("{path}.MaxRunDuration"), message, "");
    let stops = group.disconnect.as_ref().is_some_and(|disconnect| disconnect.stop_on_client_after.is_some());
    let message = "a node that is out of reach does not stop its copies by itself yet";
    notes.when(stops, format_args!("{path}.Disconnect.StopOnClientAfter"), message, "");
    if let Some(disk) = &group.ephemeral_disk {
        let migrates = disk.migrate == Some(true);
        let message =
            "data is not fetched from another node yet; with sticky it is kept by a replacement on the same node";
        notes.when(migrates, format_args!("{path}.EphemeralDisk.Migrate"), message, "");
    }
    let several = group.tasks.as_ref().is_some_and(|tasks| tasks.len() > 1);
    for (at, network) in group.networks.iter().flatten().enumerate() {
        let bridge = several && network.mode == "bridge";
        let message = "the tasks of a group do not share one network yet: each container has its own";
        notes.when(
            bridge,
            format_args!("{path}.Networks[{at}].Mode"),
            message,
            "let tasks reach each other by service name",
        );
    }
    let consul = group.consul.is_some();
    notes.when(consul, format_args!("{path}.Consul"), "services go to the built-in catalog, not to Consul", "");
}

fn of_update(update: &UpdateStrategy, path: &FieldPath<'_>, notes: &mut Notes) {
    let canary = update.canary.unwrap_or(0) > 0;
    let message = "there are no canaries yet: copies are replaced max_parallel at a time";
    notes.when(canary, format_args!("{path}.Canary"), message, "");
    let revert = update.auto_revert == Some(true);
    let message = "a failed update stops yet is not reverted by itself";
    notes.when(revert, format_args!("{path}.AutoRevert"), message, "");
}

/// What only Consul makes use of.
fn of_service(service: &Service, path: &FieldPath<'_>, notes: &mut Notes) {
    let fields: [(bool, &str); 9] = [
        (some(&service.canary_tags), "canary_tags"),
        (service.enable_tag_override, "enable_tag_override"),
        (service.meta.is_some(), "meta"),
        (service.canary_meta.is_some(), "canary_meta"),
        (service.tagged_addresses.is_some(), "tagged_addresses"),
        (service.weights.is_some(), "weights"),
        (service.identity.is_some(), "identity"),
        (!service.kind.is_empty(), "kind"),
        (service.provider == "consul" && service.cluster != "default" && !service.cluster.is_empty(), "cluster"),
    ];
    unused(&fields, path, notes);
    for (at, check) in service.checks.iter().flatten().enumerate() {
        of_check(check, &path.item("Checks", at), notes);
    }
}

fn of_check(check: &ServiceCheck, path: &FieldPath<'_>, notes: &mut Notes) {
    let fields = [
        (check.expose, "expose"),
        (!check.advertise.is_empty(), "advertise"),
        (check.success_before_passing > 0, "success_before_passing"),
        (check.failures_before_critical > 0, "failures_before_critical"),
        (check.failures_before_warning > 0, "failures_before_warning"),
        (!check.tls_server_name.is_empty(), "tls_server_name"),
    ];
    unused(&fields, path, notes);
}

fn unused(fields: &[(bool, &str)], path: &FieldPath<'_>, notes: &mut Notes) {
    let written: Vec<&str> = fields.iter().filter(|(written, _)| *written).map(|(_, name)| *name).collect();
    if !written.is_empty() {
        let verb = if written.len() == 1 { "has" } else { "have" };
        let message = format!("{} {verb} no effect in the built-in catalog", written.join(", "));
        notes.when(true, path, message, "");
    }
}

fn of_task(task: &Task, path: &FieldPath<'_>, notes: &mut Notes) {
    let token = task.identity.as_ref().is_some_and(|identity| identity.env || identity.file);
    let message = "tasks are given no identity token yet";
    notes.when(token, format_args!("{path}.Identity"), message, "");
    notes.when(some(&task.identities), format_args!("{path}.Identities[0]"), message, "");
    let actions = some(&task.actions);
    notes.when(actions, format_args!("{path}.Actions[0]"), "actions are stored, drover cannot run them yet", "");
    let scaling = some(&task.scaling_policies);
    let message = "scaling of a task is stored and has no effect";
    notes.when(scaling, format_args!("{path}.ScalingPolicies[0]"), message, "");
    let consul = task.consul.is_some();
    notes.when(consul, format_args!("{path}.Consul"), "services go to the built-in catalog, not to Consul", "");
    if let Some(resources) = &task.resources {
        of_resources(resources, &path.field("Resources"), notes);
    }
}

fn of_resources(resources: &Resources, path: &FieldPath<'_>, notes: &mut Notes) {
    let cores = resources.cores.unwrap_or(0) > 0;
    let message = "whole cores are reserved, the task is not pinned to them yet";
    notes.when(cores, format_args!("{path}.Cores"), message, "");
    let devices = some(&resources.devices);
    let message = "no node of this version announces devices: the job waits for one that does";
    notes.when(devices, format_args!("{path}.Devices[0]"), message, "");
    let secrets = resources.secrets_mb.unwrap_or(0) > 0;
    notes.when(secrets, format_args!("{path}.SecretsMB"), "the size of the secrets directory is not limited", "");
}
