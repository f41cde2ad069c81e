//! How the two halves of an agent meet: the client reaches the servers, the HTTP API reaches the client.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use client::{Client, ClientError, Servers, ServersError};
use model::id::AllocId;
use model::rpc::{Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};
use server::{LocalClient, LocalClientError, LogChunk, LogKind, LogRequest, Server};
use tokio::sync::mpsc;

/// The server of this process, as its client sees it.
pub struct LocalServers(pub Arc<Server>);

#[async_trait]
impl Servers for LocalServers {
    async fn register(&self, request: RegisterNode) -> Result<HeartbeatReply, ServersError> {
        self.0.register_node(request).await.map_err(refused)
    }

    async fn heartbeat(&self, request: Heartbeat) -> Result<HeartbeatReply, ServersError> {
        self.0.heartbeat(request).await.map_err(refused)
    }

    async fn pull(&self, request: PullAllocs) -> Result<PullAllocsReply, ServersError> {
        self.0.pull_allocs(request).await.map_err(refused)
    }

    async fn push(&self, request: PushAllocs) -> Result<(), ServersError> {
        self.0.push_allocs(request).await.map(|_| ()).map_err(refused)
    }
}

fn refused(error: server::rpc::RpcError) -> ServersError {
    use server::rpc::RpcError;
    let text = error.to_string();
    match error {
        RpcError::UnknownNode(_) => ServersError::UnknownNode,
        RpcError::WrongSecret(_) | RpcError::Anonymous | RpcError::TooMany(_) | RpcError::Refused(_) => {
            ServersError::Refused(text)
        }
        RpcError::Propose(_) => ServersError::Unreachable(text),
    }
}

/// Servers on other machines.
pub struct RemoteServers(pub api::Client);

#[async_trait]
impl Servers for RemoteServers {
    async fn register(&self, request: RegisterNode) -> Result<HeartbeatReply, ServersError> {
        self.0.node_register(&request).await.map_err(unreachable)
    }

    async fn heartbeat(&self, request: Heartbeat) -> Result<HeartbeatReply, ServersError> {
        self.0.node_heartbeat(&request).await.map_err(unreachable)
    }

    async fn pull(&self, request: PullAllocs) -> Result<PullAllocsReply, ServersError> {
        self.0.node_pull(&request).await.map_err(unreachable)
    }

    async fn push(&self, request: PushAllocs) -> Result<(), ServersError> {
        self.0.node_push(&request).await.map(|_| ()).map_err(unreachable)
    }
}

fn unreachable(error: api::Error) -> ServersError {
    match error {
        api::Error::Unreachable { .. } | api::Error::Decode { .. } => ServersError::Unreachable(error.to_string()),
        api::Error::Refused { status: 404, .. } => ServersError::UnknownNode,
        api::Error::Refused { status: 500.., .. } => ServersError::Unreachable(error.to_string()),
        api::Error::Refused { .. } => ServersError::Refused(error.to_string()),
    }
}

/// The client of this process, as the HTTP API sees it.
pub struct AgentClient(pub Arc<Client>);

/// Pieces of a log under way between client and HTTP.
const LOG_CHUNKS: usize = 16;

#[async_trait]
impl LocalClient for AgentClient {
    async fn logs(&self, request: LogRequest) -> Result<mpsc::Receiver<LogChunk>, LocalClientError> {
        let wanted = client::LogRequest {
            kind: match request.kind {
                LogKind::Stdout => client::LogKind::Stdout,
                LogKind::Stderr => client::LogKind::Stderr,
            },
            offset: request.offset,
            from_end: request.origin_end,
            follow: request.follow,
        };
        let mut chunks = self.0.logs(request.alloc, &request.task, wanted).await.map_err(not_possible)?;
        let (sender, receiver) = mpsc::channel(LOG_CHUNKS);
        tokio::spawn(async move {
            while let Some(chunk) = chunks.recv().await {
                let chunk = LogChunk { file: chunk.file, offset: chunk.offset, data: Bytes::from(chunk.data) };
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    async fn restart(&self, alloc: AllocId, task: Option<&str>) -> Result<(), LocalClientError> {
        self.0.restart(alloc, task, false).await.map_err(not_possible)
    }
}

fn not_possible(error: ClientError) -> LocalClientError {
    let text = error.to_string();
    match error {
        ClientError::UnknownAlloc(_) | ClientError::UnknownTask { .. } => LocalClientError::NotFound(text),
        ClientError::NotPossible { .. } => LocalClientError::Invalid(text),
        ClientError::Driver(_) | ClientError::Io { .. } | ClientError::State { .. } | ClientError::ShuttingDown => {
            LocalClientError::Failed(text)
        }
    }
}
