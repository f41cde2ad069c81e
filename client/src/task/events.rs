//! The events of a task, worded as Nomad's users know them.

use driver::ExitResult;
use model::task_state::{TaskEvent, event};
use model::time::{GoDuration, Timestamp};

use super::lifecycle::StopReason;

pub(crate) fn received(now: Timestamp) -> TaskEvent {
    TaskEvent::new(event::RECEIVED, now, "Task received by client")
}

pub(crate) fn setup(now: Timestamp) -> TaskEvent {
    let text = "Building Task Directory";
    with_message(TaskEvent::new(event::TASK_SETUP, now, text).detail("message", text), text)
}

pub(crate) fn started(now: Timestamp) -> TaskEvent {
    TaskEvent::new(event::STARTED, now, "Task started by client")
}

pub(crate) fn progress(now: Timestamp, text: &str) -> TaskEvent {
    with_message(TaskEvent::new(event::DRIVER, now, text).detail("driver_message", text), text)
}

pub(crate) fn setup_failure(now: Timestamp, why: &str) -> TaskEvent {
    with_message(
        TaskEvent::new(event::SETUP_FAILURE, now, why).detail("setup_error", why).detail("fails_task", true),
        why,
    )
}

pub(crate) fn failed_validation(now: Timestamp, why: &str) -> TaskEvent {
    with_message(TaskEvent::new(event::FAILED_VALIDATION, now, why).detail("validation_error", why), why)
}

pub(crate) fn driver_failure(now: Timestamp, why: &str) -> TaskEvent {
    with_message(TaskEvent::new(event::DRIVER_FAILURE, now, why).detail("driver_error", why), why)
}

pub(crate) fn terminated(now: Timestamp, exit: &ExitResult) -> TaskEvent {
    let message = match (&exit.unknown, exit.oom_killed) {
        (Some(why), _) => why.as_str(),
        (None, true) => "OOM Killed",
        (None, false) => "",
    };
    let mut text = format!("Exit Code: {}", exit.exit_code);
    if exit.signal != 0 {
        text.push_str(&format!(", Signal: {}", exit.signal));
    }
    if !message.is_empty() {
        text.push_str(&format!(", Exit Message: {message:?}"));
    }
    let mut made = TaskEvent::new(event::TERMINATED, now, text)
        .detail("exit_code", exit.exit_code)
        .detail("signal", exit.signal)
        .detail("oom_killed", exit.oom_killed);
    if !message.is_empty() {
        made = with_message(made.detail("exit_message", message), message);
    }
    made
}

pub(crate) fn restarting(now: Timestamp, delay: GoDuration, reason: &str) -> TaskEvent {
    let prefix = if reason.starts_with("Exceeded") { format!("{reason} - ") } else { String::new() };
    TaskEvent::new(event::RESTARTING, now, format!("{prefix}Task restarting in {delay}"))
        .detail("restart_reason", reason)
        .detail("start_delay", delay.0)
}

pub(crate) fn not_restarting(now: Timestamp, reason: &str) -> TaskEvent {
    TaskEvent::new(event::NOT_RESTARTING, now, reason).detail("restart_reason", reason).detail("fails_task", true)
}

pub(crate) fn restart_signaled(now: Timestamp, reason: &str) -> TaskEvent {
    TaskEvent::new(event::RESTART_SIGNALED, now, reason).detail("restart_reason", reason)
}

pub(crate) fn signaling(now: Timestamp, signal: &str) -> TaskEvent {
    TaskEvent::new(event::SIGNALING, now, "Task being sent a signal").detail("signal", signal)
}

/// The event that says why a task is stopped, if that is not plain.
pub(crate) fn stop_cause(now: Timestamp, reason: &StopReason) -> Option<TaskEvent> {
    Some(match reason {
        StopReason::Asked => return None,
        StopReason::Sibling(name) => {
            TaskEvent::new(event::SIBLING_FAILED, now, format!("Task's sibling {name:?} failed"))
                .detail("failed_sibling", name)
        }
        StopReason::LeaderDead => TaskEvent::new(event::LEADER_DEAD, now, "Leader Task in Group dead"),
        StopReason::MainDead => TaskEvent::new(event::MAIN_DEAD, now, "Main tasks in the group died"),
    })
}

pub(crate) fn killing(now: Timestamp, signal: &str, timeout: GoDuration) -> TaskEvent {
    let signal = if signal.is_empty() { "interrupt" } else { signal };
    TaskEvent::new(event::KILLING, now, format!("Sent {signal}. Waiting {timeout} before force killing"))
        .detail("kill_timeout", timeout)
}

pub(crate) fn shutdown_delay(now: Timestamp, delay: GoDuration) -> TaskEvent {
    let text = format!("Waiting for shutdown_delay of {delay} before killing the task.");
    TaskEvent::new(event::WAITING_SHUTDOWN_DELAY, now, text)
}

pub(crate) fn killed(now: Timestamp) -> TaskEvent {
    TaskEvent::new(event::KILLED, now, "Task successfully killed")
}

pub(crate) fn failed_restoring(now: Timestamp, why: &str) -> TaskEvent {
    with_message(TaskEvent::new(event::FAILED_RESTORING, now, why).detail("driver_error", why), why)
}

pub(crate) fn alloc_unhealthy(now: Timestamp, why: &str) -> TaskEvent {
    with_message(TaskEvent::new("Alloc Unhealthy", now, why).detail("message", why), why)
}

fn with_message(mut made: TaskEvent, message: &str) -> TaskEvent {
    made.message = message.to_owned();
    made
}
