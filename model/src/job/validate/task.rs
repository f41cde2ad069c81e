//! Rules for a task: driver, resources, templates, artifacts, mounts.

use std::collections::BTreeSet;

use super::group::negative;
use super::{Findings, check_name, check_rules, service};
use crate::job::{FieldPath, Resources, Task, TaskArtifact, TaskGroup, Template};
use crate::suggest::choices;

pub(super) fn check(task: &Task, group: &TaskGroup, kind: &str, path: &FieldPath<'_>, findings: &mut Findings) {
    check_name(&task.name, path.field("Name"), "task", findings);
    if task.driver.is_empty() {
        let help = "for example driver = \"docker\" or \"raw_exec\"";
        findings.advise(format!("{path}.Driver"), "the task names no driver", help);
    }
    if negative(task.kill_timeout) {
        findings.add(format!("{path}.KillTimeout"), "a time cannot be negative");
    }
    if task.shutdown_delay.0 < 0 {
        findings.add(format!("{path}.ShutdownDelay"), "a time cannot be negative");
    }
    check_rules(task.constraints.as_deref(), task.affinities.as_deref(), None, path, findings);
    if kind.starts_with("sys") && task.affinities.as_ref().is_some_and(|list| !list.is_empty()) {
        findings.add(format!("{path}.Affinities"), format!("a {kind} job takes no affinity"));
    }
    if let Some(resources) = &task.resources {
        check_resources(resources, &path.field("Resources"), findings);
    }
    if let Some(restart) = &task.restart_policy
        && group.restart_policy.as_ref() != Some(restart)
    {
        super::group::check_restart(restart, &path.field("RestartPolicy"), findings);
    }
    if let Some(logs) = &task.log_config {
        if logs.max_files.unwrap_or(10) < 1 {
            findings.add(format!("{path}.LogConfig.MaxFiles"), "at least one log file is kept");
        }
        if logs.max_file_size_mb.unwrap_or(10) < 1 {
            findings.add(format!("{path}.LogConfig.MaxFileSizeMB"), "a log file has at least 1 MB");
        }
    }
    if let Some(lifecycle) = &task.lifecycle {
        let hooks = ["prestart", "poststart", "poststop"];
        if !hooks.contains(&lifecycle.hook.as_str()) {
            let message = format!("there is no lifecycle hook {:?}", lifecycle.hook);
            findings.advise(format!("{path}.Lifecycle.Hook"), message, choices(&lifecycle.hook, &hooks));
        }
    }
    for (at, item) in task.services.iter().flatten().enumerate() {
        service::check(item, group, &path.item("Services", at), findings);
    }
    for (at, artifact) in task.artifacts.iter().flatten().enumerate() {
        check_artifact(artifact, &path.item("Artifacts", at), findings);
    }
    check_templates(task, path, findings);
    check_mounts(task, group, path, findings);
    check_extras(task, path, findings);
}

fn check_resources(resources: &Resources, path: &FieldPath<'_>, findings: &mut Findings) {
    let (cpu, cores) = (resources.cpu.unwrap_or(0), resources.cores.unwrap_or(0));
    if cores < 0 {
        findings.add(format!("{path}.Cores"), format!("cores {cores} is negative"));
    } else if cores > 0 && cpu > 0 {
        findings.advise(path, "cpu and cores exclude each other", "keep one of the two");
    } else if cores == 0 && cpu < 1 {
        findings.add(format!("{path}.CPU"), format!("a task has at least 1 MHz, not {cpu}"));
    }
    let memory = resources.memory_mb.unwrap_or(0);
    if memory < 10 {
        findings.add(format!("{path}.MemoryMB"), format!("a task has at least 10 MB, not {memory}"));
    }
    let most = resources.memory_max_mb.unwrap_or(0);
    if most != 0 && most != -1 && most < memory {
        findings.add(format!("{path}.MemoryMaxMB"), format!("memory_max {most} is less than memory {memory}"));
    }
    if resources.secrets_mb.is_some_and(|size| size < 0) {
        findings.add(format!("{path}.SecretsMB"), "a size cannot be negative");
    }
    let choice = ["none", "prefer", "require"];
    if let Some(numa) = &resources.numa
        && !choice.contains(&numa.affinity.as_str())
    {
        let message = format!("there is no choice {:?}", numa.affinity);
        findings.advise(format!("{path}.NUMA.Affinity"), message, choices(&numa.affinity, &choice));
    }
}

fn check_artifact(artifact: &TaskArtifact, path: &FieldPath<'_>, findings: &mut Findings) {
    if artifact.getter_source.as_deref().unwrap_or_default().is_empty() {
        findings.add(format!("{path}.GetterSource"), "an artifact needs a source");
    }
    let mode = artifact.getter_mode.as_deref().unwrap_or_default();
    findings.one_of(path.field("GetterMode"), mode, &["any", "file", "dir"]);
    if escapes(artifact.relative_dest.as_deref().unwrap_or_default()) {
        findings.add(format!("{path}.RelativeDest"), "this destination leaves the task's directory");
    }
    let options = artifact.getter_options.iter().flatten();
    for (_, checksum) in options.filter(|(name, value)| *name == "checksum" && !value.contains("${")) {
        if !checksum_shape(checksum) {
            let help = "write sha256:<64 hexadecimal digits>";
            findings.advise(format!("{path}.GetterOptions.checksum"), format!("{checksum:?} is no checksum"), help);
        }
    }
}

