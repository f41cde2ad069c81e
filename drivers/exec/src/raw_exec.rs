//! The `raw_exec` driver: plain processes with the agent's rights.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use driver::settings::Settings;
use driver::{
    Capabilities, Driver, DriverError, ExitResult, Fingerprint, FsIsolation, Progress, TaskConfig, TaskHandle, TaskId,
    TaskStats,
};
use model::time::GoDuration;
use serde::{Deserialize, Serialize};

use crate::cgroup::{self, CgroupMode};
use crate::link::Link;
use crate::process;
use crate::protocol::{Answer, Ask, Failure, TaskSpec};
use crate::record::Record;
use crate::schema::RAW_EXEC;
use crate::signals;

/// The name in job files.
const NAME: &str = "raw_exec";

/// The signal that asks a task to stop.
const DEFAULT_SIGNAL: &str = "SIGINT";

/// How long a task that nobody wants may take to stop before it is killed, in milliseconds.
const REAP_TIMEOUT_MS: u64 = 5_000;

/// How this driver is set up.
#[derive(Clone, Debug)]
pub struct RawExecSettings {
    /// Where supervisor and driver keep their state; made when needed, only for this user.
    pub state_dir: PathBuf,
    /// The program that is the supervisor: this one.
    pub supervisor_exe: PathBuf,
    /// The arguments that make it so: the hidden subcommand.
    pub supervisor_args: Vec<OsString>,
    /// How long a supervisor stays without tasks and agent.
    pub supervisor_idle: Duration,
    /// Whether jobs may use this driver.
    pub enabled: bool,
    /// Which cgroups to use.
    pub cgroups: CgroupMode,
}

impl RawExecSettings {
    /// The usual settings, with this very program as supervisor through its subcommand `supervisor`.
    ///
    /// # Errors
    /// When the system does not tell where this program lies.
    pub fn new(state_dir: PathBuf) -> std::io::Result<RawExecSettings> {
        Ok(RawExecSettings {
            state_dir,
            supervisor_exe: std::env::current_exe()?,
            supervisor_args: vec!["supervisor".into()],
            supervisor_idle: Duration::from_secs(60),
            enabled: true,
            cgroups: CgroupMode::Auto,
        })
    }
}

/// What a handle remembers.
#[derive(Serialize, Deserialize)]
struct HandleState {
    version: u32,
    pid: i32,
    start_time: u64,
    cgroup: Option<PathBuf>,
}

/// The driver. Dropping it does no harm to its tasks.
pub struct RawExecDriver {
    enabled: bool,
    link: Link,
}

impl RawExecDriver {
    /// A driver that talks to its supervisor on first need.
    pub fn new(settings: RawExecSettings) -> RawExecDriver {
        RawExecDriver { enabled: settings.enabled, link: Link::new(settings) }
    }

    /// Ends the supervisor when it has no tasks, rather than after its idle time.
    ///
    /// # Errors
    /// When there still are tasks.
    pub async fn shutdown(&self) -> Result<(), DriverError> {
        self.link.shutdown().await
    }

    async fn find(&self, id: &TaskId) -> Result<Record, DriverError> {
        // Without records there is nothing to find, and no supervisor to be started for that.
        if !self.link.is_needed() {
            return Err(DriverError::NotFound(id.clone()));
        }
        match self.link.ask(&Ask::Find(id.clone())).await? {
            Answer::Task(record) => Ok(*record),
            other => Err(unexpected(id, &other)),
        }
    }

    async fn stop_task(&self, id: &TaskId, signal: i32, timeout_ms: u64) -> Result<(), DriverError> {
        if !self.link.is_needed() {
            return Err(DriverError::NotFound(id.clone()));
        }
        match self.link.ask(&Ask::Stop { task: id.clone(), signal, timeout_ms }).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(id, &other)),
        }
    }

    async fn destroy_task(&self, id: &TaskId) -> Result<(), DriverError> {
        match self.stop_task(id, 0, 0).await {
            Ok(()) => {}
            Err(DriverError::NotFound(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.link.ask(&Ask::Destroy(id.clone())).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(id, &other)),
        }
    }
}

/// An answer that stands for an error.
fn unexpected(id: &TaskId, answer: &Answer) -> DriverError {
    match answer {
        Answer::Failed(Failure::NotFound) => DriverError::NotFound(id.clone()),
        other => DriverError::Recoverable(format!("the task supervisor answers out of turn: {other:?}")),
    }
}

fn describe(task: &TaskConfig) -> Result<TaskSpec, DriverError> {
    let known: Vec<&str> = RAW_EXEC.names().collect();
    let settings = Settings::new(NAME, &task.config, &known)?;
    let work_dir = settings.text("work_dir")?.unwrap_or_default();
    Ok(TaskSpec {
        task: task.id.clone(),
        command: settings.required("command")?,
        args: settings.texts("args")?,
        env: task.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        dir: task.dirs.task.clone(),
        work_dir: task.dirs.task.join(work_dir),
        user: task.user.clone(),
        logs: task.dirs.logs.clone(),
        log_settings: task.logs,
    })
}

