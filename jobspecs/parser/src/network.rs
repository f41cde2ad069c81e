//! The `network` block and its ports.

use model::job::{CniConfig, DnsConfig, NetworkResource, Port};

use crate::block::Block;

pub(crate) fn network(block: &Block<'_>) -> NetworkResource {
    let mut network = NetworkResource {
        mode: block.get("mode"),
        device: block.get("device"),
        cidr: block.get("cidr"),
        ip: block.get("ip"),
        hostname: block.get("hostname"),
        mbits: block.get("mbits"),
        dns: block.one("dns", |block| DnsConfig {
            servers: block.get("servers"),
            searches: block.get("searches"),
            options: block.get("options"),
        }),
        cni: block.one("cni", |block| CniConfig { args: block.get("args") }),
        reserved_ports: block.many("reserved_ports", &["label"], port),
        dynamic_ports: None,
    };
    if let Some(ports) = block.many("port", &["label"], port) {
        if network.reserved_ports.is_some() {
            block.session.warn(
                "reserved_ports has no effect beside port",
                block.place_of_block("reserved_ports").unwrap_or_else(|| block.span.clone()),
                "write port \"<label>\" { static = ... } instead",
            );
        }
        let (fixed, free): (Vec<Port>, Vec<Port>) = ports.into_iter().partition(|port| port.value > 0);
        network.reserved_ports = some(fixed);
        network.dynamic_ports = some(free);
    }
    network
}

fn some(ports: Vec<Port>) -> Option<Vec<Port>> {
    if ports.is_empty() { None } else { Some(ports) }
}

fn port(block: &Block<'_>) -> Port {
    Port {
        label: block.label(0),
        value: block.get("static"),
        to: block.get("to"),
        host_network: block.get("host_network"),
        ignore_collision: block.get("ignore_collision"),
    }
}
