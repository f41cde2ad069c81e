//! Turns a task into what the Engine is asked to create. Pure, but for looking where a mount's source really is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointSettings, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, NetworkingConfig, PortBinding, PortMap,
    ResourcesUlimits,
};
use driver::{DriverError, Propagation, TaskConfig, TaskId, TaskMount};
use model::allocation::AllocatedPort;

use crate::config::{ContainerConfig, MountConfig};
use crate::settings::{DockerSettings, plain_cap};

/// The node whose agent made the container.
pub const LABEL_NODE: &str = "io.drover.node";
/// The allocation.
pub const LABEL_ALLOC: &str = "io.drover.alloc";
/// The task's name.
pub const LABEL_TASK: &str = "io.drover.task";
/// The run of the task, from 0.
pub const LABEL_ATTEMPT: &str = "io.drover.attempt";
/// Where tools made for Nomad look for the allocation.
const LABEL_NOMAD_ALLOC: &str = "com.hashicorp.nomad.alloc_id";
const OWN_LABELS: &str = "io.drover.";

/// The least memory that the Engine takes, in bytes.
const MIN_MEMORY: i64 = 6 << 20;
/// Period of the hard CPU limit in microseconds.
const CPU_PERIOD: i64 = 100_000;

/// A container's name: `<task>-<alloc id>` as Nomad has it, later runs of the task with their number.
pub fn name_of(id: &TaskId) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '_' };
    let task: String = id.task.chars().map(allowed).collect();
    let task = if task.starts_with(|c: char| c.is_ascii_alphanumeric()) { task } else { format!("t{task}") };
    match id.attempt {
        0 => format!("{task}-{}", id.alloc),
        attempt => format!("{task}-{}-{attempt}", id.alloc),
    }
}

/// The task that a container's labels name, if it was made by the agent of `node`.
pub fn task_of(labels: &HashMap<String, String>, node: &str) -> Option<TaskId> {
    if labels.get(LABEL_NODE).map(String::as_str) != Some(node) {
        return None;
    }
    Some(TaskId {
        alloc: labels.get(LABEL_ALLOC)?.parse().ok()?,
        task: labels.get(LABEL_TASK)?.clone(),
        attempt: labels.get(LABEL_ATTEMPT)?.parse().ok()?,
    })
}

/// The ports that `config` publishes, in its order.
///
/// # Errors
/// Names a label that the task has no port for.
pub fn published<'a>(task: &'a TaskConfig, config: &ContainerConfig) -> Result<Vec<&'a AllocatedPort>, DriverError> {
    let Some(labels) = &config.ports else {
        // In the old spelling a task's own ports are published without being listed.
        return Ok(task.ports.iter().filter(|port| port.task == task.id.task).collect());
    };
    let find = |label: &String| {
        let own = task.ports.iter().find(|port| port.label == *label && port.task == task.id.task);
        own.or_else(|| task.ports.iter().find(|port| port.label == *label)).ok_or_else(|| {
            let known: Vec<&str> = task.ports.iter().map(|port| port.label.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            DriverError::Config(format!(
                "the config of task {:?} publishes port {label:?}, which its group does not ask for (it asks for: \
                 {known}); add port {label:?} {{}} to the group's network block",
                task.id.task
            ))
        })
    };
    labels.iter().map(find).collect()
}

