//! An allocation as the state keeps it: what the copies of one plan share is kept once, the rest packed.
//!
//! Millions of rows must fit into memory, so a row holds numbers and pointers; [`AllocRow::unpack`] makes the whole
//! [`Allocation`]. What is read for many rows at a time has a method of its own that unpacks nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::allocation::{
    AllocatedPort, Allocation, CheckResult, Claim, ClientStatus, DesiredStatus, DesiredTransition, DriverAddress,
    Grant, Health, ReportOrder, RescheduleTracker,
};
use model::id::{AllocId, DeploymentId, EvalId, JobKey, NodeId};
use model::metric::AllocMetric;
use model::node::Node;
use model::task_state::TaskState;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocRow {
    id: AllocId,
    shared: Arc<Shared>,
    home: Arc<Home>,
    /// None when nothing was seen of it yet.
    observed: Option<Arc<[u8]>>,
    rare: Option<Box<Rare>>,
    ports: Option<Box<[AllocatedPort]>>,
    modify_index: u64,
    alloc_modify_index: u64,
    modify_time: Timestamp,
    /// The index in its name.
    number: u32,
    desired_status: DesiredStatus,
    client_status: ClientStatus,
}

/// What is the same for many copies.
#[derive(Debug, PartialEq)]
pub(crate) struct Shared {
    job: JobKey,
    job_create_index: u64,
    job_version: u64,
    task_group: String,
    eval_id: EvalId,
    /// Without ports.
    grant: Grant,
    priority: i64,
    canary: bool,
    metrics: Option<Arc<AllocMetric>>,
    deployment_id: Option<DeploymentId>,
    create_index: u64,
    create_time: Timestamp,
}

/// The node of an allocation.
#[derive(Debug, PartialEq)]
pub(crate) struct Home {
    id: NodeId,
    name: String,
}

impl Home {
    pub fn of(node: &Node) -> Home {
        Home { id: node.id, name: node.name.clone() }
    }

    pub fn is_of(&self, node: &Node) -> bool {
        (self.id, &self.name) == (node.id, &node.name)
    }
}

/// What most allocations do not have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rare {
    /// When it is not made of job, group and number.
    name: Option<String>,
    desired_description: String,
    desired_transition: DesiredTransition,
    previous_allocation: Option<AllocId>,
    next_allocation: Option<AllocId>,
    starts_after: Vec<AllocId>,
    preempted: Vec<AllocId>,
    preempted_by: Option<AllocId>,
    unknown_since: Option<Timestamp>,
    followup_eval_id: Option<EvalId>,
    reschedule_tracker: Option<RescheduleTracker>,
}

/// The client's side, packed as MessagePack.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Observed {
    report: ReportOrder,
    client_description: String,
    task_states: BTreeMap<String, TaskState>,
    health: Option<Health>,
    checks: BTreeMap<String, CheckResult>,
    driver_addresses: BTreeMap<String, DriverAddress>,
}

/// Parts of rows made lately, to be shared with the next ones.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    shared: Vec<Arc<Shared>>,
    homes: Vec<Arc<Home>>,
}

/// Parts that a pool remembers: neighbours in a plan differ in little.
const POOLED: usize = 16;

impl Pool {
    /// Remembers the parts of an older row of the same allocation.
    pub fn offer(&mut self, row: &AllocRow) {
        remember(&mut self.shared, row.shared.clone());
        remember(&mut self.homes, row.home.clone());
    }

    /// Remembers a node.
    pub fn offer_home(&mut self, home: Arc<Home>) {
        remember(&mut self.homes, home);
    }
}

fn remember<T>(pool: &mut Vec<Arc<T>>, part: Arc<T>) {
    if pool.last().is_some_and(|last| Arc::ptr_eq(last, &part)) {
        return;
    }
    if pool.len() == POOLED {
        pool.remove(0);
    }
    pool.push(part);
}

/// The part of the pool that equals `part`, or `part` itself.
fn pooled<T>(pool: &mut Vec<Arc<T>>, part: T, equal: impl Fn(&T, &T) -> bool) -> Arc<T> {
    if let Some(known) = pool.iter().rev().find(|known| equal(known, &part)) {
        return known.clone();
    }
    let part = Arc::new(part);
    remember(pool, part.clone());
    part
}

