//! Which address the node announces for host ports: one that its containers and its host both reach; and the networks
//! that ports can name instead.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::node::NodeNetwork;

use super::Found;
use crate::config::HostNetwork;

/// The address chosen and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub ip: IpAddr,
    pub device: String,
    pub why: &'static str,
}

/// One address of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    name: String,
    ip: IpAddr,
    prefix: u8,
}

pub(super) fn look(asked: Option<IpAddr>, bridge: Option<&str>, found: &mut Found) -> Chosen {
    let interfaces = interfaces();
    let route = default_route_device(&std::fs::read_to_string("/proc/net/route").unwrap_or_default());
    let chosen = choose(asked, route.as_deref(), bridge.and_then(|ip| ip.parse().ok()), &interfaces);
    found.set("unique.network.ip-address", chosen.ip);
    let own = interfaces.iter().find(|interface| interface.ip == chosen.ip);
    let prefix = own.map_or(if chosen.ip.is_ipv4() { 32 } else { 128 }, |interface| interface.prefix);
    found.resources.networks = vec![NodeNetwork {
        mode: "host".to_owned(),
        device: chosen.device.clone(),
        cidr: format!("{}/{prefix}", chosen.ip),
        ip: chosen.ip.to_string(),
        mbits: 1000,
    }];
    chosen
}

/// The networks that ports can name, each with the first of its addresses. One without an address is told and left out.
pub(super) fn host_networks(config: &BTreeMap<String, HostNetwork>) -> BTreeMap<String, model::node::HostNetwork> {
    if config.is_empty() { BTreeMap::new() } else { networks_among(config, &interfaces()) }
}

fn networks_among(
    config: &BTreeMap<String, HostNetwork>,
    all: &[Interface],
) -> BTreeMap<String, model::node::HostNetwork> {
    let mut networks = BTreeMap::new();
    for (name, network) in config {
        let HostNetwork { cidr, interface, reserved_ports } = network;
        let is_its = |own: &&Interface| {
            (interface.is_empty() || own.name == *interface) && (cidr.is_empty() || is_within(own.ip, cidr))
        };
        match all.iter().find(is_its) {
            Some(own) => {
                let network = model::node::HostNetwork {
                    name: name.clone(),
                    cidr: cidr.clone(),
                    interface: own.name.clone(),
                    ip: own.ip.to_string(),
                    reserved_ports: reserved_ports.clone(),
                };
                networks.insert(name.clone(), network);
            }
            None => tracing::warn!(name, cidr, interface, "no address of this machine belongs to the host network"),
        }
    }
    networks
}

/// Whether an address lies in a range like `10.0.0.0/8`; in none when that is no range.
fn is_within(ip: IpAddr, cidr: &str) -> bool {
    cidr.parse::<IpNet>().is_ok_and(|range| range.contains(&ip))
}

/// The default route's interface, else the containers' bridge, else loopback.
fn choose(asked: Option<IpAddr>, route: Option<&str>, bridge: Option<IpAddr>, all: &[Interface]) -> Chosen {
    let device_of = |ip: IpAddr| all.iter().find(|own| own.ip == ip).map_or("", |own| own.name.as_str()).to_owned();
    if let Some(ip) = asked {
        return Chosen { ip, device: device_of(ip), why: "the configuration names it" };
    }
    let on = |name: &str| all.iter().find(|own| own.name == name && own.ip.is_ipv4());
    if let Some(own) = route.and_then(on) {
        return Chosen { ip: own.ip, device: own.name.clone(), why: "the default route leaves by this interface" };
    }
    let named = bridge.filter(|ip| !ip.is_unspecified()).map(|ip| (ip, device_of(ip)));
    if let Some((ip, device)) = named.or_else(|| on("docker0").map(|own| (own.ip, own.name.clone()))) {
        return Chosen { ip, device, why: "there is no default route; containers and host share this bridge" };
    }
    let other = all.iter().find(|own| own.ip.is_ipv4() && !own.ip.is_loopback());
    match other {
        Some(own) => Chosen { ip: own.ip, device: own.name.clone(), why: "the only interface beside loopback" },
        None => Chosen {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            device: "lo".to_owned(),
            why: "nothing but loopback is there: containers cannot reach host ports",
        },
    }
}

