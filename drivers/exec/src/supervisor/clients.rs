//! Connections of agents: bytes in, requests out; answers in, bytes out. Nothing here blocks.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::task::Ticket;
use crate::protocol::{Answer, MAX_FRAME, Request, Response, encode, take};

/// Connections at a time; an agent needs one.
const MAX_CLIENTS: usize = 64;

/// Unread answers of one connection, in bytes, before it is dropped.
const MAX_UNREAD: usize = 2 * MAX_FRAME;

/// One connection.
struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// All connections.
#[derive(Default)]
pub struct Clients {
    open: BTreeMap<u64, Client>,
    next: u64,
}

impl Clients {
    /// Takes a new connection of our own user or of root; its number.
    pub fn admit(&mut self, stream: UnixStream) -> Option<u64> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        let own = rustix::process::geteuid();
        if self.open.len() >= MAX_CLIENTS || (peer.uid != own && !peer.uid.is_root()) {
            return None;
        }
        stream.set_nonblocking(true).ok()?;
        self.next += 1;
        self.open.insert(self.next, Client { stream, input: Vec::new(), output: Vec::new() });
        Some(self.next)
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The stream of a connection, to be watched.
    pub fn stream(&self, client: u64) -> Option<&UnixStream> {
        self.open.get(&client).map(|client| &client.stream)
    }

    /// Whether there are answers that could not be sent yet.
    pub fn has_unsent(&self, client: u64) -> bool {
        self.open.get(&client).is_some_and(|client| !client.output.is_empty())
    }

    /// Reads what is there; the complete requests, and whether the connection is still good.
    pub fn read(&mut self, number: u64) -> (Vec<Request>, bool) {
        let Some(client) = self.open.get_mut(&number) else { return (Vec::new(), false) };
        let mut chunk = [0u8; 16 * 1024];
        let mut requests = Vec::new();
        let mut good = true;
        loop {
            match client.stream.read(&mut chunk) {
                Ok(0) => good = false,
                Ok(length) => client.input.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => good = false,
            }
            loop {
                match take(&mut client.input) {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(bad) => {
                        eprintln!("a connection is dropped: {}", bad.0);
                        good = false;
                        break;
                    }
                }
            }
            if !good {
                break;
            }
        }
        (requests, good)
    }

    /// Answers; the connection may be gone, then nobody wants to know.
    pub fn answer(&mut self, to: Ticket, body: Answer) {
        let Some(client) = self.open.get_mut(&to.client) else { return };
        match encode(&Response { id: to.request, body }) {
            Ok(frame) => client.output.extend_from_slice(&frame),
            Err(bad) => eprintln!("an answer is dropped: {}", bad.0),
        }
        self.flush(to.client);
    }

    /// Sends what can be sent now.
    pub fn flush(&mut self, number: u64) {
        let Some(client) = self.open.get_mut(&number) else { return };
        while !client.output.is_empty() {
            match client.stream.write(&client.output) {
                Ok(length) if length > 0 => {
                    client.output.drain(..length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && client.output.len() <= MAX_UNREAD => return,
                // Reading will report the end.
                _ => return client.output.clear(),
            }
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}
