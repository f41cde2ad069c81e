//! What the planner sees of one job.

use std::sync::Arc;

use model::allocation::Allocation;
use model::compiled::CompiledJob;
use model::id::JobKey;
use model::job::Job;

/// One job with everything that belongs to it, as of one state index.
pub struct JobView<'a> {
    /// The current version; none when the job was purged.
    pub job: Option<&'a CompiledJob>,
    /// Its name, also when it was purged.
    pub key: &'a JobKey,
    /// All its allocations of any version, ended ones included.
    pub allocs: Vec<&'a Allocation>,
    /// A version by its number, when the state still has it.
    pub old_versions: &'a dyn Fn(u64) -> Option<Arc<CompiledJob>>,
    /// The document of a version, current or old, when the state still has it.
    pub documents: &'a dyn Fn(u64) -> Option<Arc<Job>>,
}
