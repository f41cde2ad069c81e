//! Jobs: registered, stopped, purged.

use std::sync::Arc;

use model::api::JobSubmission;
use model::document::{Document, Head};
use model::evaluation::trigger;
use model::id::JobKey;
use model::job::asks_the_same;

use super::evals::{self, Cause};
use super::write::Writer;
use crate::reply::{JobWritten, Refusal, Reply};
use crate::row::StoredJob;

/// Stores a document, as a new version unless it says what the stored one says, and makes an evaluation.
pub(super) fn register(
    writer: &mut Writer<'_>,
    document: &Document,
    submission: Option<&JobSubmission>,
    enforce: Option<u64>,
    eval_priority: i64,
) -> Result<Reply, Refusal> {
    let key = document.head().key.clone();
    if key.id.is_empty() {
        return Err(Refusal::JobWithoutId);
    }
    let stored = writer.state.job(&key);
    let actual = stored.as_ref().map_or(0, |job| job.head().job_modify_index);
    if let Some(expected) = enforce.filter(|expected| *expected != actual) {
        return Err(Refusal::EnforceIndex { key, expected, actual });
    }
    // What cannot be read any more is replaced.
    let same = |stored: &Document| stored.try_peek(|old| document.try_peek(|new| asks_the_same(old, new)));
    let is_same = |job: &Arc<StoredJob>| !document.head().is_tagged && matches!(same(&job.document), Ok(Ok(true)));
    let unchanged = stored.filter(is_same);
    let new_version = unchanged.is_none();
    let job = match unchanged {
        Some(job) => job,
        None => store_version(writer, document, document.head().stopped, submission.cloned().map(Arc::new)),
    };
    let cause = Cause { priority: eval_priority, ..Cause::of(trigger::JOB_REGISTER) };
    let eval_id = (!job.head().is_template).then(|| evals::create(writer, &job, cause));
    let job_modify_index = job.head().job_modify_index;
    Ok(Reply::Job(JobWritten { eval_id, job_modify_index, index: writer.index, new_version }))
}

/// Stops a job (a version of its own, as Nomad keeps it) or forgets it, and makes an evaluation.
pub(super) fn deregister(writer: &mut Writer<'_>, key: &JobKey, purge: bool, eval_priority: i64) -> Reply {
    let Some(stored) = writer.state.job(key) else { return Reply::Job(JobWritten::default()) };
    let new_version = !purge && !stored.head().stopped;
    let job =
        if new_version { store_version(writer, &stored.document, true, stored.submission.clone()) } else { stored };
    if purge {
        writer.remove_job(key);
        writer.prune_versions(key);
    }
    let cause = Cause { priority: eval_priority, ..Cause::of(trigger::JOB_DEREGISTER) };
    let eval_id = (!job.head().is_template).then(|| evals::create(writer, &job, cause));
    let job_modify_index = if purge { writer.index } else { job.head().job_modify_index };
    Reply::Job(JobWritten { eval_id, job_modify_index, index: writer.index, new_version })
}

/// Stores a document as the next version of its job, or as the first of a new one.
fn store_version(
    writer: &mut Writer<'_>,
    document: &Document,
    stopped: bool,
    submission: Option<Arc<JobSubmission>>,
) -> Arc<StoredJob> {
    let key = &document.head().key;
    let stored = writer.state.job(key);
    let head = Head {
        stopped,
        is_tagged: false,
        version: next_version(writer, key, stored.as_deref()),
        create_index: stored.as_ref().map_or(writer.index, |job| job.head().create_index),
        modify_index: writer.index,
        job_modify_index: writer.index,
        submit_time: writer.at.0,
        ..document.head().clone()
    };
    let job = Arc::new(StoredJob { document: Arc::new(document.with_head(head)), submission });
    writer.put_job(job.clone());
    if stored.is_some() {
        writer.prune_versions(key);
    }
    job
}

/// One more than the last. A job that was purged in this very entry goes on counting: its allocations name versions by
/// the index of creation, which is the same.
fn next_version(writer: &Writer<'_>, key: &JobKey, stored: Option<&StoredJob>) -> u64 {
    let create_index = stored.map_or(writer.index, |job| job.head().create_index);
    let last = writer.state.versions.get_prev(&(key.clone(), create_index, u64::MAX));
    let own = last.filter(|((of, create, _), _)| (of, *create) == (key, create_index));
    own.map_or(0, |((_, _, version), _)| version + 1)
}
