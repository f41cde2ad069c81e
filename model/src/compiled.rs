//! A job with every default filled in and every old spelling translated: what the planner and the client read.
//!
//! The document stays as it was written; [`compile`] is the one place that knows old spellings (`port_map`, `network`
//! inside `resources`) and the rule of inheritance from job to group to task.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::JobKey;
use crate::job::{
    self, Affinity, CheckRestart, Constraint, Job, Spread, TaskArtifact, Template, VolumeMount, VolumeRequest,
};
use crate::time::GoDuration;

/// Which scheduler plans a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum JobKind {
    /// Long-running, `count` copies.
    #[default]
    Service,
    /// Runs to its end, `count` copies.
    Batch,
    /// One copy on every fit node.
    System,
    /// One copy on every fit node, run to its end.
    SysBatch,
}

impl JobKind {
    /// Reads Nomad's `Type`.
    pub fn parse(text: &str) -> Option<JobKind> {
        Some(match text {
            "service" => JobKind::Service,
            "batch" => JobKind::Batch,
            "system" => JobKind::System,
            "sysbatch" => JobKind::SysBatch,
            _ => return None,
        })
    }

    /// Nomad's `Type`.
    pub fn as_str(self) -> &'static str {
        match self {
            JobKind::Service => "service",
            JobKind::Batch => "batch",
            JobKind::System => "system",
            JobKind::SysBatch => "sysbatch",
        }
    }

    /// Whether copies run to their end and are then done.
    pub fn is_batch(self) -> bool {
        matches!(self, JobKind::Batch | JobKind::SysBatch)
    }

    /// Whether one copy goes to every fit node.
    pub fn is_system(self) -> bool {
        matches!(self, JobKind::System | JobKind::SysBatch)
    }
}

/// A job as the planner and the client read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompiledJob {
    /// Namespace and id.
    pub key: JobKey,
    /// The job's name.
    pub name: String,
    /// Which scheduler plans it.
    pub kind: JobKind,
    /// 1 to 100; higher is planned first.
    pub priority: i64,
    /// Whether all copies are placed or none.
    pub all_at_once: bool,
    /// Globs of datacenters.
    pub datacenters: Vec<String>,
    /// Pool of nodes.
    pub node_pool: String,
    /// The region.
    pub region: String,
    /// The parent of a dispatched or periodic job; empty for others.
    pub parent_id: String,
    /// Whether a user stopped it.
    pub stopped: bool,
    /// Version of the document.
    pub version: u64,
    /// Log index of the job's creation.
    pub create_index: u64,
    /// Log index of the last change by a user.
    pub job_modify_index: u64,
    /// The groups, in the document's order; versions that say the same share them.
    pub groups: Arc<[CompiledGroup]>,
}

impl CompiledJob {
    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&CompiledGroup> {
        self.groups.iter().find(|group| group.name == name)
    }
}

/// A group as the planner and the client read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompiledGroup {
    /// Its name.
    pub name: String,
    /// Copies wanted.
    pub count: u32,
    /// Of the job, the group and its tasks, in this order.
    pub constraints: Vec<Constraint>,
    /// Of the job, the group and its tasks, in this order.
    pub affinities: Vec<Affinity>,
    /// Of the group, then of the job.
    pub spreads: Vec<Spread>,
    /// The tasks, in the document's order.
    pub tasks: Vec<CompiledTask>,
    /// Ports of the group and, in the old spelling, of its tasks.
    pub ports: Vec<PortAsk>,
    /// `host`, `bridge`, `none` or `cni/...`.
    pub network_mode: String,
    /// Host name of the group's network, before interpolation; empty for none.
    pub hostname: String,
    /// Resolver settings of the group's network.
    pub dns: Option<job::DnsConfig>,
    /// Services of the group and of its tasks.
    pub services: Vec<CompiledService>,
    /// Disk in MB.
    pub disk_mb: i64,
    /// Whether a replacement should go to the same node.
    pub sticky_disk: bool,
    /// Copies that may move at a time (`migrate.max_parallel`).
    pub migrate_max_parallel: u32,
    /// What happens when a node is out of reach.
    pub disconnect: Disconnect,
    /// How failed allocations are replaced.
    pub reschedule: Reschedule,
    /// How a new version replaces the old one; none when all at once.
    pub update: Option<Update>,
    /// Wait between leaving the catalog and the kill.
    pub shutdown_delay: GoDuration,
    /// Volumes by name.
    pub volumes: BTreeMap<String, VolumeRequest>,
}

