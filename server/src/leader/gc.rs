//! Whether there is garbage, pure. What exactly goes is decided where it is applied.

use model::time::Timestamp;
use state::State;

/// Whether anything has ended before `before`, so that a collection is worth a log entry.
pub fn worth_it(state: &State, before: Timestamp) -> bool {
    state.evals().any(|eval| eval.status.is_terminal() && eval.modify_time < before)
        || state.alloc_rows().any(|row| !row.is_live() && row.modify_time() < before)
}