/// What the Engine is asked to create.
///
/// # Errors
/// [`DriverError::Config`] when the task asks for what it may not have.
pub fn body(
    task: &TaskConfig,
    config: &ContainerConfig,
    settings: &DockerSettings,
) -> Result<ContainerCreateBody, DriverError> {
    check_permissions(config, settings)?;
    let ports = published(task, config)?;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let list = |list: &[String]| Some(list.to_vec()).filter(|list| !list.is_empty());
    let command: Vec<String> = config.command.iter().chain(&config.args).cloned().collect();
    let joined = config.network_mode.starts_with("container:");
    let hostname = if config.hostname.is_empty() { &task.hostname } else { &config.hostname };
    Ok(ContainerCreateBody {
        image: Some(config.image.clone()),
        cmd: list(&command),
        entrypoint: list(&config.entrypoint),
        env: Some(task.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        user: some(&task.user),
        hostname: some(hostname).filter(|_| !joined),
        working_dir: some(&config.work_dir),
        labels: Some(labels(task, config, settings)?),
        exposed_ports: Some(ports.iter().flat_map(|port| inside(port)).collect()),
        tty: Some(config.tty),
        open_stdin: Some(config.interactive),
        stop_signal: some(&task.kill_signal),
        networking_config: aliases(config),
        host_config: Some(host_config(task, config, settings, &ports)?),
        ..ContainerCreateBody::default()
    })
}

fn check_permissions(config: &ContainerConfig, settings: &DockerSettings) -> Result<(), DriverError> {
    let refuse = |what: &str, setting: &str| {
        Err(DriverError::Config(format!(
            "this agent does not let containers {what}; whoever runs it can allow it with {setting} in the config of \
             plugin \"docker\""
        )))
    };
    if config.privileged && !settings.allow_privileged {
        return refuse("run privileged", "allow_privileged = true");
    }
    for (mode, what) in [(&config.pid_mode, "see the host's processes"), (&config.ipc_mode, "share the host's memory")]
    {
        if mode == "host" && !settings.allow_privileged {
            return refuse(what, "allow_privileged = true");
        }
    }
    if let Some(cap) = config.cap_add.iter().find(|cap| !settings.allows_cap(cap)) {
        return refuse(&format!("have the capability {cap:?}"), &format!("allow_caps = [{:?}, ...]", plain_cap(cap)));
    }
    if config.security_opt.iter().any(|option| option.contains("unconfined")) && !settings.allow_privileged {
        return refuse("run unconfined", "allow_privileged = true");
    }
    Ok(())
}

fn labels(
    task: &TaskConfig,
    config: &ContainerConfig,
    settings: &DockerSettings,
) -> Result<HashMap<String, String>, DriverError> {
    if let Some(taken) = config.labels.keys().find(|key| key.starts_with(OWN_LABELS)) {
        return Err(DriverError::Config(format!(
            "the label {taken:?} is one of those that drover finds its containers by; choose another name"
        )));
    }
    let mut labels: HashMap<String, String> =
        config.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend(task.labels.iter().map(|(key, value)| (format!("{OWN_LABELS}{key}"), value.clone())));
    let own = [
        (LABEL_NODE, settings.node_id.clone()),
        (LABEL_ALLOC, task.id.alloc.to_string()),
        (LABEL_TASK, task.id.task.clone()),
        (LABEL_ATTEMPT, task.id.attempt.to_string()),
        (LABEL_NOMAD_ALLOC, task.id.alloc.to_string()),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
    Ok(labels)
}

/// A port is published for both protocols, as Nomad does.
fn inside(port: &AllocatedPort) -> [String; 2] {
    let to = if port.to == 0 { port.value } else { port.to };
    [format!("{to}/tcp"), format!("{to}/udp")]
}

fn bindings(ports: &[&AllocatedPort]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        for inside in inside(port) {
            let binding = PortBinding { host_ip: Some(port.host_ip.clone()), host_port: Some(port.value.to_string()) };
            map.entry(inside).or_default().get_or_insert_default().push(binding);
        }
    }
    map
}

fn aliases(config: &ContainerConfig) -> Option<NetworkingConfig> {
    if config.network_aliases.is_empty() {
        return None;
    }
    let endpoint = EndpointSettings { aliases: Some(config.network_aliases.clone()), ..EndpointSettings::default() };
    Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(config.network_mode.clone(), endpoint)])) })
}

