//! What the cases share: one task with its directories, pipes to it, and waiting for conditions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::id::AllocId;
use model::time::GoDuration;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::Value;

use super::{Harness, Program};
use crate::{
    Driver, DriverError, ExitResult, FsIsolation, LogKind, LogSettings, TaskConfig, TaskDirs, TaskHandle, TaskId,
};

/// How long a condition may take before the suite gives up; generous, for slow machines.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `look` finds something.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Bounds a call.
pub async fn within<T>(what: &str, call: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// One task: its config, its directories, and the driver it runs under.
pub struct Fixture<'a> {
    pub harness: &'a dyn Harness,
    pub driver: Arc<dyn Driver>,
    pub task: TaskConfig,
    root: PathBuf,
}

impl<'a> Fixture<'a> {
    /// A task that runs `program`; `None` when the driver cannot.
    pub async fn new(harness: &'a dyn Harness, program: Program) -> Option<Fixture<'a>> {
        let config = harness.program(&program)?;
        Some(Fixture::with_config(harness, config).await)
    }

    /// A task that runs `script`.
    pub async fn shell(harness: &'a dyn Harness, script: &str) -> Option<Fixture<'a>> {
        Fixture::new(harness, Program::Shell(script.to_owned(), Vec::new())).await
    }

    pub async fn with_config(harness: &'a dyn Harness, config: BTreeMap<String, Value>) -> Fixture<'a> {
        let id = fresh_id();
        let root = harness.base_dir().join(id.alloc.to_string());
        let dirs = make_dirs(&root, &id.task);
        let driver = harness.driver().await;
        let alloc_dir = match driver.capabilities().fs_isolation {
            FsIsolation::None => dirs.alloc.display().to_string(),
            FsIsolation::Image => "/alloc".to_owned(),
        };
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = [("NOMAD_ALLOC_DIR", alloc_dir.as_str()), ("PATH", path), ("GREETING", "hello  'world' $HOME\n!")];
        let task = TaskConfig {
            id,
            labels: BTreeMap::from([("job".to_owned(), "conformance".to_owned())]),
            config,
            env: env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            user: String::new(),
            cpu_mhz: 100,
            node_cpu_mhz: 1000,
            memory_mb: 64,
            memory_max_mb: 0,
            ports: Vec::new(),
            hostname: String::new(),
            dns_servers: Vec::new(),
            dns_searches: Vec::new(),
            dns_options: Vec::new(),
            dirs,
            mounts: Vec::new(),
            logs: LogSettings { max_files: 10, max_file_mb: 10, disabled: false },
            kill_signal: String::new(),
        };
        Fixture { harness, driver, task, root }
    }

    pub async fn start(&self) -> TaskHandle {
        self.try_start().await.unwrap_or_else(|error| panic!("start failed: {error}"))
    }

    pub async fn try_start(&self) -> Result<TaskHandle, DriverError> {
        let (progress, _lines) = tokio::sync::mpsc::unbounded_channel();
        within("start returns", self.driver.start(&self.task, progress)).await
    }

    pub async fn wait(&self, handle: &TaskHandle) -> ExitResult {
        within("the task ends", self.driver.wait(handle)).await.unwrap_or_else(|error| panic!("wait failed: {error}"))
    }

    pub async fn stop(&self, handle: &TaskHandle, timeout: GoDuration) {
        let signal = self.driver.capabilities().default_kill_signal;
        within("stop returns", self.driver.stop(handle, signal, timeout)).await.unwrap();
    }

    /// Drops the driver object.
    pub fn agent_dies(self) -> Away<'a> {
        Away { harness: self.harness, task: self.task, root: self.root }
    }

    /// Drops the driver object and makes another, as an agent restart does.
    pub async fn restart_agent(self) -> Fixture<'a> {
        self.agent_dies().agent_starts().await
    }

    /// Removes task and directories.
    pub async fn finish(self, handle: &TaskHandle) {
        self.stop(handle, GoDuration(0)).await;
        within("destroy returns", self.driver.destroy(handle)).await.unwrap();
        self.remove_dirs();
    }

    pub fn remove_dirs(&self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }

    /// All log files of one kind, in order.
    pub fn log(&self, kind: LogKind) -> String {
        let file = |index: u64| self.task.dirs.logs.join(format!("{}.{}.{index}", self.task.id.task, kind.as_str()));
        let bytes: Vec<u8> = (0..).map_while(|index| std::fs::read(file(index)).ok()).flatten().collect();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits until standard output contains `text`.
    pub async fn printed(&self, text: &str) {
        eventually(&format!("{text:?} in standard output"), || self.log(LogKind::Stdout).contains(text).then_some(()))
            .await;
    }

    /// Makes the pipe `alloc/alive`, which the script opens for writing and its children inherit.
    pub fn alive(&self) -> Alive {
        let path = self.task.dirs.alloc.join("alive");
        make_pipe(&path);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Alive { pipe: File::from(rustix::fs::open(&path, flags, Mode::empty()).unwrap()) }
    }

    /// Makes the pipe `alloc/in`, from which the script reads lines.
    pub fn input(&self) -> Input {
        let path = self.task.dirs.alloc.join("in");
        make_pipe(&path);
        // For reading too: so that opening does not wait for the script, and writing before it opens is kept.
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Input { pipe: File::from(rustix::fs::open(&path, flags, Mode::empty()).unwrap()) }
    }
}

/// A task whose agent is away.
pub struct Away<'a> {
    harness: &'a dyn Harness,
    task: TaskConfig,
    root: PathBuf,
}

impl<'a> Away<'a> {
    /// Makes a new driver object.
    pub async fn agent_starts(self) -> Fixture<'a> {
        let Away { harness, task, root } = self;
        Fixture { harness, driver: harness.driver().await, task, root }
    }
}

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
}

fn make_dirs(root: &Path, task: &str) -> TaskDirs {
    let dirs = TaskDirs {
        alloc: root.join("alloc"),
        task: root.join(task),
        local: root.join(task).join("local"),
        secrets: root.join(task).join("secrets"),
        logs: root.join("alloc/logs"),
    };
    for dir in [&dirs.logs, &dirs.local, &dirs.secrets] {
        std::fs::create_dir_all(dir).unwrap();
    }
    dirs
}

fn fresh_id() -> TaskId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let count = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let unique = now << 48 | u128::from(std::process::id()) << 16 | count;
    TaskId { alloc: AllocId(unique), task: "web".to_owned(), attempt: 0 }
}

/// The reading end of a pipe that the task and all it started hold open.
pub struct Alive {
    pipe: File,
}

impl Alive {
    /// Waits for the task's first byte: it is up.
    pub async fn up(&mut self) {
        eventually("the task says it is up", || match self.pipe.read(&mut [0u8; 64]) {
            Ok(read) => (read > 0).then_some(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("reading the pipe: {error}"),
        })
        .await;
    }

    /// Whether nobody holds the pipe any more. Only after [`Alive::up`].
    pub fn is_gone(&mut self) -> bool {
        loop {
            match self.pipe.read(&mut [0u8; 64]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits until nobody holds the pipe any more.
    pub async fn gone(&mut self) {
        eventually("the last process of the task is gone", || self.is_gone().then_some(())).await;
    }
}

/// The writing end of a pipe that feeds the task's script; dropping it is the end of input.
pub struct Input {
    pipe: File,
}

impl Input {
    /// Feeds one line.
    pub fn line(&mut self, text: &str) {
        self.pipe.write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}
