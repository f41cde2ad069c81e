//! The client half of an agent: its settings and its drivers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::{Client, ClientConfig, HostNetwork, HostVolume, Reserved, Servers};
use driver::Driver;
use serde_json::Value;

use super::config::{AgentConfig, HostNetworkSection, HostVolumeSection};
use super::links::{LocalServers, RemoteServers};
use super::server::Running;
use crate::SUPERVISOR;

/// A running client and the driver whose supervisor it may take along.
pub struct Node {
    /// The client.
    pub client: Arc<Client>,
    raw_exec: Arc<driver_exec::RawExecDriver>,
}

impl Node {
    /// Stops the client; with `stop_tasks` its tasks and the supervisor, too.
    pub async fn shutdown(self, stop_tasks: bool) {
        self.client.shutdown(stop_tasks).await;
        if stop_tasks && let Err(error) = self.raw_exec.shutdown().await {
            tracing::warn!(%error, "the supervisor stays until it is idle");
        }
    }
}

/// Starts the client against the server of this process, or the first that the configuration names.
pub async fn start(config: &AgentConfig, home: &Path, dev: bool, server: Option<&Running>) -> Result<Node> {
    config.client.without_effect(server.is_some()).iter().for_each(|what| tracing::warn!("{what}"));
    let servers: Arc<dyn Servers> = match (server, config.client.servers.first()) {
        (Some(server), _) => Arc::new(LocalServers(server.server().clone())),
        (None, Some(address)) => Arc::new(RemoteServers(remote(address)?)),
        (None, None) => bail!("this client has no server: add `servers = [\"http://host:4646\"]` to its client block"),
    };
    let raw_exec = Arc::new(raw_exec(config, home, dev)?);
    let drivers: Vec<Arc<dyn Driver>> = vec![raw_exec.clone(), Arc::new(docker(config, home, dev)?)];
    let client = Client::start(settings(config, home, dev, server)?, servers, drivers).await?;
    Ok(Node { client, raw_exec })
}

fn remote(address: &str) -> Result<api::Client> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    Ok(api::Client::new(api::Settings { address, ..api::Settings::default() })?)
}

fn settings(config: &AgentConfig, home: &Path, dev: bool, server: Option<&Running>) -> Result<ClientConfig> {
    let section = &config.client;
    let mut settings = ClientConfig::new(home);
    settings.node_name.clone_from(&config.name);
    settings.region.clone_from(&config.region);
    settings.datacenter.clone_from(&config.datacenter);
    settings.node_class.clone_from(&section.node_class);
    if !section.node_pool.is_empty() {
        settings.node_pool.clone_from(&section.node_pool);
    }
    settings.meta.clone_from(&section.meta);
    settings.options.clone_from(&section.options);
    settings.reserved = Reserved {
        cpu: section.reserved.cpu,
        memory_mb: section.reserved.memory,
        disk_mb: section.reserved.disk,
        ports: section.reserved.reserved_ports.clone(),
    };
    settings.host_volumes = section.host_volume.iter().map(host_volume).collect();
    settings.host_networks = section.host_network.iter().map(host_network).collect();
    if let Some(server) = server {
        settings.http_address = server.http_address().to_string();
        settings.dns_servers = server.container_resolvers();
    }
    if !config.advertise.address.is_empty() {
        let written = &config.advertise.address;
        settings.advertise_address =
            Some(written.parse().with_context(|| format!("advertise.address {written:?} is no address"))?);
    }
    settings.cpu_total = section.cpu_total_compute;
    settings.memory_total_mb = section.memory_total_mb;
    let (first, last) = settings.dynamic_ports;
    settings.dynamic_ports = (section.min_dynamic_port.unwrap_or(first), section.max_dynamic_port.unwrap_or(last));
    settings.dev = dev;
    Ok(settings)
}

fn host_volume((name, section): (&String, &HostVolumeSection)) -> (String, HostVolume) {
    let HostVolumeSection { path, read_only } = section.clone();
    (name.clone(), HostVolume { path, read_only })
}

fn host_network((name, section): (&String, &HostNetworkSection)) -> (String, HostNetwork) {
    let HostNetworkSection { cidr, interface, reserved_ports } = section.clone();
    (name.clone(), HostNetwork { cidr, interface, reserved_ports })
}

fn plugin(config: &AgentConfig, name: &str) -> BTreeMap<String, Value> {
    config.plugin.get(name).map(|plugin| plugin.config.clone()).unwrap_or_default()
}

fn raw_exec(config: &AgentConfig, home: &Path, dev: bool) -> Result<driver_exec::RawExecDriver> {
    let mut settings = driver_exec::RawExecSettings::new(home.join("supervisor"))?;
    settings.supervisor_args = vec![SUPERVISOR.into()];
    settings.enabled = match plugin(config, "raw_exec").get("enabled") {
        None => dev,
        Some(Value::Bool(enabled)) => *enabled,
        Some(other) => bail!("plugin.raw_exec.config.enabled is {other}, not true or false"),
    };
    Ok(driver_exec::RawExecDriver::new(settings))
}

fn docker(config: &AgentConfig, home: &Path, dev: bool) -> Result<driver_docker::DockerDriver> {
    let node_id = client::node_id(home)?.to_string();
    let plugin = plugin(config, "docker");
    let names_endpoint = plugin.contains_key("endpoint");
    let mut settings = driver_docker::DockerSettings::from_config(node_id, &plugin)?;
    if let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty() && !names_endpoint) {
        settings.endpoint = host;
    }
    settings.volumes_enabled |= dev;
    Ok(driver_docker::DockerDriver::new(settings))
}
