//! What node agents call: register, heartbeat, pull their allocations, push what they see.
//!
//! A node proves itself by the secret that it registered with. Secrets are compared in constant time.

use std::time::Duration;

use model::allocation::Allocation;
use model::id::NodeId;
use model::node::{Node, NodeStatus};
use model::rpc::{AllocWithJob, Heartbeat, HeartbeatReply, PullAllocs, PullAllocsReply, PushAllocs, RegisterNode};
use model::time::GoDuration;
use state::{Op, Refusal, Reply, State};

use crate::changes::Topic;
use crate::server::{Committed, ProposeError, Server};

/// The longest that a pull waits.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// The longest that a pull goes on waiting while the planner is at work, which may soon have more for the node.
const GATHER: Duration = Duration::from_millis(100);
/// The most updates in one push; a client with more sends several.
pub const MAX_UPDATES: usize = 10_000;

/// Why a node's call was not answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    /// The servers do not know the node; it must register.
    #[error("node {0} is not known; it must register first")]
    UnknownNode(NodeId),
    /// The secret is not the one that the node registered with.
    #[error("the secret of node {0} is wrong; its agent must use the one that the node was registered with")]
    WrongSecret(NodeId),
    /// A node must have an id and a secret.
    #[error("a node needs an ID and a secret to register")]
    Anonymous,
    /// Too much at once.
    #[error("{0} updates in one push; send at most {MAX_UPDATES}")]
    TooMany(usize),
    /// The state refused the write.
    #[error(transparent)]
    Refused(Refusal),
    /// The write was not committed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl Server {
    /// A node announces itself, or what has changed of it.
    ///
    /// # Errors
    /// When it has no id or secret, another secret than before, or the write fails.
    pub async fn register_node(&self, request: RegisterNode) -> Result<HeartbeatReply, RpcError> {
        let id = request.node.id;
        if id.is_none() || request.node.secret_id.is_empty() {
            return Err(RpcError::Anonymous);
        }
        if let Some(known) = self.state().node(id) {
            prove(&known, &request.node.secret_id)?;
        }
        let committed = self.write(Op::RegisterNode { node: Box::new(request.node) }).await?;
        let ttl = self.leader().beat(id);
        Ok(HeartbeatReply { ttl, index: committed.index, unknown_node: false })
    }

    /// A node says that it lives. One that was down is ready again.
    ///
    /// # Errors
    /// When the secret is wrong, this server does not lead, or the write that brings it back fails.
    pub async fn heartbeat(&self, request: Heartbeat) -> Result<HeartbeatReply, RpcError> {
        if !self.is_leader() {
            return Err(ProposeError::NotLeader { leader: self.leader_addr() }.into());
        }
        let state = self.state();
        let Some(node) = state.node(request.node_id) else {
            return Ok(HeartbeatReply { ttl: GoDuration(0), index: state.index(), unknown_node: true });
        };
        prove(&node, &request.secret_id)?;
        self.metrics().heartbeats.incr();
        let ttl = self.leader().beat(node.id);
        let mut index = state.index();
        if node.status != NodeStatus::Ready {
            let description = "heartbeats arrive again".to_owned();
            let op = Op::UpdateNodeStatus { id: node.id, status: NodeStatus::Ready, description };
            index = self.write(op).await?.index;
        }
        Ok(HeartbeatReply { ttl, index, unknown_node: false })
    }

    /// Waits until the node's allocations have changed after `min_index`, then answers with what the client lacks.
    ///
    /// # Errors
    /// When the node is unknown or its secret wrong.
    pub async fn pull_allocs(&self, request: PullAllocs) -> Result<PullAllocsReply, RpcError> {
        prove_known(&self.state(), request.node_id, &request.secret_id)?;
        let state = if request.min_index == 0 {
            self.state()
        } else {
            let wait = request.wait.to_std().min(MAX_WAIT);
            drop(self.wait_for(Topic::Node(request.node_id), request.min_index, wait).await);
            self.leader().planner_rests(GATHER).await;
            self.state()
        };
        Ok(pulled(&state, &request))
    }

    /// A node reports its allocations. Answers with the state's index after it.
    ///
    /// # Errors
    /// When the node is unknown, its secret wrong, an allocation is not its own, or the write fails.
    pub async fn push_allocs(&self, request: PushAllocs) -> Result<u64, RpcError> {
        let state = self.state();
        prove_known(&state, request.node_id, &request.secret_id)?;
        if request.updates.len() > MAX_UPDATES {
            return Err(RpcError::TooMany(request.updates.len()));
        }
        if request.updates.is_empty() {
            return Ok(state.index());
        }
        drop(state);
        let op = Op::UpdateAllocs { node_id: request.node_id, updates: request.updates };
        Ok(self.write(op).await?.index)
    }

    async fn write(&self, op: Op) -> Result<Committed, RpcError> {
        let committed = self.propose(op).await?;
        match committed.reply {
            Reply::Refused(refusal) => Err(RpcError::Refused(refusal)),
            _ => Ok(committed),
        }
    }
}

/// What a pull answers from this state: the rows that changed, and every id when the client does not know which there
/// are. An index that this state has not reached was another cluster's, or this server lags: then everything.
pub fn pulled(state: &State, request: &PullAllocs) -> PullAllocsReply {
    let since = if request.min_index > state.index() { 0 } else { request.min_index };
    let mut reply = PullAllocsReply { index: state.index(), ..PullAllocsReply::default() };
    let mut known = state.digest_of_node(request.node_id);
    for row in state.alloc_rows_of_node_after(request.node_id, since) {
        if row.create_index() > since {
            known.remove(row.id());
        }
        let Some(job) = state.job_of_row(row) else {
            tracing::error!(alloc = %row.id(), job = %row.job(), "an allocation has no job version; not sent");
            continue;
        };
        // Why it was placed here is nothing to the node.
        let alloc = Allocation { metrics: None, ..row.unpack() };
        reply.changed.push(AllocWithJob { alloc, job: job.document.clone() });
    }
    if since == 0 || known != request.known {
        reply.ids = Some(state.alloc_rows_of_node(request.node_id).map(|row| row.id()).collect());
    }
    // Copies of one plan side by side: what they share is then written once.
    let kin = |row: &AllocWithJob| (row.alloc.eval_id, row.alloc.alloc_modify_index, row.alloc.id);
    reply.changed.sort_by(|left, right| left.alloc.job.cmp(&right.alloc.job).then_with(|| kin(left).cmp(&kin(right))));
    reply
}

fn prove_known(state: &State, id: NodeId, secret: &str) -> Result<(), RpcError> {
    let node = state.node(id).ok_or(RpcError::UnknownNode(id))?;
    prove(&node, secret)
}

fn prove(node: &Node, secret: &str) -> Result<(), RpcError> {
    if equal_in_constant_time(node.secret_id.as_bytes(), secret.as_bytes()) {
        Ok(())
    } else {
        Err(RpcError::WrongSecret(node.id))
    }
}

/// Compares all bytes whatever they are, so that the time taken tells nothing about how many were right.
fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    let mut difference = usize::from(left.len() != right.len());
    for (a, b) in left.iter().zip(right) {
        difference |= usize::from(std::hint::black_box(a ^ b));
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_equal_or_not() {
        assert!(equal_in_constant_time(b"abc", b"abc"));
        assert!(!equal_in_constant_time(b"abc", b"abd"));
        assert!(!equal_in_constant_time(b"abc", b"ab"));
        assert!(!equal_in_constant_time(b"", b"a"));
    }
}
