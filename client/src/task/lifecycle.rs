//! The life of one task as a pure step function: no clock, no randomness, no input or output.
//!
//! Time comes with every input; the restart jitter derives from the allocation's id, so a restored agent decides alike.
//! Waits are level-triggered: [`TaskLifecycle::wake_at`] says when [`TaskLifecycle::tick`] has something to do.

use driver::ExitResult;
use model::compiled::{CompiledTask, Hook, JobKind};
use model::id::Seed;
use model::task_state::{TaskRunState, TaskState};
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::events;
use super::restart::{Next, RestartTracker};

/// Pause before a refused stop is tried again.
const STOP_AGAIN: GoDuration = GoDuration::from_secs(2);

/// Why a task could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// Directories or environment could not be made, or the job wants what this agent cannot do.
    Setup(String),
    /// The driver's settings are wrong.
    Validation(String),
    /// The driver could not start it.
    Driver {
        /// The driver's text.
        message: String,
        /// Whether trying again may help.
        recoverable: bool,
    },
    /// The start was given up because the task is to be stopped.
    Cancelled,
}

/// Why a task is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// The servers, or the agent's end, want it.
    Asked,
    /// Another task of the group failed.
    Sibling(String),
    /// The leader task ended.
    LeaderDead,
    /// All main tasks ended.
    MainDead,
}

/// What a restart does after the task's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartKind {
    /// Starts at once and does not count: a user asked.
    AtOnce,
    /// Follows the restart policy as if the task had failed: a check asked.
    ByPolicy,
    /// Waits for its turn in the start order: a user asked to rerun all tasks.
    InOrder,
}

/// What the runner does for a task. `attempt` names one run of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEffect {
    /// Set up and start; answer with `started` or `start_failed`.
    Start(u64),
    /// Give up a start that is under way; answer with `start_failed(Cancelled)`, or `started` when it was too late.
    CancelStart(u64),
    /// Find it again after an agent restart, or start it when no handle was stored; answer as `Start`, or `lost`.
    Recover(u64),
    /// Stop; its end is told by `exited`, a refusal by `stop_failed`.
    Stop {
        /// Which run.
        attempt: u64,
        /// The signal; empty for the driver's default.
        signal: String,
        /// Time before the kill.
        timeout: GoDuration,
    },
    /// Remove what is left of an ended run.
    Destroy(u64),
}

/// Where a task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Its turn has not come.
    Waiting,
    /// A start is under way.
    Starting,
    /// It runs.
    Running,
    /// It runs until the shutdown delay is over.
    Delaying(Timestamp),
    /// It was told to stop; asked again at the time given, when the driver refused.
    Stopping(Option<Timestamp>),
    /// It waits for a restart.
    Backoff(Timestamp),
    /// It has ended for good.
    Dead,
}

/// What a lifecycle knows beyond [`TaskState`]; stored so that a restarted agent goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    phase: Phase,
    attempt: u64,
    runs: u64,
    killing: Option<StopReason>,
    restart: Option<RestartKind>,
    tracker: RestartTracker,
    started: bool,
    state: TaskState,
}

/// The life of one task.
#[derive(Clone, Debug)]
pub struct TaskLifecycle {
    task: CompiledTask,
    again: bool,
    seed: Seed,
    max_kill_timeout: GoDuration,
    memory: TaskRecord,
}

impl TaskLifecycle {
    /// A task that waits for its turn.
    pub fn new(task: CompiledTask, kind: JobKind, seed: Seed, max_kill_timeout: GoDuration, now: Timestamp) -> Self {
        let mut state = TaskState::default();
        state.push_event(events::received(now));
        let memory = TaskRecord {
            phase: Phase::Waiting,
            attempt: 0,
            runs: 0,
            killing: None,
            restart: None,
            tracker: RestartTracker::new(now),
            started: false,
            state,
        };
        Self::with(task, kind, seed, max_kill_timeout, memory)
    }

    /// A task as it was stored, with what must be done to find it again.
    pub fn restore(
        task: CompiledTask,
        kind: JobKind,
        seed: Seed,
        max_kill_timeout: GoDuration,
        memory: TaskRecord,
    ) -> (Self, Option<TaskEffect>) {
        let lifecycle = Self::with(task, kind, seed, max_kill_timeout, memory);
        let effect = match lifecycle.memory.phase {
            Phase::Starting if lifecycle.is_killing() => Some(TaskEffect::CancelStart(lifecycle.memory.attempt)),
            Phase::Starting | Phase::Running | Phase::Delaying(_) | Phase::Stopping(_) => {
                Some(TaskEffect::Recover(lifecycle.memory.attempt))
            }
            Phase::Waiting | Phase::Backoff(_) | Phase::Dead => None,
        };
        (lifecycle, effect)
    }

