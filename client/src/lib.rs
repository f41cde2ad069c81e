//! The node agent: fingerprinting, allocations, tasks, checks and logs.
//!
//! [`Client`] keeps a long-poll, a heartbeat and a batched push to the [`Servers`], and one runner per allocation. What
//! happens to an allocation is decided by pure step functions ([`alloc::lifecycle`], [`task::lifecycle`], [`health`],
//! [`checks::schedule`]); runners only carry out their effects. No concrete driver is named here.

pub mod alloc;
pub mod checks;
mod client;
mod clock;
mod config;
mod context;
mod fingerprint;
pub mod health;
mod link;
pub mod logs;
mod ports;
mod servers;
mod state_db;
pub mod task;
mod updates;

pub use client::Client;
pub use config::{ClientConfig, HostNetwork, HostVolume, Reserved, Resolvers};
pub use logs::{LogChunk, LogKind, LogRequest};
pub use servers::{Servers, ServersError};

/// Why a request to the local client failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The allocation is not on this node (any more).
    #[error("no allocation {0} on this node")]
    UnknownAlloc(model::id::AllocId),
    /// The allocation has no such task.
    #[error("allocation {alloc} has no task {task:?}; it has {known}")]
    UnknownTask {
        /// The allocation.
        alloc: model::id::AllocId,
        /// The name asked for.
        task: String,
        /// Its tasks.
        known: String,
    },
    /// The task cannot be asked that now.
    #[error("task {task:?} {why}")]
    NotPossible {
        /// The task.
        task: String,
        /// Why not.
        why: String,
    },
    /// A driver refused.
    #[error("{0}")]
    Driver(#[from] driver::DriverError),
    /// A file or directory of the client is not usable.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried, such as `cannot open`.
        what: &'static str,
        /// On which path.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The client's own stored state is not usable.
    #[error("client state in {path}: {why}; move the file away to start with an empty client")]
    State {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The client is shutting down.
    #[error("the client is shutting down")]
    ShuttingDown,
}

/// The id of the node that keeps its state below `data_dir`: made at first use, then kept. Drivers mark what is theirs
/// with it, so it is needed before [`Client::start`].
///
/// # Errors
/// The directory cannot be written, or holds something else than an id.
pub fn node_id(data_dir: &std::path::Path) -> Result<model::id::NodeId, ClientError> {
    Ok(state_db::StateDb::open(data_dir.join("client"))?.identity()?.0)
}
