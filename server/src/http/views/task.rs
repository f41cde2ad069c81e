//! Task states and events. Nomad's older flat fields of an event are filled from its details.

use std::collections::BTreeMap;

use model::task_state::{TaskEvent, TaskState};
use serde_json::{Map, Value, json};

use super::{time_or_null, value_of};

/// `TaskStates`: null while there are none.
pub(in crate::http) fn states(states: &BTreeMap<String, TaskState>) -> Value {
    if states.is_empty() {
        return Value::Null;
    }
    states.iter().map(|(name, state)| (name.clone(), task_state(state))).collect::<Map<_, _>>().into()
}

fn task_state(state: &TaskState) -> Value {
    json!({
        "State": value_of(&state.state),
        "Failed": state.failed,
        "Restarts": state.restarts,
        "LastRestart": time_or_null(state.last_restart),
        "StartedAt": time_or_null(state.started_at),
        "FinishedAt": time_or_null(state.finished_at),
        "Events": state.events.iter().map(event).collect::<Vec<_>>(),
        "Paused": "",
    })
}

fn event(event: &TaskEvent) -> Value {
    let text = |key: &str| event.details.get(key).map(String::as_str).unwrap_or_default();
    let number = |key: &str| text(key).parse::<i64>().unwrap_or(0);
    json!({
        "Type": event.kind,
        "Time": event.time.0,
        "Message": event.message,
        "DisplayMessage": event.display_message,
        "Details": event.details,
        "FailsTask": text("fails_task") == "true",
        "RestartReason": text("restart_reason"),
        "SetupError": text("setup_error"),
        "DriverError": text("driver_error"),
        "DriverMessage": text("driver_message"),
        "ExitCode": number("exit_code"),
        "Signal": number("signal"),
        "KillTimeout": number("kill_timeout"),
        "KillError": text("kill_error"),
        "KillReason": text("kill_reason"),
        "StartDelay": number("start_delay"),
        "DownloadError": text("download_error"),
        "ValidationError": text("validation_error"),
        "DiskLimit": number("disk_limit"),
        "FailedSibling": text("failed_sibling"),
        "VaultError": text("vault_error"),
        "TaskSignalReason": text("task_signal_reason"),
        "TaskSignal": text("task_signal"),
        "GenericSource": text("generic_source"),
    })
}
