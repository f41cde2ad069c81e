//! Networks and ports as a job asks for them.

use std::collections::BTreeMap;

use crate::go_json::go_json;

go_json! {
    /// The network of a group, or in the old spelling of a task.
    pub struct NetworkResource {
        mode: String = "Mode",
        device: String = "Device",
        cidr: String = "CIDR",
        ip: String = "IP",
        dns: Option<DnsConfig> = "DNS",
        reserved_ports: Option<Vec<Port>> = "ReservedPorts",
        dynamic_ports: Option<Vec<Port>> = "DynamicPorts",
        hostname: String = "Hostname",
        mbits: Option<i64> = "MBits",
        cni: Option<CniConfig> = "CNI",
    }
}

go_json! {
    /// A named port. `value` is the host port (0: chosen by the planner), `to` the port inside (-1: the host port).
    pub struct Port {
        label: String = "Label",
        value: i64 = "Value",
        to: i64 = "To",
        host_network: String = "HostNetwork",
        ignore_collision: bool = "IgnoreCollision",
    }
}

go_json! {
    /// Resolver settings of a group's network.
    pub struct DnsConfig {
        servers: Option<Vec<String>> = "Servers",
        searches: Option<Vec<String>> = "Searches",
        options: Option<Vec<String>> = "Options",
    }
}

go_json! {
    /// Arguments for CNI plugins.
    pub struct CniConfig {
        args: Option<BTreeMap<String, String>> = "Args",
    }
}
