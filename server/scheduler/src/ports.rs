//! Which host ports a copy gets, on which of the node's networks.
//!
//! Dynamic per node: what is free changes with every placement. Whether the node has the named networks at all is a
//! static rule of `feasible`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::allocation::{AllocatedPort, PortKey};
use model::compiled::PortAsk;
use model::id::{AllocId, Seed};

use crate::table::{NodeInfo, PortHolders};

/// The name of the node's own address.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// A network of a node that ports can be announced on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HostNetwork {
    /// None for the node's own address.
    pub key: Option<IpAddr>,
    /// The address in words.
    pub address: String,
    /// Ports kept back on it, besides the node's.
    pub reserved: BTreeSet<u16>,
}

/// The ports of one node, as the plan stands.
pub(crate) struct PortView<'a, E: Fn(AllocId) -> bool> {
    pub node: &'a NodeInfo,
    pub holders: Option<&'a PortHolders>,
    /// Given in this plan.
    pub taken: &'a [PortKey],
    /// Whether an allocation is about to end.
    pub ends: E,
}

impl<E: Fn(AllocId) -> bool> PortView<'_, E> {
    /// Not kept back, not given in this plan, and `passes` for all who hold it.
    fn is_free(&self, network: &HostNetwork, port: u16, passes: impl Fn(AllocId) -> bool) -> bool {
        let key = (network.key, port);
        !self.node.reserved_ports.contains(&port)
            && !network.reserved.contains(&port)
            && !self.taken.contains(&key)
            && self.holders.and_then(|held| held.get(&key)).is_none_or(|ids| ids.iter().all(|id| passes(*id)))
    }

    /// Whether the static port can be given: held by nobody who stays.
    pub fn static_is_free(&self, ask: &PortAsk, port: u16) -> bool {
        self.node.network(&ask.host_network).is_some_and(|network| self.is_free(network, port, &self.ends))
    }

    /// Whether the planner may choose this port now: nobody holds it, not even one that is about to end.
    fn is_choosable(&self, network: &HostNetwork, port: u16, asks: &[PortAsk]) -> bool {
        let asked = |ask: &PortAsk| {
            ask.static_port == Some(port) && self.node.network(&ask.host_network).is_some_and(|n| n.key == network.key)
        };
        self.is_free(network, port, |_| false) && !asks.iter().any(asked)
    }

    /// Whether all dynamic ports of `asks` can be chosen.
    pub fn has_dynamic(&self, asks: &[PortAsk]) -> bool {
        let dynamic = |ask: &&PortAsk| ask.static_port.is_none();
        let mut seen: Vec<&str> = Vec::new();
        for ask in asks.iter().filter(dynamic) {
            if seen.contains(&ask.host_network.as_str()) {
                continue;
            }
            seen.push(&ask.host_network);
            let count = asks.iter().filter(dynamic).filter(|other| other.host_network == ask.host_network).count();
            let enough = self.node.network(&ask.host_network).is_some_and(|n| self.has(n, count, asks));
            if !enough {
                return false;
            }
        }
        true
    }

    fn has(&self, network: &HostNetwork, count: usize, asks: &[PortAsk]) -> bool {
        let (first, last) = self.node.dynamic_ports;
        let size = usize::from(last).saturating_sub(usize::from(first)) + 1;
        let range = (network.key, first)..=(network.key, last.max(first));
        let busy = self.holders.map_or(0, |held| held.range(range).count());
        let kept = self.node.reserved_ports.len() + network.reserved.len();
        // Most nodes are far from full: counting what could be in the way is enough for them.
        if busy + self.taken.len() + asks.len() + kept + count <= size {
            return true;
        }
        (first..=last).filter(|port| self.is_choosable(network, *port, asks)).take(count).count() == count
    }

    /// The ports in the job's order; none when the dynamic ones run out.
    pub fn choose(&self, asks: &[PortAsk], seed: Seed) -> Option<Vec<AllocatedPort>> {
        let (first, last) = self.node.dynamic_ports;
        let size = u32::from(last).checked_sub(u32::from(first))? + 1;
        let start = (seed.uuid(0) as u32) % size;
        let mut chosen: Vec<AllocatedPort> = Vec::with_capacity(asks.len());
        let mut step = 0;
        for ask in asks {
            let network = self.node.network(&ask.host_network)?;
            let value = match ask.static_port {
                Some(value) => value,
                None => loop {
                    if step == 2 * size {
                        return None;
                    }
                    let port = first + ((start + step) % size) as u16;
                    step += 1;
                    let twice = chosen.iter().any(|known| known.key() == (network.key, port));
                    if !twice && self.is_choosable(network, port, asks) {
                        break port;
                    }
                },
            };
            chosen.push(AllocatedPort {
                label: ask.label.clone(),
                value,
                to: u16::try_from(ask.to).ok().filter(|to| *to > 0).unwrap_or(value),
                host_ip: network.address.clone(),
                task: ask.task.clone(),
                host_network: if network.key.is_none() { String::new() } else { ask.host_network.clone() },
            });
        }
        Some(chosen)
    }
}
