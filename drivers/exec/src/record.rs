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

    /// All records. What belongs to none (a record cut off by a power failure, a pipe of a task that never began) is
    /// removed; the second list says why records could not be read.
    ///
    /// # Errors
    /// When the directory cannot be read; a missing one is empty.
    pub fn load(&self) -> io::Result<(Vec<Record>, Vec<String>)> {
        let (mut records, mut unreadable, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let entries = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((records, unreadable)),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                others.push(path);
                continue;
            }
            let read = std::fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice::<Record>(&bytes)?));
            match read {
                Ok(record) if self.record_path(&record.task) == path => records.push(record),
                Ok(_) => unreadable.push(format!("{} names another task", path.display())),
                Err(error) => {
                    unreadable.push(format!("{}: {error}", path.display()));
                    others.push(path);
                }
            }
        }
        let belongs = |path: &PathBuf| {
            let kinds = [LogKind::Stdout, LogKind::Stderr];
            records.iter().any(|record| kinds.iter().any(|kind| self.pipe_path(&record.task, *kind) == *path))
        };
        for path in others.iter().filter(|path| !belongs(path)) {
            let _ = std::fs::remove_file(path);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_belongs_to_a_whole_record_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert!(store.is_empty() && store.load().unwrap().0.is_empty(), "a missing directory is empty");
        store.create().unwrap();
        let record: Record = serde_json::from_value(json!({
            "task": {"alloc": "64b7c15e-78da-7d8a-228e-2b89f5050782", "task": "a/../b", "attempt": 3},
            "pid": 7, "start_time": 9, "boot_id": "x", "cgroup": null, "started_at": 5, "logs": "/logs",
            "log_settings": {"max_files": 1, "max_file_mb": 1, "disabled": false}, "exit": null,
        }))
        .unwrap();
        store.save(&record).unwrap();
        let pipe = store.pipe_path(&record.task, LogKind::Stdout);
        std::fs::write(&pipe, "").unwrap();
        for name in ["cut-off.json", "unfinished.new", "orphan.stdout"] {
            std::fs::write(dir.path().join("tasks").join(name), "").unwrap();
        }
        let (records, unreadable) = store.load().unwrap();
        assert_eq!(records, std::slice::from_ref(&record));
        assert_eq!(unreadable.len(), 1);
        assert_eq!(std::fs::read_dir(dir.path().join("tasks")).unwrap().count(), 2);
        store.remove(&record.task);
        assert!(store.is_empty());
    }
}
