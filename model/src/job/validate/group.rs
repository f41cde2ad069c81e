//! Rules for a group: count, policies, network, volumes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, check_name, check_rules, service, task};
use crate::job::{FieldPath, Job, NetworkResource, Port, ReschedulePolicy, RestartPolicy, TaskGroup, UpdateStrategy};
use crate::suggest::choices;
use crate::time::GoDuration;

/// The shortest delay before an allocation is replaced.
const MIN_RESCHEDULE_DELAY: GoDuration = GoDuration::from_secs(5);
/// The shortest interval in which attempts are counted.
const MIN_INTERVAL: GoDuration = GoDuration::from_secs(5);
/// More copies than this are a mistake of typing.
const MAX_COUNT: i64 = 10_000_000;

pub(super) fn check(job: &Job, group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    let kind = job.r#type.as_deref().unwrap_or_default();
    let system = kind == "system" || kind == "sysbatch";
    check_name(group.name.as_deref().unwrap_or_default(), path.field("Name"), "group", findings);
    let (affinities, spreads) = (group.affinities.as_deref(), group.spreads.as_deref());
    check_rules(group.constraints.as_deref(), affinities, spreads, path, findings);
    if system && affinities.is_some_and(|list| !list.is_empty()) {
        findings.add(format!("{path}.Affinities"), format!("a {kind} job takes no affinity"));
    }
    if system && spreads.is_some_and(|list| !list.is_empty()) {
        findings.add(format!("{path}.Spreads"), format!("a {kind} job takes no spread"));
    }
    check_count(group, kind, system, path, findings);
    if let Some(restart) = &group.restart_policy {
        check_restart(restart, &path.field("RestartPolicy"), findings);
    }
    match &group.reschedule_policy {
        Some(_) if system => {
            findings.add(format!("{path}.ReschedulePolicy"), format!("a {kind} job takes no reschedule"));
        }
        Some(policy) => check_reschedule(policy, &path.field("ReschedulePolicy"), findings),
        None => {}
    }
    check_update(group, kind, path, findings);
    check_migrate_and_disconnect(group, path, findings);
    check_networks(group, path, findings);
    check_disk(group, path, findings);
    check_volumes(group, system, path, findings);
    for (at, item) in group.services.iter().flatten().enumerate() {
        service::check(item, group, &path.item("Services", at), findings);
    }
    if negative(group.shutdown_delay) {
        findings.add(format!("{path}.ShutdownDelay"), "a time cannot be negative");
    }
    if group.max_run_duration.is_some() && kind != "batch" && kind != "sysbatch" {
        findings.add(format!("{path}.MaxRunDuration"), "only batch and sysbatch jobs take a run limit");
    } else if negative(group.max_run_duration) {
        findings.add(format!("{path}.MaxRunDuration"), "a time cannot be negative");
    }
    check_tasks(group, path, findings);
    for (at, item) in group.tasks.iter().flatten().enumerate() {
        task::check(item, group, kind, &path.item("Tasks", at), findings);
    }
}

pub(super) fn negative(span: Option<GoDuration>) -> bool {
    span.is_some_and(|span| span.0 < 0)
}

fn check_count(group: &TaskGroup, kind: &str, system: bool, path: &FieldPath<'_>, findings: &mut Findings) {
    let count = group.count.unwrap_or(1);
    let place = path.field("Count");
    if count < 0 {
        findings.add(place, format!("count {count} is negative"));
    } else if system && count > 1 {
        findings.advise(place, format!("a {kind} job runs once on every node"), "remove count");
    } else if count > MAX_COUNT {
        findings.add(place, format!("count {count} is more than {MAX_COUNT}"));
    }
    let Some(scaling) = &group.scaling else { return };
    let (min, max) = (scaling.min.unwrap_or(0), scaling.max.unwrap_or(i64::MAX));
    if min > max || min < 0 {
        findings.add(format!("{path}.Scaling"), format!("min {min} and max {max} make no range"));
    } else if count < min || count > max {
        findings.add(place, format!("count {count} is outside the scaling range {min} to {max}"));
    }
}