impl Shared {
    /// As `==`, but explanations that are the same object are not compared.
    fn equals(&self, other: &Shared) -> bool {
        let same_metrics = match (&self.metrics, &other.metrics) {
            (Some(left), Some(right)) => Arc::ptr_eq(left, right) || left == right,
            (left, right) => left.is_none() && right.is_none(),
        };
        (self.eval_id, self.job_version, self.create_index) == (other.eval_id, other.job_version, other.create_index)
            && (self.job_create_index, self.create_time) == (other.job_create_index, other.create_time)
            && (&self.job, &self.task_group) == (&other.job, &other.task_group)
            && (&self.grant, self.deployment_id) == (&other.grant, other.deployment_id)
            && (self.priority, self.canary) == (other.priority, other.canary)
            && same_metrics
    }
}

impl Observed {
    fn pack(&self) -> Option<Arc<[u8]>> {
        if *self == Observed::default() {
            return None;
        }
        // Nothing of it lacks a representation.
        rmp_serde::to_vec(self).ok().map(Arc::from)
    }

    fn unpack(packed: Option<&[u8]>) -> Observed {
        packed.and_then(|bytes| rmp_serde::from_slice(bytes).ok()).unwrap_or_default()
    }
}

/// The number in a name `<job>.<group>[<number>]`; none for any other name.
fn number_of(name: &str, job: &JobKey, group: &str) -> Option<u32> {
    let digits = name.strip_prefix(&*job.id)?.strip_prefix('.')?.strip_prefix(group)?;
    let digits = digits.strip_prefix('[')?.strip_suffix(']')?;
    let number: u32 = digits.parse().ok()?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    canonical.then_some(number)
}

impl AllocRow {
    /// Packs an allocation; parts that `pool` has are shared.
    pub(crate) fn pack(alloc: Allocation, pool: &mut Pool) -> AllocRow {
        // Taken apart in full, so that a new field cannot be forgotten here.
        let Allocation {
            id,
            name,
            job,
            job_create_index,
            job_version,
            task_group,
            eval_id,
            node_id,
            node_name,
            mut grant,
            priority,
            metrics,
            desired_status,
            desired_description,
            desired_transition,
            previous_allocation,
            next_allocation,
            starts_after,
            preempted,
            preempted_by,
            deployment_id,
            canary,
            unknown_since,
            followup_eval_id,
            reschedule_tracker,
            report,
            client_status,
            client_description,
            task_states,
            health,
            checks,
            driver_addresses,
            create_index,
            modify_index,
            alloc_modify_index,
            create_time,
            modify_time,
        } = alloc;
        let number = number_of(&name, &job, &task_group);
        let rare = Rare {
            name: number.is_none().then_some(name),
            desired_description,
            desired_transition,
            previous_allocation,
            next_allocation,
            starts_after,
            preempted,
            preempted_by,
            unknown_since,
            followup_eval_id,
            reschedule_tracker,
        };
        let observed = Observed { report, client_description, task_states, health, checks, driver_addresses };
        let ports = std::mem::take(&mut grant.ports);
        let shared = Shared {
            job,
            job_create_index,
            job_version,
            task_group,
            eval_id,
            grant,
            priority,
            canary,
            metrics,
            deployment_id,
            create_index,
            create_time,
        };
        let home = Home { id: node_id, name: node_name };
        AllocRow {
            id,
            shared: pooled(&mut pool.shared, shared, Shared::equals),
            home: pooled(&mut pool.homes, home, Home::eq),
            observed: observed.pack(),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            ports: (!ports.is_empty()).then(|| ports.into_boxed_slice()),
            modify_index,
            alloc_modify_index,
            modify_time,
            number: number.unwrap_or(0),
            desired_status,
            client_status,
        }
    }

