//! `job plan`: the same scheduler on a copy of the state, with nothing written.

use std::sync::Arc;

use model::evaluation::Plan;
use model::job::Job;
use state::StoredJob;

/// What a job would do if it were registered now.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The decision: `plan.eval.annotations` and `plan.eval.failed_tg_allocs` are what `job plan` prints.
    pub plan: Plan,
    /// The job as it is registered now, to compare with.
    pub before: Option<Arc<StoredJob>>,
    /// The job as it would be stored, with version and indexes.
    pub after: Arc<Job>,
    /// The state's index that this was computed at.
    pub index: u64,
}
