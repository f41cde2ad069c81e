//! A task's rotated log files as one stream.

/// Which output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What to read of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogRequest {
    /// Which output.
    pub kind: LogKind,
    /// Bytes from the start, or before the end.
    pub offset: u64,
    /// Whether `offset` counts back from the end.
    pub from_end: bool,
    /// Whether to wait for more until the task has ended or the reader goes away.
    pub follow: bool,
}

/// A piece of a log, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Bytes as the task wrote them; empty when only `event` is told.
    pub data: Vec<u8>,
    /// Offset within `file` after this piece.
    pub offset: u64,
    /// Path below the allocation's directory, as `alloc/logs/web.stdout.0`.
    pub file: String,
    /// Set when something other than data happened, such as `file deleted`.
    pub event: Option<String>,
}