/// The device of the route to 0.0.0.0/0 with the lowest metric, from the text of `/proc/net/route`.
fn default_route_device(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_default = *fields.get(1)? == "00000000" && *fields.get(7)? == "00000000";
        let up = u32::from_str_radix(fields.get(3)?, 16).ok()? & 1 == 1;
        (is_default && up).then_some((fields.get(6)?.parse::<u32>().ok()?, (*fields.first()?).to_owned()))
    });
    routes.min().map(|(_, device)| device)
}

fn interfaces() -> Vec<Interface> {
    let Ok(addresses) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let up = nix::net::if_::InterfaceFlags::IFF_UP;
    addresses
        .filter(|entry| entry.flags.contains(up))
        .filter_map(|entry| {
            let address = entry.address?;
            let (ip, prefix) = if let Some(v4) = address.as_sockaddr_in() {
                let mask = entry.netmask.and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip()));
                (IpAddr::V4(v4.ip()), mask.map_or(32, |mask| u32::from(mask).leading_ones() as u8))
            } else {
                (IpAddr::V6(address.as_sockaddr_in6()?.ip()), 64)
            };
            Some(Interface { name: entry.interface_name, ip, prefix })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, ip: &str) -> Interface {
        Interface { name: name.to_owned(), ip: ip.parse().unwrap(), prefix: 24 }
    }

    #[test]
    fn the_default_route_wins_then_the_bridge_then_loopback() {
        let all = [interface("lo", "127.0.0.1"), interface("eth0", "10.0.0.5"), interface("docker0", "172.17.0.1")];
        let ip = |chosen: Chosen| chosen.ip.to_string();
        assert_eq!(ip(choose(None, Some("eth0"), None, &all)), "10.0.0.5");
        assert_eq!(ip(choose(None, None, None, &all)), "172.17.0.1");
        assert_eq!(ip(choose(None, None, "172.18.0.1".parse().ok(), &all)), "172.18.0.1");
        assert_eq!(ip(choose("1.2.3.4".parse().ok(), Some("eth0"), None, &all)), "1.2.3.4");
        assert_eq!(ip(choose(None, None, None, &all[..1])), "127.0.0.1");
        assert_eq!(ip(choose(None, None, None, &all[..2])), "10.0.0.5");
    }

    #[test]
    fn host_networks_are_found_by_range_and_interface() {
        let all = [interface("lo", "127.0.0.1"), interface("eth0", "10.0.0.5"), interface("eth1", "10.1.0.5")];
        let network = |cidr: &str, interface: &str| HostNetwork {
            cidr: cidr.to_owned(),
            interface: interface.to_owned(),
            reserved_ports: "22".to_owned(),
        };
        let config = BTreeMap::from([
            ("any".to_owned(), network("10.0.0.0/8", "")),
            ("gone".to_owned(), network("192.168.0.0/16", "")),
            ("near".to_owned(), network("10.0.0.0/8", "eth1")),
            ("self".to_owned(), network("", "lo")),
        ]);
        let found = networks_among(&config, &all);
        let ips: Vec<_> = found.iter().map(|(name, own)| (name.as_str(), own.ip.as_str())).collect();
        assert_eq!(ips, [("any", "10.0.0.5"), ("near", "10.1.0.5"), ("self", "127.0.0.1")]);
        assert_eq!(found["near"].reserved_ports, "22");
        assert!(is_within("10.0.0.5".parse().unwrap(), "0.0.0.0/0"));
        assert!(is_within("fe80::1".parse().unwrap(), "fe80::/10") && !is_within("::1".parse().unwrap(), "fe80::/10"));
        assert!(!is_within("10.0.0.5".parse().unwrap(), "10.0.0.0/40"));
    }

    #[test]
    fn routes_are_read() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_route_device(table).as_deref(), Some("eth0"));
        assert_eq!(default_route_device("Iface\n"), None);
    }
}