impl CompiledGroup {
    /// The task called `name`.
    pub fn task(&self, name: &str) -> Option<&CompiledTask> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// The most CPU that the tasks need at any time, in MHz; without that of whole cores.
    pub fn cpu(&self) -> i64 {
        let shared = self.tasks.iter().filter(|task| task.cores == 0);
        peak(shared.map(|task| (task.hook, task.sidecar, task.cpu)))
    }

    /// The most memory that the tasks need at any time, in MB.
    pub fn memory_mb(&self) -> i64 {
        peak(self.tasks.iter().map(|task| (task.hook, task.sidecar, task.memory_mb.saturating_add(task.secrets_mb))))
    }
}

/// A port that a group asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortAsk {
    /// Its label.
    pub label: String,
    /// The host port that it must be; none when the planner chooses.
    pub static_port: Option<u16>,
    /// The port inside: 0 when unset, -1 for the same as the host port.
    pub to: i32,
    /// The task that owns it in the old spelling; empty for the group's.
    pub task: String,
    /// The host network's name; `default` unless told otherwise.
    pub host_network: String,
}

/// When in an allocation's life a task runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Hook {
    /// Before the main tasks.
    Prestart,
    /// A main task.
    #[default]
    Main,
    /// When the main tasks run.
    Poststart,
    /// When all others have ended.
    Poststop,
}

/// The most that tasks hold together at any time. Before the main tasks, with them and after them are times of their own;
/// a prestart sidecar runs in the first two. Tasks are given as hook, whether a sidecar, and amount.
pub(crate) fn peak(tasks: impl Iterator<Item = (Hook, bool, i64)>) -> i64 {
    let (mut before, mut main, mut after) = (0i64, 0i64, 0i64);
    for (hook, sidecar, amount) in tasks {
        match hook {
            Hook::Prestart => {
                before = before.saturating_add(amount);
                main = main.saturating_add(if sidecar { amount } else { 0 });
            }
            Hook::Main | Hook::Poststart => main = main.saturating_add(amount),
            Hook::Poststop => after = after.saturating_add(amount),
        }
    }
    before.max(main).max(after)
}

/// A task as the client reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompiledTask {
    /// Its name.
    pub name: String,
    /// The driver that runs it.
    pub driver: String,
    /// The user it runs as; empty for the driver's default.
    pub user: String,
    /// The driver's own settings, old spellings translated (`port_map` has become `ports`).
    pub config: BTreeMap<String, Value>,
    /// Its environment, before interpolation.
    pub env: BTreeMap<String, String>,
    /// Meta of job, group and task; the nearest wins.
    pub meta: BTreeMap<String, String>,
    /// CPU in MHz.
    pub cpu: i64,
    /// Whole cores.
    pub cores: i64,
    /// Memory in MB.
    pub memory_mb: i64,
    /// Upper bound of memory in MB; 0 when there is none.
    pub memory_max_mb: i64,
    /// Memory for secrets in MB, on top of its own.
    pub secrets_mb: i64,
    /// Devices that are its own while it lives.
    pub devices: Vec<job::RequestedDevice>,
    /// When it runs.
    pub hook: Hook,
    /// Whether a hook task keeps running beside the main tasks.
    pub sidecar: bool,
    /// Whether its end ends the others.
    pub leader: bool,
    /// Time between the signal and the kill.
    pub kill_timeout: GoDuration,
    /// The signal that asks it to stop; empty for the driver's default.
    pub kill_signal: String,
    /// Wait between leaving the catalog and the signal.
    pub shutdown_delay: GoDuration,
    /// Local restarts.
    pub restart: Restart,
    /// Log files kept.
    pub log_files: u32,
    /// Size of a log file in MB.
    pub log_file_mb: u32,
    /// Whether its output is thrown away.
    pub logs_disabled: bool,
    /// Files rendered before it starts.
    pub templates: Vec<Template>,
    /// Files fetched before it starts.
    pub artifacts: Vec<TaskArtifact>,
    /// Volumes mounted.
    pub volume_mounts: Vec<VolumeMount>,
}

