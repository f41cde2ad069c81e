//! `job plan`: the same scheduler on a copy of the state, with nothing written.

use std::sync::Arc;

use model::document::Document;
use model::evaluation::Plan;
use model::id::{JobKey, Seed};
use model::job::Job;
use model::time::Timestamp;
use state::{Command, Op, Reply, State, StoredJob};

use crate::leader::planner::{plan_one, table_of};

/// What a job would do if it were registered now.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The decision: `plan.eval.annotations` and `plan.eval.failed_tg_allocs` are what `job plan` prints.
    pub plan: Plan,
    /// The job as it is registered now, to compare with.
    pub before: Option<Arc<StoredJob>>,
    /// The job as it would be stored, with version and indexes.
    pub after: Arc<Document>,
    /// The state's index that this was computed at.
    pub index: u64,
}

/// Registers `job` in a copy of `state` and plans it there.
pub(crate) fn run(state: &State, job: Box<Job>, now: Timestamp, seed: Seed) -> DryRun {
    let index = state.index();
    let key = JobKey::new(job.namespace.as_deref().unwrap_or("default"), job.id.as_deref().unwrap_or_default());
    let before = state.job(&key);
    let unchanged = Arc::new(Document::from(job.as_ref().clone()));
    let mut copy = state.clone();
    let op = Op::register(*job);
    let outcome = copy.apply(index + 1, &Command { at: now, seed, op });
    let after = copy.job(&key).map_or(unchanged, |stored| stored.document.clone());
    let eval = match outcome.reply {
        Reply::Job(written) => written.eval_id.and_then(|id| copy.eval(id)),
        _ => None,
    };
    let plan = eval.map_or_else(Plan::default, |eval| {
        let table = table_of(&copy);
        plan_one(&table, &copy, &eval, now, seed.child(0))
    });
    DryRun { plan, before, after, index }
}
