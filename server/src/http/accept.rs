//! The accept loop: HTTP/1.1 connections with limits, so that a slow or silent client never keeps others waiting.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::HttpSettings;
use super::response::Body;

/// Pause after a failed `accept`, which is nearly always a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long, and how many bytes, a client that was refused is listened to, so that it reads the refusal.
const LINGER: (Duration, usize) = (Duration::from_secs(2), 16 * 1024 * 1024);

/// A request, and the flag that says that its connection is to be closed after the answer.
pub(super) struct Incomer {
    pub request: http::Request<Incoming>,
    pub refuse: Arc<AtomicBool>,
}

/// Open connections, in total and by peer.
#[derive(Default)]
struct Census {
    total: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A place in the census, given back when dropped.
struct Seat {
    census: Arc<Mutex<Census>>,
    peer: IpAddr,
}

impl Seat {
    /// Takes a place, unless all are taken. Loopback is bound by the total only: behind it are all local programs.
    fn take(census: &Arc<Mutex<Census>>, peer: IpAddr, settings: &HttpSettings) -> Option<Seat> {
        let mut open = census.lock();
        let of_peer = open.by_peer.get(&peer).copied().unwrap_or(0);
        if open.total >= settings.max_connections
            || (!peer.is_loopback() && of_peer >= settings.max_connections_per_peer)
        {
            return None;
        }
        open.total += 1;
        open.by_peer.insert(peer, of_peer + 1);
        Some(Seat { census: census.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.census.lock();
        open.total -= 1;
        if let Some(count) = open.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.by_peer.remove(&self.peer);
            }
        }
    }
}

/// Accepts until `stop` turns true, then lets running requests end for as long as the settings say.
pub(super) async fn run<F, R>(listener: TcpListener, settings: HttpSettings, mut stop: watch::Receiver<bool>, serve: F)
where
    F: Fn(Incomer) -> R + Clone + Send + Unpin + 'static,
    R: Future<Output = http::Response<Body>> + Send + 'static,
{
    let census = Arc::new(Mutex::new(Census::default()));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => {
                tracing::warn!(%why, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Seat::take(&census, peer.ip(), &settings) {
            Some(seat) => {
                let connection = connection(stream, settings.header_timeout, stop.clone(), serve.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(seat);
                });
            }
            None => turn_away(&stream),
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(settings.shutdown_grace, connections.wait()).await.is_err() {
        tracing::info!(open = connections.len(), "HTTP connections are cut");
    }
}

/// Says that there are too many connections, without ever waiting for the client.
fn turn_away(stream: &TcpStream) {
    const ANSWER: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Length: 60\r\nConnection: close\r\n\r\nToo many connections; close some or raise the agent's limits";
    // A fresh socket takes this much at once; if it does not, closing it says enough.
    let _ = stream.try_write(ANSWER);
}

async fn connection<F, R>(stream: TcpStream, header_timeout: Duration, mut stop: watch::Receiver<bool>, serve: F)
where
    F: Fn(Incomer) -> R + Clone + Send + Unpin + 'static,
    R: Future<Output = http::Response<Body>> + Send + 'static,
{
    // Answers are small and complete: waiting to fill a packet only costs time.
    let _ = stream.set_nodelay(true);
    let refuse = Arc::new(AtomicBool::new(false));
    let refused = refuse.clone();
    let service = service_fn(move |request| {
        let answer = serve(Incomer { request, refuse: refuse.clone() });
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).keep_alive(true);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => break ended,
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(why) = &ended {
        tracing::trace!(%why, "an HTTP connection ended early");
    }
    let mut stream = connection.into_parts().io.into_inner();
    let _ = stream.shutdown().await;
    if refused.load(Ordering::Relaxed) {
        linger(stream).await;
    }
}

/// Reads on for a moment: closing a socket with unread bytes would reset it, and the client would lose the answer.
async fn linger(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = LINGER.1;
    let drain = async {
        while let Ok(count) = stream.read(&mut buffer).await {
            left = left.saturating_sub(count);
            if count == 0 || left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER.0, drain).await;
}