fn checksum_shape(text: &str) -> bool {
    let Some((kind, digits)) = text.split_once(':') else { return false };
    let length = match kind {
        "md5" => 32,
        "sha1" => 40,
        "sha256" => 64,
        "sha512" => 128,
        "file" => return !digits.is_empty(),
        _ => return false,
    };
    digits.len() == length && digits.chars().all(|c| c.is_ascii_hexdigit())
}

/// Whether a path climbs above where it starts.
fn escapes(path: &str) -> bool {
    let mut depth = 0i32;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        // One level up is the allocation's directory, which holds `alloc/` and the other tasks.
        if depth < -1 {
            return true;
        }
    }
    depth < 0
}

fn check_templates(task: &Task, path: &FieldPath<'_>, findings: &mut Findings) {
    let mut destinations = BTreeSet::new();
    for (at, template) in task.templates.iter().flatten().enumerate() {
        let place = path.item("Templates", at);
        let destination = template.dest_path.as_deref().unwrap_or_default();
        if !destination.is_empty() && !destinations.insert(destination) {
            findings.add(format!("{place}.DestPath"), format!("{destination:?} is written by two templates"));
        }
        check_template(template, &place, findings);
    }
}

fn check_template(template: &Template, path: &FieldPath<'_>, findings: &mut Findings) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    if text(&template.source_path).is_empty() && text(&template.embedded_tmpl).is_empty() {
        findings.add(path, "a template needs data or source");
    }
    let destination = text(&template.dest_path);
    if destination.is_empty() {
        findings.add(format!("{path}.DestPath"), "a template needs a destination");
    } else if escapes(&destination) {
        findings.add(format!("{path}.DestPath"), "this destination leaves the task's directory");
    }
    let mode = text(&template.change_mode);
    let envvars = template.envvars == Some(true);
    match mode.as_str() {
        "noop" | "restart" => {}
        "signal" if envvars => {
            let message = "variables of a running program cannot change by a signal";
            findings.advise(format!("{path}.ChangeSignal"), message, "use change_mode = \"restart\"");
        }
        "signal" if text(&template.change_signal).is_empty() => {
            findings.add(format!("{path}.ChangeSignal"), "change_mode signal needs a signal");
        }
        "signal" => {}
        "script" if template.change_script.as_ref().is_none_or(|script| text(&script.command).is_empty()) => {
            findings.add(format!("{path}.ChangeScript"), "change_mode script needs a change_script with a command");
        }
        "script" => {}
        _ => findings.one_of(path.field("ChangeMode"), &mode, &["noop", "restart", "signal", "script"]),
    }
    let perms = text(&template.perms);
    if !perms.is_empty() && u32::from_str_radix(&perms, 8).map_or(true, |bits| bits > 0o7777) {
        findings.advise(format!("{path}.Perms"), format!("{perms:?} is not octal"), "for example \"0644\"");
    }
    if negative(template.splay) {
        findings.add(format!("{path}.Splay"), "a time cannot be negative");
    }
    if let Some(wait) = &template.wait {
        let (min, max) = (wait.min.unwrap_or_default(), wait.max);
        if max.is_some_and(|max| min > max) {
            findings.add(format!("{path}.Wait"), "min is longer than max");
        }
    }
}

fn check_mounts(task: &Task, group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    for (at, mount) in task.volume_mounts.iter().flatten().enumerate() {
        let place = path.item("VolumeMounts", at);
        let volume = mount.volume.as_deref().unwrap_or_default();
        if !group.volumes.as_ref().is_some_and(|volumes| volumes.contains_key(volume)) {
            findings.add(format!("{place}.Volume"), format!("the group declares no volume {volume:?}"));
        }
        let modes = ["private", "host-to-task", "bidirectional"];
        let mode = mount.propagation_mode.as_deref().unwrap_or_default();
        findings.one_of(place.field("PropagationMode"), mode, &modes);
    }
}

fn check_extras(task: &Task, path: &FieldPath<'_>, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for (at, action) in task.actions.iter().flatten().enumerate() {
        if !names.insert(&action.name) {
            findings.add(format!("{path}.Actions"), format!("there are two actions {:?}", action.name));
        }
        if action.command.is_empty() {
            findings.add(format!("{path}.Actions[{at}].Command"), "an action needs a command");
        }
    }
    let kinds = ["node", "controller", "monolith"];
    if let Some(plugin) = &task.csi_plugin_config
        && !kinds.contains(&plugin.r#type.as_str())
    {
        let message = format!("there is no plugin type {:?}", plugin.r#type);
        findings.advise(format!("{path}.CSIPluginConfig.Type"), message, choices(&plugin.r#type, &kinds));
    }
    if task.identity.as_ref().is_some_and(|identity| identity.ttl.0 != 0) {
        findings.add(format!("{path}.Identity.TTL"), "the default identity does not expire");
    }
    for (at, identity) in task.identities.iter().flatten().enumerate() {
        if identity.ttl.0 < 0 {
            findings.add(format!("{path}.Identities[{at}].TTL"), "a time cannot be negative");
        }
    }
    if let Some(vault) = &task.vault {
        let modes = ["noop", "restart", "signal"];
        let mode = vault.change_mode.as_deref().unwrap_or_default();
        findings.one_of(path.field("Vault.ChangeMode"), mode, &modes);
    }
    for (at, secret) in task.secrets.iter().flatten().enumerate() {
        if secret.provider.is_empty() {
            findings.add(format!("{path}.Secrets[{at}].Provider"), "a secret needs a provider");
        }
    }
    if task.schedule.is_some() {
        findings.advise(format!("{path}.Schedule"), "task schedules are not supported", "remove the schedule block");
    }
}
