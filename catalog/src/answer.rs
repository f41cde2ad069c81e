//! Turns a packet and the catalog into an answer. Pure: what varies between equal questions comes in as a seed.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::catalog::Source;
use crate::instance::Instance;
use crate::name::{self, Meaning, ServiceName};

/// The largest message that goes over UDP, so that no path has to fragment it.
const MAX_UDP: u16 = 1232;
/// The largest message over UDP when the asker says nothing.
const MIN_UDP: u16 = 512;
/// The smallest record on the wire: compressed name, type, class, TTL, length and an IPv4 address.
const SMALLEST_RECORD: usize = 16;
const HEADER: usize = 12;

/// What we answer for.
#[derive(Clone, Debug)]
pub struct Zone {
    domains: Vec<Name>,
    ttl: u32,
    recursion: bool,
}

/// A text that cannot be a DNS domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{domain:?} cannot be a DNS domain: {reason}; use letters, digits and dashes, such as drover or svc.example")]
pub struct InvalidDomain {
    domain: String,
    reason: String,
}

impl Zone {
    /// Answers for `domain` and, if given, equally for `alt_domain`; answers live for `ttl` seconds. `recursion` says
    /// whether questions about other names are forwarded, and is told to askers.
    pub fn new(domain: &str, alt_domain: Option<&str>, ttl: u32, recursion: bool) -> Result<Zone, InvalidDomain> {
        let read = |domain: &str| {
            let invalid = |reason: String| InvalidDomain { domain: domain.to_owned(), reason };
            let mut name = Name::from_ascii(domain).map_err(|error| invalid(error.to_string()))?;
            name.set_fqdn(true);
            // The longest name in front of it is a hexadecimal IPv6 address; a name has at most 255 bytes.
            match name.len() {
                0 | 1 => Err(invalid("it is empty".to_owned())),
                2..=200 => Ok(name.to_lowercase()),
                _ => Err(invalid("it is longer than 200 characters".to_owned())),
            }
        };
        let mut domains = vec![read(domain)?];
        if let Some(alt) = alt_domain.filter(|alt| !alt.is_empty()) {
            domains.push(read(alt)?);
        }
        // The longer one first, should one lie within the other.
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.iter().count()));
        Ok(Zone { domains, ttl, recursion })
    }

    fn domain_of(&self, name: &Name) -> Option<&Name> {
        self.domains.iter().find(|domain| domain.zone_of(name))
    }
}

/// How a packet came and how its answer will go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Answers are bounded by what the asker takes and are marked when truncated.
    Udp,
    /// Answers have up to 65,535 bytes.
    Tcp,
}

/// What to do with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Send this back.
    Reply(Vec<u8>),
    /// A good question about a name that is not ours.
    Forward,
    /// Not a question: say nothing, lest two servers talk forever.
    Drop,
}

/// Answers one packet. Never panics, whatever the packet is.
pub fn answer(packet: &[u8], transport: Transport, zone: &Zone, source: &dyn Source, seed: u64) -> Outcome {
    let Some(header) = packet.first_chunk::<HEADER>() else { return Outcome::Drop };
    if header[2] & 0x80 != 0 {
        return Outcome::Drop;
    }
    if header[2] & 0x78 != 0 {
        return Outcome::Reply(bare(packet, ResponseCode::NotImp));
    }
    // Looked at before decoding, which reserves room for as many questions as the header claims.
    if header[4..6] != [0, 1] {
        return Outcome::Reply(bare(packet, ResponseCode::FormErr));
    }
    let Ok(request) = Message::from_vec(packet) else {
        return Outcome::Reply(bare(packet, ResponseCode::FormErr));
    };
    let [question] = &request.queries[..] else { return Outcome::Reply(bare(packet, ResponseCode::FormErr)) };
    let limit = match (transport, &request.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => MIN_UDP,
        (Transport::Udp, Some(edns)) => edns.max_payload().clamp(MIN_UDP, MAX_UDP),
    };
    let mut reply = reply_to(&request, question, zone);
    if request.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
        reply.metadata.response_code = ResponseCode::BADVERS;
        return finish(reply, limit, packet);
    }
    let domain = zone.domain_of(question.name());
    if !matches!(question.query_class(), DNSClass::IN | DNSClass::ANY) {
        reply.metadata.response_code = ResponseCode::Refused;
        return finish(reply, limit, packet);
    }
    let Some(domain) = domain else { return Outcome::Forward };
    if matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR) {
        reply.metadata.response_code = ResponseCode::Refused;
        return finish(reply, limit, packet);
    }
    let at_most = usize::from(limit) / SMALLEST_RECORD + 1;
    Answerer { zone, domain, source, seed, question, at_most }.fill(&mut reply);
    finish(reply, limit, packet)
}

