//! Hands questions about other names to the machine's own resolvers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Mutex, Semaphore};

use crate::answer::{Transport, server_failure};

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How long a reading of `/etc/resolv.conf` is believed.
const REREAD: Duration = Duration::from_secs(5);
/// Resolvers tried, as the C library does.
const MAX_UPSTREAMS: usize = 3;

/// Where questions about other names go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Upstreams {
    /// To the name servers of `/etc/resolv.conf`, read again when it changes.
    #[default]
    System,
    /// To these, in this order.
    Fixed(Vec<SocketAddr>),
}

pub(crate) struct Forwarder {
    upstreams: Upstreams,
    /// Our own addresses, never forwarded to.
    own: Vec<SocketAddr>,
    timeout: Duration,
    in_flight: Arc<Semaphore>,
    system: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Upstreams, own: Vec<SocketAddr>, timeout: Duration, in_flight: usize) -> Forwarder {
        let in_flight = Arc::new(Semaphore::new(in_flight));
        Forwarder { upstreams, own, timeout, in_flight, system: Mutex::new(None) }
    }

    /// The upstream's answer, or a server failure when there is none in time, no upstream, or too much to do.
    pub(crate) async fn forward(&self, packet: &[u8], transport: Transport) -> Vec<u8> {
        let Ok(_permit) = self.in_flight.try_acquire() else { return server_failure(packet) };
        for upstream in self.targets().await {
            let exchange = async {
                match transport {
                    Transport::Udp => ask_udp(packet, upstream).await,
                    Transport::Tcp => ask_tcp(packet, upstream).await,
                }
            };
            match tokio::time::timeout(self.timeout, exchange).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => tracing::debug!(%upstream, %error, "upstream resolver failed"),
                Err(_) => tracing::debug!(%upstream, "upstream resolver did not answer in time"),
            }
        }
        server_failure(packet)
    }

    async fn targets(&self) -> Vec<SocketAddr> {
        let mut targets = match &self.upstreams {
            Upstreams::Fixed(list) => list.clone(),
            Upstreams::System => self.system_targets().await,
        };
        targets.retain(|target| !self.is_own(target));
        targets.truncate(MAX_UPSTREAMS);
        targets
    }

    async fn system_targets(&self) -> Vec<SocketAddr> {
        let mut cached = self.system.lock().await;
        if let Some((read_at, list)) = &*cached
            && read_at.elapsed() < REREAD
        {
            return list.clone();
        }
        let text = tokio::fs::read_to_string(Path::new(RESOLV_CONF)).await.unwrap_or_default();
        let list = name_servers(&text);
        *cached = Some((Instant::now(), list.clone()));
        list
    }

    /// Whether asking `target` would ask ourselves.
    fn is_own(&self, target: &SocketAddr) -> bool {
        self.own.iter().any(|own| {
            own == target || own.port() == target.port() && own.ip().is_unspecified() && is_local(target.ip())
        })
    }
}

/// An address of this machine is one that a socket can be bound to.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// The name servers of a `resolv.conf`, at port 53.
pub(crate) fn name_servers(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<IpAddr>().ok()).map(|ip| (ip, 53).into()).collect()
}

/// Asks from a fresh port with a fresh id, and takes only an answer to this very question.
async fn ask_udp(packet: &[u8], upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if upstream.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    let id: [u8; 2] = rand::random();
    let mut question = packet.to_vec();
    question[..2].copy_from_slice(&id);
    socket.send(&question).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = accept(&buffer[..length], id, packet) {
            return Ok(answer);
        }
    }
}

async fn ask_tcp(packet: &[u8], upstream: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(packet.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(packet);
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    let id = [packet[0], packet[1]];
    accept(&answer, id, packet).ok_or_else(|| std::io::Error::other("it answered another question"))
}

/// The answer with the asker's id, if it is a response with our `id` to the question of `packet`.
fn accept(answer: &[u8], id: [u8; 2], packet: &[u8]) -> Option<Vec<u8>> {
    let asked = question_of(packet)?;
    let is_ours = answer.len() >= 12 && answer[..2] == id && answer[2] & 0x80 != 0;
    // Some resolvers leave the question out of an error.
    let failed = is_ours && answer[3] & 0xf != 0 && answer[4..6] == [0, 0];
    let same = failed || question_of(answer).is_some_and(|question| question.eq_ignore_ascii_case(asked));
    (is_ours && same).then(|| [&packet[..2], &answer[2..]].concat())
}

/// The bytes of the first question: labels, type and class. Compression cannot occur there.
fn question_of(packet: &[u8]) -> Option<&[u8]> {
    let mut end = 12;
    loop {
        match *packet.get(end)? {
            0 => break,
            length @ 1..=63 => end += usize::from(length) + 1,
            _ => return None,
        }
    }
    packet.get(12..end + 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read() {
        let text = "# comment\nsearch example\nnameserver 10.0.0.1\n nameserver\tfe80::1\nnameserver nonsense\n";
        assert_eq!(name_servers(text), ["10.0.0.1:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()]);
    }

    #[test]
    fn only_an_answer_to_the_question_is_taken() {
        let question = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let mut answer = question.to_vec();
        answer[..2].copy_from_slice(&[7, 8]);
        assert_eq!(accept(&answer, [7, 8], question), None, "not a response");
        answer[2] |= 0x80;
        assert_eq!(accept(&answer, [7, 8], question).unwrap()[..2], question[..2]);
        assert_eq!(accept(&answer, [7, 9], question), None, "another id");
        answer[13] = b'b';
        assert_eq!(accept(&answer, [7, 8], question), None, "another question");
    }
}