    fn with(task: CompiledTask, kind: JobKind, seed: Seed, max_kill_timeout: GoDuration, memory: TaskRecord) -> Self {
        let mut lifecycle = TaskLifecycle { task, again: false, seed, max_kill_timeout, memory };
        lifecycle.again = lifecycle.restarts_after_success(kind);
        lifecycle
    }

    /// Takes over the settings of a new job version that did not ask for a new allocation.
    pub fn replace_task(&mut self, task: CompiledTask, kind: JobKind) {
        self.task = task;
        self.again = self.restarts_after_success(kind);
    }

    fn restarts_after_success(&self, kind: JobKind) -> bool {
        match self.task.hook {
            Hook::Main => !kind.is_batch(),
            Hook::Prestart | Hook::Poststart => self.task.sidecar,
            Hook::Poststop => false,
        }
    }

    /// The task as the job describes it.
    pub fn task(&self) -> &CompiledTask {
        &self.task
    }

    /// What users see.
    pub fn state(&self) -> &TaskState {
        &self.memory.state
    }

    /// What is stored.
    pub fn record(&self) -> TaskRecord {
        self.memory.clone()
    }

    /// Whether its turn has not come.
    pub fn is_waiting(&self) -> bool {
        self.memory.phase == Phase::Waiting
    }

    /// Whether it has ended for good.
    pub fn is_dead(&self) -> bool {
        self.memory.phase == Phase::Dead
    }

    /// Whether it runs and is not being stopped.
    pub fn is_up(&self) -> bool {
        self.memory.phase == Phase::Running
    }

    /// Whether it has run since its turn came.
    pub fn has_started(&self) -> bool {
        self.memory.started
    }

    /// Whether it was ever given to the driver.
    pub fn was_tried(&self) -> bool {
        self.memory.runs > 0
    }

    /// Whether it was told to stop for good.
    pub fn is_killing(&self) -> bool {
        self.memory.killing.is_some()
    }

    /// The run that is the latest.
    pub fn attempt(&self) -> u64 {
        self.memory.attempt
    }