pub(super) fn check_restart(restart: &RestartPolicy, path: &FieldPath<'_>, findings: &mut Findings) {
    let attempts = restart.attempts.unwrap_or(0);
    let (interval, delay) = (restart.interval.unwrap_or_default(), restart.delay.unwrap_or_default());
    let mode = restart.mode.as_deref().unwrap_or_default();
    if mode != "fail" && mode != "delay" {
        findings.advise(
            format!("{path}.Mode"),
            format!("there is no restart mode {mode:?}"),
            choices(mode, &["fail", "delay"]),
        );
        return;
    }
    if attempts < 0 {
        findings.add(format!("{path}.Attempts"), "attempts cannot be negative");
        return;
    }
    if attempts == 0 && mode == "delay" {
        findings.add(format!("{path}.Attempts"), "mode delay without attempts would wait for ever");
    }
    if delay.0 < 0 {
        findings.add(format!("{path}.Delay"), "a time cannot be negative");
    } else if attempts > 0 && interval < MIN_INTERVAL {
        findings.add(format!("{path}.Interval"), format!("the interval is at least {MIN_INTERVAL}"));
    } else if attempts > 0 && delay.0.saturating_mul(attempts) > interval.0 {
        findings
            .add(format!("{path}.Interval"), format!("{attempts} attempts {delay} apart do not fit into {interval}"));
    }
}

fn check_reschedule(policy: &ReschedulePolicy, path: &FieldPath<'_>, findings: &mut Findings) {
    let attempts = policy.attempts.unwrap_or(0);
    let unlimited = policy.unlimited.unwrap_or(false);
    if attempts == 0 && !unlimited {
        return;
    }
    let (delay, most) = (policy.delay.unwrap_or_default(), policy.max_delay.unwrap_or_default());
    let function = policy.delay_function.as_deref().unwrap_or_default();
    if delay < MIN_RESCHEDULE_DELAY {
        findings.add(format!("{path}.Delay"), format!("the delay is at least {MIN_RESCHEDULE_DELAY}"));
    }
    let functions = ["constant", "exponential", "fibonacci"];
    if !functions.contains(&function) {
        let help = choices(function, &functions);
        findings.advise(format!("{path}.DelayFunction"), format!("there is no delay function {function:?}"), help);
    } else if function != "constant" && most < delay {
        findings.add(format!("{path}.MaxDelay"), format!("max_delay {most} is less than the delay {delay}"));
    }
    if !unlimited && policy.interval.unwrap_or_default() < GoDuration::from_secs(15) {
        findings.add(format!("{path}.Interval"), "the interval of limited attempts is at least 15s");
    }
}

fn check_update(group: &TaskGroup, kind: &str, path: &FieldPath<'_>, findings: &mut Findings) {
    let Some(update) = &group.update else { return };
    if kind == "batch" || kind == "sysbatch" {
        return;
    }
    if update.max_parallel == Some(0) && update.stagger.unwrap_or_default().0 == 0 {
        return;
    }
    check_strategy(update, &path.field("Update"), findings);
    let canaries = update.canary.unwrap_or(0) > 0;
    if canaries && group.volumes.iter().flatten().any(|(_, volume)| volume.per_alloc) {
        findings.add(format!("{path}.Volumes"), "volumes per allocation do not go together with canaries");
    }
    let progress = update.progress_deadline.unwrap_or_default();
    for (at, task) in group.tasks.iter().flatten().enumerate() {
        let kill = task.kill_timeout.unwrap_or_default();
        if progress.0 > 0 && kill > progress {
            let place = format!("{path}.Tasks[{at}].KillTimeout");
            findings.add(place, format!("kill_timeout {kill} is longer than progress_deadline {progress}"));
        }
    }
}

