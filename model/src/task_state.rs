//! What happened to a task: its state and the events that led there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskRunState {
    /// Not running now: not started, or waiting for a restart.
    #[default]
    Pending,
    /// Running.
    Running,
    /// Ended for good.
    Dead,
}

/// The state of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// Where it is in its life.
    pub state: TaskRunState,
    /// Whether it ended badly.
    pub failed: bool,
    /// Restarts so far.
    pub restarts: u64,
    /// When it last restarted.
    pub last_restart: Option<Timestamp>,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// When it ended for good.
    pub finished_at: Option<Timestamp>,
    /// The last events, oldest first; at most [`TaskState::MAX_EVENTS`].
    pub events: Vec<TaskEvent>,
}

impl TaskState {
    /// Older events are dropped beyond this number, as Nomad does.
    pub const MAX_EVENTS: usize = 10;

    /// Appends an event, dropping the oldest beyond the limit.
    pub fn push_event(&mut self, event: TaskEvent) {
        if self.events.len() == Self::MAX_EVENTS {
            self.events.remove(0);
        }
        self.events.push(event);
    }
}

/// Something that happened to a task. The API fills Nomad's older flat fields from `details` when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Nomad's event type, such as `Started`.
    pub kind: String,
    /// When.
    pub time: Timestamp,
    /// The sentence for users.
    pub display_message: String,
    /// The driver's or hook's own text.
    pub message: String,
    /// Facts, such as `exit_code`, as texts.
    pub details: BTreeMap<String, String>,
}

impl TaskEvent {
    /// An event of `kind` with its sentence.
    pub fn new(kind: &str, time: Timestamp, display_message: impl Into<String>) -> TaskEvent {
        TaskEvent { kind: kind.to_owned(), time, display_message: display_message.into(), ..TaskEvent::default() }
    }

    /// The same event with one more fact.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl ToString) -> TaskEvent {
        self.details.insert(key.to_owned(), value.to_string());
        self
    }
}

/// The event types that clients know.
pub mod event {
    /// The client has the allocation.
    pub const RECEIVED: &str = "Received";
    /// Directories are made.
    pub const TASK_SETUP: &str = "Task Setup";
    /// Setting up failed.
    pub const SETUP_FAILURE: &str = "Setup Failure";
    /// The driver could not start the task.
    pub const DRIVER_FAILURE: &str = "Driver Failure";
    /// Something a driver says, such as the progress of a pull.
    pub const DRIVER: &str = "Driver";
    /// The task's config is wrong.
    pub const FAILED_VALIDATION: &str = "Failed Validation";
    /// The task runs.
    pub const STARTED: &str = "Started";
    /// The task's process ended.
    pub const TERMINATED: &str = "Terminated";
    /// The task is being stopped.
    pub const KILLING: &str = "Killing";
    /// The task was stopped.
    pub const KILLED: &str = "Killed";
    /// The task will be started again.
    pub const RESTARTING: &str = "Restarting";
    /// The task will not be started again.
    pub const NOT_RESTARTING: &str = "Not Restarting";
    /// A user or a check asked for a restart.
    pub const RESTART_SIGNALED: &str = "Restart Signaled";
    /// A signal is sent.
    pub const SIGNALING: &str = "Signaling";
    /// Another task of the group failed.
    pub const SIBLING_FAILED: &str = "Sibling Task Failed";
    /// The leader task ended.
    pub const LEADER_DEAD: &str = "Leader Task Dead";
    /// All main tasks ended.
    pub const MAIN_DEAD: &str = "Main Tasks Dead";
    /// The task could not be found again after an agent restart.
    pub const FAILED_RESTORING: &str = "Failed Restoring Task";
    /// Waiting before the task is stopped.
    pub const WAITING_SHUTDOWN_DELAY: &str = "Waiting for shutdown delay";
}
