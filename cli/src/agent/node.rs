//! The client half of an agent: its settings and its drivers.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::{Client, ClientConfig, Reserved, Servers};
use driver::Driver;

use super::config::AgentConfig;
use super::links::{LocalServers, RemoteServers};
use super::server::Running;
use crate::SUPERVISOR;

/// Starts the client against the server of this process, or the first that the configuration names.
pub async fn start(config: &AgentConfig, home: &Path, dev: bool, server: Option<&Running>) -> Result<Arc<Client>> {
    let servers: Arc<dyn Servers> = match (server, config.client.servers.first()) {
        (Some(server), _) => Arc::new(LocalServers(server.server().clone())),
        (None, Some(address)) => Arc::new(RemoteServers(remote(address)?)),
        (None, None) => bail!("this client has no server: add `servers = [\"http://host:4646\"]` to its client block"),
    };
    let client = Client::start(settings(config, home, dev, server)?, servers, drivers(config, home, dev)?).await?;
    Ok(client)
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
    if let Some(server) = server {
        settings.http_address = server.http_address().to_string();
        settings.dns_servers = server.container_resolver().into_iter().collect();
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

fn drivers(config: &AgentConfig, home: &Path, dev: bool) -> Result<Vec<Arc<dyn Driver>>> {
    let plugin = |name: &str| config.plugin.get(name).map(|plugin| plugin.config.clone()).unwrap_or_default();
    let mut raw_exec = driver_exec::RawExecSettings::new(home.join("supervisor"))?;
    raw_exec.supervisor_args = vec![SUPERVISOR.into()];
    raw_exec.enabled = match plugin("raw_exec").get("enabled") {
        None => dev,
        Some(serde_json::Value::Bool(enabled)) => *enabled,
        Some(other) => bail!("plugin.raw_exec.config.enabled is {other}, not true or false"),
    };
    let node_id = client::node_id(home)?.to_string();
    let mut docker = driver_docker::DockerSettings::from_config(node_id, &plugin("docker"))?;
    if dev {
        docker.volumes_enabled = true;
    }
    Ok(vec![Arc::new(driver_exec::RawExecDriver::new(raw_exec)), Arc::new(driver_docker::DockerDriver::new(docker))])
}
