//! Reads what a DNS name below our domain means. Pure, on lower-case labels.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The namespace of a name that tells none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What a name below the domain stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The domain itself.
    Apex,
    /// A name with nothing of its own, below which there are names: `service`, `addr`, `<namespace>.ns`, ...
    Branch,
    /// A service.
    Service(ServiceName),
    /// `<hexadecimal address>.addr`, the target of SRV answers.
    Address(IpAddr),
    /// Nothing that could exist.
    Unknown,
}

/// The parts of a service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    /// The namespace, [`DEFAULT_NAMESPACE`] unless told otherwise.
    pub namespace: String,
    /// The service.
    pub service: String,
    /// Only instances with this tag.
    pub tag: Option<String>,
}

/// Reads the labels in front of the domain, leftmost first and in lower case:
/// `[<tag>.]<service>.service[.<namespace>.ns]`, `_<service>._tcp.service...`, `_<service>._<tag>.service...` or
/// `<hexadecimal address>.addr`.
pub fn meaning(labels: &[&str]) -> Meaning {
    match labels {
        [] => Meaning::Apex,
        ["addr" | "service" | "ns"] => Meaning::Branch,
        [hex, "addr"] => address(hex).map_or(Meaning::Unknown, Meaning::Address),
        [_, "ns"] | ["service", _, "ns"] => Meaning::Branch,
        [name @ .., "service", namespace, "ns"] => service(name, namespace),
        [name @ .., "service"] => service(name, DEFAULT_NAMESPACE),
        _ => Meaning::Unknown,
    }
}

fn service(name: &[&str], namespace: &str) -> Meaning {
    let (service, tag) = match name {
        [service, second] if service.starts_with('_') && second.starts_with('_') => {
            let tag = Some(&second[1..]).filter(|tag| !matches!(*tag, "tcp" | "udp"));
            (&service[1..], tag.map(str::to_owned))
        }
        ["_tcp" | "_udp"] => return Meaning::Branch,
        [service] => (*service, None),
        [tag @ .., service] => (*service, Some(tag.join("."))),
        [] => return Meaning::Branch,
    };
    Meaning::Service(ServiceName { namespace: namespace.to_owned(), service: service.to_owned(), tag })
}

/// The label that stands for an address: 8 hexadecimal digits for IPv4, 32 for IPv6.
pub fn address_label(address: IpAddr) -> String {
    let mut label = String::with_capacity(32);
    // Writing to a String cannot fail.
    let _ = match address {
        IpAddr::V4(v4) => write!(label, "{:08x}", u32::from(v4)),
        IpAddr::V6(v6) => write!(label, "{:032x}", u128::from(v6)),
    };
    label
}

fn address(label: &str) -> Option<IpAddr> {
    if !label.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match label.len() {
        8 => u32::from_str_radix(label, 16).ok().map(|bits| Ipv4Addr::from(bits).into()),
        32 => u128::from_str_radix(label, 16).ok().map(|bits| Ipv6Addr::from(bits).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Meaning {
        meaning(&name.split('.').filter(|label| !label.is_empty()).collect::<Vec<_>>())
    }

    fn named(namespace: &str, service: &str, tag: Option<&str>) -> Meaning {
        let (namespace, service) = (namespace.to_owned(), service.to_owned());
        Meaning::Service(ServiceName { namespace, service, tag: tag.map(str::to_owned) })
    }

    #[test]
    fn every_form_is_read() {
        for (text, wanted) in [
            ("", Meaning::Apex),
            ("service", Meaning::Branch),
            ("prod.ns", Meaning::Branch),
            ("service.prod.ns", Meaning::Branch),
            ("_tcp.service", Meaning::Branch),
            ("redis.service", named("default", "redis", None)),
            ("redis.service.prod.ns", named("prod", "redis", None)),
            ("primary.redis.service", named("default", "redis", Some("primary"))),
            ("v1.2.redis.service.prod.ns", named("prod", "redis", Some("v1.2"))),
            ("_redis._tcp.service", named("default", "redis", None)),
            ("_redis._primary.service.prod.ns", named("prod", "redis", Some("primary"))),
            ("ns.service", named("default", "ns", None)),
            ("service.service", named("default", "service", None)),
            ("7f000001.addr", Meaning::Address([127, 0, 0, 1].into())),
            ("7f00001.addr", Meaning::Unknown),
            ("+f000001.addr", Meaning::Unknown),
            ("redis", Meaning::Unknown),
            ("redis.query", Meaning::Unknown),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn address_labels_read_back() {
        for address in ["10.1.2.3", "255.255.255.255", "::1", "fe80::1234"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(read(&format!("{}.addr", address_label(address))), Meaning::Address(address));
        }
    }
}