/// What a client does when a task has failed and its attempts are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartMode {
    /// The task fails.
    #[default]
    Fail,
    /// It waits until the interval is over.
    Delay,
}

/// Local restarts of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// Restarts within `interval`.
    pub attempts: u32,
    /// The window that `attempts` counts in.
    pub interval: GoDuration,
    /// Pause before a restart.
    pub delay: GoDuration,
    /// What happens when `attempts` are used up.
    pub mode: RestartMode,
}

/// Growth of the delay between replacements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelayFunction {
    /// Always the same.
    Constant,
    /// Doubles.
    #[default]
    Exponential,
    /// The sum of the last two.
    Fibonacci,
}

/// How failed allocations are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reschedule {
    /// Replacements within `interval`.
    pub attempts: u32,
    /// The window that `attempts` counts in.
    pub interval: GoDuration,
    /// Pause before the first replacement.
    pub delay: GoDuration,
    /// How the pause grows.
    pub delay_function: DelayFunction,
    /// The longest pause.
    pub max_delay: GoDuration,
    /// Whether `attempts` is ignored.
    pub unlimited: bool,
}

/// Which copy goes on when a node is back in reach and its copy was replaced meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReconcileStrategy {
    /// The one with the better score; the older one when they are equal.
    #[default]
    BestScore,
    /// The older one.
    KeepOriginal,
    /// The newer one.
    KeepReplacement,
    /// The one that has been running for longer.
    LongestRunning,
}

/// What happens to copies whose node is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// How long they may come back; none when they are lost at once.
    pub lost_after: Option<GoDuration>,
    /// Whether they are replaced meanwhile.
    pub replace: bool,
    /// Which copy goes on when the node is back.
    pub reconcile: ReconcileStrategy,
}

impl Default for Disconnect {
    fn default() -> Disconnect {
        Disconnect { lost_after: None, replace: true, reconcile: ReconcileStrategy::BestScore }
    }
}

/// How a new version replaces the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Copies replaced at a time.
    pub max_parallel: u32,
    /// Copies of the new version beside the old before a promotion.
    pub canary: u32,
    /// How long a copy must be well before it counts.
    pub min_healthy_time: GoDuration,
    /// How long a copy may take to become well.
    pub healthy_deadline: GoDuration,
}

/// A service as the catalog and the client read it. Names are interpolated by whoever knows the allocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompiledService {
    /// Its name.
    pub name: String,
    /// The task that declares it; empty for the group.
    pub task: String,
    /// Label of its port, or a number; empty for none.
    pub port_label: String,
    /// Tags.
    pub tags: Vec<String>,
    /// `auto`, `host`, `driver`, `alloc` or `alloc_ipv6`.
    pub address_mode: String,
    /// A fixed address; empty for none.
    pub address: String,
    /// `nomad` or `consul`; both are served by the built-in catalog.
    pub provider: String,
    /// Its checks.
    pub checks: Vec<CompiledCheck>,
}

