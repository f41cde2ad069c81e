//! Allocations: lists, one with its job, and stopping one.

use std::sync::Arc;

use model::allocation::Allocation;
use model::id::AllocId;
use serde_json::{Value, json};
use state::{AllocRow, Op, State, StoredJob, Table};

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult, malformed_id};
use super::filter::Filter;
use super::jobs::{Page, list_reply, value_reply};
use super::query::{IdRange, ReadOptions, page};
use super::response::Reply;
use super::views;
use super::views::allocation::JobOf;
use crate::Topic;

impl Call {
    /// The id of the allocation that the path names.
    pub fn alloc_id(&self) -> ApiResult<AllocId> {
        self.id.parse().map_err(|why| malformed_id("alloc", &why))
    }
}

/// The full object of `alloc`.
pub(super) fn full(state: &State, alloc: &Allocation) -> Value {
    with_job(state.job_of_alloc(alloc), |job| views::allocation::full(alloc, job))
}

fn with_job<T>(stored: Option<Arc<StoredJob>>, view: impl FnOnce(Option<JobOf<'_>>) -> T) -> T {
    view(stored.as_ref().map(|job| JobOf::of(job)))
}

/// `GET /v1/allocations`
pub(super) async fn list(call: Call) -> Answer {
    let with_states = call.query.non_empty("task_states").is_none() || call.query.strict_bool("task_states")?;
    let with_resources = call.query.checked_bool("resources")?;
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Allocs);
    let find = |state: &State, options: &ReadOptions| list_page(state, options, with_resources, with_states);
    let (page, indexed) = call.read(&[Topic::Table(Table::Allocs)], index, find).await?;
    list_reply(page, indexed)
}

/// One row of a list.
pub(super) fn stub(state: &State, alloc: &Allocation) -> Value {
    with_job(state.job_of_alloc(alloc), |job| views::allocation::stub(alloc, job, false, true))
}

fn list_page(state: &State, options: &ReadOptions, with_resources: bool, with_states: bool) -> ApiResult<Page> {
    let range = IdRange::of(&options.prefix, "alloc")?;
    let stub = |alloc: &Allocation, resources: bool, states: bool| {
        with_job(state.job_of_alloc(alloc), |job| views::allocation::stub(alloc, job, resources, states))
    };
    let in_range = state.alloc_rows_between(AllocId(range.first), AllocId(range.last));
    let wanted = in_range.filter(|row| options.wants_namespace(&row.job().namespace));
    let mut rows: Vec<&Arc<AllocRow>> = Vec::new();
    let filter = if options.filter.is_empty() { None } else { Some(Filter::parse(&options.filter)?) };
    for row in wanted {
        if filter.as_ref().map_or(Ok(true), |filter| filter.accepts(&stub(&row.unpack(), true, true)))? {
            rows.push(row);
        }
    }
    let (rows, next) = page_by_age(rows, options, |row| (row.create_index(), row.id()));
    Ok((rows.iter().map(|row| stub(&row.unpack(), with_resources, with_states)).collect(), next))
}

/// Pages by creation, or by id when a prefix is given; the token says which, as Nomad's does.
pub(super) fn page_by_age<T, I>(
    rows: Vec<T>,
    options: &ReadOptions,
    key: impl Fn(&T) -> (u64, I),
) -> (Vec<T>, Option<String>)
where
    I: Ord + ToString + std::str::FromStr,
{
    if !options.prefix.is_empty() {
        return page(rows, options, |row| key(row).1, |row| key(row).1.to_string(), |text| text.parse().ok());
    }
    let token = |row: &T| {
        let (index, id) = key(row);
        format!("{index}.{}", id.to_string())
    };
    let parse = |text: &str| {
        let (index, id) = text.split_once('.')?;
        Some((index.parse().ok()?, id.parse().ok()?))
    };
    page(rows, options, &key, token, parse)
}

/// `GET /v1/allocation/:id`
pub(super) async fn get(call: Call) -> Answer {
    if call.id.contains('/') {
        return Err(ApiError::not_found("resource not found").into());
    }
    let id = call.alloc_id()?;
    let index = |state: &State, _: &ReadOptions| {
        state.alloc_row(id).map_or_else(|| state.table_index(Table::Allocs), |row| row.modify_index())
    };
    let find = |state: &State, _: &ReadOptions| {
        state.alloc(id).map(|alloc| full(state, &alloc)).ok_or_else(|| ApiError::not_found("alloc not found"))
    };
    let (alloc, indexed) = call.read(&[Topic::Table(Table::Allocs)], index, find).await?;
    value_reply(alloc, indexed)
}

/// `PUT /v1/allocation/:id/stop`
pub(super) async fn stop(call: Call) -> Answer {
    let id = call.alloc_id()?;
    let no_shutdown_delay = call.query.strict_bool("no_shutdown_delay")?;
    if call.server.state().alloc_row(id).is_none() {
        return Err(ApiError::not_found("allocation not found").into());
    }
    let committed = call.propose(Op::StopAlloc { id, no_shutdown_delay }).await?;
    let state::Reply::AllocStop(stopped) = &committed.reply else {
        return Err(ApiError::refused("the stop was answered with something else").into());
    };
    Ok(Reply::json(&json!({"EvalID": stopped.eval_id, "Index": committed.index}))?.written(committed.index))
}
