//! How the client reaches the servers: within the process, or over HTTP.

use async_trait::async_trait;
use model::rpc::{Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};

/// Why a call to the servers failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ServersError {
    /// No server answers, or none leads: tried again later.
    #[error("no server answers: {0}")]
    Unreachable(String),
    /// The servers do not know this node: it registers again.
    #[error("the servers do not know this node")]
    UnknownNode,
    /// The servers refuse (a wrong secret, a wrong region): tried again, slowly, and shown.
    #[error("the servers refuse this node: {0}")]
    Refused(String),
}

/// The servers as the client sees them. Calls may be made concurrently and repeated.
#[async_trait]
pub trait Servers: Send + Sync {
    /// Announces the node or its changed attributes.
    async fn register(&self, request: RegisterNode) -> Result<HeartbeatReply, ServersError>;

    /// Says that the node is alive.
    async fn heartbeat(&self, request: Heartbeat) -> Result<HeartbeatReply, ServersError>;

    /// Waits for news of the node's allocations.
    async fn pull(&self, request: PullAllocs) -> Result<PullAllocsReply, ServersError>;

    /// Reports observed status; when it returns, the update is durable.
    async fn push(&self, request: PushAllocs) -> Result<(), ServersError>;
}
