//! What applying a command answers. Replies hold ids, not rows: they are remembered for repeated commands.

use model::id::{AllocId, EvalId, JobKey, NodeId};
use serde::{Deserialize, Serialize};

use crate::touched::Touched;

/// The result of one applied command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The answer to whoever proposed it.
    pub reply: Reply,
    /// What changed; empty for a repeated or refused command.
    pub touched: Touched,
    /// Whether the command had been applied before: `reply` is then the answer given at that time.
    pub repeated: bool,
}

/// The answer to a command, by kind of command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To `RegisterJob` and `DeregisterJob`.
    Job(JobWritten),
    /// To `RegisterNode`, `UpdateNodeStatus` and `UpdateNodeEligibility`.
    Node(NodeWritten),
    /// To `UpdateAllocs`.
    Allocs(AllocsWritten),
    /// To `StopAlloc`.
    AllocStop(AllocStopped),
    /// To `ApplyPlans`: the plans of which something was dropped, in order; the others took effect whole.
    Plans(Vec<PlanDrop>),
    /// To `UpdateEvals`.
    Evals,
    /// To `Gc`.
    Gc(GcDone),
    /// To `SetScheduling`.
    Scheduling {
        /// False when the stored configuration was not the expected one.
        updated: bool,
    },
    /// The command changed nothing.
    Refused(Refusal),
}

/// A job was registered or deregistered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWritten {
    /// The evaluation made for it. None for periodic and parameterized jobs and for an unknown job.
    pub eval_id: Option<EvalId>,
    /// The job's `JobModifyIndex` now; 0 for an unknown job.
    pub job_modify_index: u64,
    /// The log index at which this was applied; 0 when nothing was written.
    pub index: u64,
    /// Whether a new version of the document was stored.
    pub new_version: bool,
}

/// A node was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeWritten {
    /// Evaluations that now wait for the planner because of it.
    pub evals: Vec<EvalId>,
}

/// Observed status was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocsWritten {
    /// How many rows changed.
    pub changed: u64,
    /// Evaluations that now wait for the planner because of it.
    pub evals: Vec<EvalId>,
}

/// An allocation was asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocStopped {
    /// The evaluation that will stop and replace it.
    pub eval_id: EvalId,
}

/// What did not take effect of one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDrop {
    /// The plan's evaluation.
    pub eval_id: EvalId,
    /// Its placements and in-place updates that no longer fit.
    pub dropped: Vec<AllocId>,
    /// The evaluation that tries again; none when nobody wants the outcome any more.
    pub requeued: Option<EvalId>,
}

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcDone {
    /// Evaluations removed.
    pub evals: u64,
    /// Allocations removed.
    pub allocs: u64,
    /// Jobs removed.
    pub jobs: u64,
    /// Nodes removed.
    pub nodes: u64,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The stored job is not the one that the user looked at.
    #[error(
        "job {key} has modify index {actual}, not {expected} as asked; somebody changed it meanwhile: plan again and use \
         the new index"
    )]
    EnforceIndex {
        /// Which job.
        key: JobKey,
        /// `JobModifyIndex` that the user asked for.
        expected: u64,
        /// `JobModifyIndex` that is stored; 0 when there is no such job.
        actual: u64,
    },
    /// The job has no id.
    #[error("the job has no ID; give it one")]
    JobWithoutId,
    /// There is no such node.
    #[error("node {0} is not known; it must register first")]
    UnknownNode(NodeId),
    /// The node is registered with another secret.
    #[error("node {0} is registered with another secret; give this agent a node id of its own or restore its secret")]
    NodeSecret(NodeId),
    /// The node has no id.
    #[error("the node has no ID; its agent must make one")]
    NodeWithoutId,
    /// There is no such allocation.
    #[error("allocation {0} is not known; it may have been collected")]
    UnknownAlloc(AllocId),
    /// A node reported an allocation of another node.
    #[error("allocation {alloc} belongs to node {owner}, not to node {node}; a node may report only its own")]
    ForeignAlloc {
        /// Which allocation.
        alloc: AllocId,
        /// The node that it is on.
        owner: NodeId,
        /// The node that reported it.
        node: NodeId,
    },
}
