//! Carries out what an allocation's lifecycle decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use driver::{Driver, TaskHandle, TaskId};
use model::allocation::AllocUpdate;
use model::compiled::{CompiledGroup, CompiledJob};
use model::id::AllocId;
use model::rpc::AllocWithJob;
use model::task_state::TaskRunState;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::dir::AllocDir;
use super::lifecycle::{AllocEffect, AllocInput, AllocLifecycle};
use crate::context::Context;
use crate::state_db::StoredAlloc;
use crate::task::env::{EnvSource, TaskEnv};
use crate::task::lifecycle::TaskEffect;
use crate::task::runner::{self as task_runner, Run};
use crate::{checks, clock, ports};

/// How long the clean-up of an ended allocation may take before it is left to the reaper.
const CLEANUP: Duration = Duration::from_secs(30);

/// What reaches a runner.
#[derive(Debug)]
pub(crate) enum Message {
    /// For the lifecycle.
    Input(AllocInput),
    /// The servers' new word on the allocation.
    Update(Box<AllocWithJob>),
    /// A task runs: its handle is stored first.
    Up(Box<TaskHandle>),
}

/// Sends to a runner.
pub(crate) type Inbox = mpsc::UnboundedSender<Message>;

/// What others may see of an allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// `alloc_modify_index` of the row that the client has.
    pub index: u64,
    pub observed: AllocUpdate,
    pub handles: BTreeMap<String, TaskHandle>,
    pub drivers: BTreeMap<String, String>,
    pub ended: bool,
}

impl View {
    /// Whether a task writes no more.
    pub(crate) fn is_over(&self, task: &str) -> bool {
        self.ended || self.observed.task_states.get(task).is_none_or(|state| state.state == TaskRunState::Dead)
    }
}

/// A runner as the client holds it.
pub(crate) struct RunnerHandle {
    pub inbox: Inbox,
    pub view: Arc<RwLock<View>>,
    /// The allocations whose data this one takes over: see [`super::handover::ancestors`].
    pub ancestors: Arc<[AllocId]>,
    /// Whether the servers have forgotten the allocation: its directory goes when it has ended.
    pub forgotten: bool,
    /// Whether the servers count its room as free although it has not ended here: who comes next waits.
    pub released: bool,
    task: Option<JoinHandle<()>>,
}

impl RunnerHandle {
    /// Stops looking after the tasks, which run on.
    pub(crate) async fn abandon(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }
}

/// Runs one allocation.
pub(crate) struct Runner {
    context: Arc<Context>,
    source: AllocWithJob,
    job: Arc<CompiledJob>,
    lifecycle: AllocLifecycle,
    ancestors: Arc<[AllocId]>,
    handles: BTreeMap<String, TaskHandle>,
    starts: BTreeMap<String, CancellationToken>,
    checks: BTreeMap<String, AbortHandle>,
    view: Arc<RwLock<View>>,
    own: Inbox,
    inbox: mpsc::UnboundedReceiver<Message>,
    work: JoinSet<()>,
}

/// Begins to run a new allocation. `predecessors` are waited for; the data of one of `ancestors` is taken over.
pub(crate) fn begin(
    context: Arc<Context>,
    source: AllocWithJob,
    predecessors: BTreeSet<AllocId>,
    ancestors: Vec<AllocId>,
) -> RunnerHandle {
    let job = source.job.compiled().clone();
    let kill_timeout = context.config.max_kill_timeout;
    let lifecycle = AllocLifecycle::new(&job, source.alloc.clone(), predecessors, kill_timeout, clock::now());
    spawn(context, source, lifecycle, ancestors, BTreeMap::new(), Vec::new())
}

/// Goes on with an allocation as it was stored.
pub(crate) async fn restore(context: Arc<Context>, stored: StoredAlloc, ancestors: Vec<AllocId>) -> RunnerHandle {
    let job = stored.source.job.compiled().clone();
    let alloc = stored.source.alloc.clone();
    let kill_timeout = context.config.max_kill_timeout;
    let (lifecycle, effects) = AllocLifecycle::restore(&job, alloc, stored.record, kill_timeout, clock::now());
    for effect in &effects {
        if let AllocEffect::Task { task, effect: TaskEffect::Recover(attempt) | TaskEffect::CancelStart(attempt) } =
            effect
        {
            let driver = lifecycle.group().task(task).map_or("", |task| task.driver.as_str());
            let id = TaskId { alloc: stored.source.alloc.id, task: task.clone(), attempt: *attempt };
            context.want(driver, id).await;
        }
    }
    spawn(context, stored.source, lifecycle, ancestors, stored.handles, effects)
}

