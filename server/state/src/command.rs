//! Commands: every write there is. They travel in the log as named MessagePack.

use model::allocation::AllocUpdate;
use model::api::JobSubmission;
use model::document::Document;
use model::evaluation::{Evaluation, Plan};
use model::id::{AllocId, JobKey, NodeId, Seed};
use model::job::Job;
use model::node::{Eligibility, Node, NodeStatus};
use model::scheduling::SchedulerConfiguration;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One write. The proposer sets time and seed, so that applying it needs neither clock nor randomness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// When it was proposed.
    pub at: Timestamp,
    /// Every id made while applying derives from it. A command whose seed was applied before changes nothing.
    pub seed: Seed,
    /// What to do.
    pub op: Op,
}

impl Command {
    /// The command as named MessagePack.
    ///
    /// # Errors
    /// When a value cannot be represented, which no type of ours allows.
    pub fn to_bytes(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        model::wire::named(self)
    }

    /// Reads a MessagePack array of commands, the content of one log entry.
    ///
    /// # Errors
    /// When the bytes are no array of commands that this version knows.
    pub fn all_from_bytes(bytes: &[u8]) -> Result<Vec<Command>, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Stores a job and asks the planner to look at it. Answered by [`crate::Reply::Job`].
    RegisterJob {
        /// The document, canonical and validated.
        job: Box<Document>,
        /// The text that it came from.
        submission: Option<JobSubmission>,
        /// Refused unless the stored job has this `JobModifyIndex`; 0 means that there is none.
        enforce: Option<u64>,
        /// Priority of the evaluation; 0 for the job's.
        eval_priority: i64,
    },
    /// Stops a job, or with `purge` forgets it. An unknown job is no error. Answered by [`crate::Reply::Job`].
    DeregisterJob {
        /// Which job.
        key: JobKey,
        /// Whether the job is removed rather than marked as stopped.
        purge: bool,
        /// Priority of the evaluation; 0 for the job's.
        eval_priority: i64,
    },
    /// A node's agent announces the node; it becomes ready. Answered by [`crate::Reply::Node`].
    RegisterNode {
        /// The node as its agent sees it. Its status, eligibility and indexes are not read.
        node: Box<Node>,
    },
    /// The leader saw heartbeats stop or return. Answered by [`crate::Reply::Node`].
    UpdateNodeStatus {
        /// Which node.
        id: NodeId,
        /// The new status.
        status: NodeStatus,
        /// Why, in words.
        description: String,
    },
    /// A user allows or forbids new work on a node. Answered by [`crate::Reply::Node`].
    UpdateNodeEligibility {
        /// Which node.
        id: NodeId,
        /// The new eligibility.
        eligibility: Eligibility,
    },
    /// A client reports what it sees of its allocations. Answered by [`crate::Reply::Allocs`].
    UpdateAllocs {
        /// The reporting node.
        node_id: NodeId,
        /// What it sees; allocations that are unknown (already collected) are passed over.
        updates: Vec<AllocUpdate>,
    },
    /// A user stops one allocation; the planner replaces it. Answered by [`crate::Reply::AllocStop`].
    StopAlloc {
        /// Which allocation.
        id: AllocId,
        /// Whether its tasks are killed without `shutdown_delay`.
        no_shutdown_delay: bool,
    },
    /// What the planner decided, for many evaluations. Answered by [`crate::Reply::Plans`].
    ApplyPlans {
        /// In the order in which they were made.
        plans: Vec<Plan>,
    },
    /// Creates or replaces evaluations: the leader's own bookkeeping. Answered by [`crate::Reply::Evals`].
    UpdateEvals {
        /// Whole rows; their creation index and time are kept when they exist. One whose `ModifyIndex` is no longer that
        /// of the stored row is passed over.
        evals: Vec<Evaluation>,
    },
    /// An operator changes how the planner behaves. Answered by [`crate::Reply::Scheduling`].
    SetScheduling {
        /// The whole configuration; its indexes are not read.
        config: SchedulerConfiguration,
        /// Nothing is done unless the stored one has this `ModifyIndex`.
        cas: Option<u64>,
    },
    /// Forgets what has ended. Answered by [`crate::Reply::Gc`].
    Gc {
        /// Rows that changed at or after this time stay.
        before: Timestamp,
        /// Whether age does not matter.
        force: bool,
    },
}

impl Op {
    /// Registers a canonical, valid job without conditions.
    pub fn register(job: Job) -> Op {
        Op::RegisterJob { job: Box::new(job.into()), submission: None, enforce: None, eval_priority: 0 }
    }
}
