//! The server half of an agent: log and leader, HTTP API, DNS.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use ::server::http::{HttpHandle, HttpSettings, serve};
use ::server::{Server, ServerConfig};
use anyhow::{Context, Result};
use catalog::{Listener, ListenerConfig};
use model::time::GoDuration;

use super::config::AgentConfig;
use super::links::AgentClient;

/// Port of the HTTP API unless told otherwise.
const HTTP_PORT: u16 = 4646;
/// Port of the DNS server unless told otherwise.
const DNS_PORT: u16 = 8600;
/// The port that resolvers inside containers ask.
const CONTAINER_DNS_PORT: u16 = 53;
/// The bridge that containers of a Docker Engine are on.
const DOCKER_BRIDGE: &str = "docker0";

/// A running server and its listeners.
pub struct Running {
    server: Arc<Server>,
    http: HttpHandle,
    dns: Option<Listener>,
    container_dns: Option<Listener>,
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
        let container_dns = match bridge_address() {
            Some(bridge) => listen_dns(&server, SocketAddr::new(bridge, CONTAINER_DNS_PORT))
                .await
                .inspect_err(|error| tracing::warn!("containers cannot resolve services by name: {error:#}"))
                .ok(),
            None => None,
        };
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
        self.dns.iter().chain(&self.container_dns).map(Listener::local_addr).collect()
    }

    /// The resolver to give to containers.
    pub fn container_resolver(&self) -> Option<IpAddr> {
        self.container_dns.as_ref().map(|listener| listener.local_addr().ip())
    }

    /// Lets the HTTP API reach the client of this process.
    pub fn attach(&self, client: Arc<client::Client>) {
        self.server.set_local_client(Arc::new(AgentClient(client)));
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

/// The address of the container bridge on this machine, if there is one.
fn bridge_address() -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    interfaces
        .filter(|interface| interface.interface_name == DOCKER_BRIDGE)
        .find_map(|interface| Some(IpAddr::V4(interface.address?.as_sockaddr_in()?.ip())))
}
