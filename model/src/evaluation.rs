//! Evaluations: something happened to a job, and the planner is to look. Written by the leader only.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::allocation::Allocation;
use crate::go_json::{go_json, is_default};
use crate::id::{AllocId, DeploymentId, EvalId, JobKey, NodeId};
use crate::metric::AllocMetric;
use crate::time::Timestamp;

/// Where an evaluation is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalStatus {
    /// Waits for the planner (or for `wait_until`).
    #[default]
    Pending,
    /// Waits for room or for a fit node.
    Blocked,
    /// The planner is done with it.
    Complete,
    /// The planner gave up.
    Failed,
    /// Overtaken by a newer one.
    #[serde(rename = "canceled")]
    Cancelled,
}

impl EvalStatus {
    /// Whether nothing more will happen to it.
    pub fn is_terminal(self) -> bool {
        match self {
            EvalStatus::Complete | EvalStatus::Failed | EvalStatus::Cancelled => true,
            EvalStatus::Pending | EvalStatus::Blocked => false,
        }
    }
}

/// Why an evaluation was made: Nomad's trigger names.
pub mod trigger {
    /// A job was registered.
    pub const JOB_REGISTER: &str = "job-register";
    /// A job was stopped.
    pub const JOB_DEREGISTER: &str = "job-deregister";
    /// A node came, went or changed.
    pub const NODE_UPDATE: &str = "node-update";
    /// A user stopped an allocation.
    pub const ALLOC_STOP: &str = "alloc-stop";
    /// An allocation failed.
    pub const ALLOC_FAILURE: &str = "alloc-failure";
    /// A copy out of reach has been so for too long.
    pub const MAX_DISCONNECT_TIMEOUT: &str = "max-disconnect-timeout";
    /// Copies could not be placed and wait for room.
    pub const QUEUED_ALLOCS: &str = "queued-allocs";
    /// Health of an allocation lets the rollout go on.
    pub const DEPLOYMENT_WATCHER: &str = "deployment-watcher";
    /// An allocation of the job had to go for a more important one.
    pub const PREEMPTION: &str = "preemption";
    /// A plan was partly stale when applied.
    pub const MAX_PLAN_ATTEMPTS: &str = "max-plan-attempts";
}

/// One evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// Its id.
    pub id: EvalId,
    /// Higher is planned first.
    pub priority: i64,
    /// The job's type: which scheduler plans it.
    pub kind: String,
    /// One of [`trigger`].
    pub triggered_by: String,
    /// The job to look at.
    pub job: JobKey,
    /// The job's modify index when this was made.
    #[serde(skip_serializing_if = "is_default")]
    pub job_modify_index: u64,
    /// The node that caused it, if any.
    #[serde(skip_serializing_if = "is_default")]
    pub node_id: Option<NodeId>,
    /// The node's modify index then.
    #[serde(skip_serializing_if = "is_default")]
    pub node_modify_index: u64,
    /// The deployment it belongs to.
    #[serde(skip_serializing_if = "is_default")]
    pub deployment_id: Option<DeploymentId>,
    /// Where it is in its life.
    pub status: EvalStatus,
    /// Why, in words.
    #[serde(skip_serializing_if = "is_default")]
    pub status_description: String,
    /// Not planned before this time.
    #[serde(skip_serializing_if = "is_default")]
    pub wait_until: Option<Timestamp>,
    /// The follow-up of this one.
    #[serde(skip_serializing_if = "is_default")]
    pub next_eval: Option<EvalId>,
    /// The one this follows.
    #[serde(skip_serializing_if = "is_default")]
    pub previous_eval: Option<EvalId>,
    /// The blocked one that waits for what this could not place.
    #[serde(skip_serializing_if = "is_default")]
    pub blocked_eval: Option<EvalId>,
    /// By group: why copies could not be placed.
    #[serde(skip_serializing_if = "is_default")]
    pub failed_tg_allocs: BTreeMap<String, Arc<AllocMetric>>,
    /// By group: copies not placed.
    #[serde(skip_serializing_if = "is_default")]
    pub queued_allocations: BTreeMap<String, u64>,
    /// By group: what the plan did.
    #[serde(skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, Box<DesiredUpdates>>,
    /// The state index that the planner saw.
    #[serde(skip_serializing_if = "is_default")]
    pub snapshot_index: u64,
    /// Log index of its creation.
    #[serde(skip_serializing_if = "is_default")]
    pub create_index: u64,
    /// Log index of its last change.
    #[serde(skip_serializing_if = "is_default")]
    pub modify_index: u64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it last changed.
    pub modify_time: Timestamp,
}

go_json! {
    /// How many allocations of a group a plan touches, by what is done to them.
    pub struct DesiredUpdates {
        ignore: u64 = "Ignore",
        place: u64 = "Place",
        migrate: u64 = "Migrate",
        stop: u64 = "Stop",
        in_place_update: u64 = "InPlaceUpdate",
        destructive_update: u64 = "DestructiveUpdate",
        canary: u64 = "Canary",
        preemptions: u64 = "Preemptions",
        disconnect: u64 = "Disconnect",
        reconnect: u64 = "Reconnect",
        reschedule_now: u64 = "RescheduleNow",
        reschedule_later: u64 = "RescheduleLater",
    }
}

/// What the planner decided for one evaluation; `ApplyPlans` carries many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The evaluation as it stands after planning (status, counts, reasons).
    pub eval: Evaluation,
    /// Whether all of it must fit or nothing is done.
    pub all_at_once: bool,
    /// Allocations to stop: id, description, client status to set (`lost` for a lost node), follow-up evaluation.
    pub stops: Vec<PlannedStop>,
    /// New allocations.
    #[serde(with = "crate::runs::allocs")]
    pub placements: Vec<Allocation>,
    /// Allocations that go for a more important placement; each takes effect only with that placement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preemptions: Vec<Preemption>,
    /// Allocations that go on under a newer job version, on the same node, with a new grant.
    #[serde(with = "crate::runs::allocs")]
    pub in_place: Vec<Allocation>,
    /// Evaluations to create (blocked, follow-up).
    pub follow_ups: Vec<Evaluation>,
    /// The state index the plan was made from.
    pub base_index: u64,
}

/// One allocation that goes for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// Which one goes.
    pub victim: AllocId,
    /// The placement that takes its room.
    pub by: AllocId,
}

/// One stop of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlannedStop {
    /// Which allocation.
    pub id: AllocId,
    /// Why, in words.
    pub description: String,
    /// Set when the leader must speak for the client (its node is lost).
    pub client_status: Option<crate::allocation::ClientStatus>,
    /// The evaluation that will replace it later: then it is not stopped, only marked.
    pub followup_eval_id: Option<EvalId>,
}
