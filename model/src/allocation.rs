//! Allocations: one copy of a group on one node. The leader writes the desired side, the client the observed side.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::go_json::go_json;
pub use crate::grant::{AllocatedPort, Exclusive, Grant, GrantedDevices, PortKey, TaskGrant};
use crate::id::{AllocId, DeploymentId, EvalId, JobKey, NodeId};
use crate::metric::AllocMetric;
use crate::task_state::TaskState;
use crate::time::Timestamp;

/// What the leader wants of an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DesiredStatus {
    /// It should run.
    #[default]
    Run,
    /// It should stop.
    Stop,
    /// It should stop to make room.
    Evict,
}

/// What the client sees of an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// Nothing runs yet.
    #[default]
    Pending,
    /// At least one task runs.
    Running,
    /// All tasks ended well.
    Complete,
    /// A task failed for good.
    Failed,
    /// Its node was lost.
    Lost,
    /// Its node is out of reach.
    Unknown,
}

impl ClientStatus {
    /// Whether the allocation has ended at the client and holds nothing any more.
    pub fn is_terminal(self) -> bool {
        match self {
            ClientStatus::Complete | ClientStatus::Failed | ClientStatus::Lost => true,
            ClientStatus::Pending | ClientStatus::Running | ClientStatus::Unknown => false,
        }
    }
}

go_json! {
    /// What the server asks of an allocation before the planner decides.
    pub struct DesiredTransition {
        migrate: Option<bool> = "Migrate",
        reschedule: Option<bool> = "Reschedule",
        force_reschedule: Option<bool> = "ForceReschedule",
        no_shutdown_delay: Option<bool> = "NoShutdownDelay",
        migrate_disable_placement: Option<bool> = "MigrateDisablePlacement",
    }
}

go_json! {
    /// Past replacements that led to this allocation.
    pub struct RescheduleTracker {
        events: Vec<RescheduleEvent> = "Events",
        last_reschedule: String = "LastReschedule",
    }
}

go_json! {
    /// One replacement of a failed allocation.
    pub struct RescheduleEvent {
        reschedule_time: Timestamp = "RescheduleTime",
        prev_alloc_id: AllocId = "PrevAllocID",
        prev_node_id: NodeId = "PrevNodeID",
        delay: crate::time::GoDuration = "Delay",
    }
}

/// The verdict on an allocation's health, given once by the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether all tasks ran and every check passed.
    pub healthy: bool,
    /// When the verdict fell.
    pub at: Timestamp,
}

/// The status of one check of an allocation as its client saw it last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// The service it belongs to.
    pub service: String,
    /// The task it belongs to; empty for services of the group.
    pub task: String,
    /// What the last probe said.
    pub status: CheckStatus,
    /// The first part of the answer, or why there was none.
    pub output: String,
    /// HTTP status of the last probe, 0 for others.
    pub status_code: u16,
    /// When the last probe ended.
    pub at: Timestamp,
}

/// Whether a check passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Not probed yet.
    #[default]
    Pending,
    /// The last probe passed.
    Success,
    /// The last probe failed.
    Failure,
}

