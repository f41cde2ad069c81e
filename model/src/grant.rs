//! What an allocation was given on its node: room, ports, cores, devices, volumes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::compiled::{Hook, peak};

/// A host port that an allocation holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedPort {
    /// The port's label in the job.
    pub label: String,
    /// The port on the host.
    pub value: u16,
    /// The port inside the container; equals `value` when the job gives none.
    pub to: u16,
    /// The host address it is announced on.
    pub host_ip: String,
    /// The task that owns a port of the old task-level spelling; empty for group ports.
    pub task: String,
    /// The named host network that it is on; empty for the node's own address.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub host_network: String,
}

/// What makes a host port one of its own: the address of a named host network (none for the node's own) and the number.
pub type PortKey = (Option<IpAddr>, u16);

impl AllocatedPort {
    /// Two allocations of a node collide when a port of each has the same key.
    pub fn key(&self) -> PortKey {
        let address = (!self.host_network.is_empty()).then(|| self.host_ip.parse().ok()).flatten();
        (address, self.value)
    }
}

/// Something on a node that one allocation has to itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusive {
    /// A core by its number.
    Core(u16),
    /// A device as `<vendor>/<type>/<name>/<instance>`.
    Device(String),
    /// A host volume that was asked for with exclusive access.
    Volume(String),
}

/// What one task of an allocation was given. CPU in MHz, memory in MB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskGrant {
    /// CPU in MHz.
    pub cpu: i64,
    /// Memory in MB.
    pub memory_mb: i64,
    /// Upper bound of memory in MB; 0 when there is none.
    pub memory_max_mb: i64,
    /// When in the allocation's life the task runs: tasks that never run together share room.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub hook: Hook,
    /// Whether a hook task keeps running beside the main tasks.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub sidecar: bool,
    /// Cores that are its own; their MHz are part of `cpu`.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub cores: Vec<u16>,
    /// Devices that are its own.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub devices: Vec<GrantedDevices>,
}

/// Instances of one kind of device.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GrantedDevices {
    /// Who makes it.
    pub vendor: String,
    /// What it is, for example `gpu`.
    pub r#type: String,
    /// The model.
    pub name: String,
    /// Which instances.
    pub ids: Vec<String>,
}

impl GrantedDevices {
    /// The instance `id` as something held.
    pub fn exclusive(&self, id: &str) -> Exclusive {
        Exclusive::Device(format!("{}/{}/{}/{id}", self.vendor, self.r#type, self.name))
    }
}

/// Everything an allocation holds on its node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// By task name.
    pub tasks: BTreeMap<String, TaskGrant>,
    /// Disk shared by the tasks, in MB.
    pub disk_mb: i64,
    /// Host ports, in the job's order.
    pub ports: Vec<AllocatedPort>,
    /// Host volumes that it has to itself.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub volumes: Vec<String>,
}

impl Grant {
    /// The most CPU in MHz that the tasks hold at any time. Cores stay reserved throughout.
    pub fn cpu(&self) -> i64 {
        let reserved = self.tasks.values().filter(|task| !task.cores.is_empty()).map(|task| task.cpu).sum::<i64>();
        let shared = self.tasks.values().filter(|task| task.cores.is_empty());
        peak(shared.map(|task| (task.hook, task.sidecar, task.cpu))).saturating_add(reserved)
    }

    /// Everything that no other allocation may hold beside it, ports apart.
    pub fn exclusives(&self) -> Vec<Exclusive> {
        let mut all: Vec<Exclusive> = self.volumes.iter().cloned().map(Exclusive::Volume).collect();
        for task in self.tasks.values() {
            all.extend(task.cores.iter().copied().map(Exclusive::Core));
            for devices in &task.devices {
                all.extend(devices.ids.iter().map(|id| devices.exclusive(id)));
            }
        }
        all
    }

    /// The most memory in MB that the tasks hold at any time.
    pub fn memory_mb(&self) -> i64 {
        peak(self.tasks.values().map(|task| (task.hook, task.sidecar, task.memory_mb)))
    }
}