    /// When [`Self::tick`] has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.memory.phase {
            Phase::Delaying(at) | Phase::Backoff(at) | Phase::Stopping(Some(at)) => Some(at),
            Phase::Waiting | Phase::Starting | Phase::Running | Phase::Stopping(None) | Phase::Dead => None,
        }
    }

    /// Its turn has come.
    pub fn start(&mut self, now: Timestamp) -> Vec<TaskEffect> {
        if self.memory.phase != Phase::Waiting || self.is_killing() {
            return Vec::new();
        }
        if self.memory.runs == 0 {
            self.memory.state.push_event(events::setup(now));
        }
        vec![self.begin()]
    }

    fn begin(&mut self) -> TaskEffect {
        self.memory.attempt = self.memory.runs;
        self.memory.runs += 1;
        self.memory.phase = Phase::Starting;
        TaskEffect::Start(self.memory.attempt)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) -> Vec<TaskEffect> {
        match self.memory.phase {
            Phase::Backoff(at) if now >= at => vec![self.begin()],
            Phase::Delaying(at) if now >= at => vec![self.send_stop()],
            Phase::Stopping(Some(at)) if now >= at => vec![self.send_stop()],
            _ => Vec::new(),
        }
    }

    /// The driver tells how the start goes on.
    pub fn progress(&mut self, now: Timestamp, attempt: u64, text: &str) {
        if attempt == self.memory.attempt && self.memory.phase == Phase::Starting {
            self.memory.state.push_event(events::progress(now, text));
        }
    }

    /// The run is up, newly or found again.
    pub fn started(&mut self, now: Timestamp, attempt: u64) -> Vec<TaskEffect> {
        if attempt != self.memory.attempt {
            return vec![TaskEffect::Destroy(attempt)];
        }
        match self.memory.phase {
            Phase::Starting => {
                self.memory.state.push_event(events::started(now));
                self.memory.state.state = TaskRunState::Running;
                self.memory.state.started_at = Some(now);
                self.memory.started = true;
                self.memory.phase = Phase::Running;
                if self.is_killing() || self.memory.restart.is_some() { vec![self.send_stop()] } else { Vec::new() }
            }
            // Found again after an agent restart: the stop may not have reached it.
            Phase::Stopping(_) => vec![self.send_stop()],
            Phase::Running | Phase::Delaying(_) | Phase::Waiting | Phase::Backoff(_) | Phase::Dead => Vec::new(),
        }
    }

    /// The run could not be started.
    pub fn start_failed(&mut self, now: Timestamp, attempt: u64, failure: &StartFailure) -> Vec<TaskEffect> {
        if attempt != self.memory.attempt || self.memory.phase != Phase::Starting {
            return Vec::new();
        }
        let state = &mut self.memory.state;
        let recoverable = match failure {
            StartFailure::Setup(why) => {
                state.push_event(events::setup_failure(now, why));
                false
            }
            StartFailure::Validation(why) => {
                state.push_event(events::failed_validation(now, why));
                false
            }
            StartFailure::Driver { message, recoverable } => {
                state.push_event(events::driver_failure(now, message));
                *recoverable
            }
            StartFailure::Cancelled => true,
        };
        if self.is_killing() {
            return self.die(now, false);
        }
        if self.memory.restart.is_some() {
            return self.follow_restart(now);
        }
        let roll = self.roll();
        let next = self.memory.tracker.after_start_failure(&self.task.restart, recoverable, now, roll);
        self.follow(now, next)
    }

    /// The run ended.
    pub fn exited(&mut self, now: Timestamp, attempt: u64, exit: &ExitResult) -> Vec<TaskEffect> {
        let live =
            matches!(self.memory.phase, Phase::Starting | Phase::Running | Phase::Delaying(_) | Phase::Stopping(_));
        if attempt != self.memory.attempt || !live {
            return Vec::new();
        }
        self.memory.state.push_event(events::terminated(now, exit));
        let mut effects = vec![TaskEffect::Destroy(attempt)];
        if self.is_killing() {
            self.memory.state.push_event(events::killed(now));
            effects.extend(self.die(now, false));
        } else if self.memory.restart.is_some() {
            effects.extend(self.follow_restart(now));
        } else {
            let roll = self.roll();
            let next = self.memory.tracker.after_exit(&self.task.restart, self.again, exit.is_success(), now, roll);
            effects.extend(self.follow(now, next));
        }
        effects
    }

    /// After an agent restart the run was not to be found: it counts as ended in an unknown way.
    pub fn lost(&mut self, now: Timestamp, attempt: u64, why: &str) -> Vec<TaskEffect> {
        if attempt != self.memory.attempt {
            return Vec::new();
        }
        self.memory.state.push_event(events::failed_restoring(now, why));
        let exit = ExitResult { exit_code: -1, unknown: Some(why.to_owned()), ..ExitResult::default() };
        self.exited(now, attempt, &exit)
    }

    /// The driver refused to stop the run: asked again later, since a task must not outlive its allocation.
    pub fn stop_failed(&mut self, now: Timestamp, attempt: u64, why: &str) {
        if attempt == self.memory.attempt && matches!(self.memory.phase, Phase::Stopping(_)) {
            self.memory.state.push_event(events::driver_failure(now, why));
            self.memory.phase = Phase::Stopping(Some(now.after(STOP_AGAIN)));
        }
    }

    /// It is to stop for good.
    pub fn stop(&mut self, now: Timestamp, reason: StopReason, skip_delay: bool) -> Vec<TaskEffect> {
        if self.is_dead() || self.is_killing() {
            return Vec::new();
        }
        if let Some(cause) = events::stop_cause(now, &reason) {
            self.memory.state.push_event(cause);
        }
        self.memory.state.push_event(events::killing(now, &self.task.kill_signal, self.kill_timeout()));
        let locally = reason != StopReason::Asked;
        self.memory.killing = Some(reason);
        match self.memory.phase {
            Phase::Waiting | Phase::Backoff(_) => self.die(now, false),
            Phase::Starting => vec![TaskEffect::CancelStart(self.memory.attempt)],
            Phase::Running => {
                // Whatever the servers want stopped leaves the catalog by itself; the rest leaves it by its state.
                if locally {
                    self.memory.state.state = TaskRunState::Pending;
                }
                if self.task.shutdown_delay.0 > 0 && !skip_delay {
                    self.memory.state.push_event(events::shutdown_delay(now, self.task.shutdown_delay));
                    self.memory.phase = Phase::Delaying(now.after(self.task.shutdown_delay));
                    Vec::new()
                } else {
                    vec![self.send_stop()]
                }
            }
            Phase::Stopping(_) | Phase::Delaying(_) | Phase::Dead => Vec::new(),
        }
    }

    /// It is to be restarted, `reason` in words for users.
    pub fn restart(&mut self, now: Timestamp, kind: RestartKind, reason: &str) -> Vec<TaskEffect> {
        if self.is_killing() {
            return Vec::new();
        }
        match self.memory.phase {
            Phase::Running => {
                self.memory.state.push_event(events::restart_signaled(now, reason));
                self.memory.state.state = TaskRunState::Pending;
                self.memory.restart = Some(kind);
                vec![self.send_stop()]
            }
            Phase::Backoff(_) if kind == RestartKind::AtOnce => {
                self.memory.phase = Phase::Backoff(now);
                self.tick(now)
            }
            Phase::Dead | Phase::Backoff(_) if kind == RestartKind::InOrder => {
                self.memory.state.push_event(events::restart_signaled(now, reason));
                self.memory.restart = Some(kind);
                self.follow_restart(now)
            }
            Phase::Starting if kind == RestartKind::InOrder => {
                self.memory.restart = Some(kind);
                vec![TaskEffect::CancelStart(self.memory.attempt)]
            }
            Phase::Stopping(_) if kind == RestartKind::InOrder => {
                self.memory.restart = Some(kind);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// A user sends a signal.
    pub fn signalled(&mut self, now: Timestamp, signal: &str) {
        self.memory.state.push_event(events::signaling(now, signal));
    }

    /// The allocation's health was judged badly.
    pub fn unhealthy(&mut self, now: Timestamp, why: &str) {
        self.memory.state.push_event(events::alloc_unhealthy(now, why));
    }

    fn send_stop(&mut self) -> TaskEffect {
        self.memory.phase = Phase::Stopping(None);
        TaskEffect::Stop {
            attempt: self.memory.attempt,
            signal: self.task.kill_signal.clone(),
            timeout: self.kill_timeout(),
        }
    }

    fn kill_timeout(&self) -> GoDuration {
        self.task.kill_timeout.min(self.max_kill_timeout).max(GoDuration(0))
    }

    fn follow_restart(&mut self, now: Timestamp) -> Vec<TaskEffect> {
        match self.memory.restart.take() {
            Some(RestartKind::ByPolicy) => {
                let roll = self.roll();
                let next = self.memory.tracker.after_exit(&self.task.restart, true, false, now, roll);
                self.follow(now, next)
            }
            Some(RestartKind::InOrder) => {
                self.note_restart(now, GoDuration(0), "");
                self.memory.started = false;
                self.memory.state.failed = false;
                self.memory.state.finished_at = None;
                self.memory.phase = Phase::Waiting;
                Vec::new()
            }
            Some(RestartKind::AtOnce) | None => {
                self.note_restart(now, GoDuration(0), "");
                vec![self.begin()]
            }
        }
    }

    fn follow(&mut self, now: Timestamp, next: Next) -> Vec<TaskEffect> {
        match next {
            Next::Restart { delay, reason } => {
                self.note_restart(now, delay, reason);
                self.memory.phase = Phase::Backoff(now.after(delay));
                Vec::new()
            }
            Next::Fail { reason } => {
                self.memory.state.push_event(events::not_restarting(now, &reason));
                self.die(now, true)
            }
            Next::Done => self.die(now, false),
        }
    }

    fn note_restart(&mut self, now: Timestamp, delay: GoDuration, reason: &str) {
        self.memory.state.push_event(events::restarting(now, delay, reason));
        self.memory.state.state = TaskRunState::Pending;
        self.memory.state.restarts += 1;
        self.memory.state.last_restart = Some(now);
    }

    fn die(&mut self, now: Timestamp, failed: bool) -> Vec<TaskEffect> {
        self.memory.phase = Phase::Dead;
        self.memory.restart = None;
        self.memory.state.state = TaskRunState::Dead;
        self.memory.state.failed = failed;
        self.memory.state.finished_at = Some(now);
        Vec::new()
    }

    fn roll(&self) -> u64 {
        self.seed.uuid(self.memory.runs) as u64
    }
}