/// The row that the state keeps of an allocation. `state` joins it with its job when the API's object is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Its id.
    pub id: AllocId,
    /// `<job>.<group>[<index>]`.
    pub name: String,
    /// The job it is a copy of.
    pub job: JobKey,
    /// `CreateIndex` of the job's incarnation, so that a purged and re-registered job does not own old allocations.
    pub job_create_index: u64,
    /// The version of the job that it runs.
    pub job_version: u64,
    /// The group it is a copy of.
    pub task_group: String,
    /// The evaluation that placed or last changed it.
    pub eval_id: EvalId,
    /// Where it is.
    pub node_id: NodeId,
    /// The node's name.
    pub node_name: String,
    /// What it holds.
    pub grant: Grant,
    /// Priority of its job: only more important jobs may take its room.
    #[serde(default = "default_priority")]
    pub priority: i64,
    /// How the planner came to its decision.
    pub metrics: Option<Arc<AllocMetric>>,

    /// Written by the leader.
    pub desired_status: DesiredStatus,
    /// Why, in words.
    pub desired_description: String,
    /// Asked of the planner.
    pub desired_transition: DesiredTransition,
    /// The one it replaces.
    pub previous_allocation: Option<AllocId>,
    /// The one that replaced it.
    pub next_allocation: Option<AllocId>,
    /// Allocations on the same node that must have ended before this one starts.
    pub starts_after: Vec<AllocId>,
    /// Allocations that had to go for it.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub preempted: Vec<AllocId>,
    /// The one that it had to go for.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub preempted_by: Option<AllocId>,
    /// The deployment it belongs to.
    pub deployment_id: Option<DeploymentId>,
    /// Whether it tries a new version beside the old one, before a promotion.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub canary: bool,
    /// Since when its node is out of reach; kept when the node is back until the planner has chosen between it and its
    /// replacement.
    #[serde(default, skip_serializing_if = "crate::go_json::is_default")]
    pub unknown_since: Option<Timestamp>,
    /// The evaluation that will replace it later.
    pub followup_eval_id: Option<EvalId>,
    /// Past replacements.
    pub reschedule_tracker: Option<RescheduleTracker>,

    /// Written by the client: which of its reports is the last one taken over.
    #[serde(default)]
    pub report: ReportOrder,
    /// What it says of the allocation as a whole.
    pub client_status: ClientStatus,
    /// Why, in words.
    pub client_description: String,
    /// By task name.
    pub task_states: BTreeMap<String, TaskState>,
    /// The verdict on its health, once there is one.
    pub health: Option<Health>,
    /// By check id (`<service>/<task or group>/<check name>/<ordinal>`).
    pub checks: BTreeMap<String, CheckResult>,
    /// Address inside its own network, when the driver gives one, by task name.
    pub driver_addresses: BTreeMap<String, DriverAddress>,

    /// Log index of its creation.
    pub create_index: u64,
    /// Log index of its last change.
    pub modify_index: u64,
    /// Log index of the leader's last change.
    pub alloc_modify_index: u64,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it last changed.
    pub modify_time: Timestamp,
}

/// What rows have that were written before priorities were kept in them.
fn default_priority() -> i64 {
    50
}

/// Where a task is reached inside its own network (a container's address on the bridge).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverAddress {
    /// The address.
    pub ip: String,
    /// Inside port by label, as the driver maps them.
    pub ports: BTreeMap<String, u16>,
}

impl Allocation {
    /// Whether it holds room and ports on its node: it has not ended at the client.
    pub fn is_live(&self) -> bool {
        !self.client_status.is_terminal()
    }

    /// Whether it has ended, or is meant to.
    pub fn is_terminal(&self) -> bool {
        self.desired_status != DesiredStatus::Run || self.client_status.is_terminal()
    }

    /// What it holds on its node.
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.id,
            node: self.node_id,
            grant: &self.grant,
            ports: &self.grant.ports,
            starts_after: &self.starts_after,
            priority: self.priority,
            ending: self.desired_status != DesiredStatus::Run,
            live: self.is_live(),
        }
    }

    /// The index in its name.
    pub fn index(&self) -> Option<u32> {
        self.name.strip_suffix(']')?.rsplit_once('[')?.1.parse().ok()
    }
}

/// What an allocation holds on its node, and for how long: all that others there need to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// See [`Allocation::id`].
    pub id: AllocId,
    /// See [`Allocation::node_id`].
    pub node: NodeId,
    /// See [`Allocation::grant`]. Its ports are not read.
    pub grant: &'a Grant,
    /// See [`Grant::ports`].
    pub ports: &'a [AllocatedPort],
    /// See [`Allocation::starts_after`].
    pub starts_after: &'a [AllocId],
    /// See [`Allocation::priority`].
    pub priority: i64,
    /// Whether it is meant to end.
    pub ending: bool,
    /// See [`Allocation::is_live`]: one that has ended holds nothing.
    pub live: bool,
}

/// The order of a client's reports. A report that was held up on its way, perhaps by an agent that has died meanwhile,
/// must not undo a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReportOrder {
    /// How often the node's agent has started.
    pub start: u64,
    /// Counts the reports since that start.
    pub number: u64,
}

/// What a client reports of one allocation: the observed side of its row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AllocUpdate {
    /// Which allocation.
    pub id: AllocId,
    /// See [`Allocation::report`].
    #[serde(default)]
    pub report: ReportOrder,
    /// See [`Allocation::client_status`].
    pub client_status: ClientStatus,
    /// See [`Allocation::client_description`].
    pub client_description: String,
    /// See [`Allocation::task_states`].
    pub task_states: BTreeMap<String, TaskState>,
    /// See [`Allocation::health`].
    pub health: Option<Health>,
    /// See [`Allocation::checks`].
    pub checks: BTreeMap<String, CheckResult>,
    /// See [`Allocation::driver_addresses`].
    pub driver_addresses: BTreeMap<String, DriverAddress>,
}
