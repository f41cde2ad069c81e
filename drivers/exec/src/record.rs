//! What is on disk of each task: enough for another supervisor to find it again.
//!
//! A record is written before the task's program begins, and again with its exit code. Writes are atomic against a
//! crash of this process; after a crash of the machine the tasks are gone anyway.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use driver::{ExitResult, LogKind, LogSettings, TaskId};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One task, as it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The task.
    pub task: TaskId,
    /// Its first process.
    pub pid: i32,
    /// Clock ticks since boot when that was started.
    pub start_time: u64,
    /// The boot during which it was started.
    pub boot_id: String,
    /// The cgroup that holds all its processes, if there are cgroups here.
    pub cgroup: Option<PathBuf>,
    /// When it was started.
    pub started_at: Timestamp,
    /// Where its log files go.
    pub logs: PathBuf,
    /// Their rotation.
    pub log_settings: LogSettings,
    /// How it ended, once it has.
    pub exit: Option<ExitResult>,
}

/// The directory with the records and the pipes of all tasks of a node.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The records below a driver's state directory.
    pub fn new(state_dir: &Path) -> Store {
        Store { dir: state_dir.join("tasks") }
    }

    /// Makes the directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// Writes a record; the one before stays whole until this one is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, record: &Record) -> io::Result<()> {
        let path = self.record_path(&record.task);
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(record)?)?;
        std::fs::rename(&temporary, &path)
    }

    /// All records; those that cannot be read are passed over, with what is wrong with them.
    ///
    /// # Errors
    /// When the directory cannot be read; a missing one is empty.
    pub fn load(&self) -> io::Result<(Vec<Record>, Vec<String>)> {
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((records, unreadable)),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let read = std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice::<Record>(&bytes)?));
            match read {
                Ok(record) if self.record_path(&record.task) == path => records.push(record),
                Ok(_) => unreadable.push(format!("{} names another task", path.display())),
                Err(error) => unreadable.push(format!("{}: {error}", path.display())),
            }
        }
        Ok((records, unreadable))
    }

    /// Removes the supervisor's socket beside the records.
    pub fn remove_socket(&self) {
        if let Some(state_dir) = self.dir.parent() {
            let _ = std::fs::remove_file(state_dir.join(crate::supervisor::SOCKET));
        }
    }

    /// Whether there is any record.
    pub fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.dir).map(|mut entries| entries.next().is_none()).unwrap_or(true)
    }

    /// Removes record and pipes of a task; what is missing already is no error.
    pub fn remove(&self, task: &TaskId) {
        let record = self.record_path(task);
        for path in [self.pipe_path(task, LogKind::Stdout), self.pipe_path(task, LogKind::Stderr), record] {
            // Left-overs are harmless: a new run has another id.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The pipe that carries one output of a task.
    pub fn pipe_path(&self, task: &TaskId, kind: LogKind) -> PathBuf {
        self.dir.join(format!("{}.{}", key(task), kind.as_str()))
    }

    fn record_path(&self, task: &TaskId) -> PathBuf {
        self.dir.join(format!("{}.json", key(task)))
    }
}

/// A short name for a task that is fit for files and cgroups; task names may be long.
pub fn key(task: &TaskId) -> String {
    format!("{}-{}-{:016x}", task.alloc, task.attempt, fnv(task.task.as_bytes()))
}

/// The FNV-1a hash: stable across builds, which names on disk must be.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
