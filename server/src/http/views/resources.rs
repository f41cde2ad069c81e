//! What an allocation holds, in the present form (`AllocatedResources`) and in the older one (`Resources`).

use model::allocation::{AllocatedPort, Allocation, TaskGrant};
use model::compiled::CompiledGroup;
use model::job::{Job, TaskGroup};
use serde_json::{Map, Value, json};

use super::omit_empty;

/// The group of an allocation's job, in the form that the planner reads and as the document has it.
#[derive(Clone, Copy)]
pub(in crate::http) struct Group<'a> {
    pub compiled: Option<&'a CompiledGroup>,
    pub document: Option<&'a TaskGroup>,
}

impl<'a> Group<'a> {
    pub fn of(job: &'a Job, compiled: Option<&'a CompiledGroup>, name: &str) -> Group<'a> {
        let mut groups = job.task_groups.iter().flatten();
        Group { compiled, document: groups.find(|group| group.name.as_deref() == Some(name)) }
    }

    fn is_static(&self, port: &AllocatedPort) -> bool {
        self.compiled.is_some_and(|group| {
            let mut asked = group.ports.iter().filter(|ask| ask.label == port.label && ask.task == port.task);
            asked.any(|ask| ask.static_port.is_some())
        })
    }
}

/// `AllocatedResources`.
pub(in crate::http) fn allocated(alloc: &Allocation, group: Group<'_>) -> Value {
    let tasks: Map<String, Value> = alloc
        .grant
        .tasks
        .iter()
        .map(|(name, grant)| {
            let networks = networks(alloc, name, group);
            (
                name.clone(),
                json!({
                    "Cpu": {"CpuShares": grant.cpu, "ReservedCores": some(&grant.cores)},
                    "Memory": {"MemoryMB": grant.memory_mb, "MemoryMaxMB": grant.memory_max_mb},
                    "Networks": networks,
                    "Devices": devices(grant),
                }),
            )
        })
        .collect();
    let lifecycles: Map<String, Value> =
        alloc.grant.tasks.keys().map(|name| (name.clone(), lifecycle(name, group))).collect();
    let ports: Vec<Value> = ports_of(alloc, "").map(mapping).collect();
    json!({
        "Tasks": tasks,
        "TaskLifecycles": lifecycles,
        "Shared": {
            "Networks": networks(alloc, "", group),
            "DiskMB": alloc.grant.disk_mb,
            "Ports": if ports.is_empty() { Value::Null } else { Value::Array(ports) },
        },
    })
}

/// Null when there is nothing, as Go prints an absent list.
fn some<T: serde::Serialize>(list: &[T]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

fn devices(grant: &TaskGrant) -> Value {
    let groups = grant.devices.iter();
    let groups: Vec<Value> = groups
        .map(|group| json!({"Vendor": group.vendor, "Type": group.r#type, "Name": group.name, "DeviceIDs": group.ids}))
        .collect();
    some(&groups)
}

/// `Resources`, the sum of everything.
pub(in crate::http) fn total(alloc: &Allocation, group: Group<'_>) -> Value {
    let grant = &alloc.grant;
    let max = grant.tasks.values().map(|task| if task.memory_max_mb > 0 { task.memory_max_mb } else { task.memory_mb });
    let sum =
        TaskGrant { cpu: grant.cpu(), memory_mb: grant.memory_mb(), memory_max_mb: max.sum(), ..TaskGrant::default() };
    legacy(&sum, grant.disk_mb, networks(alloc, "", group))
}

/// `SharedResources`.
pub(in crate::http) fn shared(alloc: &Allocation, group: Group<'_>) -> Value {
    legacy(&TaskGrant::default(), alloc.grant.disk_mb, networks(alloc, "", group))
}

/// `TaskResources`, by task.
pub(in crate::http) fn by_task(alloc: &Allocation, group: Group<'_>) -> Value {
    let tasks = alloc.grant.tasks.iter();
    tasks
        .map(|(name, grant)| (name.clone(), legacy(grant, 0, networks(alloc, name, group))))
        .collect::<Map<_, _>>()
        .into()
}

fn legacy(grant: &TaskGrant, disk_mb: i64, networks: Value) -> Value {
    json!({
        "CPU": grant.cpu, "Cores": grant.cores.len(), "MemoryMB": grant.memory_mb, "MemoryMaxMB": grant.memory_max_mb,
        "DiskMB": disk_mb, "IOPS": 0, "Networks": networks, "Devices": null, "NUMA": null, "SecretsMB": 0,
    })
}

fn lifecycle(task: &str, group: Group<'_>) -> Value {
    let mut tasks = group.document.into_iter().flat_map(|group| group.tasks.iter().flatten());
    tasks.find(|document| document.name == task).map_or(Value::Null, |document| super::value_of(&document.lifecycle))
}

/// The ports that `task` owns; the group's when it is empty.
fn ports_of<'a>(alloc: &'a Allocation, task: &'a str) -> impl Iterator<Item = &'a AllocatedPort> {
    alloc.grant.ports.iter().filter(move |port| port.task == task)
}

fn mapping(port: &AllocatedPort) -> Value {
    let fields = [
        ("Label", json!(port.label)),
        ("Value", json!(port.value)),
        ("To", json!(inside(port))),
        ("HostIP", json!(port.host_ip)),
    ];
    omit_empty(fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
}

/// The port inside, or 0 when it is the host port because the job did not say.
fn inside(port: &AllocatedPort) -> u16 {
    if port.to == port.value { 0 } else { port.to }
}

/// The network that carries a task's or the group's ports, in a list; null when there are none.
fn networks(alloc: &Allocation, task: &str, group: Group<'_>) -> Value {
    let ports: Vec<&AllocatedPort> = ports_of(alloc, task).collect();
    let Some(first) = ports.first() else { return Value::Null };
    let list = |fixed: bool| -> Vec<Value> {
        let wanted = ports.iter().filter(|port| group.is_static(port) == fixed);
        wanted
            .map(|port| {
                omit_empty(
                    [
                        ("Label", json!(port.label)),
                        ("Value", json!(port.value)),
                        ("To", json!(inside(port))),
                        ("HostNetwork", json!("default")),
                    ]
                    .map(|(key, value)| (key.to_owned(), value))
                    .into_iter()
                    .collect(),
                )
            })
            .collect()
    };
    let network = group.document.and_then(|group| group.networks.as_ref()?.first());
    json!([omit_empty(
        [
            ("Mode", json!(network.map(|network| &network.mode))),
            ("Hostname", json!(network.map(|network| &network.hostname))),
            ("IP", json!(first.host_ip)),
            ("ReservedPorts", Value::Array(list(true))),
            ("DynamicPorts", Value::Array(list(false))),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    )])
}
