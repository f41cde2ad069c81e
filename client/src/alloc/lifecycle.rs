//! The life of one allocation as a pure step function: start and stop order, waits, health, what is reported.
//!
//! The runner, or a simulator, feeds inputs and carries out effects. Every input may be repeated; an input about a run
//! of a task that is not the latest is ignored. Waits are level-triggered: see [`AllocLifecycle::wake_at`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driver::ExitResult;
use model::allocation::{
    AllocUpdate, Allocation, CheckResult, CheckStatus, ClientStatus, DesiredStatus, DriverAddress, ReportOrder,
};
use model::compiled::{CompiledGroup, CompiledJob, CompiledService, Hook, JobKind};
use model::id::{AllocId, Seed};
use model::task_state::{TaskRunState, TaskState};
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::order::{self, Ending};
use crate::health::{HealthTracker, Observed};
use crate::task::lifecycle::{RestartKind, StartFailure, StopReason, TaskEffect, TaskLifecycle, TaskRecord};

/// What happened. `attempt` names one run of a task, as the effect did.
#[derive(Clone, Debug)]
pub enum AllocInput {
    /// Time has passed, or the lifecycle was just made.
    Tick,
    /// The servers changed the allocation, perhaps with a new version of its job.
    Update {
        /// The row.
        alloc: Box<Allocation>,
        /// Its job.
        job: Arc<CompiledJob>,
    },
    /// An allocation that this one waits for has ended.
    PredecessorEnded(AllocId),
    /// The directories are made and the host ports are free, or not.
    Prepared(Result<(), String>),
    /// A driver tells how a start goes on.
    Progress {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// In words.
        text: String,
    },
    /// A task runs, newly or found again.
    Started {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// Where it is reached inside its own network.
        address: Option<DriverAddress>,
    },
    /// A task could not be started.
    StartFailed {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// Why.
        failure: StartFailure,
    },
    /// A task ended.
    Exited {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// How.
        exit: ExitResult,
    },
    /// A task could not be found again.
    Lost {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// Why.
        why: String,
    },
    /// A driver refused to stop a task.
    StopFailed {
        /// The task.
        task: String,
        /// Which run.
        attempt: u64,
        /// Why.
        why: String,
    },
    /// A check's first result, or one that differs from the last.
    Check {
        /// The check's id.
        id: String,
        /// What the probe said.
        result: CheckResult,
    },
    /// A check has failed so often that its task is restarted.
    CheckRestart {
        /// The check's id.
        id: String,
    },
    /// A user asks for a restart: of one task, of all running ones, or of all.
    Restart {
        /// The task; none for all.
        task: Option<String>,
        /// Whether ended tasks run again, in start order.
        all_tasks: bool,
    },
    /// A user sends a signal (the runner sends it; here it is noted).
    Signal {
        /// The task.
        task: String,
        /// The signal.
        signal: String,
    },
    /// The agent ends and takes its tasks along (`force`), or the servers have forgotten the allocation.
    Stop {
        /// Whether poststop tasks are stopped, too, and delays skipped.
        force: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum AllocEffect {
    /// Make the allocation's directories and see that its host ports are free; answer with `Prepared`.
    Prepare,
    /// Something about one task.
    Task {
        /// The task.
        task: String,
        /// What.
        effect: TaskEffect,
    },
    /// Probe these checks from now on.
    StartChecks(Vec<String>),
    /// Stop probing these.
    StopChecks(Vec<String>),
    /// Tell the servers.
    Report {
        /// The whole observed side.
        update: Box<AllocUpdate>,
        /// Whether more than events changed: without delay.
        urgent: bool,
    },
    /// Nothing runs any more and nothing will. The last effect, given once.
    Ended,
}

/// What is stored of a lifecycle so that a restarted agent goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AllocRecord {
    /// Whether the directories are made.
    prepared: bool,
    waiting_for: BTreeSet<AllocId>,
    ending: Option<Ending>,
    ended: bool,
    health: HealthTracker,
    checks: BTreeMap<String, CheckResult>,
    addresses: BTreeMap<String, DriverAddress>,
    tasks: BTreeMap<String, TaskRecord>,
}

impl AllocRecord {
    /// Whether the allocation had ended when this was stored.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Waits for nobody but `living`: an end may have been stored just before the agent died, and is not told again.
    pub fn wait_only_for(&mut self, living: &BTreeSet<AllocId>) {
        self.waiting_for.retain(|id| living.contains(id));
    }
}

/// Whether directories are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prepared {
    No,
    Asked,
    Yes,
}

