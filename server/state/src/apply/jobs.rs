//! Jobs: registered, stopped, purged.

use std::sync::Arc;

use model::api::JobSubmission;
use model::evaluation::trigger;
use model::id::JobKey;
use model::job::{Job, asks_the_same};

use super::evals::{self, Cause};
use super::write::Writer;
use crate::reply::{JobWritten, Refusal, Reply};
use crate::row::StoredJob;

/// Stores a document, as a new version unless it says what the stored one says, and makes an evaluation.
pub(super) fn register(
    writer: &mut Writer<'_>,
    document: &Job,
    submission: Option<&JobSubmission>,
    enforce: Option<u64>,
    eval_priority: i64,
) -> Result<Reply, Refusal> {
    let key = key_of(document)?;
    let stored = writer.state.job(&key);
    let actual = stored.as_ref().map_or(0, |job| job.compiled.job_modify_index);
    if let Some(expected) = enforce.filter(|expected| *expected != actual) {
        return Err(Refusal::EnforceIndex { key, expected, actual });
    }
    let unchanged = stored.filter(|job| asks_the_same(&job.document, document));
    let new_version = unchanged.is_none();
    let job = match unchanged {
        Some(job) => job,
        None => store_version(writer, &key, document.clone(), submission.cloned().map(Arc::new)),
    };
    let cause = Cause { priority: eval_priority, ..Cause::of(trigger::JOB_REGISTER) };
    let eval_id = (!job.is_template()).then(|| evals::create(writer, &job, cause));
    let job_modify_index = job.compiled.job_modify_index;
    Ok(Reply::Job(JobWritten { eval_id, job_modify_index, index: writer.index, new_version }))
}

/// Stops a job (a version of its own, as Nomad keeps it) or forgets it, and makes an evaluation.
pub(super) fn deregister(writer: &mut Writer<'_>, key: &JobKey, purge: bool, eval_priority: i64) -> Reply {
    let Some(stored) = writer.state.job(key) else { return Reply::Job(JobWritten::default()) };
    let new_version = !purge && !stored.compiled.stopped;
    let job = if new_version {
        let document = Job { stop: Some(true), ..Job::clone(&stored.document) };
        store_version(writer, key, document, stored.submission.clone())
    } else {
        stored
    };
    if purge {
        writer.remove_job(key);
        writer.prune_versions(key);
    }
    let cause = Cause { priority: eval_priority, ..Cause::of(trigger::JOB_DEREGISTER) };
    let eval_id = (!job.is_template()).then(|| evals::create(writer, &job, cause));
    let job_modify_index = if purge { writer.index } else { job.compiled.job_modify_index };
    Reply::Job(JobWritten { eval_id, job_modify_index, index: writer.index, new_version })
}

fn key_of(document: &Job) -> Result<JobKey, Refusal> {
    let namespace = document.namespace.as_deref().filter(|text| !text.is_empty()).unwrap_or("default");
    match document.id.as_deref() {
        None | Some("") => Err(Refusal::JobWithoutId),
        Some(id) => Ok(JobKey::new(namespace, id)),
    }
}

/// Stores a document as the next version of its job, or as the first of a new one.
fn store_version(
    writer: &mut Writer<'_>,
    key: &JobKey,
    mut document: Job,
    submission: Option<Arc<JobSubmission>>,
) -> Arc<StoredJob> {
    let stored = writer.state.job(key);
    document.version = Some(next_version(writer, key, stored.as_deref()));
    document.create_index = Some(stored.as_ref().map_or(writer.index, |job| job.compiled.create_index));
    document.modify_index = Some(writer.index);
    document.job_modify_index = Some(writer.index);
    document.submit_time = Some(writer.at.0);
    document.stable = Some(false);
    document.status = Some(if document.stop == Some(true) { "dead" } else { "pending" }.to_owned());
    document.status_description = Some(String::new());
    document.version_tag = None;
    let job = Arc::new(StoredJob::new(document, submission));
    writer.put_job(job.clone());
    writer.prune_versions(key);
    job
}

/// One more than the last. A job that was purged in this very entry goes on counting: its allocations name versions by
/// the index of creation, which is the same.
fn next_version(writer: &Writer<'_>, key: &JobKey, stored: Option<&StoredJob>) -> u64 {
    let create_index = stored.map_or(writer.index, |job| job.compiled.create_index);
    let range = (key.clone(), create_index, 0)..=(key.clone(), create_index, u64::MAX);
    writer.state.versions.range(range).next_back().map_or(0, |((_, _, version), _)| version + 1)
}
