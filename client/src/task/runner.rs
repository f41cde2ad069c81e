//! Carries out what a task's lifecycle decides: start, find again, wait, stop, remove.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driver::{Driver, DriverError, ExitResult, TaskConfig, TaskHandle, TaskId};
use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::time::GoDuration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::env::EnvSource;
use super::lifecycle::StartFailure;
use super::setup;
use crate::alloc::dir::AllocDir;
use crate::alloc::lifecycle::AllocInput;
use crate::alloc::runner::{Inbox, Message};
use crate::context::Context;

/// Pauses between attempts to reach a driver's engine.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Progress of a start is passed on at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// One run of one task.
pub(crate) struct Run {
    pub context: Arc<Context>,
    pub alloc: Allocation,
    pub job: Arc<CompiledJob>,
    pub task: String,
    pub attempt: u64,
    pub own: Inbox,
}

impl Run {
    /// Sets the task up and starts it, unless `cancel` comes first.
    pub(crate) async fn start(self, cancel: CancellationToken) {
        let id = self.id();
        let (driver, config) = match self.prepare(true) {
            Ok(prepared) => prepared,
            Err(failure) => return self.failed(failure),
        };
        self.context.want(driver.name(), id.clone()).await;
        let (progress, told) = mpsc::unbounded_channel();
        let starting = async {
            let start = driver.start(&config, progress);
            let passing = pass_progress(&self.own, &self.task, self.attempt, told);
            tokio::pin!(start, passing);
            tokio::select! {
                result = &mut start => result,
                () = &mut passing => start.await,
            }
        };
        let result = tokio::select! {
            result = starting => Some(result),
            () = cancel.cancelled() => None,
        };
        match result {
            Some(Ok(handle)) => {
                let _ = self.own.send(Message::Up(Box::new(handle)));
            }
            Some(Err(error)) => {
                self.context.unwant(driver.name(), &id).await;
                self.failed(failure_of(error));
            }
            None => {
                // How far the driver came is unknown: whatever there is of this run is removed.
                self.context.unwant(driver.name(), &id).await;
                self.context.reap(driver.name()).await;
                self.failed(StartFailure::Cancelled);
            }
        }
    }

