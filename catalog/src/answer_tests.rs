//! Questions and their answers, without a socket.

use std::sync::Arc;

use hickory_proto::op::MessageType;
use model::id::{AllocId, NodeId, Seed};
use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;

fn instance(service: &str, ordinal: u64, address: &str, port: u16, healthy: bool) -> Instance {
    let alloc_id = AllocId::derive(Seed(3), ordinal);
    Instance {
        id: format!("{alloc_id}-{service}"),
        service: service.into(),
        namespace: if service == "far" { "prod".into() } else { "default".into() },
        node_id: NodeId::default(),
        node_name: "n1".into(),
        datacenter: "dc1".into(),
        alloc_id,
        job_id: "job".into(),
        tags: vec![if ordinal == 1 { "Primary".into() } else { "x".repeat(300) }],
        address: address.into(),
        port,
        healthy,
        create_index: 0,
        modify_index: 0,
    }
}

fn catalog() -> Catalog {
    let mut all = vec![
        instance("web", 1, "10.0.0.1", 8001, true),
        instance("web", 2, "10.0.0.1", 8002, true),
        instance("web", 3, "10.0.0.2", 8003, true),
        instance("web", 4, "10.0.0.3", 8004, false),
        instance("sick", 5, "10.0.0.3", 80, false),
        instance("six", 6, "fd00::1", 80, true),
        instance("named", 7, "db.example.org", 5432, true),
        instance("far", 8, "10.0.0.8", 80, true),
        instance("portless", 9, "10.0.0.9", 0, true),
    ];
    all.extend((0..200).map(|n| instance("big", 100 + n, &format!("10.1.{}.{n}", n / 250), 80, true)));
    Catalog::of(all)
}