fn host_config(
    task: &TaskConfig,
    config: &ContainerConfig,
    settings: &DockerSettings,
    ports: &[&AllocatedPort],
) -> Result<HostConfig, DriverError> {
    let list = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let or = |own: &[String], given: Vec<String>| list(if own.is_empty() { given } else { own.to_vec() });
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    // Both are the other container's when its network is joined.
    let joined = config.network_mode.starts_with("container:");
    let servers = task.dns_servers.iter().map(ToString::to_string).collect();
    let (memory, reservation) = memory(task, config);
    let mut host = HostConfig {
        binds: Some(binds(task, config, settings)?),
        mounts: Some(mounts(task, config, settings)?),
        network_mode: some(&config.network_mode),
        port_bindings: Some(bindings(ports)).filter(|map| !map.is_empty() && config.network_mode != "host" && !joined),
        dns: or(&config.dns_servers, servers).filter(|_| !joined),
        dns_search: or(&config.dns_search_domains, task.dns_searches.clone()).filter(|_| !joined),
        dns_options: or(&config.dns_options, task.dns_options.clone()).filter(|_| !joined),
        extra_hosts: list(config.extra_hosts.clone()),
        cpu_shares: Some(task.cpu_mhz.clamp(2, 262_144)),
        memory: Some(memory),
        memory_reservation: reservation,
        // The same as memory: no swap.
        memory_swap: Some(memory),
        pids_limit: config.pids_limit.filter(|limit| *limit > 0),
        ulimits: Some(config.ulimits.iter().map(ulimit).collect()),
        privileged: Some(config.privileged),
        cap_add: list(config.cap_add.iter().map(|cap| plain_cap(cap).to_ascii_uppercase()).collect()),
        cap_drop: list(dropped_caps(config)),
        group_add: list(config.group_add.clone()),
        security_opt: list(config.security_opt.clone()),
        sysctls: Some(config.sysctl.clone().into_iter().collect()),
        readonly_rootfs: Some(config.readonly_rootfs),
        shm_size: config.shm_size.filter(|size| *size > 0),
        init: Some(config.init),
        pid_mode: some(&config.pid_mode),
        ipc_mode: some(&config.ipc_mode),
        runtime: some(&config.runtime),
        log_config: Some(log_config(task, config)),
        devices: Some(Vec::<DeviceMapping>::new()),
        ..HostConfig::default()
    };
    if config.cpu_hard_limit && task.node_cpu_mhz > 0 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as i64);
        host.cpu_period = Some(CPU_PERIOD);
        host.cpu_quota = Some((CPU_PERIOD * cores * task.cpu_mhz / task.node_cpu_mhz).max(1000));
    }
    Ok(host)
}

/// Upper bound and reservation in bytes.
fn memory(task: &TaskConfig, config: &ContainerConfig) -> (i64, Option<i64>) {
    let bytes = |mb: i64| mb.saturating_mul(1 << 20).max(MIN_MEMORY);
    let hard = config.memory_hard_limit.unwrap_or(task.memory_max_mb);
    if hard > task.memory_mb { (bytes(hard), Some(bytes(task.memory_mb))) } else { (bytes(task.memory_mb), None) }
}