fn check_strategy(update: &UpdateStrategy, path: &FieldPath<'_>, findings: &mut Findings) {
    if update.max_parallel.unwrap_or(0) < 0 {
        findings.add(format!("{path}.MaxParallel"), "max_parallel cannot be negative");
    }
    let canary = update.canary.unwrap_or(0);
    if canary < 0 {
        findings.add(format!("{path}.Canary"), "canary cannot be negative");
    }
    if canary == 0 && update.auto_promote == Some(true) {
        findings.advise(format!("{path}.AutoPromote"), "there is nothing to promote", "set canary, or no auto_promote");
    }
    let kinds = ["checks", "task_states", "manual"];
    findings.one_of(path.field("HealthCheck"), update.health_check.as_deref().unwrap_or_default(), &kinds);
    let healthy = update.min_healthy_time.unwrap_or_default();
    let deadline = update.healthy_deadline.unwrap_or_default();
    let progress = update.progress_deadline.unwrap_or_default();
    if healthy.0 < 0 {
        findings.add(format!("{path}.MinHealthyTime"), "a time cannot be negative");
    }
    if healthy >= deadline {
        let message = format!("healthy_deadline {deadline} must be longer than min_healthy_time {healthy}");
        findings.add(format!("{path}.HealthyDeadline"), message);
    }
    if progress.0 != 0 && deadline >= progress {
        let message = format!("progress_deadline {progress} must be longer than healthy_deadline {deadline}");
        findings.add(format!("{path}.ProgressDeadline"), message);
    }
    if update.stagger.unwrap_or_default().0 <= 0 {
        findings.add(format!("{path}.Stagger"), "stagger must be longer than nothing");
    }
}

fn check_migrate_and_disconnect(group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    if let Some(migrate) = &group.migrate {
        let healthy = migrate.min_healthy_time.unwrap_or_default();
        let deadline = migrate.healthy_deadline.unwrap_or_default();
        if migrate.max_parallel.unwrap_or(1) < 0 {
            findings.add(format!("{path}.Migrate.MaxParallel"), "max_parallel cannot be negative");
        }
        if healthy > deadline {
            let message = format!("healthy_deadline {deadline} is shorter than min_healthy_time {healthy}");
            findings.add(format!("{path}.Migrate.HealthyDeadline"), message);
        }
        let kinds = ["checks", "task_states"];
        let check = migrate.health_check.as_deref().unwrap_or_default();
        findings.one_of(path.field("Migrate.HealthCheck"), check, &kinds);
    }
    let Some(disconnect) = &group.disconnect else { return };
    let lost = disconnect.lost_after.unwrap_or_default();
    if disconnect.stop_on_client_after.is_some() && lost.0 != 0 {
        findings.add(format!("{path}.Disconnect"), "lost_after and stop_on_client_after exclude each other");
    }
    if lost.0 < 0 {
        findings.add(format!("{path}.Disconnect.LostAfter"), "a time cannot be negative");
    }
    if negative(disconnect.stop_on_client_after) {
        findings.add(format!("{path}.Disconnect.StopOnClientAfter"), "a time cannot be negative");
    }
    let choices = ["best_score", "keep_original", "keep_replacement", "longest_running"];
    let reconcile = disconnect.reconcile.as_deref().unwrap_or_default();
    findings.one_of(path.field("Disconnect.Reconcile"), reconcile, &choices);
}

/// The ports of a network with their paths.
fn ports<'p, 'j>(
    network: &'j NetworkResource,
    path: &'p FieldPath<'p>,
) -> impl Iterator<Item = (FieldPath<'p>, &'j Port)> {
    let reserved = network.reserved_ports.iter().flatten().enumerate();
    let dynamic = network.dynamic_ports.iter().flatten().enumerate();
    reserved
        .map(|(at, port)| (path.item("ReservedPorts", at), port))
        .chain(dynamic.map(|(at, port)| (path.item("DynamicPorts", at), port)))
}

/// What the networks of a group and of its tasks may have once only.
#[derive(Default)]
struct Claimed<'j> {
    labels: BTreeSet<&'j str>,
    fixed: BTreeMap<(i64, &'j str), &'j str>,
}

fn check_networks(group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    let mut claimed = Claimed::default();
    let all = path.field("Networks");
    for (at, network) in group.networks.iter().flatten().enumerate() {
        check_ports(network, &path.item("Networks", at), &all, &mut claimed, findings);
    }
    for (at, task) in group.tasks.iter().flatten().enumerate() {
        let task_path = path.item("Tasks", at);
        let resources = task_path.field("Resources");
        for (at, network) in task.resources.iter().flat_map(|r| r.networks.iter().flatten()).enumerate() {
            check_ports(network, &resources.item("Networks", at), &all, &mut claimed, findings);
        }
    }
}

