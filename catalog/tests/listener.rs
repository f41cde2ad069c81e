//! The listener over real sockets: both transports, forwarding, and askers that misbehave.

// Not marked as a test by cargo, though it is nothing else.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Instance, Listener, ListenerConfig, Upstreams};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use model::id::{AllocId, NodeId, Seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

fn catalog_of(count: u64) -> Arc<Catalog> {
    Arc::new(Catalog::of((0..count).map(|ordinal| Instance {
        id: ordinal.to_string(),
        service: "web".into(),
        namespace: "default".into(),
        node_id: NodeId::default(),
        node_name: "n1".into(),
        datacenter: "dc1".into(),
        alloc_id: AllocId::derive(Seed(1), ordinal),
        job_id: "web".into(),
        tags: Vec::new(),
        address: format!("10.0.0.{ordinal}"),
        port: 80,
        healthy: true,
        create_index: 0,
        modify_index: 0,
    })))
}

async fn listener(upstreams: Vec<SocketAddr>, count: u64) -> Listener {
    let config = ListenerConfig {
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        upstreams: Upstreams::Fixed(upstreams),
        forward_timeout: Duration::from_millis(300),
        tcp_idle: Duration::from_millis(300),
        max_connections: 4,
        ..ListenerConfig::default()
    };
    Listener::bind(config, catalog_of(count)).await.unwrap()
}

fn question(name: &str) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

async fn ask_udp(server: SocketAddr, name: &str) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question(name).to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 2000];
    let received = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut buffer)).await;
    Message::from_vec(&buffer[..received.expect("an answer within 20 s").unwrap()]).unwrap()
}

async fn ask_stream(stream: &mut TcpStream, name: &str) -> std::io::Result<Message> {
    let packet = question(name).to_vec().unwrap();
    stream.write_u16(packet.len() as u16).await?;
    stream.write_all(&packet).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(Message::from_vec(&reply).unwrap())
}

#[tokio::test]
async fn answers_on_both_transports() {
    let server = listener(vec![], 100).await;
    let reply = ask_udp(server.local_addr(), "web.service.drover.").await;
    assert!(reply.metadata.truncation && !reply.answers.is_empty());
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(ask_stream(&mut stream, "web.service.drover.").await.unwrap().answers.len(), 100);
    }
}

#[tokio::test]
async fn other_names_go_upstream_and_ours_never() {
    // Another listener for another domain plays the resolver of the machine.
    let config = ListenerConfig {
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        domain: "elsewhere".into(),
        upstreams: Upstreams::Fixed(vec![]),
        ..ListenerConfig::default()
    };
    let upstream = Listener::bind(config, catalog_of(3)).await.unwrap();
    let server = listener(vec![upstream.local_addr()], 1).await;
    assert_eq!(ask_udp(server.local_addr(), "web.service.elsewhere.").await.answers.len(), 3);
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    assert_eq!(ask_stream(&mut stream, "web.service.elsewhere.").await.unwrap().answers.len(), 3);
    let ours = ask_udp(server.local_addr(), "nothing.service.drover.").await;
    assert_eq!(ours.metadata.response_code, ResponseCode::NXDomain);
    // The upstream has none itself.
    let failed = ask_udp(server.local_addr(), "example.org.").await;
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn a_silent_upstream_is_a_server_failure_and_holds_nobody_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = listener(vec![silent.local_addr().unwrap()], 1).await;
    let address = server.local_addr();
    let slow = tokio::spawn(async move { ask_udp(address, "example.org.").await });
    let mut buffer = [0; 600];
    silent.recv(&mut buffer).await.unwrap();
    assert_eq!(ask_udp(address, "web.service.drover.").await.answers.len(), 1);
    assert_eq!(slow.await.unwrap().metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn misbehaving_packets_and_connections_do_no_harm() {
    let server = listener(vec![], 1).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for packet in [&b""[..], b"x", &[0xff; 12], &[0; 600], &[0xc0; 400]] {
        socket.send_to(packet, server.local_addr()).await.unwrap();
    }
    // As many silent connections as there may be: they are dropped when idle, and then it is our turn.
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(server.local_addr()).await.unwrap());
    }
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let reply = tokio::time::timeout(Duration::from_secs(20), ask_stream(&mut stream, "web.service.drover.")).await;
    assert_eq!(reply.expect("an answer within 20 s").unwrap().answers.len(), 1);
    // A length that no question has ends the connection.
    stream.write_all(&[0xff, 0xff]).await.unwrap();
    assert!(stream.read_u8().await.is_err());
    assert_eq!(ask_udp(server.local_addr(), "web.service.drover.").await.answers.len(), 1);
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let server = listener(vec![], 1).await;
    let config = ListenerConfig { addresses: vec![server.local_addr()], ..ListenerConfig::default() };
    let error = Listener::bind(config, catalog_of(1)).await.unwrap_err().to_string();
    assert!(error.contains(&server.local_addr().to_string()), "{error}");
}