/// The life of one allocation.
#[derive(Clone, Debug)]
pub struct AllocLifecycle {
    alloc: Allocation,
    kind: JobKind,
    group: CompiledGroup,
    tasks: Vec<TaskLifecycle>,
    prepared: Prepared,
    waiting_for: BTreeSet<AllocId>,
    stop_at: Option<Timestamp>,
    ending: Option<Ending>,
    ended: bool,
    health: HealthTracker,
    checks: BTreeMap<String, CheckResult>,
    active_checks: BTreeSet<String>,
    addresses: BTreeMap<String, DriverAddress>,
    reported: AllocUpdate,
}

impl AllocLifecycle {
    /// A new allocation. `predecessors` are those that it waits for and that have not ended here (see
    /// [`super::handover::predecessors`]); the first effects come with the first [`AllocInput::Tick`].
    pub fn new(
        job: &CompiledJob,
        alloc: Allocation,
        predecessors: BTreeSet<AllocId>,
        max_kill_timeout: GoDuration,
        now: Timestamp,
    ) -> AllocLifecycle {
        let group = job.group(&alloc.task_group).cloned().unwrap_or_default();
        let seed = Seed(alloc.id.0);
        let tasks = group.tasks.iter().enumerate().map(|(ordinal, task)| {
            TaskLifecycle::new(task.clone(), job.kind, seed.child(ordinal as u64), max_kill_timeout, now)
        });
        let deadline = group.update.map(|update| update.healthy_deadline);
        AllocLifecycle {
            tasks: tasks.collect(),
            health: HealthTracker::new(now, deadline, alloc.health.clone()),
            kind: job.kind,
            group,
            prepared: Prepared::No,
            waiting_for: predecessors,
            stop_at: None,
            ending: None,
            ended: false,
            checks: BTreeMap::new(),
            active_checks: BTreeSet::new(),
            addresses: BTreeMap::new(),
            reported: AllocUpdate::default(),
            alloc,
        }
    }

    /// An allocation as it was stored, and what must be done to find its tasks again.
    pub fn restore(
        job: &CompiledJob,
        alloc: Allocation,
        record: AllocRecord,
        max_kill_timeout: GoDuration,
        now: Timestamp,
    ) -> (AllocLifecycle, Vec<AllocEffect>) {
        let mut lifecycle = AllocLifecycle::new(job, alloc, record.waiting_for, max_kill_timeout, now);
        let mut effects = Vec::new();
        let seed = Seed(lifecycle.alloc.id.0);
        for (ordinal, task) in lifecycle.tasks.iter_mut().enumerate() {
            let Some(memory) = record.tasks.get(&task.task().name) else { continue };
            let (restored, effect) = TaskLifecycle::restore(
                task.task().clone(),
                job.kind,
                seed.child(ordinal as u64),
                max_kill_timeout,
                memory.clone(),
            );
            *task = restored;
            effects.extend(effect.map(|effect| AllocEffect::Task { task: task.task().name.clone(), effect }));
        }
        lifecycle.prepared = if record.prepared { Prepared::Yes } else { Prepared::No };
        lifecycle.ending = record.ending;
        lifecycle.ended = record.ended;
        lifecycle.health = record.health;
        lifecycle.checks = record.checks;
        lifecycle.addresses = record.addresses;
        (lifecycle, effects)
    }

