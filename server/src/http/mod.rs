//! The HTTP API: Nomad's routes, shapes and status codes over the state and the log.
//!
//! [`routes`] is the one table of what there is; a row names method, path, capability and handler. [`query`] reads what
//! all requests share, [`response`] writes answers, [`error`] maps everything that can go wrong, [`views`] puts API
//! objects together from the state's compact rows. Connections and their limits are [`accept`]'s.

mod accept;
mod agent;
mod allocations;
mod call;
mod client_alloc;
mod client_fs;
mod error;
mod evaluations;
mod explain;
mod filter;
mod internal;
mod jobs;
mod metrics;
mod nodes;
mod operator;
mod plan;
mod query;
mod register;
mod response;
mod routes;
mod services;
mod status;
mod views;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Server;
use accept::Incomer;
use response::Body;

/// Limits of the HTTP listener; [`HttpSettings::default`] suits one agent.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The largest body that is read, in bytes.
    pub max_body: usize,
    /// A client must have sent its whole request head within this time, or is cut off.
    pub header_timeout: Duration,
    /// A client must have sent its whole body within this time.
    pub body_timeout: Duration,
    /// Open connections from one address other than loopback.
    pub max_connections_per_peer: usize,
    /// Open connections in total.
    pub max_connections: usize,
    /// How long running requests may go on after [`HttpHandle::shutdown`].
    pub shutdown_grace: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            max_body: 8 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            max_connections_per_peer: 100,
            max_connections: connections_allowed(),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Three quarters of the file descriptors that this process may open: every node holds a connection.
fn connections_allowed() -> usize {
    const BOUNDS: (u64, u64) = (256, 65_536);
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(BOUNDS.1);
    usize::try_from((files / 4 * 3).clamp(BOUNDS.0, BOUNDS.1)).unwrap_or(usize::MAX)
}

/// A running listener. Dropping it stops the listener without waiting.
pub struct HttpHandle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl HttpHandle {
    /// Where it listens; tells the port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, wakes blocking queries and waits until running requests have ended or the grace is over.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // The loop has no way to fail; a panic in it has been reported already.
            let _ = task.await;
        }
    }
}

impl Drop for HttpHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Connections that may wait to be accepted, as far as the system allows: thousands of nodes may come back at once, and
/// one that finds the queue full tries again only after a second.
const BACKLOG: i32 = 65_535;

/// Serves the API of `server` on `listener`. Must be called within a tokio runtime.
///
/// # Errors
/// When the listener cannot tell its address, or cannot be made non-blocking or to hold a longer queue.
pub fn serve(
    server: Arc<Server>,
    listener: std::net::TcpListener,
    settings: HttpSettings,
) -> std::io::Result<HttpHandle> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let listener = TcpListener::from_std(listener)?;
    let (stop, stopped) = watch::channel(false);
    let api =
        Arc::new(call::Api { server, settings: settings.clone(), routes: routes::table(), stop: stopped.clone() });
    let task = tokio::spawn(accept::run(listener, settings, stopped, move |incomer| answer(api.clone(), incomer)));
    Ok(HttpHandle { address, stop, task: Some(task) })
}

async fn answer(api: Arc<call::Api>, incomer: Incomer) -> http::Response<Body> {
    let started = Instant::now();
    let (method, path) = (incomer.request.method().clone(), incomer.request.uri().path().to_owned());
    let (response, closing) = api.answer(incomer.request).await;
    if closing {
        incomer.refuse.store(true, Ordering::Relaxed);
    }
    tracing::debug!(%method, path, status = response.status().as_u16(), took = ?started.elapsed(), "http");
    response
}