    /// Finds the run again after an agent restart.
    pub(crate) async fn recover(self, handle: TaskHandle) {
        let (driver, config) = match self.prepare(false) {
            Ok(prepared) => prepared,
            Err(failure) => return self.lost(format!("{failure:?}")),
        };
        self.context.want(driver.name(), self.id()).await;
        let mut pause = SHORTEST_PAUSE;
        loop {
            match driver.recover(&handle, &config).await {
                Ok(()) => {
                    let _ = self.own.send(Message::Up(Box::new(handle)));
                    return;
                }
                Err(error) if error.is_recoverable() => {
                    tracing::warn!(task = %handle.id, %error, "cannot find a task again yet");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return self.lost(format!("not found after the agent's restart: {error}")),
            }
        }
    }

    fn id(&self) -> TaskId {
        TaskId { alloc: self.alloc.id, task: self.task.clone(), attempt: self.attempt }
    }

    fn failed(self, failure: StartFailure) {
        let input = AllocInput::StartFailed { task: self.task, attempt: self.attempt, failure };
        let _ = self.own.send(Message::Input(input));
    }

    fn lost(self, why: String) {
        let input = AllocInput::Lost { task: self.task, attempt: self.attempt, why };
        let _ = self.own.send(Message::Input(input));
    }

    /// What the driver is told. A task that runs already keeps the volumes that it has, whatever has become of their
    /// sources: nothing is mounted unless it is `fresh`.
    fn prepare(&self, fresh: bool) -> Result<(Arc<dyn Driver>, TaskConfig), StartFailure> {
        let missing = |what: &str| StartFailure::Setup(format!("the job has no {what} any more"));
        let group = self.job.group(&self.alloc.task_group).ok_or_else(|| missing("such group"))?;
        let mut task = Cow::Borrowed(group.task(&self.task).ok_or_else(|| missing("such task"))?);
        if !fresh {
            task.to_mut().volume_mounts.clear();
        }
        let task = &*task;
        setup::unsupported(task)?;
        let driver = self.context.drivers.get(task.driver.as_str()).ok_or_else(|| {
            let known: Vec<&str> = self.context.drivers.keys().copied().collect();
            StartFailure::Driver {
                message: format!("this node has no driver {:?}; it has {}", task.driver, known.join(", ")),
                recoverable: false,
            }
        })?;
        let base = self.context.alloc_base();
        let setup = |what: &str| {
            let what = format!("cannot {what} of task {:?}", task.name);
            move |error: std::io::Error| StartFailure::Setup(format!("{what}: {error}"))
        };
        let dir = AllocDir::create(&base, self.alloc.id).map_err(setup("make the directories"))?;
        let dirs = dir.make_task(&task.name).map_err(setup("make the directories"))?;
        let node = self.context.node();
        let source = EnvSource {
            node: &node,
            region: &self.context.config.region,
            job: &self.job,
            alloc: &self.alloc,
            task: None,
            host: &self.context.host_env,
        };
        let can = driver.capabilities();
        let config = setup::task_config(&self.context.config, &source, group, task, self.attempt, &can, &dirs)?;
        Ok((driver.clone(), config))
    }
}

fn failure_of(error: DriverError) -> StartFailure {
    match error {
        DriverError::Config(why) => StartFailure::Validation(why),
        other => StartFailure::Driver { recoverable: other.is_recoverable(), message: other.to_string() },
    }
}

async fn pass_progress(own: &Inbox, task: &str, attempt: u64, mut told: mpsc::UnboundedReceiver<String>) {
    let mut last: Option<Instant> = None;
    while let Some(text) = told.recv().await {
        if last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
            continue;
        }
        last = Some(Instant::now());
        let input = AllocInput::Progress { task: task.to_owned(), attempt, text };
        let _ = own.send(Message::Input(input));
    }
}

/// Waits for the end of a run, however often the driver's engine goes away meanwhile.
pub(crate) async fn wait(driver: Arc<dyn Driver>, handle: TaskHandle, own: Inbox) {
    let mut pause = SHORTEST_PAUSE;
    let exit = loop {
        match driver.wait(&handle).await {
            Ok(exit) => break exit,
            Err(error) if error.is_recoverable() => {
                tracing::debug!(task = %handle.id, %error, "waiting for a task failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                let why = match error {
                    DriverError::NotFound(_) => "it was removed by somebody else".to_owned(),
                    other => other.to_string(),
                };
                break ExitResult { exit_code: -1, unknown: Some(why), ..ExitResult::default() };
            }
        }
    };
    let input = AllocInput::Exited { task: handle.id.task, attempt: handle.id.attempt, exit };
    let _ = own.send(Message::Input(input));
}

/// Stops a run; its end is told by [`wait`].
pub(crate) async fn stop(driver: Arc<dyn Driver>, handle: TaskHandle, signal: String, timeout: GoDuration, own: Inbox) {
    let signal = if signal.is_empty() { driver.capabilities().default_kill_signal.to_owned() } else { signal };
    match driver.stop(&handle, &signal, timeout).await {
        Ok(()) | Err(DriverError::NotFound(_)) => {}
        Err(error) => {
            let (task, attempt) = (handle.id.task, handle.id.attempt);
            let _ = own.send(Message::Input(AllocInput::StopFailed { task, attempt, why: error.to_string() }));
        }
    }
}

/// Removes what is left of an ended run. What cannot be removed now is left to the reaper.
pub(crate) async fn destroy(driver: Arc<dyn Driver>, handle: TaskHandle, context: Arc<Context>) {
    match driver.destroy(&handle).await {
        Ok(()) | Err(DriverError::NotFound(_)) => {}
        Err(error) => tracing::warn!(task = %handle.id, %error, "cannot remove what is left of a task yet"),
    }
    context.unwant(driver.name(), &handle.id).await;
}
