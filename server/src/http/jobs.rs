//! Reading jobs: lists, documents, versions, summaries, and what belongs to a job.

use std::cmp::Reverse;

use model::id::JobKey;
use serde_json::{Value, json};
use state::{State, Table};

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::query::{ReadOptions, page};
use super::response::{Indexed, Reply};
use super::views::allocation::JobOf;
use super::views::{self, value_of};
use super::{filter, plan};
use crate::Topic;

/// A page of a list, and the token of the next.
pub(super) type Page = (Vec<Value>, Option<String>);

/// Answers with a page.
pub(super) fn list_reply((rows, next_token): Page, indexed: Indexed) -> Answer {
    let reply = Reply::json(&rows)?;
    Ok(Reply { indexed, next_token, ..reply })
}

/// Answers with one value.
pub(super) fn value_reply(value: Value, indexed: Indexed) -> Answer {
    let reply = Reply::json(&value)?;
    Ok(Reply { indexed, ..reply })
}

/// Everything that the status and the counts of jobs are derived from.
pub(super) const JOB_TOPICS: [Topic; 3] =
    [Topic::Table(Table::Jobs), Topic::Table(Table::Allocs), Topic::Table(Table::Evals)];

fn newest(state: &State) -> u64 {
    [Table::Jobs, Table::Allocs, Table::Evals].into_iter().map(|table| state.table_index(table)).max().unwrap_or(0)
}

/// The newest change of a job, its allocations or its evaluations: what its status is derived from.
fn job_index(state: &State, key: &JobKey) -> u64 {
    let Some(stored) = state.job(key) else { return state.table_index(Table::Jobs) };
    let allocs = state.alloc_rows_of_job(key).map(|row| row.modify_index());
    let evals = state.evals_of_job(key).map(|eval| eval.modify_index);
    allocs.chain(evals).max().unwrap_or(0).max(stored.head().modify_index)
}

impl Call {
    /// The job that the path names.
    pub fn job_key(&self) -> JobKey {
        JobKey::new(self.namespace(), &self.id)
    }

    async fn read_job<T>(
        &self,
        find: impl FnOnce(&State, &JobKey) -> ApiResult<T>,
    ) -> Result<(T, Indexed), super::call::Failure> {
        let key = self.job_key();
        let topic = Topic::Job(key.clone());
        self.read(&[topic], |state, _| job_index(state, &key), |state, _| find(state, &key)).await
    }
}

pub(super) fn no_job(key: &JobKey) -> ApiError {
    ApiError::not_found(format!("job not found: there is no job {:?} in namespace {:?}", key.id, key.namespace))
}

/// `GET /v1/jobs`
pub(super) async fn list(call: Call) -> Answer {
    let with_meta = call.query.strict_bool("meta")?;
    let (page, indexed) =
        call.read(&JOB_TOPICS, |state, _| newest(state), |state, options| list_page(state, options, with_meta)).await?;
    list_reply(page, indexed)
}

fn list_page(state: &State, options: &ReadOptions, with_meta: bool) -> ApiResult<Page> {
    let mut keys: Vec<JobKey> = if options.namespace == "*" {
        let all = state.jobs().map(|(key, _)| key);
        all.filter(|key| key.id.starts_with(&options.prefix)).cloned().collect()
    } else {
        state.jobs_with_prefix(&options.namespace, &options.prefix).map(|(key, _)| key.clone()).collect()
    };
    if !options.filter.is_empty() {
        let mut kept = Vec::new();
        let filter = filter::Filter::parse(&options.filter)?;
        for key in keys {
            if filter.accepts(&stub(state, &key))? {
                kept.push(key);
            }
        }
        keys = kept;
    }
    let parse = |token: &str| token.split_once('.').map(|(namespace, id)| JobKey::new(namespace, id));
    let token = |key: &JobKey| format!("{}.{}", key.namespace, key.id);
    let (keys, next) = page(keys, options, JobKey::clone, token, parse);
    let stubs = keys.iter().map(|key| {
        let mut stub = stub(state, key);
        if !with_meta && let Some(fields) = stub.as_object_mut() {
            fields.remove("Meta");
        }
        stub
    });
    Ok((stubs.collect(), next))
}

fn stub(state: &State, key: &JobKey) -> Value {
    let Some(stored) = state.job(key) else { return Value::Null };
    let status = state.job_status(key).map_or("", |status| status.as_str());
    let summary = state.job_summary(key).as_ref().map_or(Value::Null, value_of);
    stored.document.peek(|job| views::job::stub(job, status, summary))
}

/// `GET /v1/job/:id`
pub(super) async fn get(call: Call) -> Answer {
    let find = |state: &State, key: &JobKey| {
        state.job_document(key).map(|job| views::job::document(&job)).ok_or_else(|| no_job(key))
    };
    let (job, indexed) = call.read_job(find).await?;
    value_reply(job, indexed)
}

/// `GET /v1/job/:id/summary`
pub(super) async fn summary(call: Call) -> Answer {
    let find = |state: &State, key: &JobKey| state.job_summary(key).ok_or_else(|| no_job(key));
    let (summary, indexed) = call.read_job(find).await?;
    value_reply(value_of(&summary), indexed)
}

