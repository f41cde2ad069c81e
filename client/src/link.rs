//! The client's side of the wire: registration, heartbeats, the long-poll and the push.

use std::sync::Arc;
use std::time::Duration;

use model::rpc::{Heartbeat, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode, Roster};
use model::time::GoDuration;
use tokio::sync::{Notify, mpsc, watch};

use crate::context::Context;
use crate::{Servers, ServersError};

/// How long a long-poll may stay open.
const POLL: GoDuration = GoDuration::from_secs(60);
/// A poll that gives no answer in this time is given up: the connection is dead.
const POLL_LIMIT: Duration = Duration::from_secs(90);
/// Any other call that takes longer is given up.
const CALL_LIMIT: Duration = Duration::from_secs(15);
const SHORTEST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// The servers with what is shared by the loops.
pub(crate) struct Link {
    servers: Arc<dyn Servers>,
    context: Arc<Context>,
    /// Rung when the node must be registered (again).
    pub(crate) register: Notify,
    /// Whether the node has been registered since the agent's start.
    registered: watch::Sender<bool>,
}

/// Grows with every failure; says once that the servers are gone and once that they are back.
struct Backoff {
    what: &'static str,
    pause: Duration,
    failing: bool,
}

impl Backoff {
    fn new(what: &'static str) -> Backoff {
        Backoff { what, pause: SHORTEST_BACKOFF, failing: false }
    }

    fn good(&mut self) {
        if self.failing {
            tracing::info!("{} works again", self.what);
        }
        *self = Backoff::new(self.what);
    }

    async fn bad(&mut self, error: &ServersError) {
        if !self.failing {
            tracing::warn!(%error, "{} failed; trying again until it works, tasks run on", self.what);
        }
        self.failing = true;
        // Up to a half more, so that the nodes of a cluster do not come back at the same time.
        let jitter = self.pause.mul_f64(rand::random::<f64>() / 2.0);
        tokio::time::sleep(self.pause + jitter).await;
        self.pause = (self.pause * 2).min(LONGEST_BACKOFF);
    }
}

impl Link {
    pub(crate) fn new(servers: Arc<dyn Servers>, context: Arc<Context>) -> Link {
        Link { servers, context, register: Notify::new(), registered: watch::Sender::new(false) }
    }

    /// Registers, then sends a heartbeat at half of each time the servers give.
    pub(crate) async fn keep_alive(&self) {
        let mut backoff = Backoff::new("registration at the servers");
        'register: loop {
            let request = RegisterNode { node: self.context.node().as_ref().clone() };
            let reply = match limited(CALL_LIMIT, self.servers.register(request)).await {
                Ok(reply) => reply,
                Err(error) => {
                    backoff.bad(&error).await;
                    continue;
                }
            };
            backoff.good();
            self.registered.send_replace(true);
            let mut ttl = reply.ttl;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(half(ttl)) => {}
                    () = self.register.notified() => continue 'register,
                }
                let node = self.context.node();
                let request = Heartbeat { node_id: node.id, secret_id: node.secret_id.clone() };
                match limited(CALL_LIMIT.min(half(ttl).max(Duration::from_secs(1))), self.servers.heartbeat(request))
                    .await
                {
                    Ok(reply) if reply.unknown_node => continue 'register,
                    Ok(reply) => {
                        backoff.good();
                        ttl = reply.ttl;
                    }
                    Err(ServersError::UnknownNode) => continue 'register,
                    Err(error) => {
                        backoff.bad(&error).await;
                        // Late already: the next one follows at once.
                        ttl = GoDuration::from_millis(20);
                    }
                }
            }
        }
    }

    /// Keeps a long-poll open and hands over what it gives, from the first registration on: before, the servers may not
    /// know this node.
    pub(crate) async fn pull(&self, replies: mpsc::Sender<PullAllocsReply>) {
        let mut backoff = Backoff::new("asking the servers for allocations");
        // It cannot fail: the sender lives as long as `self`.
        let _ = self.registered.subscribe().wait_for(|registered| *registered).await;
        let mut roster = Roster::default();
        loop {
            let node = self.context.node();
            let request = PullAllocs {
                node_id: node.id,
                secret_id: node.secret_id.clone(),
                min_index: roster.index,
                wait: POLL,
                known: roster.digest(),
            };
            match limited(POLL_LIMIT, self.servers.pull(request)).await {
                Ok(reply) => {
                    backoff.good();
                    roster.note(&reply);
                    if replies.send(reply).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if error == ServersError::UnknownNode {
                        self.register.notify_one();
                    }
                    // The servers may have been replaced: ask for everything.
                    roster.restart();
                    backoff.bad(&error).await;
                }
            }
        }
    }

    /// Pushes observed status for as long as it lives.
    pub(crate) async fn push(&self) {
        let mut backoff = Backoff::new("reporting to the servers");
        loop {
            let batch = self.context.updates.next().await;
            match self.push_batch(batch.clone()).await {
                Ok(()) => backoff.good(),
                Err(error) => {
                    self.context.updates.put_back(batch);
                    if error == ServersError::UnknownNode {
                        self.register.notify_one();
                    }
                    backoff.bad(&error).await;
                }
            }
        }
    }

    /// Pushes what is queued, once, at the end of the agent.
    pub(crate) async fn push_rest(&self) {
        loop {
            let batch = self.context.updates.take();
            if batch.is_empty() || self.push_batch(batch).await.is_err() {
                return;
            }
        }
    }

    async fn push_batch(&self, updates: Vec<model::allocation::AllocUpdate>) -> Result<(), ServersError> {
        let node = self.context.node();
        let request = PushAllocs { node_id: node.id, secret_id: node.secret_id.clone(), updates };
        limited(CALL_LIMIT, self.servers.push(request)).await
    }
}

fn half(ttl: GoDuration) -> Duration {
    (ttl.to_std() / 2).clamp(Duration::from_millis(10), Duration::from_secs(3600))
}

async fn limited<T>(limit: Duration, call: impl Future<Output = Result<T, ServersError>>) -> Result<T, ServersError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(ServersError::Unreachable(format!("no answer within {limit:?}"))),
    }
}