/// `all` is where collisions are told, for they concern more than one network.
fn check_ports<'j>(
    network: &'j NetworkResource,
    path: &FieldPath<'_>,
    all: &FieldPath<'_>,
    claimed: &mut Claimed<'j>,
    findings: &mut Findings,
) {
    for (place, port) in ports(network, path) {
        check_port(port, &place, findings);
        if !claimed.labels.insert(&port.label) {
            findings.add(all, format!("there are two ports {:?}", port.label));
        }
        if port.value > 0
            && !port.ignore_collision
            && let Some(other) = claimed.fixed.insert((port.value, &port.host_network), &port.label)
        {
            let message = format!("ports {other:?} and {:?} both want {}", port.label, port.value);
            findings.add(all, message);
        }
    }
}

fn check_port(port: &Port, path: &FieldPath<'_>, findings: &mut Findings) {
    if !(0..=65_535).contains(&port.value) {
        findings.add(format!("{path}.Value"), format!("port {} is outside 1 to 65535", port.value));
    }
    if !(-1..=65_535).contains(&port.to) {
        findings.add(format!("{path}.To"), format!("port {} is outside -1 to 65535", port.to));
    }
    if port.label.is_empty() || port.label.len() > 128 || port.label.contains('\0') {
        findings.add(format!("{path}.Label"), "a port needs a name of 1 to 128 bytes");
    }
}

fn check_disk(group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    let size = group.ephemeral_disk.as_ref().and_then(|disk| disk.size_mb).unwrap_or(300);
    let place = path.field("EphemeralDisk.SizeMB");
    if size < 10 {
        findings.add(place, format!("the disk has at least 10 MB, not {size}"));
        return;
    }
    for (at, task) in group.tasks.iter().flatten().enumerate() {
        let Some(config) = &task.log_config else { continue };
        if config.disabled == Some(true) {
            continue;
        }
        let logs = config.max_files.unwrap_or(10).saturating_mul(config.max_file_size_mb.unwrap_or(10));
        if logs <= size {
            continue;
        }
        let message = format!("the logs may grow to {logs} MB, the disk has {size} MB");
        // Who asks for more than the default of 100 MB is told at the logs, anybody else at the disk.
        if logs > 100 {
            findings.advise(format!("{path}.Tasks[{at}].LogConfig"), message, "raise ephemeral_disk.size");
        } else {
            findings.add(place, message);
        }
        return;
    }
}

fn check_volumes(group: &TaskGroup, system: bool, path: &FieldPath<'_>, findings: &mut Findings) {
    for (name, volume) in group.volumes.iter().flatten() {
        let volumes = path.field("Volumes");
        let place = volumes.field(name);
        if volume.source.is_empty() && (volume.r#type == "host" || volume.r#type == "csi") {
            findings.add(format!("{place}.Source"), "a volume needs a source");
        }
        if volume.r#type == "host" && volume.mount_options.is_some() {
            findings.add(format!("{place}.MountOptions"), "a host volume takes no mount options");
        }
        if volume.per_alloc && system {
            findings.add(format!("{place}.PerAlloc"), "a system job takes no volumes per allocation");
        }
    }
}

fn check_tasks(group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    let tasks = group.tasks.as_deref().unwrap_or_default();
    let place = path.field("Tasks");
    if tasks.is_empty() {
        findings.add(place, "the group has no task");
        return;
    }
    let mut names = BTreeSet::new();
    for task in tasks {
        if !names.insert(&task.name) {
            findings.add(place, format!("there are two tasks {:?}", task.name));
        }
    }
    if tasks.iter().filter(|task| task.leader).count() > 1 {
        findings.add(place, "only one task can lead the group");
    }
    if tasks.iter().all(|task| task.lifecycle.is_some()) {
        findings.add(place, "at least one task must run without a lifecycle block");
    }
}
