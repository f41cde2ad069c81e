//! What the HTTP API asks of the node agent in the same process: logs, restarts, files. The binary wires an adapter.

use async_trait::async_trait;
use bytes::Bytes;
use model::id::AllocId;
use tokio::sync::mpsc;

/// Which output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What part of a task's log is wanted.
#[derive(Clone, Debug)]
pub struct LogRequest {
    /// The allocation.
    pub alloc: AllocId,
    /// The task's name.
    pub task: String,
    /// Which output.
    pub kind: LogKind,
    /// Whether to go on with what is written later, until the task has ended.
    pub follow: bool,
    /// Where to start, in bytes from the origin.
    pub offset: u64,
    /// Whether `offset` counts back from the end instead of on from the start.
    pub origin_end: bool,
}

/// One piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// The file it is from, relative to the allocation's directory.
    pub file: String,
    /// Offset in that file behind this piece.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

/// Why the agent could not do it; each carries a sentence for the user.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LocalClientError {
    /// The allocation, task or file is not there.
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense for it as it stands (a restart of an ended task).
    #[error("{0}")]
    Invalid(String),
    /// Something went wrong.
    #[error("{0}")]
    Failed(String),
}

/// The node agent of this process, as the HTTP API sees it.
#[async_trait]
pub trait LocalClient: Send + Sync {
    /// Streams a task's log; the stream ends at the end of the log, or never while `follow` and the task lives.
    ///
    /// # Errors
    /// When the allocation or task is unknown here, or its log cannot be opened.
    async fn logs(&self, request: LogRequest) -> Result<mpsc::Receiver<LogChunk>, LocalClientError>;

    /// Restarts a task of an allocation, or all of them.
    ///
    /// # Errors
    /// When the allocation or task is unknown here or has ended.
    async fn restart(&self, alloc: AllocId, task: Option<&str>) -> Result<(), LocalClientError>;
}