fn handle(record: Record) -> Result<TaskHandle, DriverError> {
    let Record { pid, start_time, cgroup, .. } = record;
    let state = serde_json::to_value(HandleState { version: 1, pid, start_time, cgroup })
        .map_err(|error| DriverError::Permanent(format!("the task's handle cannot be written: {error}")))?;
    let driver = NAME.to_owned();
    Ok(TaskHandle { id: record.task, driver, state, started_at: record.started_at, address: None })
}

#[async_trait]
impl Driver for RawExecDriver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fs_isolation: FsIsolation::None,
            send_signals: true,
            mounts: crate::RAW_EXEC.mounts,
            default_kill_signal: DEFAULT_SIGNAL,
        }
    }

    async fn fingerprint(&self) -> Fingerprint {
        if !self.enabled {
            let description = "disabled; set plugin \"raw_exec\" { config { enabled = true } } in the agent's \
                               configuration to allow it"
                .to_owned();
            return Fingerprint { description, ..Fingerprint::default() };
        }
        Fingerprint {
            detected: true,
            healthy: true,
            description: "Healthy".to_owned(),
            attributes: BTreeMap::from([(format!("driver.{NAME}"), "1".to_owned())]),
        }
    }

    async fn start(&self, task: &TaskConfig, _progress: Progress) -> Result<TaskHandle, DriverError> {
        if !self.enabled {
            return Err(DriverError::Permanent(format!("driver {NAME:?} is {}", self.fingerprint().await.description)));
        }
        match self.link.ask(&Ask::Start(Box::new(describe(task)?))).await? {
            Answer::Task(record) => handle(*record),
            other => Err(unexpected(&task.id, &other)),
        }
    }

    async fn recover(&self, handle: &TaskHandle, _task: &TaskConfig) -> Result<(), DriverError> {
        self.find(&handle.id).await.map(|_| ())
    }

    async fn wait(&self, handle: &TaskHandle) -> Result<ExitResult, DriverError> {
        if !self.link.is_needed() {
            return Err(DriverError::NotFound(handle.id.clone()));
        }
        match self.link.ask(&Ask::Wait(handle.id.clone())).await? {
            Answer::Exited(exit) => Ok(exit),
            other => Err(unexpected(&handle.id, &other)),
        }
    }

    async fn stop(&self, handle: &TaskHandle, signal: &str, timeout: GoDuration) -> Result<(), DriverError> {
        let signal = signals::number(signal, DEFAULT_SIGNAL)?;
        let timeout_ms = u64::try_from(timeout.to_std().as_millis()).unwrap_or(u64::MAX);
        self.stop_task(&handle.id, signal, timeout_ms).await
    }

    async fn signal(&self, handle: &TaskHandle, signal: &str) -> Result<(), DriverError> {
        let signal = signals::number(signal, DEFAULT_SIGNAL)?;
        // Asked first, so that a dead connection is noticed before the signal is sent rather than after.
        self.find(&handle.id).await?;
        match self.link.ask(&Ask::Signal { task: handle.id.clone(), signal }).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&handle.id, &other)),
        }
    }

    async fn destroy(&self, handle: &TaskHandle) -> Result<(), DriverError> {
        self.destroy_task(&handle.id).await
    }

    async fn stats(&self, handle: &TaskHandle) -> Result<TaskStats, DriverError> {
        let state: HandleState = serde_json::from_value(handle.state.clone())
            .map_err(|error| DriverError::Permanent(format!("the task's handle cannot be read: {error}")))?;
        if !process::is_running(state.pid, state.start_time) {
            return Err(DriverError::NotFound(handle.id.clone()));
        }
        let pids = state.cgroup.as_deref().map(cgroup::pids).unwrap_or_else(|| vec![state.pid]);
        let page = rustix::param::page_size() as u64;
        let tick = 1_000_000_000 / i64::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100).max(1);
        let mut total = TaskStats::default();
        for stat in pids.into_iter().filter_map(process::stat) {
            total.cpu.0 += i64::try_from(stat.cpu_ticks).unwrap_or(0) * tick;
            total.memory_bytes += stat.rss_pages * page;
        }
        Ok(total)
    }

    async fn reap(&self, wanted: &[TaskId]) -> Result<Vec<TaskId>, DriverError> {
        if !self.link.is_needed() {
            return Ok(Vec::new());
        }
        let Answer::Tasks(tasks) = self.link.ask(&Ask::List).await? else { return Ok(Vec::new()) };
        let unwanted: Vec<TaskId> = tasks.into_iter().filter(|id| !wanted.contains(id)).collect();
        let interrupt = signals::number(DEFAULT_SIGNAL, DEFAULT_SIGNAL)?;
        // All at once: each may use up its whole time.
        let gone = unwanted.iter().map(async |id| {
            self.stop_task(id, interrupt, REAP_TIMEOUT_MS).await?;
            self.destroy_task(id).await
        });
        futures_util::future::try_join_all(gone).await?;
        Ok(unwanted)
    }
}
