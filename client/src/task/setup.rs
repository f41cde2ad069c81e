//! What a driver is told of a task: texts interpolated, directories made.

use std::collections::BTreeMap;

use driver::{Capabilities, LogSettings, Propagation, TaskConfig, TaskDirs, TaskId, TaskMount};
use model::compiled::{CompiledGroup, CompiledTask};
use model::job::VolumeMount;

use super::env::{EnvSource, TaskEnv};
use super::interpolate;
use super::lifecycle::StartFailure;
use crate::config::ClientConfig;

/// What this agent cannot do yet for a task: never ignored.
pub(crate) fn unsupported(task: &CompiledTask) -> Result<(), StartFailure> {
    let wants = [(!task.templates.is_empty(), "template"), (!task.artifacts.is_empty(), "artifact")];
    match wants.iter().find(|(wanted, _)| *wanted) {
        Some((_, block)) => Err(StartFailure::Setup(format!(
            "task {:?} has a {block} block, which is not supported yet; remove it to run the task",
            task.name
        ))),
        None => Ok(()),
    }
}

/// The directories of the host that a task mounts: what its group asks for, as this node has it.
fn mounts(
    source: &EnvSource<'_>,
    group: &CompiledGroup,
    task: &CompiledTask,
    can: &Capabilities,
    env: &TaskEnv,
) -> Result<Vec<TaskMount>, StartFailure> {
    if !can.mounts && !task.volume_mounts.is_empty() {
        let why = format!("driver {:?} cannot mount volumes into task {:?}; docker can", task.driver, task.name);
        return Err(StartFailure::Validation(why));
    }
    let index = source.alloc.index().unwrap_or_default();
    let mount = |mount: &VolumeMount| {
        let name = mount.volume.as_deref().unwrap_or_default();
        let no_such = |what: String| StartFailure::Setup(format!("task {:?} mounts {what}", task.name));
        let request = group.volumes.get(name).ok_or_else(|| no_such(format!("{name:?}, no volume of its group")))?;
        let wanted = request.source_for(index);
        let volume = source
            .node
            .host_volumes
            .get(&wanted)
            .ok_or_else(|| no_such(format!("host volume {wanted:?}, which this node does not have any more")))?;
        let propagation = match mount.propagation_mode.as_deref() {
            Some("host-to-task") => Propagation::HostToTask,
            Some("bidirectional") => Propagation::Bidirectional,
            _ => Propagation::Private,
        };
        Ok(TaskMount {
            host_path: volume.path.clone().into(),
            task_path: env.text(mount.destination.as_deref().unwrap_or_default()),
            read_only: volume.read_only || request.read_only || mount.read_only == Some(true),
            propagation,
        })
    };
    task.volume_mounts.iter().map(mount).collect()
}

/// Everything a driver needs to know.
pub(crate) fn task_config(
    config: &ClientConfig,
    source: &EnvSource<'_>,
    group: &CompiledGroup,
    task: &CompiledTask,
    attempt: u64,
    can: &Capabilities,
    dirs: &TaskDirs,
) -> Result<TaskConfig, StartFailure> {
    let env = TaskEnv::build(&EnvSource { task: Some((task, dirs, can.fs_isolation)), ..*source });
    let settings = interpolate::config(&task.config, &|name| env.lookup(name)).map_err(StartFailure::Validation)?;
    let (alloc, job) = (source.alloc, source.job);
    let grant = alloc.grant.tasks.get(&task.name).cloned().unwrap_or_default();
    let labels = BTreeMap::from([
        ("job".to_owned(), job.key.id.to_string()),
        ("job_name".to_owned(), job.name.clone()),
        ("namespace".to_owned(), job.key.namespace.to_string()),
        ("group".to_owned(), alloc.task_group.clone()),
        ("task".to_owned(), task.name.clone()),
        ("alloc_id".to_owned(), alloc.id.to_string()),
        ("node_id".to_owned(), source.node.id.to_string()),
    ]);
    let dns = group.dns.clone().unwrap_or_default();
    let servers: Vec<_> = dns.servers.iter().flatten().filter_map(|server| env.text(server).parse().ok()).collect();
    let mut searches: Vec<String> = dns.searches.iter().flatten().map(|search| env.text(search)).collect();
    if servers.is_empty() && searches.is_empty() && !config.dns_domain.is_empty() {
        // A plain service name resolves within the job's own namespace first.
        let namespace = &job.key.namespace;
        if &**namespace != "default" {
            searches.push(format!("service.{namespace}.ns.{}", config.dns_domain));
        }
        searches.push(format!("service.{}", config.dns_domain));
    }
    Ok(TaskConfig {
        id: TaskId { alloc: alloc.id, task: task.name.clone(), attempt },
        labels,
        config: settings,
        env: env.vars().clone(),
        user: task.user.clone(),
        cpu_mhz: grant.cpu,
        node_cpu_mhz: source.node.node_resources.cpu.cpu_shares,
        memory_mb: grant.memory_mb,
        memory_max_mb: grant.memory_max_mb,
        ports: alloc
            .grant
            .ports
            .iter()
            .filter(|port| port.task.is_empty() || port.task == task.name)
            .cloned()
            .collect(),
        hostname: env.text(&group.hostname),
        dns_servers: if servers.is_empty() { config.dns_servers.get() } else { servers },
        dns_searches: searches,
        dns_options: dns.options.iter().flatten().map(|option| env.text(option)).collect(),
        dirs: dirs.clone(),
        mounts: mounts(source, group, task, can, &env)?,
        logs: LogSettings { max_files: task.log_files, max_file_mb: task.log_file_mb, disabled: task.logs_disabled },
        kill_signal: task.kill_signal.clone(),
    })
}
