//! The server: log, leader loops, HTTP API.
//!
//! [`Server`] is the handle that everything else holds. Writes go through [`Server::propose`] into one replicated log
//! ([`raft`]) and come back as a new immutable [`state::State`]; readers load that value and never lock. While this
//! server leads, the loops in [`leader`] plan evaluations, expire heartbeats and collect garbage, all by proposing.
//! [`rpc`] is what node agents call, [`http`] what users call, [`local_client`] how the two meet on one machine.

pub mod catalog;
pub mod changes;
pub mod config;
pub mod dry_run;
pub mod explain;
pub mod http;
pub mod leader;
pub mod local_client;
pub mod metrics;
mod observers;
pub mod raft;
pub mod replay;
pub mod rpc;
mod server;
pub mod what_if;

pub use changes::{Changes, Topic};
pub use config::ServerConfig;
pub use dry_run::DryRun;
pub use local_client::{LocalClient, LocalClientError, LogChunk, LogKind, LogRequest};
pub use metrics::Metrics;
pub use rpc::RpcError;
pub use server::{Committed, ProposeError, Server, StartError};
