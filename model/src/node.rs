//! Nodes: machines that run allocations. The node's agent writes attributes, the leader the status, users eligibility.

use std::collections::BTreeMap;

use crate::go_json::go_json;
use crate::id::NodeId;

/// Whether a node can be given work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeStatus {
    /// Registered, first heartbeat not yet seen.
    #[default]
    Initializing,
    /// Heartbeats arrive.
    Ready,
    /// Heartbeats were missed: its allocations are lost.
    Down,
    /// Out of reach, its allocations may come back.
    Disconnected,
}

impl NodeStatus {
    /// As Nomad writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeStatus::Initializing => "initializing",
            NodeStatus::Ready => "ready",
            NodeStatus::Down => "down",
            NodeStatus::Disconnected => "disconnected",
        }
    }
}

/// Whether users allow new work on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eligibility {
    /// New allocations may be placed.
    #[default]
    Eligible,
    /// Nothing new is placed.
    Ineligible,
}

go_json! {
    /// A machine that runs allocations.
    pub struct Node {
        id: NodeId = "ID",
        secret_id: String = "SecretID",
        datacenter: String = "Datacenter",
        name: String = "Name",
        cgroup_parent: String = "CgroupParent",
        http_addr: String = "HTTPAddr",
        tls_enabled: bool = "TLSEnabled",
        attributes: BTreeMap<String, String> = "Attributes",
        node_resources: NodeResources = "NodeResources",
        reserved_resources: ReservedResources = "ReservedResources",
        links: BTreeMap<String, String> = "Links",
        meta: BTreeMap<String, String> = "Meta",
        node_class: String = "NodeClass",
        node_pool: String = "NodePool",
        computed_class: String = "ComputedClass",
        scheduling_eligibility: Eligibility = "SchedulingEligibility",
        status: NodeStatus = "Status",
        status_description: String = "StatusDescription",
        /// Unix seconds.
        status_updated_at: i64 = "StatusUpdatedAt",
        events: Vec<NodeEvent> = "Events",
        drivers: BTreeMap<String, DriverInfo> = "Drivers",
        host_volumes: BTreeMap<String, ClientHostVolume> = "HostVolumes",
        /// Networks of the host that ports can name, besides `default`.
        omit host_networks: BTreeMap<String, HostNetwork> = "HostNetworks",
        /// The most allocations at a time; 0 for no bound.
        omit node_max_allocs: i64 = "NodeMaxAllocs",
        last_missed_heartbeat_index: u64 = "LastMissedHeartbeatIndex",
        last_alloc_update_index: u64 = "LastAllocUpdateIndex",
        create_index: u64 = "CreateIndex",
        modify_index: u64 = "ModifyIndex",
    }
}

impl Node {
    /// Whether new work may be placed here.
    pub fn is_schedulable(&self) -> bool {
        self.status == NodeStatus::Ready && self.scheduling_eligibility == Eligibility::Eligible
    }

    /// The address announced for host ports of allocations on this node.
    pub fn address(&self) -> &str {
        self.attributes.get("unique.network.ip-address").map_or("127.0.0.1", String::as_str)
    }
}

go_json! {
    /// Something that happened to a node.
    pub struct NodeEvent {
        message: String = "Message",
        subsystem: String = "Subsystem",
        details: Option<BTreeMap<String, String>> = "Details",
        /// RFC 3339.
        timestamp: String = "Timestamp",
        create_index: u64 = "CreateIndex",
    }
}

go_json! {
    /// What a node knows of one of its drivers.
    pub struct DriverInfo {
        attributes: BTreeMap<String, String> = "Attributes",
        detected: bool = "Detected",
        healthy: bool = "Healthy",
        health_description: String = "HealthDescription",
        /// RFC 3339.
        update_time: String = "UpdateTime",
    }
}

go_json! {
    /// A directory of the host that groups may mount.
    pub struct ClientHostVolume {
        name: String = "Name",
        path: String = "Path",
        read_only: bool = "ReadOnly",
        id: String = "ID",
    }
}

go_json! {
    /// What a node has.
    pub struct NodeResources {
        cpu: NodeCpu = "Cpu",
        memory: NodeMemory = "Memory",
        disk: NodeDisk = "Disk",
        networks: Vec<NodeNetwork> = "Networks",
        omit devices: Vec<NodeDevice> = "Devices",
        min_dynamic_port: i64 = "MinDynamicPort",
        max_dynamic_port: i64 = "MaxDynamicPort",
    }
}

go_json! {
    /// CPU of a node; shares are MHz over all cores.
    pub struct NodeCpu {
        cpu_shares: i64 = "CpuShares",
        total_cpu_cores: u64 = "TotalCpuCores",
        reservable_cpu_cores: Option<Vec<u64>> = "ReservableCpuCores",
    }
}

go_json! {
    /// Memory of a node in MB.
    pub struct NodeMemory {
        memory_mb: i64 = "MemoryMB",
    }
}

go_json! {
    /// Disk of a node in MB.
    pub struct NodeDisk {
        disk_mb: i64 = "DiskMB",
    }
}

go_json! {
    /// One network interface of a node that ports can be announced on.
    pub struct NodeNetwork {
        mode: String = "Mode",
        omit device: String = "Device",
        omit cidr: String = "CIDR",
        omit ip: String = "IP",
        omit mbits: i64 = "MBits",
    }
}

go_json! {
    /// What a node keeps for itself.
    pub struct ReservedResources {
        cpu: ReservedCpu = "Cpu",
        memory: NodeMemory = "Memory",
        disk: NodeDisk = "Disk",
        networks: ReservedNetworks = "Networks",
    }
}

go_json! {
    /// CPU a node keeps for itself, in MHz.
    pub struct ReservedCpu {
        cpu_shares: i64 = "CpuShares",
        reserved_cpu_cores: Option<Vec<u64>> = "ReservedCpuCores",
    }
}

go_json! {
    /// Host ports a node keeps for itself, as `22,80,8500-8600`.
    pub struct ReservedNetworks {
        reserved_host_ports: String = "ReservedHostPorts",
    }
}

go_json! {
    /// A network of the host that ports can name.
    pub struct HostNetwork {
        name: String = "Name",
        cidr: String = "CIDR",
        interface: String = "Interface",
        /// The address that its ports are announced on.
        omit ip: String = "IP",
        /// Ports kept back on it, as `22,80,8500-8600`.
        reserved_ports: String = "ReservedPorts",
    }
}

go_json! {
    /// Devices of one kind, such as the GPUs of one model.
    pub struct NodeDevice {
        vendor: String = "Vendor",
        r#type: String = "Type",
        name: String = "Name",
        instances: Vec<DeviceInstance> = "Instances",
        attributes: BTreeMap<String, DeviceAttribute> = "Attributes",
    }
}

go_json! {
    /// One device.
    pub struct DeviceInstance {
        id: String = "ID",
        healthy: bool = "Healthy",
        omit health_description: String = "HealthDescription",
    }
}

go_json! {
    /// A property of a device: one value of one type, numbers perhaps with a unit.
    pub struct DeviceAttribute {
        omit float: Option<f64> = "Float",
        omit int: Option<i64> = "Int",
        omit string: Option<String> = "String",
        omit bool: Option<bool> = "Bool",
        omit unit: String = "Unit",
    }
}
