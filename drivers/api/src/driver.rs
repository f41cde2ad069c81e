//! The contract that every driver meets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use model::allocation::{AllocatedPort, DriverAddress};
use model::id::AllocId;
use model::time::{GoDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

/// Everything a driver is told of a task. Texts are interpolated already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskConfig {
    /// Unique and stable: `<alloc id>/<task name>/<attempt>`; names containers and cgroups.
    pub id: TaskId,
    /// Job, namespace, group: for labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's own settings.
    pub config: BTreeMap<String, Value>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// The user to run as; empty for the driver's default.
    pub user: String,
    /// CPU share in MHz.
    pub cpu_mhz: i64,
    /// CPU of the whole node in MHz, to turn shares into weights.
    pub node_cpu_mhz: i64,
    /// Memory in MB.
    pub memory_mb: i64,
    /// Upper bound of memory in MB; 0 when there is none.
    pub memory_max_mb: i64,
    /// Ports of the allocation that this task may use.
    pub ports: Vec<AllocatedPort>,
    /// Host name; empty for the driver's default.
    pub hostname: String,
    /// Resolver for containers; empty list for the driver's default.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains for containers.
    pub dns_searches: Vec<String>,
    /// Resolver options for containers.
    pub dns_options: Vec<String>,
    /// Directories of the task on the host.
    pub dirs: TaskDirs,
    /// Directories of the host that the task sees besides. Empty unless [`Capabilities::mounts`].
    #[serde(default)]
    pub mounts: Vec<TaskMount>,
    /// Where output goes.
    pub logs: LogSettings,
    /// The signal that asks the task to stop; empty for the driver's default.
    pub kill_signal: String,
}

/// One run of one task of one allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The allocation.
    pub alloc: AllocId,
    /// The task's name.
    pub task: String,
    /// Counts runs of the task from 0.
    pub attempt: u64,
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}-{}-{}", self.task, self.alloc, self.attempt)
    }
}

/// A task's directories on the host. All lie below the allocation's directory and exist before `start`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TaskDirs {
    /// `<alloc>/alloc`, shared by the tasks.
    pub alloc: PathBuf,
    /// `<alloc>/<task>`.
    pub task: PathBuf,
    /// `<alloc>/<task>/local`.
    pub local: PathBuf,
    /// `<alloc>/<task>/secrets`.
    pub secrets: PathBuf,
    /// `<alloc>/alloc/logs`.
    pub logs: PathBuf,
}

/// A directory of the host, as a task sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskMount {
    /// Where it is on the host.
    pub host_path: PathBuf,
    /// Where the task sees it; absolute.
    pub task_path: String,
    /// Whether the task may only read.
    pub read_only: bool,
    /// Which later mounts are seen by the other side.
    pub propagation: Propagation,
}

/// Whether mounts that are made below a mount later are seen on the other side; Nomad's `propagation_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// `private`: no.
    #[default]
    Private,
    /// `host-to-task`: those of the host by the task.
    HostToTask,
    /// `bidirectional`: both by both.
    Bidirectional,
}

/// Rotation of a task's log files `<task>.stdout.N` and `<task>.stderr.N` in [`TaskDirs::logs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSettings {
    /// Files kept.
    pub max_files: u32,
    /// Size of a file in MB.
    pub max_file_mb: u32,
    /// Whether output is thrown away.
    pub disabled: bool,
}

/// Where a task sees its directories: as `NOMAD_ALLOC_DIR` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsIsolation {
    /// It sees the host's paths.
    None,
    /// It sees `/alloc`, `/local` and `/secrets`.
    Image,
}

/// What a driver can do.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Where a task sees its directories.
    pub fs_isolation: FsIsolation,
    /// Whether signals can be sent.
    pub send_signals: bool,
    /// Whether directories of the host can be mounted into a task.
    pub mounts: bool,
    /// The signal that asks a task to stop unless the job says otherwise.
    pub default_kill_signal: &'static str,
}