/// A failure of the server, as the answer to `packet`.
pub(crate) fn server_failure(packet: &[u8]) -> Vec<u8> {
    bare(packet, ResponseCode::ServFail)
}

/// A header-only answer, for packets that may not be readable beyond their header.
fn bare(packet: &[u8], code: ResponseCode) -> Vec<u8> {
    let id = packet.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
    let flags = packet.get(2).copied().unwrap_or(0);
    let mut reply = Message::error_msg(id, OpCode::from_u8(flags >> 3 & 0xf), code);
    reply.metadata.recursion_desired = flags & 1 != 0;
    // Encoding a message without records cannot fail; an empty packet would only be dropped.
    reply.to_vec().unwrap_or_default()
}

fn reply_to(request: &Message, question: &Query, zone: &Zone) -> Message {
    let mut reply = Message::response(request.metadata.id, OpCode::Query);
    reply.metadata = Metadata::response_from_request(&request.metadata);
    reply.metadata.recursion_available = zone.recursion;
    reply.add_query(question.clone());
    reply.edns = request.edns.as_ref().map(|asked| {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP).set_dnssec_ok(asked.flags().dnssec_ok);
        edns
    });
    reply
}

/// Encodes within `limit` bytes: first without what is merely helpful, then with fewer answers, marked as truncated.
fn finish(mut reply: Message, limit: u16, packet: &[u8]) -> Outcome {
    let limit = usize::from(limit);
    loop {
        let Ok(bytes) = reply.to_vec() else { return Outcome::Reply(server_failure(packet)) };
        if bytes.len() <= limit {
            return Outcome::Reply(bytes);
        }
        if !reply.additionals.is_empty() {
            reply.additionals.clear();
        } else if !reply.answers.is_empty() {
            let fit = reply.answers.len() * limit / bytes.len();
            reply.answers.truncate(fit.min(reply.answers.len() - 1));
            reply.metadata.truncation = true;
        } else {
            return Outcome::Reply(server_failure(packet));
        }
    }
}

/// Fills the answer to one question about our domain.
struct Answerer<'a> {
    zone: &'a Zone,
    domain: &'a Name,
    source: &'a dyn Source,
    seed: u64,
    question: &'a Query,
    /// More answers than this cannot fit; one more than fits makes the truncation visible.
    at_most: usize,
}