fn ulimit((name, (soft, hard)): (&String, &(i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

/// Raw sockets are taken away unless asked for: with them a container can forge its neighbours' packets.
fn dropped_caps(config: &ContainerConfig) -> Vec<String> {
    let mut dropped: Vec<String> = config.cap_drop.iter().map(|cap| plain_cap(cap).to_ascii_uppercase()).collect();
    let asked = config.cap_add.iter().any(|cap| matches!(plain_cap(cap).as_str(), "net_raw" | "all"));
    if !asked && !config.privileged && !dropped.iter().any(|cap| cap == "NET_RAW" || cap == "ALL") {
        dropped.push("NET_RAW".to_owned());
    }
    dropped
}

/// The Engine's own copy of the output is bounded. It has to last while the agent is away, and while a task prints
/// faster than the Engine tells; short lines take ten times their size there.
fn log_config(task: &TaskConfig, config: &ContainerConfig) -> HostConfigLogConfig {
    let (kind, options) = match &config.logging {
        Some((kind, options)) => (kind.clone(), options.clone()),
        None if task.logs.disabled => ("none".to_owned(), BTreeMap::new()),
        None => {
            let options = [("max-size", "50m".to_owned()), ("max-file", "2".to_owned())];
            ("json-file".to_owned(), options.map(|(key, value)| (key.to_owned(), value)).into())
        }
    };
    HostConfigLogConfig { typ: Some(kind), config: Some(options.into_iter().collect()) }
}

fn binds(task: &TaskConfig, config: &ContainerConfig, settings: &DockerSettings) -> Result<Vec<String>, DriverError> {
    let dirs = &task.dirs;
    let own = [(&dirs.alloc, "/alloc"), (&dirs.local, "/local"), (&dirs.secrets, "/secrets")];
    let own = own.iter().filter(|(dir, _)| !dir.as_os_str().is_empty());
    let mut binds: Vec<String> = own.map(|(dir, target)| format!("{}:{target}", dir.display())).collect();
    for volume in &config.volumes {
        let parts: Vec<&str> = volume.split(':').collect();
        let (source, target, mode) = match parts[..] {
            [source, target] if !source.is_empty() && target.starts_with('/') => (source, target, ""),
            [source, target, mode] if !source.is_empty() && target.starts_with('/') => (source, target, mode),
            _ => {
                return Err(DriverError::Config(format!(
                    "the volume {volume:?} is not of the form source:/target or source:/target:mode"
                )));
            }
        };
        let source = source_path(task, source, settings)?;
        let mode = if mode.is_empty() { String::new() } else { format!(":{mode}") };
        binds.push(format!("{}:{target}{mode}", source.display()));
    }
    Ok(binds)
}

/// The task's own, then those of its group's volumes.
fn mounts(task: &TaskConfig, config: &ContainerConfig, settings: &DockerSettings) -> Result<Vec<Mount>, DriverError> {
    let own = config.mounts.iter().map(|mount| read_mount(task, mount, settings));
    own.chain(task.mounts.iter().map(|mount| Ok(volume(mount)))).collect()
}

/// A volume of the host that the job was allowed to have; a missing source is an error there, and not made.
fn volume(mount: &TaskMount) -> Mount {
    let propagation = match mount.propagation {
        Propagation::Private => MountBindOptionsPropagationEnum::RPRIVATE,
        Propagation::HostToTask => MountBindOptionsPropagationEnum::RSLAVE,
        Propagation::Bidirectional => MountBindOptionsPropagationEnum::RSHARED,
    };
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.host_path.display().to_string()),
        target: Some(mount.task_path.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions { propagation: Some(propagation), ..MountBindOptions::default() }),
        ..Mount::default()
    }
}

fn read_mount(task: &TaskConfig, mount: &MountConfig, settings: &DockerSettings) -> Result<Mount, DriverError> {
    let mut made = Mount {
        target: Some(mount.target.clone()),
        source: Some(mount.source.clone()).filter(|source| !source.is_empty()),
        read_only: Some(mount.readonly),
        ..Mount::default()
    };
    made.typ = Some(match mount.kind.as_str() {
        "bind" => {
            made.source = Some(source_path(task, &mount.source, settings)?.display().to_string());
            MountType::BIND
        }
        "tmpfs" => {
            made.tmpfs_options = Some(MountTmpfsOptions { size_bytes: mount.tmpfs_size, ..Default::default() });
            MountType::TMPFS
        }
        _ => MountType::VOLUME,
    });
    Ok(made)
}

/// The host path of a mount's source: relative ones lie below the task's directory and must stay within the
/// allocation's; others need the agent's permission.
fn source_path(task: &TaskConfig, source: &str, settings: &DockerSettings) -> Result<PathBuf, DriverError> {
    let path = task.dirs.task.join(source);
    if settings.volumes_enabled && Path::new(source).is_absolute() {
        return Ok(path);
    }
    // What a task wrote may be a link; the deepest part that exists tells where it leads.
    let root = task.dirs.alloc.parent().unwrap_or(&task.dirs.alloc);
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    let existing = path.ancestors().find_map(|part| part.canonicalize().ok());
    let stays = existing.zip(root.canonicalize().ok()).is_none_or(|(path, root)| path.starts_with(root));
    if is_plain && stays && path.starts_with(root) {
        return Ok(path);
    }
    Err(DriverError::Config(format!(
        "{source:?} lies outside the allocation's directory, and this agent does not let containers mount it; whoever \
         runs it can allow absolute paths with volumes {{ enabled = true }} in the config of plugin \"docker\""
    )))
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
