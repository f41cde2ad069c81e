//! The processes of one machine. They outlive the agent that started them, and end with the machine.

use std::collections::BTreeMap;

use ::driver::{ExitResult, TaskId};

/// Where a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is being started.
    Starting,
    /// It runs.
    Up,
    /// It has ended; whoever waits is told how.
    Ended(ExitResult),
}

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Tells it from others of the same name.
    pub serial: u64,
    /// Where it is.
    pub life: Life,
    /// How long it runs, in milliseconds, and its exit code; none for one that runs until it is stopped.
    pub plan: Option<(i64, i32)>,
    /// Whether its start will succeed.
    pub comes_up: bool,
}

/// All processes of a machine.
#[derive(Clone, Debug, Default)]
pub struct Processes(BTreeMap<TaskId, Process>);

impl Processes {
    /// One process.
    pub fn get(&self, id: &TaskId) -> Option<&Process> {
        self.0.get(id)
    }

    /// One process, unless another took its name.
    pub fn named(&mut self, id: &TaskId, serial: u64) -> Option<&mut Process> {
        self.0.get_mut(id).filter(|process| process.serial == serial)
    }

    /// A new process, being started.
    pub fn begin(&mut self, id: TaskId, process: Process) {
        self.0.insert(id, process);
    }

    /// Kills it and removes every trace of it.
    pub fn remove(&mut self, id: &TaskId) {
        self.0.remove(id);
    }

    /// All that run.
    pub fn running(&self) -> impl Iterator<Item = &TaskId> {
        self.0.iter().filter(|(_, process)| process.life == Life::Up).map(|(id, _)| id)
    }

    /// All, in whatever state.
    pub fn all(&self) -> impl Iterator<Item = (&TaskId, &Process)> {
        self.0.iter()
    }

    /// The machine died.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
