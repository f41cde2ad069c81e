//! What the machine is: attributes and resources of the node, named as Nomad names them.

mod cpu;
mod drivers;
mod kernel;
mod memory;
mod network;
mod storage;

use std::collections::BTreeMap;
use std::sync::Arc;

use driver::{Driver, Fingerprint};
use model::id::NodeId;
use model::node::{
    Node, NodeDisk, NodeMemory, NodeResources, NodeStatus, ReservedCpu, ReservedNetworks, ReservedResources,
};

use crate::config::ClientConfig;
pub(crate) use drivers::{apply as apply_drivers, look as look_at_drivers};

/// What the fingerprinters fill in.
#[derive(Debug, Default)]
struct Found {
    attributes: BTreeMap<String, String>,
    resources: NodeResources,
}

impl Found {
    fn set(&mut self, name: &str, value: impl ToString) {
        self.attributes.insert(name.to_owned(), value.to_string());
    }
}

/// The node as this machine and the settings make it, with what its drivers say.
pub(crate) async fn node(
    config: &ClientConfig,
    identity: (NodeId, String),
    drivers: &[Arc<dyn Driver>],
) -> (Node, Vec<(&'static str, Fingerprint)>) {
    let seen = look_at_drivers(drivers).await;
    let mut found = Found::default();
    cpu::look(config.cpu_total, &mut found);
    memory::look(config.memory_total_mb, &mut found);
    storage::look(&config.data_dir, &mut found);
    kernel::look(&mut found);
    let bridge = seen.iter().find_map(|(_, print)| print.attributes.get("driver.docker.bridge_ip").cloned());
    let chosen = network::look(config.advertise_address, bridge.as_deref(), &mut found);
    tracing::info!(address = %chosen.ip, device = chosen.device, why = chosen.why, "announced address of this node");
    found.set("nomad.version", &config.version);
    found.set("nomad.service_discovery", true);
    found.set("unique.advertise.address", &config.http_address);
    let hostname = found.attributes.get("unique.hostname").cloned().unwrap_or_default();
    let mut node = Node {
        id: identity.0,
        secret_id: identity.1,
        name: if config.node_name.is_empty() { hostname } else { config.node_name.clone() },
        datacenter: config.datacenter.clone(),
        http_addr: config.http_address.clone(),
        node_class: config.node_class.clone(),
        node_pool: config.node_pool.clone(),
        meta: config.meta.clone(),
        host_volumes: storage::volumes(&config.host_volumes),
        host_networks: network::host_networks(&config.host_networks),
        status: NodeStatus::Initializing,
        reserved_resources: ReservedResources {
            cpu: ReservedCpu { cpu_shares: config.reserved.cpu, ..ReservedCpu::default() },
            memory: NodeMemory { memory_mb: config.reserved.memory_mb },
            disk: NodeDisk { disk_mb: config.reserved.disk_mb },
            networks: ReservedNetworks { reserved_host_ports: config.reserved.ports.clone() },
        },
        attributes: found.attributes,
        node_resources: NodeResources {
            min_dynamic_port: i64::from(config.dynamic_ports.0),
            max_dynamic_port: i64::from(config.dynamic_ports.1),
            ..found.resources
        },
        ..Node::default()
    };
    apply_drivers(&mut node, &seen, crate::clock::now());
    (node, seen)
}

/// First line of a file, or the empty text.
fn first_line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_is_described() {
        let dir = tempfile::tempdir().unwrap();
        let config = ClientConfig::new(dir.path());
        let (node, _) = node(&config, (NodeId(1), "secret".to_owned()), &[]).await;
        for name in [
            "cpu.arch",
            "cpu.numcores",
            "cpu.totalcompute",
            "kernel.name",
            "kernel.arch",
            "kernel.version",
            "memory.totalbytes",
            "os.name",
            "os.signals",
            "unique.hostname",
            "unique.network.ip-address",
            "unique.storage.bytestotal",
            "nomad.version",
            "nomad.service_discovery",
        ] {
            assert!(node.attributes.get(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert!(node.node_resources.cpu.cpu_shares > 0);
        assert!(node.node_resources.memory.memory_mb > 0);
        assert!(node.node_resources.disk.disk_mb > 0);
        assert!(!node.name.is_empty());
        assert!(node.node_resources.networks.iter().any(|network| network.ip == node.address()));
    }

    #[tokio::test]
    async fn settings_win() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ClientConfig::new(dir.path());
        config.cpu_total = Some(1234);
        config.memory_total_mb = Some(99);
        config.advertise_address = Some("127.0.0.9".parse().unwrap());
        let (node, _) = node(&config, (NodeId(1), String::new()), &[]).await;
        assert_eq!(node.node_resources.cpu.cpu_shares, 1234);
        assert_eq!(node.node_resources.memory.memory_mb, 99);
        assert_eq!(node.address(), "127.0.0.9");
    }
}