fn zone() -> Zone {
    Zone::new("drover", Some("svc.example"), 0, true).unwrap()
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn reply_with(message: &Message, transport: Transport, seed: u64) -> (Message, usize) {
    match answer(&message.to_vec().unwrap(), transport, &zone(), &catalog(), seed) {
        Outcome::Reply(bytes) => (Message::from_vec(&bytes).unwrap(), bytes.len()),
        other => panic!("{other:?}"),
    }
}

fn ask(name: &str, kind: RecordType) -> Message {
    reply_with(&question(name, kind), Transport::Udp, 1).0
}

fn data(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(|record| record.data.to_string()).collect();
    texts.sort();
    texts
}

#[test]
fn a_lists_each_healthy_address_once() {
    for name in ["web.service.drover.", "WEB.Service.DROVER.", "web.service.svc.example.", "_web._tcp.service.drover."]
    {
        let reply = ask(name, RecordType::A);
        assert_eq!(data(&reply.answers), ["10.0.0.1", "10.0.0.2"], "{name}");
        assert_eq!(reply.answers[0].name.to_ascii(), name, "case is echoed");
        assert!(reply.metadata.authoritative && reply.metadata.recursion_available);
        assert_eq!((reply.metadata.id, reply.answers[0].ttl), (77, 0));
    }
    assert_eq!(data(&ask("primary.web.service.drover.", RecordType::A).answers), ["10.0.0.1"]);
    assert_eq!(data(&ask("far.service.prod.ns.drover.", RecordType::A).answers), ["10.0.0.8"]);
    assert_eq!(data(&ask("six.service.drover.", RecordType::AAAA).answers), ["fd00::1"]);
    assert_eq!(data(&ask("named.service.drover.", RecordType::A).answers), ["db.example.org."]);
}

#[test]
fn srv_lists_every_port_and_its_targets_resolve() {
    let reply = ask("web.service.drover.", RecordType::SRV);
    assert_eq!(
        data(&reply.answers),
        ["1 1 8001 0a000001.addr.drover.", "1 1 8002 0a000001.addr.drover.", "1 1 8003 0a000002.addr.drover."]
    );
    assert_eq!(data(&reply.additionals), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(data(&ask("0a000001.addr.drover.", RecordType::A).answers), ["10.0.0.1"]);
    assert!(ask("0a000001.addr.drover.", RecordType::AAAA).answers.is_empty());
    assert_eq!(data(&ask("named.service.drover.", RecordType::SRV).answers), ["1 1 5432 db.example.org."]);
    assert!(ask("portless.service.drover.", RecordType::SRV).answers.is_empty());
}

#[test]
fn what_does_not_exist_and_what_has_no_data_are_told_apart() {
    use ResponseCode::{NXDomain, NoError};
    for (name, kind, code) in [
        ("nothing.service.drover.", RecordType::A, NXDomain),
        ("web.drover.", RecordType::A, NXDomain),
        ("other.web.service.drover.", RecordType::A, NXDomain),
        ("far.service.drover.", RecordType::A, NXDomain),
        ("web.service.drover.", RecordType::AAAA, NoError),
        ("web.service.drover.", RecordType::MX, NoError),
        ("sick.service.drover.", RecordType::A, NoError),
        ("service.drover.", RecordType::A, NoError),
        ("drover.", RecordType::A, NoError),
    ] {
        let reply = ask(name, kind);
        assert_eq!((reply.metadata.response_code, reply.answers.len()), (code, 0), "{name} {kind}");
        assert_eq!(reply.authorities[0].record_type(), RecordType::SOA, "{name} {kind}");
    }
    assert_eq!(ask("drover.", RecordType::SOA).answers.len(), 1);
    assert!(data(&ask("web.service.drover.", RecordType::TXT).answers)[0].contains("job=job"));
    assert_eq!(data(&ask("web.service.drover.", RecordType::ANY).answers), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn order_follows_the_seed() {
    let order = |seed| -> Vec<String> {
        let reply = reply_with(&question("big.service.drover.", RecordType::A), Transport::Tcp, seed).0;
        reply.answers.iter().map(|record| record.data.to_string()).collect()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    assert_eq!(order(1).len(), 200);
}

#[test]
fn udp_answers_are_bounded_and_marked() {
    let mut message = question("big.service.drover.", RecordType::A);
    for (payload, limit) in [(None, 512), (Some(100), 512), (Some(800), 800), (Some(60000), 1232)] {
        message.edns = payload.map(|payload| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload).set_dnssec_ok(true);
            edns
        });
        for kind in [RecordType::A, RecordType::SRV, RecordType::TXT] {
            message.queries[0].set_query_type(kind);
            let (reply, length) = reply_with(&message, Transport::Udp, 1);
            assert!(reply.metadata.truncation && length <= limit, "{kind} {payload:?} {length}");
            // At least one more of the largest record would not have fitted.
            assert!(!reply.answers.is_empty() && length + 700 > limit, "{kind} {payload:?} {length}");
            assert_eq!(reply.edns.is_some(), payload.is_some());
        }
    }
    message.queries[0].set_query_type(RecordType::SRV);
    let (reply, _) = reply_with(&message, Transport::Tcp, 1);
    assert!(!reply.metadata.truncation && reply.edns.unwrap().flags().dnssec_ok);
    let (reply, _) = reply_with(&question("web.service.drover.", RecordType::SRV), Transport::Udp, 1);
    assert!(!reply.metadata.truncation);
}

#[test]
fn what_cannot_be_answered_says_so() {
    let code = |message: &Message| reply_with(message, Transport::Udp, 1).0.metadata.response_code;
    let good = question("web.service.drover.", RecordType::A);
    let mut version = good.clone();
    version.edns = Some(Edns::new());
    version.edns.as_mut().unwrap().set_version(1);
    // BADSIG is the same number elsewhere, and what it is read back as.
    assert_eq!(u16::from(code(&version)), u16::from(ResponseCode::BADVERS));
    let mut twice = good.clone();
    twice.add_query(good.queries[0].clone());
    assert_eq!(code(&twice), ResponseCode::FormErr);
    let mut chaos = good.clone();
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&chaos), ResponseCode::Refused);
    assert_eq!(code(&question("drover.", RecordType::AXFR)), ResponseCode::Refused);
    let mut notify = good.clone();
    notify.metadata.op_code = OpCode::Notify;
    assert_eq!(code(&notify), ResponseCode::NotImp);
}

#[test]
fn other_names_are_forwarded_and_other_packets_dropped() {
    let packet = question("example.org.", RecordType::A).to_vec().unwrap();
    let outcome = |packet: &[u8]| answer(packet, Transport::Udp, &zone(), &catalog(), 1);
    assert_eq!(outcome(&packet), Outcome::Forward);
    let near = question("notdrover.", RecordType::A).to_vec().unwrap();
    assert_eq!(outcome(&near), Outcome::Forward);
    let mut response = packet.clone();
    response[2] |= 0x80;
    assert_eq!(outcome(&response), Outcome::Drop);
    assert_eq!(outcome(b""), Outcome::Drop);
    assert_eq!(outcome(&packet[..11]), Outcome::Drop);
    assert!(matches!(outcome(&packet[..14]), Outcome::Reply(_)));
}

#[test]
fn a_bad_domain_is_refused() {
    for domain in ["", ".", "a..b", &"x".repeat(64), &"abcdefgh.".repeat(30)] {
        assert!(Zone::new(domain, None, 0, false).is_err(), "{domain}");
    }
}

/// Packets near enough to good ones to get past the first checks.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let good = question("primary.web.service.drover.", RecordType::SRV);
    let mut edns = good.clone();
    edns.edns = Some(Edns::new());
    let bases = vec![good.to_vec().unwrap(), edns.to_vec().unwrap()];
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let mutated = (prop::sample::select(bases), flips, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut packet, flips, cut, cuts)| {
            for (at, value) in flips {
                let at = at.index(packet.len());
                packet[at] = value;
            }
            if cuts {
                packet.truncate(cut.index(packet.len() + 1));
            }
            packet
        },
    );
    prop_oneof![mutated, prop::collection::vec(any::<u8>(), 0..600)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_packet_panics_or_gets_too_long_an_answer(packet in packets(), seed: u64) {
        let source: Arc<dyn Source> = Arc::new(catalog());
        for transport in [Transport::Udp, Transport::Tcp] {
            if let Outcome::Reply(reply) = answer(&packet, transport, &zone(), &*source, seed) {
                prop_assert!(transport == Transport::Tcp || reply.len() <= 1232);
                prop_assert_eq!(&reply[..2], &packet[..2]);
                prop_assert!(reply[2] & 0x80 != 0);
            }
        }
    }
}