    /// What is to be stored.
    pub fn record(&self) -> AllocRecord {
        AllocRecord {
            prepared: self.prepared == Prepared::Yes,
            waiting_for: self.waiting_for.clone(),
            ending: self.ending.clone(),
            ended: self.ended,
            health: self.health.clone(),
            checks: self.checks.clone(),
            addresses: self.addresses.clone(),
            tasks: self.tasks.iter().map(|task| (task.task().name.clone(), task.record())).collect(),
        }
    }

    /// The row as the servers last sent it.
    pub fn alloc(&self) -> &Allocation {
        &self.alloc
    }

    /// The group that it runs.
    pub fn group(&self) -> &CompiledGroup {
        &self.group
    }

    /// The tasks, in the job's order.
    pub fn tasks(&self) -> &[TaskLifecycle] {
        &self.tasks
    }

    /// Where tasks are reached inside their own networks.
    pub fn addresses(&self) -> &BTreeMap<String, DriverAddress> {
        &self.addresses
    }

    /// Whether nothing runs any more and nothing will.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// When [`AllocInput::Tick`] has something to do, if nothing else happens before.
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.ended {
            return None;
        }
        let health = if self.kind.is_batch() { None } else { self.health.wake_at() };
        self.tasks.iter().filter_map(TaskLifecycle::wake_at).chain(self.stop_at).chain(health).min()
    }

    /// Takes one input and says what is to be done.
    pub fn step(&mut self, now: Timestamp, input: AllocInput) -> Vec<AllocEffect> {
        if self.ended {
            if let AllocInput::Update { alloc, .. } = input {
                self.alloc = *alloc;
            }
            return Vec::new();
        }
        let mut effects = self.take(now, input);
        self.advance(now, &mut effects);
        effects
    }

    fn take(&mut self, now: Timestamp, input: AllocInput) -> Vec<AllocEffect> {
        let mut effects = Vec::new();
        match input {
            AllocInput::Tick => {
                for task in &mut self.tasks {
                    let due = task.tick(now);
                    extend(&mut effects, &task.task().name, due);
                }
            }
            AllocInput::Update { alloc, job } => self.update(*alloc, &job, &mut effects),
            AllocInput::PredecessorEnded(id) => {
                self.waiting_for.remove(&id);
            }
            AllocInput::Prepared(Err(why)) if self.ending.is_none() => {
                self.prepared = Prepared::Yes;
                let failure = StartFailure::Setup(why);
                for task in self.tasks.iter_mut().filter(|task| task.task().hook != Hook::Poststop) {
                    // Begun and failed within one step: the driver never hears of it.
                    task.start(now);
                    task.start_failed(now, task.attempt(), &failure);
                }
            }
            AllocInput::Prepared(_) => self.prepared = Prepared::Yes,
            AllocInput::Progress { task, attempt, text } => self.on(&task, &mut effects, |task| {
                task.progress(now, attempt, &text);
                Vec::new()
            }),
            AllocInput::Started { task, attempt, address } => {
                match address {
                    Some(address) => self.addresses.insert(task.clone(), address),
                    None => self.addresses.remove(&task),
                };
                self.on(&task, &mut effects, |task| task.started(now, attempt));
            }
            AllocInput::StartFailed { task, attempt, failure } => {
                self.on(&task, &mut effects, |task| task.start_failed(now, attempt, &failure));
            }
            AllocInput::Exited { task, attempt, exit } => {
                self.on(&task, &mut effects, |task| task.exited(now, attempt, &exit));
            }
            AllocInput::Lost { task, attempt, why } => {
                self.on(&task, &mut effects, |task| task.lost(now, attempt, &why));
            }
            AllocInput::StopFailed { task, attempt, why } => self.on(&task, &mut effects, |task| {
                task.stop_failed(now, attempt, &why);
                Vec::new()
            }),
            AllocInput::Check { id, result } => self.check(id, result),
            AllocInput::CheckRestart { id } => self.check_restart(now, &id, &mut effects),
            AllocInput::Restart { task, all_tasks } => self.restart(now, task, all_tasks, &mut effects),
            AllocInput::Signal { task, signal } => self.on(&task, &mut effects, |task| {
                task.signalled(now, &signal);
                Vec::new()
            }),
            AllocInput::Stop { force } => {
                self.ending = Some(Ending { reason: StopReason::Asked, skip_delay: force, force });
            }
        }
        effects
    }

    fn on(
        &mut self,
        name: &str,
        effects: &mut Vec<AllocEffect>,
        act: impl FnOnce(&mut TaskLifecycle) -> Vec<TaskEffect>,
    ) {
        if let Some(task) = self.tasks.iter_mut().find(|task| task.task().name == name) {
            extend(effects, name, act(task));
        }
    }

    fn update(&mut self, alloc: Allocation, job: &CompiledJob, effects: &mut Vec<AllocEffect>) {
        if alloc.alloc_modify_index < self.alloc.alloc_modify_index {
            return;
        }
        if alloc.job_version != self.alloc.job_version || alloc.client_status == ClientStatus::Unknown {
            // A new version taken over in place is judged by what already runs, and servers that lost sight of it do not
            // know any more: everything is told again.
            self.reported = AllocUpdate::default();
        }
        self.alloc = alloc;
        let Some(group) = job.group(&self.alloc.task_group).filter(|group| **group != self.group) else { return };
        if group.services != self.group.services && !self.active_checks.is_empty() {
            // Checks may have moved or changed: all are begun anew with what they are now.
            effects.push(AllocEffect::StopChecks(std::mem::take(&mut self.active_checks).into_iter().collect()));
        }
        self.group = group.clone();
        for task in &mut self.tasks {
            if let Some(new) = self.group.task(&task.task().name) {
                task.replace_task(new.clone(), job.kind);
            }
        }
    }

    fn check(&mut self, id: String, result: CheckResult) {
        if self.active_checks.contains(&id) {
            if result.status == CheckStatus::Success {
                self.health.passed(&id);
            }
            self.checks.insert(id, result);
        }
    }

    fn check_restart(&mut self, now: Timestamp, id: &str, effects: &mut Vec<AllocEffect>) {
        let checks = self.group.services.iter().flat_map(|service| &service.checks);
        let Some(check) = checks.into_iter().find(|check| check.id == id).cloned() else { return };
        if !self.active_checks.contains(id) {
            return;
        }
        let reason = format!("healthcheck: check {:?} unhealthy", check.name);
        for task in self.tasks.iter_mut().filter(|task| task.task().hook == Hook::Main) {
            if check.task.is_empty() || check.task == task.task().name {
                let restarted = task.restart(now, RestartKind::ByPolicy, &reason);
                extend(effects, &task.task().name, restarted);
            }
        }
    }

    fn restart(&mut self, now: Timestamp, name: Option<String>, all: bool, effects: &mut Vec<AllocEffect>) {
        if self.ending.is_some() {
            return;
        }
        let (kind, reason) = match (&name, all) {
            (Some(_), _) => (RestartKind::AtOnce, "User requested task to restart"),
            (None, false) => (RestartKind::AtOnce, "User requested running tasks to restart"),
            (None, true) => (RestartKind::InOrder, "User requested all tasks to restart"),
        };
        for task in self.tasks.iter_mut().filter(|task| task.task().hook != Hook::Poststop) {
            if name.as_ref().is_none_or(|name| *name == task.task().name) {
                let restarted = task.restart(now, kind, reason);
                extend(effects, &task.task().name, restarted);
            }
        }
    }

    fn advance(&mut self, now: Timestamp, effects: &mut Vec<AllocEffect>) {
        self.note_wish_to_stop(now);
        let own = order::own_ending(&self.tasks);
        let refines = self.ending.as_ref().is_none_or(|ending| ending.reason == StopReason::MainDead);
        if let Some(reason) = own.filter(|_| refines) {
            self.ending = Some(Ending { reason, skip_delay: false, force: false });
        }
        match &self.ending {
            None if !self.waiting_for.is_empty() => {}
            None => match self.prepared {
                Prepared::No => {
                    self.prepared = Prepared::Asked;
                    effects.push(AllocEffect::Prepare);
                }
                Prepared::Asked => {}
                Prepared::Yes => {
                    for (name, effect) in order::start_due(&mut self.tasks, now) {
                        effects.push(AllocEffect::Task { task: name, effect });
                    }
                }
            },
            Some(ending) => {
                for (name, effect) in order::stop_due(&mut self.tasks, ending, now) {
                    effects.push(AllocEffect::Task { task: name, effect });
                }
            }
        }
        self.judge(now);
        self.sync_checks(now, effects);
        let over = self.tasks.iter().all(TaskLifecycle::is_dead);
        self.report(over, effects);
        if over {
            self.ended = true;
            effects.push(AllocEffect::Ended);
        }
    }

    /// The servers want it stopped: at once, or after the group's shutdown delay.
    fn note_wish_to_stop(&mut self, now: Timestamp) {
        let asked = self.ending.as_ref().is_some_and(|ending| ending.reason == StopReason::Asked);
        if self.alloc.desired_status == DesiredStatus::Run || asked {
            return;
        }
        let skip_delay = self.alloc.desired_transition.no_shutdown_delay == Some(true);
        let delay = if skip_delay || !self.tasks.iter().any(TaskLifecycle::is_up) {
            GoDuration(0)
        } else {
            self.group.shutdown_delay
        };
        let stop_at = *self.stop_at.get_or_insert_with(|| now.after(delay));
        if now >= stop_at || skip_delay {
            self.stop_at = None;
            self.ending = Some(Ending { reason: StopReason::Asked, skip_delay, force: false });
        }
    }

    fn judge(&mut self, now: Timestamp) {
        if self.kind.is_batch() {
            return;
        }
        let expected = |task: &&TaskLifecycle| task.task().hook == Hook::Main || task.task().sidecar;
        let main_up = self.tasks.iter().filter(expected).all(TaskLifecycle::is_up);
        let prestart = self.tasks.iter().filter(|task| task.task().hook == Hook::Prestart && !task.task().sidecar);
        let all_up = main_up && prestart.into_iter().all(TaskLifecycle::is_dead) && self.ending.is_none();
        let failed = self.tasks.iter().any(|task| task.state().failed);
        let checks: Vec<String> = all_checks(&self.group.services).map(|(_, check)| check.id.clone()).collect();
        let seen = Observed { all_up, failed, checks: &checks };
        if let Some(why) = self.health.judge(now, seen) {
            for task in self.tasks.iter_mut().filter(|task| task.state().failed || !failed) {
                task.unhealthy(now, &why);
            }
        }
    }

    /// Probes run while what they probe is up: the service's task, or all main tasks for a service of the group.
    fn sync_checks(&mut self, now: Timestamp, effects: &mut Vec<AllocEffect>) {
        let stopping = self.ending.is_some() || self.stop_at.is_some();
        let up = |name: &str| self.tasks.iter().any(|task| task.task().name == name && task.is_up());
        let main_up = self.tasks.iter().filter(|task| task.task().hook == Hook::Main).all(TaskLifecycle::is_up);
        let wanted: BTreeSet<String> = all_checks(&self.group.services)
            .filter(|(service, _)| !stopping && if service.task.is_empty() { main_up } else { up(&service.task) })
            .map(|(_, check)| check.id.clone())
            .collect();
        let ended: Vec<String> = self.active_checks.difference(&wanted).cloned().collect();
        let begun: Vec<String> = wanted.difference(&self.active_checks).cloned().collect();
        let mut checks = BTreeMap::new();
        for (service, check) in all_checks(&self.group.services) {
            let old = self.checks.remove(&check.id).filter(|_| wanted.contains(&check.id));
            let result = old.unwrap_or_else(|| CheckResult {
                name: check.name.clone(),
                service: service.name.clone(),
                task: service.task.clone(),
                status: match check.initial_status.as_str() {
                    "passing" if wanted.contains(&check.id) => CheckStatus::Success,
                    "critical" if wanted.contains(&check.id) => CheckStatus::Failure,
                    _ => CheckStatus::Pending,
                },
                at: now,
                ..CheckResult::default()
            });
            checks.insert(check.id.clone(), result);
        }
        self.checks = checks;
        self.active_checks = wanted;
        if !ended.is_empty() {
            effects.push(AllocEffect::StopChecks(ended));
        }
        if !begun.is_empty() {
            effects.push(AllocEffect::StartChecks(begun));
        }
    }

    /// The observed side as it is now.
    pub fn observed(&self) -> AllocUpdate {
        let over = self.tasks.iter().all(TaskLifecycle::is_dead);
        let any = |state: TaskRunState| self.tasks.iter().any(|task| task.state().state == state);
        let (client_status, description) = if over && self.tasks.iter().any(|task| task.state().failed) {
            (ClientStatus::Failed, "Failed tasks")
        } else if over {
            (ClientStatus::Complete, "All tasks have completed")
        } else if any(TaskRunState::Running) {
            (ClientStatus::Running, "Tasks are running")
        } else {
            (ClientStatus::Pending, "No tasks have started")
        };
        let task_states: BTreeMap<String, TaskState> =
            self.tasks.iter().map(|task| (task.task().name.clone(), task.state().clone())).collect();
        let running = |name: &String| self.tasks.iter().any(|task| task.task().name == *name && !task.is_dead());
        AllocUpdate {
            id: self.alloc.id,
            // Given when it is queued.
            report: ReportOrder::default(),
            client_status,
            client_description: description.to_owned(),
            task_states,
            health: self.health.verdict().cloned(),
            checks: self.checks.clone(),
            driver_addresses: self
                .addresses
                .iter()
                .filter(|(name, _)| running(name))
                .map(|(name, address)| (name.clone(), address.clone()))
                .collect(),
        }
    }

    fn report(&mut self, over: bool, effects: &mut Vec<AllocEffect>) {
        let update = self.observed();
        if update != self.reported {
            let urgent = over || essence(&update) != essence(&self.reported);
            self.reported = update.clone();
            effects.push(AllocEffect::Report { update: Box::new(update), urgent });
        }
    }
}

/// An update without what only tells a story: events and the outputs of checks.
fn essence(update: &AllocUpdate) -> impl PartialEq + use<'_> {
    let tasks: Vec<_> = update.task_states.values().map(|state| (state.state, state.failed, state.restarts)).collect();
    let started = update.client_status != ClientStatus::Pending || update.task_states.values().any(|s| s.restarts > 0);
    let checks: Vec<_> = update.checks.iter().map(|(id, check)| (id, check.status)).collect();
    let status = (update.client_status, update.health.as_ref().map(|health| health.healthy));
    (status, started.then_some((tasks, checks)), &update.driver_addresses)
}

fn all_checks(
    services: &[CompiledService],
) -> impl Iterator<Item = (&CompiledService, &model::compiled::CompiledCheck)> {
    services.iter().flat_map(|service| service.checks.iter().map(move |check| (service, check)))
}

fn extend(effects: &mut Vec<AllocEffect>, name: &str, more: Vec<TaskEffect>) {
    effects.extend(more.into_iter().map(|effect| AllocEffect::Task { task: name.to_owned(), effect }));
}
