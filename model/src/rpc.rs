//! Messages between a node's agent and the servers, sent as named MessagePack (or handed over within one process).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allocation::{AllocUpdate, Allocation};
use crate::document::Document;
use crate::id::{AllocId, NodeId};
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
    /// Answer only when the node's allocations have changed after this index (0: at once, with everything).
    pub min_index: u64,
    /// Answer at the latest after this time.
    pub wait: GoDuration,
    /// Those that the client was told of up to `min_index`.
    pub known: IdDigest,
}

/// A set of ids in short: how many there are, and their exclusive or. Two sets that differ by what is lost or collected
/// have different digests; it is no protection against somebody who chooses ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdDigest {
    /// How many.
    pub count: u64,
    /// Bit by bit.
    pub xor: AllocId,
}

impl IdDigest {
    /// Adds an id that is not in the set.
    pub fn add(&mut self, id: AllocId) {
        self.count += 1;
        self.xor.0 ^= id.0;
    }

    /// Takes out an id that is in the set.
    pub fn remove(&mut self, id: AllocId) {
        self.count -= 1;
        self.xor.0 ^= id.0;
    }
}

impl FromIterator<AllocId> for IdDigest {
    fn from_iter<I: IntoIterator<Item = AllocId>>(ids: I) -> IdDigest {
        let mut digest = IdDigest::default();
        ids.into_iter().for_each(|id| digest.add(id));
        digest
    }
}

/// What a client remembers of the answers to its long-polls, for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The index of the last answer; 0 before the first.
    pub index: u64,
    ids: BTreeSet<AllocId>,
    digest: IdDigest,
}

impl Roster {
    /// Takes an answer over.
    pub fn note(&mut self, reply: &PullAllocsReply) {
        self.note_ids(reply.index, reply.ids.clone(), reply.changed.iter().map(|row| row.alloc.id));
    }

    /// As [`Roster::note`], for an answer of which only ids were read.
    pub fn note_ids(&mut self, index: u64, all: Option<Vec<AllocId>>, changed: impl Iterator<Item = AllocId>) {
        self.index = index;
        if let Some(all) = all {
            self.ids = all.into_iter().collect();
            self.digest = self.ids.iter().copied().collect();
            return;
        }
        for id in changed {
            if self.ids.insert(id) {
                self.digest.add(id);
            }
        }
    }

    /// The digest of all ids that the servers told of.
    pub fn digest(&self) -> IdDigest {
        self.digest
    }

    /// All ids that the servers told of.
    pub fn ids(&self) -> &BTreeSet<AllocId> {
        &self.ids
    }

    /// The next answer shall tell everything.
    pub fn restart(&mut self) {
        self.index = 0;
    }
}

/// The allocations a node should know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PullAllocsReply {
    /// The index that this answer reflects.
    pub index: u64,
    /// Every allocation of the node that is not garbage-collected, unless the client knows; it forgets all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<AllocId>>,
    /// Those that changed after the index that was asked for, each with its job; neighbours of one job share it.
    #[serde(with = "crate::runs::with_jobs")]
    pub changed: Vec<AllocWithJob>,
}

/// An allocation and the version of the job that it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AllocWithJob {
    /// The row.
    pub alloc: Allocation,
    /// The job document, canonical.
    pub job: Arc<Document>,
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
