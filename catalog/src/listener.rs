//! Listens for DNS questions on UDP and TCP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answer::{InvalidDomain, Outcome, Transport, Zone, answer};
use crate::catalog::Source;
use crate::forward::{Forwarder, Upstreams};

/// Longest question that is taken over TCP; a question needs some 300 bytes.
const MAX_QUESTION: usize = 4096;
/// Packets answered before other tasks get their turn.
const BURST: usize = 64;
/// Ports tried when any port will do, until one is free for both UDP and TCP.
const PORT_ATTEMPTS: usize = 16;

/// Where to listen and what to answer for.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Addresses, each on UDP and TCP. Port 0 takes any port that is free for both. Name the addresses rather than
    /// `0.0.0.0` on a machine with several: an answer leaves from the address that was asked only then.
    pub addresses: Vec<SocketAddr>,
    /// The domain answered for.
    pub domain: String,
    /// A second domain answered for equally.
    pub alt_domain: Option<String>,
    /// Where questions about other names go.
    pub upstreams: Upstreams,
    /// Life of an answer in seconds. 0 keeps every resolver on the way from answering with what has gone.
    pub ttl: u32,
    /// Time an upstream resolver has to answer.
    pub forward_timeout: Duration,
    /// Questions that wait for an upstream at a time; further ones get a server failure.
    pub max_forwarded: usize,
    /// Time a TCP connection may say nothing or not take its answer.
    pub tcp_idle: Duration,
    /// TCP connections at a time; further ones wait to be accepted.
    pub max_connections: usize,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        ListenerConfig {
            addresses: Vec::new(),
            domain: "drover".to_owned(),
            alt_domain: None,
            upstreams: Upstreams::System,
            ttl: 0,
            forward_timeout: Duration::from_secs(2),
            max_forwarded: 256,
            tcp_idle: Duration::from_secs(10),
            max_connections: 128,
        }
    }
}

/// Why names cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configured domain is none.
    #[error(transparent)]
    Domain(#[from] InvalidDomain),
    /// No address is configured.
    #[error("no address to answer DNS on; give at least one")]
    NoAddress,
    /// An address cannot be listened on.
    #[error("cannot answer DNS on {address}: {error}; choose another address or port, or stop what uses it")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Answers questions until it is dropped.
#[derive(Debug)]
pub struct Listener {
    addresses: Vec<SocketAddr>,
    _tasks: JoinSet<()>,
}

struct Shared {
    zone: Zone,
    source: Arc<dyn Source>,
    forwarder: Forwarder,
    tcp_idle: Duration,
}

impl Listener {
    /// Listens on every address of `config` and answers from `source`. Needs a tokio runtime.
    pub async fn bind(config: ListenerConfig, source: Arc<dyn Source>) -> Result<Listener, BindError> {
        let forwards = config.upstreams != Upstreams::Fixed(Vec::new());
        let zone = Zone::new(&config.domain, config.alt_domain.as_deref(), config.ttl, forwards)?;
        let mut sockets = Vec::new();
        for address in config.addresses {
            let bound = bind_both(address).await.map_err(|error| BindError::Socket { address, error })?;
            sockets.push(bound);
        }
        let addresses: Vec<SocketAddr> = sockets.iter().map(|(address, ..)| *address).collect();
        if addresses.is_empty() {
            return Err(BindError::NoAddress);
        }
        let forwarder =
            Forwarder::new(config.upstreams, addresses.clone(), config.forward_timeout, config.max_forwarded);
        let shared = Arc::new(Shared { zone, source, forwarder, tcp_idle: config.tcp_idle });
        let connections = Arc::new(Semaphore::new(config.max_connections));
        let mut tasks = JoinSet::new();
        for (_, udp, tcp) in sockets {
            tasks.spawn(serve_udp(udp, shared.clone()));
            tasks.spawn(serve_tcp(tcp, shared.clone(), connections.clone()));
        }
        Ok(Listener { addresses, _tasks: tasks })
    }

    /// The first address, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses, with their real ports.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

async fn bind_both(address: SocketAddr) -> std::io::Result<(SocketAddr, UdpSocket, TcpListener)> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let udp = UdpSocket::bind(address).await?;
        let bound = udp.local_addr()?;
        attempts -= 1;
        match TcpListener::bind(bound).await {
            Ok(tcp) => return Ok((bound, udp, tcp)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let socket = Arc::new(socket);
    let mut forwards = JoinSet::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        while forwards.try_join_next().is_some() {}
        if let Err(error) = socket.ready(Interest::READABLE).await {
            tracing::error!(%error, "DNS over UDP has ended");
            return;
        }
        for _ in 0..BURST {
            let (length, asker) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // Such as an asker's port that has closed meanwhile, which says nothing about the next packet.
                Err(_) => continue,
            };
            let packet = &buffer[..length];
            match answer(packet, Transport::Udp, &shared.zone, &*shared.source, rand::random()) {
                // A full send buffer loses the answer, as UDP may: waiting would hold up everybody else.
                Outcome::Reply(reply) => drop(socket.try_send_to(&reply, asker)),
                Outcome::Drop => {}
                Outcome::Forward => {
                    forwards.spawn(forward_udp(packet.to_vec(), asker, socket.clone(), shared.clone()));
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn forward_udp(packet: Vec<u8>, asker: SocketAddr, socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let reply = shared.forwarder.forward(&packet, Transport::Udp).await;
    // The asker may have gone; it asks again if it still wants to know.
    let _ = socket.send_to(&reply, asker).await;
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>, connections: Arc<Semaphore>) {
    let mut open = JoinSet::new();
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                open.spawn(async move {
                    // An error ends this connection only, and its asker sees that.
                    let _ = serve_connection(stream, &shared).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: give them time to come back instead of spinning.
                tracing::warn!(%error, "cannot accept a DNS connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut packet = Vec::new();
    loop {
        tokio::time::timeout(shared.tcp_idle, read_question(&mut stream, &mut packet)).await??;
        let reply = match answer(&packet, Transport::Tcp, &shared.zone, &*shared.source, rand::random()) {
            Outcome::Reply(reply) => reply,
            Outcome::Forward => shared.forwarder.forward(&packet, Transport::Tcp).await,
            Outcome::Drop => return Ok(()),
        };
        let length = u16::try_from(reply.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
        let message = [&length.to_be_bytes(), reply.as_slice()].concat();
        tokio::time::timeout(shared.tcp_idle, stream.write_all(&message)).await??;
    }
}

async fn read_question(stream: &mut TcpStream, packet: &mut Vec<u8>) -> std::io::Result<()> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_QUESTION {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    packet.resize(length, 0);
    stream.read_exact(packet).await?;
    Ok(())
}