/// A check as the client reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompiledCheck {
    /// Stable within its allocation: `<service>/<task or "group">/<check name>/<ordinal>`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `http` or `tcp`.
    pub kind: String,
    /// HTTP path.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// `http` or `https`.
    pub protocol: String,
    /// HTTP headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// HTTP body.
    pub body: String,
    /// Whether a certificate of the probed server is believed unseen.
    pub tls_skip_verify: bool,
    /// Port label or number; empty for the service's.
    pub port_label: String,
    /// Address mode; empty for the service's.
    pub address_mode: String,
    /// Time between probes.
    pub interval: GoDuration,
    /// Time a probe may take.
    pub timeout: GoDuration,
    /// The status before the first probe: `passing`, `critical` or empty.
    pub initial_status: String,
    /// When failing probes restart the task.
    pub restart: Option<CheckRestart>,
    /// The task that is restarted; empty for all of the group.
    pub task: String,
}

/// Compiles a job. The document need not be canonical, yet a canonical one is what the server stores.
pub fn compile(job: &Job) -> CompiledJob {
    let text = |value: &Option<String>, default: &str| match value.as_deref() {
        None | Some("") => default.to_owned(),
        Some(value) => value.to_owned(),
    };
    let kind = JobKind::parse(&text(&job.r#type, "service")).unwrap_or_default();
    CompiledJob {
        key: JobKey::new(&text(&job.namespace, "default"), job.id.as_deref().unwrap_or_default()),
        name: text(&job.name, job.id.as_deref().unwrap_or_default()),
        kind,
        priority: job.priority.unwrap_or(50),
        all_at_once: job.all_at_once.unwrap_or(false),
        datacenters: job.datacenters.clone().filter(|list| !list.is_empty()).unwrap_or_else(|| vec!["*".to_owned()]),
        node_pool: text(&job.node_pool, "default"),
        region: text(&job.region, "global"),
        parent_id: job.parent_id.clone().unwrap_or_default(),
        stopped: job.stop.unwrap_or(false),
        version: job.version.unwrap_or(0),
        create_index: job.create_index.unwrap_or(0),
        job_modify_index: job.job_modify_index.unwrap_or(0),
        groups: job.task_groups.iter().flatten().map(|group| compile_group(job, group, kind)).collect(),
    }
}

fn compile_group(job: &Job, group: &job::TaskGroup, kind: JobKind) -> CompiledGroup {
    let tasks: Vec<&job::Task> = group.tasks.iter().flatten().collect();
    let network = group.networks.iter().flatten().next();
    let mut ports: Vec<PortAsk> = group.networks.iter().flatten().flat_map(|network| ports_of(network, "")).collect();
    for task in &tasks {
        let legacy = task.resources.iter().flat_map(|resources| resources.networks.iter().flatten());
        ports.extend(legacy.flat_map(|network| ports_of(network, &task.name)));
    }
    for task in &tasks {
        for (label, to) in port_map(task) {
            let mut matching = ports.iter_mut().filter(|port| port.label == label);
            if let Some(port) = matching.find(|port| port.task == task.name || port.task.is_empty()) {
                port.to = to;
            }
        }
    }
    let group_services = group.services.iter().flatten().map(|service| (service, ""));
    let task_services =
        tasks.iter().flat_map(|task| task.services.iter().flatten().map(move |service| (service, task.name.as_str())));
    CompiledGroup {
        name: group.name.clone().unwrap_or_default(),
        count: match kind {
            JobKind::System => group.count.unwrap_or(1).clamp(0, 1) as u32,
            _ => group.count.unwrap_or(1).clamp(0, i64::from(u32::MAX)) as u32,
        },
        constraints: {
            let tasks = tasks.iter().map(|task| &task.constraints);
            inherit(&job.constraints, &group.constraints, tasks).into_iter().chain(partition_of(group)).collect()
        },
        affinities: inherit(&job.affinities, &group.affinities, tasks.iter().map(|task| &task.affinities)),
        spreads: group.spreads.iter().flatten().chain(job.spreads.iter().flatten()).cloned().collect(),
        ports,
        network_mode: match network.map(|network| network.mode.as_str()) {
            None | Some("") => "host".to_owned(),
            Some(mode) => mode.to_owned(),
        },
        hostname: network.map(|network| network.hostname.clone()).unwrap_or_default(),
        dns: network.and_then(|network| network.dns.clone()),
        services: group_services.chain(task_services).map(|(service, task)| compile_service(service, task)).collect(),
        disk_mb: group.ephemeral_disk.as_ref().and_then(|disk| disk.size_mb).unwrap_or(300),
        sticky_disk: group.ephemeral_disk.as_ref().is_some_and(|disk| disk.sticky == Some(true)),
        migrate_max_parallel: group.migrate.as_ref().and_then(|migrate| migrate.max_parallel).unwrap_or(1).max(0)
            as u32,
        disconnect: compile_disconnect(group),
        reschedule: compile_reschedule(group, kind),
        update: compile_update(job, group, kind),
        shutdown_delay: group.shutdown_delay.unwrap_or_default(),
        volumes: group.volumes.clone().unwrap_or_default(),
        tasks: tasks.iter().map(|task| compile_task(job, group, task, kind)).collect(),
    }
}

/// A group that names a Consul partition goes only where that partition is.
fn partition_of(group: &job::TaskGroup) -> Option<Constraint> {
    let partition = group.consul.as_ref().map(|consul| consul.partition.as_str()).filter(|name| !name.is_empty())?;
    Some(Constraint {
        l_target: "${attr.consul.partition}".to_owned(),
        r_target: partition.to_owned(),
        operand: "=".to_owned(),
    })
}

fn inherit<'a, T: Clone + 'a>(
    job: &Option<Vec<T>>,
    group: &Option<Vec<T>>,
    tasks: impl Iterator<Item = &'a Option<Vec<T>>>,
) -> Vec<T> {
    let mut all: Vec<T> = job.iter().flatten().chain(group.iter().flatten()).cloned().collect();
    all.extend(tasks.flat_map(|list| list.iter().flatten()).cloned());
    all
}

fn ports_of<'a>(network: &'a job::NetworkResource, task: &'a str) -> impl Iterator<Item = PortAsk> + 'a {
    let reserved = network.reserved_ports.iter().flatten().map(|port| (port, true));
    let dynamic = network.dynamic_ports.iter().flatten().map(|port| (port, false));
    reserved.chain(dynamic).map(move |(port, fixed)| PortAsk {
        label: port.label.clone(),
        static_port: fixed.then_some(port.value).and_then(|value| u16::try_from(value).ok()),
        to: port.to as i32,
        task: task.to_owned(),
        host_network: if port.host_network.is_empty() { "default".to_owned() } else { port.host_network.clone() },
    })
}

/// The old `port_map { label = inside }` of a driver's config: written as a block it is a list of maps.
fn port_map(task: &job::Task) -> Vec<(String, i32)> {
    let Some(written) = task.config.as_ref().and_then(|config| config.get("port_map")) else { return Vec::new() };
    let maps: Vec<&Value> = match written {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    };
    let entries = maps.iter().filter_map(|map| map.as_object()).flatten();
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    entries.filter_map(|(label, value)| Some((label.clone(), i32::try_from(number(value)?).ok()?))).collect()
}

fn compile_task(job: &Job, group: &job::TaskGroup, task: &job::Task, kind: JobKind) -> CompiledTask {
    let resources = task.resources.clone().unwrap_or_default();
    let cores = resources.cores.unwrap_or(0);
    let mut config = task.config.clone().unwrap_or_default();
    if config.remove("port_map").is_some() {
        let labels = port_map(task).into_iter().map(|(label, _)| Value::String(label));
        let ports = config.entry("ports".to_owned()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(ports) = ports {
            for label in labels {
                if !ports.contains(&label) {
                    ports.push(label);
                }
            }
        }
    }
    let logs = task.log_config.clone().unwrap_or_default();
    let lifecycle = task.lifecycle.as_ref();
    let mut meta = job.meta.clone().unwrap_or_default();
    meta.extend(group.meta.clone().unwrap_or_default());
    meta.extend(task.meta.clone().unwrap_or_default());
    CompiledTask {
        name: task.name.clone(),
        driver: task.driver.clone(),
        user: task.user.clone(),
        config,
        env: task.env.clone().unwrap_or_default(),
        meta,
        cpu: resources.cpu.unwrap_or(if cores > 0 { 0 } else { 100 }),
        cores,
        memory_mb: resources.memory_mb.unwrap_or(300),
        memory_max_mb: resources.memory_max_mb.unwrap_or(0),
        secrets_mb: resources.secrets_mb.unwrap_or(0),
        devices: resources.devices.unwrap_or_default(),
        hook: match lifecycle.map(|lifecycle| lifecycle.hook.as_str()) {
            Some("prestart") => Hook::Prestart,
            Some("poststart") => Hook::Poststart,
            Some("poststop") => Hook::Poststop,
            _ => Hook::Main,
        },
        sidecar: lifecycle.is_some_and(|lifecycle| lifecycle.sidecar),
        leader: task.leader,
        kill_timeout: task.kill_timeout.unwrap_or(GoDuration::from_secs(5)),
        kill_signal: task.kill_signal.clone(),
        shutdown_delay: task.shutdown_delay,
        restart: compile_restart(group.restart_policy.as_ref(), task.restart_policy.as_ref(), kind),
        log_files: logs.max_files.unwrap_or(10).clamp(1, 1000) as u32,
        log_file_mb: logs.max_file_size_mb.unwrap_or(10).clamp(1, 10_000) as u32,
        logs_disabled: logs.disabled.unwrap_or(false),
        templates: task.templates.clone().unwrap_or_default(),
        artifacts: task.artifacts.clone().unwrap_or_default(),
        volume_mounts: task.volume_mounts.clone().unwrap_or_default(),
    }
}

/// Defaults by type: 2 restarts in 30 minutes for service and system, 3 in a day for batch, 15 seconds apart.
fn compile_restart(group: Option<&job::RestartPolicy>, task: Option<&job::RestartPolicy>, kind: JobKind) -> Restart {
    let written = [task, group];
    let (attempts, interval) = if kind.is_batch() { (3, 24 * 3600) } else { (2, 30 * 60) };
    let mode = written.iter().flatten().find_map(|policy| policy.mode.as_deref());
    Restart {
        attempts: written.iter().flatten().find_map(|p| p.attempts).unwrap_or(attempts).clamp(0, 1_000_000) as u32,
        interval: written.iter().flatten().find_map(|p| p.interval).unwrap_or(GoDuration::from_secs(interval)),
        delay: written.iter().flatten().find_map(|p| p.delay).unwrap_or(GoDuration::from_secs(15)),
        mode: if mode == Some("delay") { RestartMode::Delay } else { RestartMode::Fail },
    }
}

/// Defaults by type: service without limit from 30 s, doubling up to an hour; batch once a day; system never.
fn compile_reschedule(group: &job::TaskGroup, kind: JobKind) -> Reschedule {
    let written = group.reschedule_policy.clone().unwrap_or_default();
    let default = match kind {
        JobKind::Service => Reschedule {
            attempts: 0,
            interval: GoDuration(0),
            delay: GoDuration::from_secs(30),
            delay_function: DelayFunction::Exponential,
            max_delay: GoDuration::from_secs(3600),
            unlimited: true,
        },
        JobKind::Batch => Reschedule {
            attempts: 1,
            interval: GoDuration::from_secs(24 * 3600),
            delay: GoDuration::from_secs(5),
            delay_function: DelayFunction::Constant,
            max_delay: GoDuration(0),
            unlimited: false,
        },
        JobKind::System | JobKind::SysBatch => return Reschedule::default(),
    };
    Reschedule {
        attempts: written.attempts.map_or(default.attempts, |attempts| attempts.clamp(0, 1_000_000) as u32),
        interval: written.interval.unwrap_or(default.interval),
        delay: written.delay.unwrap_or(default.delay),
        delay_function: match written.delay_function.as_deref() {
            Some("constant") => DelayFunction::Constant,
            Some("exponential") => DelayFunction::Exponential,
            Some("fibonacci") => DelayFunction::Fibonacci,
            _ => default.delay_function,
        },
        max_delay: written.max_delay.unwrap_or(default.max_delay),
        unlimited: written.unlimited.unwrap_or(default.unlimited),
    }
}

/// The older spellings outside the block have no effect, as in Nomad.
fn compile_disconnect(group: &job::TaskGroup) -> Disconnect {
    let written = group.disconnect.clone().unwrap_or_default();
    Disconnect {
        lost_after: written.lost_after.filter(|after| after.0 > 0),
        replace: written.replace.unwrap_or(true),
        reconcile: match written.reconcile.as_deref() {
            Some("keep_original") => ReconcileStrategy::KeepOriginal,
            Some("keep_replacement") => ReconcileStrategy::KeepReplacement,
            Some("longest_running") => ReconcileStrategy::LongestRunning,
            _ => ReconcileStrategy::BestScore,
        },
    }
}

fn compile_update(job: &Job, group: &job::TaskGroup, kind: JobKind) -> Option<Update> {
    if kind.is_batch() {
        return None;
    }
    let written = [group.update.as_ref(), job.update.as_ref()];
    let max_parallel = written.iter().flatten().find_map(|update| update.max_parallel).unwrap_or(1);
    let second = GoDuration::from_secs(1).0;
    (max_parallel > 0).then(|| Update {
        max_parallel: max_parallel.clamp(1, i64::from(u32::MAX)) as u32,
        canary: written.iter().flatten().find_map(|u| u.canary).unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32,
        min_healthy_time: written.iter().flatten().find_map(|u| u.min_healthy_time).unwrap_or(GoDuration(10 * second)),
        healthy_deadline: written.iter().flatten().find_map(|u| u.healthy_deadline).unwrap_or(GoDuration(300 * second)),
    })
}

fn compile_service(service: &job::Service, task: &str) -> CompiledService {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let owner = if task.is_empty() { or(&service.task_name, "") } else { task.to_owned() };
    let checks = service.checks.iter().flatten().enumerate();
    CompiledService {
        name: service.name.clone(),
        task: owner.clone(),
        port_label: service.port_label.clone(),
        tags: service.tags.clone().unwrap_or_default(),
        address_mode: or(&service.address_mode, "auto"),
        address: service.address.clone(),
        provider: or(&service.provider, "nomad"),
        checks: checks.map(|(ordinal, check)| compile_check(service, check, ordinal, &owner)).collect(),
    }
}

fn compile_check(service: &job::Service, check: &job::ServiceCheck, ordinal: usize, task: &str) -> CompiledCheck {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let name = or(&check.name, &format!("service: {:?} check", service.name));
    CompiledCheck {
        id: format!("{}/{}/{name}/{ordinal}", service.name, or(task, "group")),
        name,
        kind: check.r#type.clone(),
        path: or(&check.path, "/"),
        method: or(&check.method, "GET"),
        protocol: or(&check.protocol, "http"),
        headers: check.header.clone().unwrap_or_default(),
        body: check.body.clone(),
        tls_skip_verify: check.tls_skip_verify,
        port_label: or(&check.port_label, &service.port_label),
        address_mode: or(&check.address_mode, &service.address_mode),
        interval: check.interval,
        timeout: check.timeout,
        initial_status: check.initial_status.clone(),
        restart: check.check_restart.clone().or_else(|| service.check_restart.clone()).filter(|r| r.limit > 0),
        task: or(&check.task_name, task),
    }
}