fn spawn(
    context: Arc<Context>,
    source: AllocWithJob,
    lifecycle: AllocLifecycle,
    ancestors: Vec<AllocId>,
    handles: BTreeMap<String, TaskHandle>,
    effects: Vec<AllocEffect>,
) -> RunnerHandle {
    let job = source.job.compiled().clone();
    let ancestors: Arc<[AllocId]> = ancestors.into();
    let (own, inbox) = mpsc::unbounded_channel();
    let view = Arc::new(RwLock::new(View::default()));
    let runner = Runner {
        context,
        source,
        job,
        lifecycle,
        ancestors: ancestors.clone(),
        handles,
        starts: BTreeMap::new(),
        checks: BTreeMap::new(),
        view: view.clone(),
        own: own.clone(),
        inbox,
        work: JoinSet::new(),
    };
    runner.show();
    let released = !runner.source.alloc.is_live();
    let ended = runner.lifecycle.is_ended();
    if ended {
        // The servers may not have heard of the end: saying it again does no harm.
        runner.context.updates.put(runner.lifecycle.observed(), true);
    }
    let task = (!ended).then(|| tokio::spawn(runner.run(effects)));
    RunnerHandle { inbox: own, view, ancestors, forgotten: false, released, task }
}

impl Runner {
    async fn run(mut self, restored: Vec<AllocEffect>) {
        let mut ended = self.carry_out(restored);
        ended |= self.step(AllocInput::Tick);
        while !ended {
            let wake = self.lifecycle.wake_at();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => ended = self.take(message),
                    None => return,
                },
                () = clock::sleep_until(wake.unwrap_or_default()), if wake.is_some() => {
                    ended = self.step(AllocInput::Tick);
                }
                // Finished helpers are collected, so that the set does not grow.
                Some(_) = self.work.join_next() => {}
            }
        }
        self.finish().await;
    }

    async fn finish(mut self) {
        for (_, check) in std::mem::take(&mut self.checks) {
            check.abort();
        }
        let rest = async { while self.work.join_next().await.is_some() {} };
        if tokio::time::timeout(CLEANUP, rest).await.is_err() {
            tracing::warn!(alloc = %self.source.alloc.id, "clean-up takes too long; what is left is removed later");
        }
        self.view.write().ended = true;
        let _ = self.context.ended.send(self.source.alloc.id);
    }

    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Input(input) => self.step(input),
            Message::Update(source) => {
                self.job = source.job.compiled().clone();
                self.source = *source;
                let alloc = Box::new(self.source.alloc.clone());
                self.step(AllocInput::Update { alloc, job: self.job.clone() })
            }
            Message::Up(handle) => {
                let (task, attempt) = (handle.id.task.clone(), handle.id.attempt);
                let address = handle.address.clone();
                if let Some(driver) = self.driver_of(&task) {
                    let wait = task_runner::wait(driver, handle.as_ref().clone(), self.own.clone());
                    self.work.spawn(wait);
                }
                self.starts.remove(&task);
                self.handles.insert(task.clone(), *handle);
                self.store();
                self.step(AllocInput::Started { task, attempt, address })
            }
        }
    }

    /// Gives an input to the lifecycle and does what it says. True when the allocation has ended.
    fn step(&mut self, input: AllocInput) -> bool {
        let mut inputs = VecDeque::from([input]);
        let mut ended = false;
        while let Some(input) = inputs.pop_front() {
            let effects = self.lifecycle.step(clock::now(), input);
            if effects.contains(&AllocEffect::Prepare) {
                inputs.extend(self.prepare().map(AllocInput::Prepared));
            }
            ended |= self.carry_out(effects);
        }
        ended
    }

    /// Makes the directory, takes over the data that is to stay, and looks whether the host ports are free; none when
    /// that has to be waited for, and then the answer comes through the inbox.
    fn prepare(&mut self) -> Option<Result<(), String>> {
        let base = self.context.alloc_base();
        let cannot =
            |what: &str, error: std::io::Error| Some(Err(format!("cannot {what} in {}: {error}", base.display())));
        let dir = match AllocDir::create(&base, self.source.alloc.id) {
            Ok(dir) => dir,
            Err(error) => return cannot("make the directories of the allocation", error),
        };
        let tasks = self.lifecycle.tasks().iter().map(|task| task.task().name.as_str());
        if let Err(error) = dir.take_over(&base, &self.ancestors, tasks) {
            return cannot("take over the data of the allocation before", error);
        }
        let granted = &self.source.alloc.grant.ports;
        if ports::taken(granted).is_none() {
            return Some(Ok(()));
        }
        let (granted, own) = (granted.clone(), self.own.clone());
        self.work.spawn(async move {
            let free = ports::become_free(&granted).await;
            let _ = own.send(Message::Input(AllocInput::Prepared(free)));
        });
        None
    }

    fn carry_out(&mut self, effects: Vec<AllocEffect>) -> bool {
        let idle = |effect: &AllocEffect| matches!(effect, AllocEffect::Report { urgent: false, .. });
        if !effects.iter().all(idle) {
            // Intent before effect: whatever happens now is recognised after a crash.
            self.store();
        }
        let mut ended = false;
        for effect in effects {
            match effect {
                AllocEffect::Prepare => {}
                AllocEffect::Task { task, effect } => self.task_effect(&task, effect),
                AllocEffect::StartChecks(ids) => self.start_checks(&ids),
                AllocEffect::StopChecks(ids) => {
                    for id in ids {
                        if let Some(check) = self.checks.remove(&id) {
                            check.abort();
                        }
                    }
                }
                AllocEffect::Report { update, urgent } => self.context.updates.put(*update, urgent),
                AllocEffect::Ended => ended = true,
            }
        }
        self.show();
        ended
    }

    fn task_effect(&mut self, task: &str, effect: TaskEffect) {
        match effect {
            TaskEffect::Start(attempt) => self.start(task, attempt, None),
            TaskEffect::Recover(attempt) => {
                let handle = self.handles.get(task).filter(|handle| handle.id.attempt == attempt).cloned();
                self.start(task, attempt, handle);
            }
            TaskEffect::CancelStart(attempt) => match self.starts.get(task) {
                Some(start) => start.cancel(),
                // Restored while it was being cancelled: found again if it ran, else removed.
                None => {
                    let handle = self.handles.get(task).filter(|handle| handle.id.attempt == attempt).cloned();
                    let cancelled = handle.is_none();
                    self.start(task, attempt, handle);
                    if cancelled && let Some(start) = self.starts.get(task) {
                        start.cancel();
                    }
                }
            },
            TaskEffect::Stop { attempt, signal, timeout } => {
                let handle = self.handles.get(task).filter(|handle| handle.id.attempt == attempt);
                if let (Some(handle), Some(driver)) = (handle.cloned(), self.driver_of(task)) {
                    let stop = task_runner::stop(driver, handle, signal, timeout, self.own.clone());
                    self.work.spawn(stop);
                }
            }
            TaskEffect::Destroy(attempt) => {
                let known = self.handles.get(task).is_some_and(|handle| handle.id.attempt == attempt);
                let handle = if known { self.handles.remove(task) } else { None };
                if let (Some(handle), Some(driver)) = (handle, self.driver_of(task)) {
                    self.work.spawn(task_runner::destroy(driver, handle, self.context.clone()));
                }
            }
        }
    }

    fn start(&mut self, task: &str, attempt: u64, handle: Option<TaskHandle>) {
        let cancel = CancellationToken::new();
        self.starts.insert(task.to_owned(), cancel.clone());
        let run = Run {
            context: self.context.clone(),
            alloc: self.lifecycle.alloc().clone(),
            job: self.job.clone(),
            task: task.to_owned(),
            attempt,
            own: self.own.clone(),
        };
        match handle {
            Some(handle) => self.work.spawn(run.recover(handle)),
            None => self.work.spawn(run.start(cancel)),
        };
    }

    fn start_checks(&mut self, ids: &[String]) {
        let group: &CompiledGroup = self.lifecycle.group();
        let node = self.context.node();
        let env = TaskEnv::build(&EnvSource {
            node: &node,
            region: &self.context.config.region,
            job: &self.job,
            alloc: self.lifecycle.alloc(),
            task: None,
            host: &self.context.host_env,
        });
        let around = checks::Surroundings {
            ports: &self.lifecycle.alloc().grant.ports,
            addresses: self.lifecycle.addresses(),
            node_address: node.address(),
        };
        for service in &group.services {
            for check in service.checks.iter().filter(|check| ids.contains(&check.id)) {
                let probe = checks::resolve(service, check, &around, |text| env.text(text));
                let own = self.own.clone();
                let tell = move |input| own.send(Message::Input(input)).is_ok();
                let run = checks::run(check.clone(), service.name.clone(), service.task.clone(), probe, tell);
                let handle = self.work.spawn(run);
                if let Some(old) = self.checks.insert(check.id.clone(), handle) {
                    old.abort();
                }
            }
        }
    }

    fn driver_of(&self, task: &str) -> Option<Arc<dyn Driver>> {
        let task = self.lifecycle.tasks().iter().find(|own| own.task().name == task)?;
        self.context.drivers.get(task.task().driver.as_str()).cloned()
    }

    fn store(&self) {
        let stored = StoredAlloc::new(self.source.clone(), self.lifecycle.record(), self.handles.clone());
        if let Err(error) = self.context.db.put(self.source.alloc.id, &stored) {
            tracing::error!(alloc = %self.source.alloc.id, %error, "an agent restart may not find this allocation");
        }
    }

    fn show(&self) {
        let drivers = self.lifecycle.tasks().iter().map(|task| (task.task().name.clone(), task.task().driver.clone()));
        let mut view = self.view.write();
        *view = View {
            index: self.source.alloc.alloc_modify_index,
            observed: self.lifecycle.observed(),
            handles: self.handles.clone(),
            drivers: drivers.collect(),
            ended: view.ended || self.lifecycle.is_ended() && self.work.is_empty(),
        };
    }
}