/// What a driver finds on this machine, told again whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Whether it is installed.
    pub detected: bool,
    /// Whether tasks can be started now.
    pub healthy: bool,
    /// Why not, and what to do; or `Healthy`.
    pub description: String,
    /// `driver.<name>...` attributes of the node.
    pub attributes: BTreeMap<String, String>,
}

/// What finds a task again after an agent restart. Opaque to the client, versioned by the driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskHandle {
    /// The task.
    pub id: TaskId,
    /// The driver that started it.
    pub driver: String,
    /// The driver's own memory: container id, or pid, start time and cgroup.
    pub state: Value,
    /// When it was started.
    pub started_at: Timestamp,
    /// Where it is reached inside its own network, if it has one.
    pub address: Option<DriverAddress>,
}

/// How a task ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitResult {
    /// Exit code; 128 plus the signal when it was killed by one.
    pub exit_code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Set when how it ended cannot be known (its supervisor was gone): the reason.
    pub unknown: Option<String>,
}

impl ExitResult {
    /// Whether it ended well.
    pub fn is_success(&self) -> bool {
        self.exit_code == 0 && self.signal == 0 && !self.oom_killed && self.unknown.is_none()
    }
}

/// Why a driver could not do something.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DriverError {
    /// The task's settings are wrong: trying again will not help.
    #[error("{0}")]
    Config(String),
    /// Trying again will not help, and says what would.
    #[error("{0}")]
    Permanent(String),
    /// May go away by itself (engine down, registry out of reach).
    #[error("{0}")]
    Recoverable(String),
    /// The handle's task does not exist any more.
    #[error("task {0} not found")]
    NotFound(TaskId),
}

impl DriverError {
    /// Whether the restart policy may try again.
    pub fn is_recoverable(&self) -> bool {
        match self {
            DriverError::Recoverable(_) => true,
            DriverError::Config(_) | DriverError::Permanent(_) | DriverError::NotFound(_) => false,
        }
    }
}

/// Resource use of a running task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskStats {
    /// CPU time used since the start.
    pub cpu: GoDuration,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

/// A progress line during `start`, shown as a `Driver` event (such as the progress of a pull).
pub type Progress = mpsc::UnboundedSender<String>;

/// A driver. All methods may be called concurrently; `start`, `stop` and `recover` are idempotent per task id.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The name in job files.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Looks at the machine. Never blocks for more than a few seconds.
    async fn fingerprint(&self) -> Fingerprint;

    /// Starts a task. Intent is recorded before effect: if the agent dies in between, `recover` or `reap` finds it.
    async fn start(&self, task: &TaskConfig, progress: Progress) -> Result<TaskHandle, DriverError>;

    /// Finds a task again after an agent restart; log collection goes on without losing or doubling lines.
    async fn recover(&self, handle: &TaskHandle, task: &TaskConfig) -> Result<(), DriverError>;

    /// Waits for the end of a task; may be called several times and after the end.
    async fn wait(&self, handle: &TaskHandle) -> Result<ExitResult, DriverError>;

    /// Sends `signal`, waits up to `timeout`, then kills everything the task started.
    async fn stop(&self, handle: &TaskHandle, signal: &str, timeout: GoDuration) -> Result<(), DriverError>;

    /// Sends a signal.
    async fn signal(&self, handle: &TaskHandle, signal: &str) -> Result<(), DriverError>;

    /// Removes what is left of an ended task (container, cgroup, supervisor's record).
    async fn destroy(&self, handle: &TaskHandle) -> Result<(), DriverError>;

    /// Resource use now.
    async fn stats(&self, handle: &TaskHandle) -> Result<TaskStats, DriverError>;

    /// Stops and removes tasks of this node that are ours and not among `wanted`; foreign ones are never touched.
    async fn reap(&self, wanted: &[TaskId]) -> Result<Vec<TaskId>, DriverError>;
}