impl Answerer<'_> {
    fn fill(&self, reply: &mut Message) {
        reply.metadata.authoritative = true;
        match self.meaning() {
            Meaning::Apex if self.asks(RecordType::SOA) => {
                reply.add_answer(self.authority());
            }
            Meaning::Apex | Meaning::Branch => {}
            Meaning::Unknown => reply.metadata.response_code = ResponseCode::NXDomain,
            Meaning::Address(address) => {
                reply.add_answers(self.address_record(self.question.name(), address));
            }
            Meaning::Service(service) => self.fill_service(&service, reply),
        }
        if reply.answers.is_empty() {
            reply.add_authority(self.authority());
        }
    }

    fn meaning(&self) -> Meaning {
        let name = self.question.name();
        let front = name.iter().count() - self.domain.iter().count();
        let labels: Option<Vec<String>> =
            name.iter().take(front).map(|label| std::str::from_utf8(label).ok().map(str::to_ascii_lowercase)).collect();
        let Some(labels) = labels else { return Meaning::Unknown };
        name::meaning(&labels.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A name exists for as long as its service has an instance, and has data only while one of them is healthy.
    fn fill_service(&self, name: &ServiceName, reply: &mut Message) {
        let all = self.source.lookup(&name.namespace, &name.service);
        let mut exists = false;
        let mut healthy: Vec<&Instance> = Vec::with_capacity(all.len());
        for instance in all.iter().filter(|instance| has_tag(instance, name.tag.as_deref())) {
            exists = true;
            if instance.healthy {
                healthy.push(instance);
            }
        }
        if !exists {
            reply.metadata.response_code = ResponseCode::NXDomain;
            return;
        }
        shuffle(&mut healthy, self.seed);
        match self.question.query_type() {
            RecordType::SRV => self.fill_srv(&healthy, reply),
            RecordType::TXT => {
                let records = healthy.iter().take(self.at_most).map(|instance| self.text_of(instance));
                reply.add_answers(records);
            }
            _ => self.fill_addresses(&healthy, reply),
        }
    }

    /// A and AAAA, each address once; for ANY those two; a CNAME when there is only one host name.
    fn fill_addresses(&self, instances: &[&Instance], reply: &mut Message) {
        let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
        let distinct = || instances.iter().map(|instance| instance.address.as_str());
        for address in distinct() {
            if reply.answers.len() >= self.at_most {
                return;
            }
            if seen.insert(address)
                && let Ok(address) = address.parse::<IpAddr>()
            {
                reply.add_answers(self.address_record(self.question.name(), address));
            }
        }
        let asks_address = matches!(self.question.query_type(), RecordType::A | RecordType::AAAA | RecordType::ANY);
        let mut hosts = seen.iter().filter_map(|address| host_name(address));
        if let (1, Some(host)) = (seen.len(), hosts.next())
            && (asks_address || self.asks(RecordType::CNAME))
        {
            reply.add_answer(self.record(self.question.name(), RData::CNAME(CNAME(host))));
        }
    }

    fn fill_srv(&self, instances: &[&Instance], reply: &mut Message) {
        let mut seen = std::collections::HashSet::new();
        for instance in instances.iter().filter(|instance| instance.port != 0) {
            if reply.answers.len() >= self.at_most {
                return;
            }
            if !seen.insert((&instance.address, instance.port)) {
                continue;
            }
            let (target, address) = match instance.address.parse::<IpAddr>() {
                Ok(address) => (self.address_name(address), Some(address)),
                Err(_) => (host_name(&instance.address), None),
            };
            let Some(target) = target else { continue };
            let data = RData::SRV(SRV::new(1, 1, instance.port, target.clone()));
            reply.add_answer(self.record(self.question.name(), data));
            if let Some(address) = address
                && !reply.additionals.iter().any(|record| record.name == target)
            {
                reply.add_additional(self.record(&target, address_data(address)));
            }
        }
    }

    fn text_of(&self, instance: &Instance) -> Record {
        let mut texts = vec![
            format!("job={}", instance.job_id),
            format!("alloc={}", instance.alloc_id),
            format!("node={}", instance.node_name),
        ];
        texts.extend(instance.tags.iter().map(|tag| format!("tag={tag}")));
        // A character string has at most 255 bytes; a longer one is cut rather than left out.
        let cut = texts.iter().map(|text| &text.as_bytes()[..text.len().min(255)]).collect();
        self.record(self.question.name(), RData::TXT(TXT::from_bytes(cut)))
    }

    fn address_record(&self, name: &Name, address: IpAddr) -> Option<Record> {
        let kind = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        self.asks(kind).then(|| self.record(name, address_data(address)))
    }

    fn address_name(&self, address: IpAddr) -> Option<Name> {
        let name = Name::from_labels([name::address_label(address).as_bytes(), b"addr"]).ok()?;
        name.append_domain(self.domain).ok()
    }

    fn asks(&self, kind: RecordType) -> bool {
        self.question.query_type() == kind || self.question.query_type() == RecordType::ANY
    }

    fn record(&self, name: &Name, data: RData) -> Record {
        Record::from_rdata(name.clone(), self.zone.ttl, data)
    }

    /// Said with every empty answer, so that its emptiness is not believed for longer than an answer would be.
    fn authority(&self) -> Record {
        let contact = Name::from_ascii("hostmaster").and_then(|name| name.append_domain(self.domain));
        let contact = contact.unwrap_or_else(|_| self.domain.clone());
        // The serial only has to change with the catalog; its low bits are enough.
        let serial = self.source.version() as u32;
        let soa = SOA::new(self.domain.clone(), contact, serial, 3600, 600, 86400, self.zone.ttl);
        self.record(self.domain, RData::SOA(soa))
    }
}

fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    }
}

fn host_name(address: &str) -> Option<Name> {
    if address.is_empty() || address.parse::<IpAddr>().is_ok() {
        return None;
    }
    let mut name = Name::from_ascii(address).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn has_tag(instance: &Instance, tag: Option<&str>) -> bool {
    tag.is_none_or(|tag| instance.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
}

/// Fisher and Yates, with splitmix64 as the source of numbers.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let other = ((bits ^ (bits >> 31)) % (last as u64 + 1)) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
