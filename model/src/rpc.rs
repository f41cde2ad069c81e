//! Messages between a node's agent and the servers, sent as named MessagePack (or handed over within one process).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allocation::{AllocUpdate, Allocation};
use crate::id::{AllocId, NodeId};
use crate::job::Job;
use crate::node::Node;
use crate::time::GoDuration;

/// A node announces itself, at start and whenever its attributes change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisterNode {
    /// The node as its agent sees it; `secret_id` proves later calls.
    pub node: Node,
}

/// Answer to a registration or heartbeat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The next heartbeat must arrive within this time.
    pub ttl: GoDuration,
    /// The state's index.
    pub index: u64,
    /// Whether the servers do not know the node (any more): it must register again.
    pub unknown_node: bool,
}

/// A heartbeat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which node.
    pub node_id: NodeId,
    /// Its secret.
    pub secret_id: String,
}

/// A long-poll for the allocations of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PullAllocs {
    /// Which node.
    pub node_id: NodeId,
    /// Its secret.
    pub secret_id: String,
    /// Answer only when the node's allocations have changed after this index (0: at once).
    pub min_index: u64,
    /// Answer at the latest after this time.
    pub wait: GoDuration,
    /// `alloc_modify_index` of each allocation the client already has: those are not sent again.
    pub known: BTreeMap<AllocId, u64>,
}

/// The allocations a node should know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PullAllocsReply {
    /// The index that this answer reflects.
    pub index: u64,
    /// Every allocation of the node that is not garbage-collected; the client forgets all others.
    pub ids: Vec<AllocId>,
    /// Those that the client does not have in this form, each with its job; neighbours of one job share it.
    #[serde(with = "crate::runs::with_jobs")]
    pub changed: Vec<AllocWithJob>,
}

/// An allocation and the version of the job that it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AllocWithJob {
    /// The row.
    pub alloc: Allocation,
    /// The job document, canonical.
    pub job: Arc<Job>,
}

/// Observed status of allocations, pushed in batches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushAllocs {
    /// Which node.
    pub node_id: NodeId,
    /// Its secret.
    pub secret_id: String,
    /// What changed.
    pub updates: Vec<AllocUpdate>,
}