/// `GET /v1/job/:id/allocations`
pub(super) async fn allocations(call: Call) -> Answer {
    let all = call.query.lenient_bool("all");
    let key = call.job_key();
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Allocs);
    let find = |state: &State, _: &ReadOptions| {
        let present = state.job(&key).map(|job| job.head().create_index);
        let wanted =
            state.allocs_of_job(&key).filter(|alloc| all || present.is_none_or(|at| alloc.job_create_index == at));
        let stubs = wanted.map(|alloc| {
            let job = state.job_of_alloc(&alloc);
            let job = job.as_ref().map(|job| JobOf::of(job));
            views::allocation::stub(&alloc, job, false, true)
        });
        Ok((stubs.collect(), None))
    };
    let (page, indexed) = call.read(&[Topic::Table(Table::Allocs)], index, find).await?;
    list_reply(page, indexed)
}

/// `GET /v1/job/:id/evaluations`, newest first.
pub(super) async fn evaluations(call: Call) -> Answer {
    let key = call.job_key();
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Evals);
    let find = |state: &State, _: &ReadOptions| {
        let mut evals: Vec<_> = state.evals_of_job(&key).collect();
        evals.sort_by_key(|eval| Reverse((eval.create_index, eval.id)));
        Ok((evals.into_iter().map(|eval| views::evaluation::full(eval)).collect(), None))
    };
    let (page, indexed) = call.read(&[Topic::Table(Table::Evals)], index, find).await?;
    list_reply(page, indexed)
}

/// `GET /v1/job/:id/deployments`: there are none yet.
pub(super) async fn deployments(call: Call) -> Answer {
    let (page, indexed) = call.read_job(|_, _| Ok((Vec::new(), None))).await?;
    list_reply(page, indexed)
}

/// `GET /v1/job/:id/deployment`: there is none yet.
pub(super) async fn latest_deployment(call: Call) -> Answer {
    let (none, indexed) = call.read_job(|_, _| Ok(Value::Null)).await?;
    value_reply(none, indexed)
}

/// `GET /v1/job/:id/versions`, newest first; with `diffs=true` each compared with the one before, or with `diff_version`.
pub(super) async fn versions(call: Call) -> Answer {
    let diffs = call.query.strict_bool("diffs")?;
    let against = match call.query.non_empty("diff_version") {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            ApiError::bad_request(format!("diff_version must be the number of a version, not {text:?}"))
        })?),
    };
    let find = |state: &State, key: &JobKey| {
        let stored = state.job_versions(key);
        if stored.is_empty() {
            return Err(ApiError::not_found(format!("job versions not found: there is no job {:?}", key.id)));
        }
        let current = state.job_document(key);
        let documents = stored.iter().enumerate().map(|(age, version)| match &current {
            Some(job) if age == 0 => views::job::document(job),
            _ => version.document.peek(views::job::document),
        });
        let documents: Vec<Value> = documents.collect();
        let jobs = || -> Vec<_> { stored.iter().map(|version| version.document.job()).collect() };
        let diffs = if diffs { plan::version_diffs(&jobs(), against)? } else { Value::Null };
        Ok((documents, diffs))
    };
    let ((documents, diffs), indexed) = call.read_job(find).await?;
    let index = if let Indexed::Read { index, .. } = indexed { index } else { 0 };
    let body = json!({
        "Versions": documents, "Diffs": diffs,
        "Index": index, "LastContact": 0, "KnownLeader": true, "NextToken": "",
    });
    value_reply(body, indexed)
}

/// `GET /v1/job/:id/submission`
pub(super) async fn submission(call: Call) -> Answer {
    let version: u64 = call.query.get("version").and_then(|text| text.parse().ok()).ok_or_else(|| {
        ApiError::bad_request("Unable to parse job submission version parameter: version must be a number")
    })?;
    let key = call.job_key();
    let found = |state: &State| {
        state
            .job_versions(&key)
            .into_iter()
            .find(|stored| stored.head().version == version && stored.submission.is_some())
    };
    let index = |state: &State, _: &ReadOptions| found(state).map_or(0, |stored| stored.head().job_modify_index);
    let find = |state: &State, _: &ReadOptions| {
        let stored = found(state).ok_or_else(|| ApiError::not_found("job source not found"))?;
        let mut object = stored.submission.as_deref().map_or(Value::Null, value_of);
        if let Some(fields) = object.as_object_mut() {
            fields.insert("JobID".to_owned(), json!(key.id));
            fields.insert("Namespace".to_owned(), json!(key.namespace));
            fields.insert("Version".to_owned(), json!(version));
            fields.insert("JobModifyIndex".to_owned(), json!(stored.head().job_modify_index));
        }
        Ok(object)
    };
    let (body, indexed) = call.read(&[Topic::Job(key.clone())], index, find).await?;
    value_reply(body, indexed)
}

/// `GET /v1/job/:id/actions`
pub(super) async fn actions(call: Call) -> Answer {
    let key = call.job_key();
    let Some(stored) = call.server.state().job(&key) else {
        return Err(ApiError::refused(format!("Unknown job {:?}", key.id)).into());
    };
    let mut rows = Vec::new();
    for group in stored.document.job().task_groups.iter().flatten() {
        for task in group.tasks.iter().flatten() {
            for action in task.actions.iter().flatten() {
                let mut row = value_of(action);
                if let Some(fields) = row.as_object_mut() {
                    fields.insert("TaskName".to_owned(), json!(task.name));
                    fields.insert("TaskGroupName".to_owned(), json!(group.name));
                }
                rows.push(row);
            }
        }
    }
    Ok(Reply::json(&rows)?.read_at(0, false))
}

/// Routes of Nomad that drover does not have yet: said plainly, so that nobody takes the path for a job's id.
pub(super) async fn not_yet(_call: Call) -> Answer {
    Err(ApiError::new(http::StatusCode::NOT_IMPLEMENTED, "drover cannot do this with a job yet").into())
}