    /// The whole allocation.
    pub fn unpack(&self) -> Allocation {
        let (shared, rare) = (&*self.shared, self.rare.as_deref().cloned().unwrap_or_default());
        let observed = Observed::unpack(self.observed.as_deref());
        let ports = self.ports.as_deref().unwrap_or_default().to_vec();
        Allocation {
            id: self.id,
            name: rare.name.unwrap_or_else(|| format!("{}.{}[{}]", shared.job.id, shared.task_group, self.number)),
            job: shared.job.clone(),
            job_create_index: shared.job_create_index,
            job_version: shared.job_version,
            task_group: shared.task_group.clone(),
            eval_id: shared.eval_id,
            node_id: self.home.id,
            node_name: self.home.name.clone(),
            grant: Grant { ports, ..shared.grant.clone() },
            priority: shared.priority,
            metrics: shared.metrics.clone(),
            desired_status: self.desired_status,
            desired_description: rare.desired_description,
            desired_transition: rare.desired_transition,
            previous_allocation: rare.previous_allocation,
            next_allocation: rare.next_allocation,
            starts_after: rare.starts_after,
            preempted: rare.preempted,
            preempted_by: rare.preempted_by,
            deployment_id: shared.deployment_id,
            canary: shared.canary,
            unknown_since: rare.unknown_since,
            followup_eval_id: rare.followup_eval_id,
            reschedule_tracker: rare.reschedule_tracker,
            client_status: self.client_status,
            report: observed.report,
            client_description: observed.client_description,
            task_states: observed.task_states,
            health: observed.health,
            checks: observed.checks,
            driver_addresses: observed.driver_addresses,
            create_index: shared.create_index,
            modify_index: self.modify_index,
            alloc_modify_index: self.alloc_modify_index,
            create_time: shared.create_time,
            modify_time: self.modify_time,
        }
    }

    /// See [`Allocation::claim`].
    pub fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.id,
            node: self.home.id,
            grant: &self.shared.grant,
            ports: self.ports(),
            starts_after: self.starts_after(),
            priority: self.shared.priority,
            ending: self.desired_status != DesiredStatus::Run,
            live: self.is_live(),
        }
    }

    /// See [`Allocation::id`].
    pub fn id(&self) -> AllocId {
        self.id
    }

    /// See [`Allocation::job`].
    pub fn job(&self) -> &JobKey {
        &self.shared.job
    }

    /// The version of the job that it runs, and the creation index of the job.
    pub fn job_version(&self) -> (u64, u64) {
        (self.shared.job_create_index, self.shared.job_version)
    }

    /// See [`Allocation::task_group`].
    pub fn task_group(&self) -> &str {
        &self.shared.task_group
    }

    /// See [`Allocation::eval_id`].
    pub fn eval_id(&self) -> EvalId {
        self.shared.eval_id
    }

    /// See [`Allocation::node_id`].
    pub fn node_id(&self) -> NodeId {
        self.home.id
    }

    /// What it was granted besides ports.
    pub fn grant_without_ports(&self) -> &Grant {
        &self.shared.grant
    }

    /// See [`Grant::ports`].
    pub fn ports(&self) -> &[AllocatedPort] {
        self.ports.as_deref().unwrap_or_default()
    }

    /// See [`Allocation::starts_after`].
    pub fn starts_after(&self) -> &[AllocId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.starts_after)
    }

    /// See [`Allocation::next_allocation`].
    pub fn next_allocation(&self) -> Option<AllocId> {
        self.rare.as_ref().and_then(|rare| rare.next_allocation)
    }

    /// See [`Allocation::desired_status`].
    pub fn desired_status(&self) -> DesiredStatus {
        self.desired_status
    }

    /// See [`Allocation::client_status`].
    pub fn client_status(&self) -> ClientStatus {
        self.client_status
    }

    /// See [`Allocation::create_index`].
    pub fn create_index(&self) -> u64 {
        self.shared.create_index
    }

    /// See [`Allocation::modify_index`].
    pub fn modify_index(&self) -> u64 {
        self.modify_index
    }

    /// See [`Allocation::alloc_modify_index`].
    pub fn alloc_modify_index(&self) -> u64 {
        self.alloc_modify_index
    }

    /// See [`Allocation::modify_time`].
    pub fn modify_time(&self) -> Timestamp {
        self.modify_time
    }

    /// See [`Allocation::is_live`].
    pub fn is_live(&self) -> bool {
        !self.client_status.is_terminal()
    }

    /// See [`Allocation::is_terminal`].
    pub fn is_terminal(&self) -> bool {
        self.desired_status != DesiredStatus::Run || self.client_status.is_terminal()
    }
}
