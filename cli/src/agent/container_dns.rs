//! DNS for containers, on the address of the bridge that they are on: there as long as the bridge is.
//!
//! An engine that starts after the agent makes its bridge then, and containers must find services by name all the same.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catalog::{Listener, ListenerConfig, Source};
use client::{Client, Resolvers};
use tokio::task::AbortHandle;

/// The port that resolvers inside containers ask.
const PORT: u16 = 53;
/// The bridge of a Docker Engine unless it says otherwise.
const DOCKER_BRIDGE: &str = "docker0";
/// The node's attribute in which it does.
const BRIDGE_ATTRIBUTE: &str = "driver.docker.bridge_ip";
/// How often the bridge is looked for. A task is started only some seconds after its engine.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Follows the bridge until it is dropped.
pub struct ContainerDns {
    resolvers: Resolvers,
    client: Arc<OnceLock<Arc<Client>>>,
    follower: AbortHandle,
}

impl ContainerDns {
    /// Listens if the bridge is there already, and goes on looking.
    pub async fn start(source: Arc<dyn Source>) -> ContainerDns {
        let (resolvers, client) = (Resolvers::default(), Arc::new(OnceLock::<Arc<Client>>::new()));
        let mut follower =
            Follower { source, port: PORT, resolvers: resolvers.clone(), listener: None, told: String::new() };
        follower.follow(bridge_address(None)).await;
        let known = client.clone();
        let follow = async move {
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                let node = known.get().map(|client| client.node());
                let named = node.and_then(|node| node.attributes.get(BRIDGE_ATTRIBUTE)?.parse().ok());
                follower.follow(bridge_address(named)).await;
            }
        };
        ContainerDns { resolvers, client, follower: tokio::spawn(follow).abort_handle() }
    }

    /// Where it answers now, for those who give it to containers.
    pub fn resolvers(&self) -> &Resolvers {
        &self.resolvers
    }

    /// Where it answers now.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.resolvers.get().into_iter().map(|address| SocketAddr::new(address, PORT)).collect()
    }

    /// From now on `client` is asked for the bridge's address, too.
    pub fn attach(&self, client: Arc<Client>) {
        // There is one client in a process.
        let _ = self.client.set(client);
    }
}

impl Drop for ContainerDns {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

struct Follower {
    source: Arc<dyn Source>,
    port: u16,
    resolvers: Resolvers,
    listener: Option<Listener>,
    /// Why it does not listen, as it was last told.
    told: String,
}

impl Follower {
    /// Listens on the bridge's address, and nowhere when there is no bridge.
    async fn follow(&mut self, bridge: Option<IpAddr>) {
        let here = self.listener.as_ref().map(|listener| listener.local_addr().ip());
        if here == bridge {
            return;
        }
        self.listener = None;
        self.resolvers.set(Vec::new());
        let Some(bridge) = bridge else { return };
        let config =
            ListenerConfig { addresses: vec![SocketAddr::new(bridge, self.port)], ..ListenerConfig::default() };
        match Listener::bind(config, self.source.clone()).await {
            Ok(listener) => {
                tracing::info!(address = %listener.local_addr(), "containers resolve services by name");
                self.listener = Some(listener);
                self.resolvers.set(vec![bridge]);
                self.told.clear();
            }
            Err(error) => {
                let why = error.to_string();
                if self.told != why {
                    tracing::warn!("containers cannot resolve services by name: {why}");
                    self.told = why;
                }
            }
        }
    }
}

/// The address of the container bridge on this machine, if there is one: the one that the engine has named, else that of
/// the bridge which it makes by default.
fn bridge_address(named: Option<IpAddr>) -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    let addresses: Vec<(String, IpAddr)> = interfaces
        .filter_map(|interface| Some((interface.interface_name, IpAddr::V4(interface.address?.as_sockaddr_in()?.ip()))))
        .collect();
    let is_named = |(_, address): &&(String, IpAddr)| named == Some(*address);
    let is_usual = |(name, _): &&(String, IpAddr)| name == DOCKER_BRIDGE;
    addresses.iter().find(is_named).or_else(|| addresses.iter().find(is_usual)).map(|(_, address)| *address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_listens_where_the_bridge_is_and_as_long_as_it_is() {
        let resolvers = Resolvers::default();
        let taken = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
        let source = Arc::new(catalog::Catalog::new());
        let port = taken.local_addr().unwrap().port();
        let mut follower = Follower { source, port, resolvers: resolvers.clone(), listener: None, told: String::new() };
        let [first, second] = [2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
        follower.follow(None).await;
        assert!(resolvers.get().is_empty());
        follower.follow(Some(first)).await;
        assert!(resolvers.get().is_empty() && !follower.told.is_empty(), "somebody else has the port");
        drop(taken);
        follower.follow(Some(first)).await;
        assert_eq!((resolvers.get(), follower.told.as_str()), (vec![first], ""));
        follower.follow(Some(second)).await;
        assert_eq!(resolvers.get(), [second]);
        follower.follow(None).await;
        assert!(resolvers.get().is_empty() && follower.listener.is_none());
        assert_eq!(bridge_address(Some(IpAddr::from([127, 0, 0, 1]))), Some(IpAddr::from([127, 0, 0, 1])));
    }
}
