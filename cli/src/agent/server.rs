//! The server half of an agent: log and leader, HTTP API, DNS.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::server::http::{HttpHandle, HttpSettings, serve};
use ::server::{Server, ServerConfig};
use anyhow::{Context, Result};
use catalog::{Listener, ListenerConfig};
use client::Resolvers;
use model::id::NodeId;
use model::time::GoDuration;

use super::config::AgentConfig;
use super::container_dns::ContainerDns;
use super::links::AgentClient;

/// Port of the HTTP API unless told otherwise.
const HTTP_PORT: u16 = 4646;
/// Port of the DNS server unless told otherwise.
const DNS_PORT: u16 = 8600;

/// How long the node of this agent may take to be registered before that is not waited for.
const FIRST_REGISTRATION: Duration = Duration::from_secs(5);

/// A running server and its listeners.
pub struct Running {
    server: Arc<Server>,
    http: HttpHandle,
    dns: Option<Listener>,
    container_dns: ContainerDns,
}

impl Running {
    /// Starts the log, then the listeners.
    pub async fn start(config: &AgentConfig, home: &Path) -> Result<Running> {
        let bind: IpAddr =
            config.bind_addr.parse().with_context(|| format!("bind address {:?} is no address", config.bind_addr))?;
        let http = SocketAddr::new(bind, config.ports.http.unwrap_or(HTTP_PORT));
        let listener = TcpListener::bind(http)
            .with_context(|| format!("cannot listen on {http}; another agent? choose another with -http-port"))?;
        let address = listener.local_addr()?;
        let server = Server::start(settings(config, home, address)?).await?;
        let http = serve(server.clone(), listener, HttpSettings::default())?;
        let dns = SocketAddr::new(bind, config.ports.dns.unwrap_or(DNS_PORT));
        let dns = listen_dns(&server, dns).await.inspect_err(|error| tracing::warn!("no DNS: {error:#}")).ok();
        let container_dns = ContainerDns::start(server.catalog()).await;
        Ok(Running { server, http, dns, container_dns })
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Where the HTTP API answers.
    pub fn http_address(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Where DNS answers.
    pub fn dns_addresses(&self) -> Vec<SocketAddr> {
        self.dns.iter().map(Listener::local_addr).chain(self.container_dns.addresses()).collect()
    }

    /// The resolvers to give to containers.
    pub fn container_resolvers(&self) -> Resolvers {
        self.container_dns.resolvers().clone()
    }

    /// Lets the HTTP API reach the client of this process, and DNS its view of the machine.
    pub fn attach(&self, client: Arc<client::Client>) {
        self.container_dns.attach(client.clone());
        self.server.set_local_client(Arc::new(AgentClient(client)));
    }

    /// Waits until the node is registered, for a moment at most: who reads that the agent is ready may run a job at once.
    pub async fn registers(&self, node: NodeId) {
        // Without it the agent is up all the same, and says why in its log.
        let _ = self.server.wait_for_node(node, FIRST_REGISTRATION).await;
    }

    /// Stops listening, answers what is under way, closes the log.
    pub async fn shutdown(self) {
        self.http.shutdown().await;
        drop((self.dns, self.container_dns));
        self.server.shutdown().await;
    }
}

fn settings(config: &AgentConfig, home: &Path, http: SocketAddr) -> Result<ServerConfig> {
    let mut settings = ServerConfig::new(home.join("server"));
    if !config.name.is_empty() {
        settings.name.clone_from(&config.name);
    }
    settings.driver_rules = crate::drivers::remarks;
    settings.region.clone_from(&config.region);
    settings.datacenter.clone_from(&config.datacenter);
    let advertised = |written: &str, default: String| if written.is_empty() { default } else { written.to_owned() };
    settings.advertise_http = advertised(&config.advertise.http, http.to_string());
    let rpc = SocketAddr::new(http.ip(), config.ports.rpc.unwrap_or(4647));
    settings.advertise_rpc = advertised(&config.advertise.rpc, rpc.to_string());
    let duration = |written: &str, field: &mut GoDuration| -> Result<()> {
        if !written.is_empty() {
            *field = GoDuration::parse(written).map_err(anyhow::Error::msg)?;
        }
        Ok(())
    };
    duration(&config.server.min_heartbeat_ttl, &mut settings.heartbeat_ttl)?;
    duration(&config.server.heartbeat_grace, &mut settings.heartbeat_grace)?;
    Ok(settings)
}

async fn listen_dns(server: &Arc<Server>, address: SocketAddr) -> Result<Listener> {
    let config = ListenerConfig { addresses: vec![address], ..ListenerConfig::default() };
    Ok(Listener::bind(config, server.catalog()).await?)
}
