//! Evaluations: lists, counts, one with its relations, and the allocations it placed.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::evaluation::Evaluation;
use model::id::EvalId;
use serde_json::{Value, json};
use state::{State, Table};

use super::allocations::page_by_age;
use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult, malformed_id};
use super::filter::Filter;
use super::jobs::{Page, list_reply, value_reply};
use super::query::{IdRange, ReadOptions};
use super::response::Indexed;
use super::views;
use super::views::allocation::JobOf;
use crate::Topic;

/// The filters that are older than filter expressions.
struct Legacy {
    job: String,
    status: String,
}

impl Legacy {
    fn of(call: &Call) -> ApiResult<Legacy> {
        let text = |name: &str| call.query.get(name).unwrap_or_default().to_owned();
        let legacy = Legacy { job: text("job"), status: text("status") };
        if call.query.non_empty("filter").is_some() && !(legacy.job.is_empty() && legacy.status.is_empty()) {
            return Err(ApiError::bad_request("a filter expression cannot be used together with job= or status="));
        }
        Ok(legacy)
    }

    fn accepts(&self, eval: &Evaluation) -> bool {
        let status = views::value_of(&eval.status);
        (self.job.is_empty() || *self.job == *eval.job.id) && (self.status.is_empty() || status == *self.status)
    }
}

fn index(state: &State, _: &ReadOptions) -> u64 {
    state.table_index(Table::Evals)
}

fn matching<'a>(state: &'a State, options: &ReadOptions, legacy: &Legacy) -> ApiResult<Vec<&'a Arc<Evaluation>>> {
    let range = IdRange::of(&options.prefix, "eval")?;
    let filter = if options.filter.is_empty() { None } else { Some(Filter::parse(&options.filter)?) };
    let mut rows = Vec::new();
    for eval in state.evals() {
        let wanted = range.contains(eval.id.0) && options.wants_namespace(&eval.job.namespace) && legacy.accepts(eval);
        if wanted && filter.as_ref().map_or(Ok(true), |filter| filter.accepts(&views::evaluation::all_fields(eval)))? {
            rows.push(eval);
        }
    }
    Ok(rows)
}

/// `GET /v1/evaluations`
pub(super) async fn list(call: Call) -> Answer {
    let legacy = Legacy::of(&call)?;
    let find = |state: &State, options: &ReadOptions| -> ApiResult<Page> {
        let rows = matching(state, options, &legacy)?;
        let (rows, next) = page_by_age(rows, options, |eval| (eval.create_index, eval.id));
        Ok((rows.iter().map(|eval| views::evaluation::full(eval)).collect(), next))
    };
    let (page, indexed) = call.read(&[Topic::Table(Table::Evals)], index, find).await?;
    list_reply(page, indexed)
}

/// `GET /v1/evaluations/count`; an expression that cannot be used counts nothing, as Nomad answers.
pub(super) async fn count(call: Call) -> Answer {
    let legacy = Legacy::of(&call)?;
    let find =
        |state: &State, options: &ReadOptions| Ok(matching(state, options, &legacy).map_or(0, |rows| rows.len()));
    let (count, indexed) = call.read(&[Topic::Table(Table::Evals)], index, find).await?;
    let at = if let Indexed::Read { index, .. } = indexed { index } else { 0 };
    let body = json!({"Count": count, "Index": at, "LastContact": 0, "KnownLeader": true, "NextToken": ""});
    value_reply(body, indexed)
}

/// `GET /v1/evaluation/:id`
pub(super) async fn get(call: Call) -> Answer {
    let id: EvalId = call.id.parse().map_err(|why| malformed_id("eval", &why))?;
    let related = call.query.lenient_bool("related");
    let index = |state: &State, _: &ReadOptions| {
        state.eval(id).map_or_else(|| state.table_index(Table::Evals), |eval| eval.modify_index)
    };
    let find = |state: &State, _: &ReadOptions| {
        let eval = state.eval(id).ok_or_else(|| ApiError::not_found("eval not found"))?;
        if !related {
            return Ok(views::evaluation::full(&eval));
        }
        let others = related_to(state, &eval);
        Ok(views::evaluation::with_related(&eval, others.iter().map(|other| &**other)))
    };
    let (eval, indexed) = call.read(&[Topic::Eval(id)], index, find).await?;
    value_reply(eval, indexed)
}

/// The evaluations that are linked to `eval`, directly or through each other.
fn related_to(state: &State, eval: &Evaluation) -> Vec<Arc<Evaluation>> {
    let links = |eval: &Evaluation| [eval.next_eval, eval.previous_eval, eval.blocked_eval].into_iter().flatten();
    let mut seen = BTreeSet::from([eval.id]);
    let mut todo: Vec<EvalId> = links(eval).collect();
    let mut found = Vec::new();
    while let Some(id) = todo.pop() {
        if seen.insert(id)
            && let Some(other) = state.eval(id)
        {
            todo.extend(links(&other));
            found.push(other);
        }
    }
    found
}

/// `GET /v1/evaluation/:id/allocations`
pub(super) async fn allocations(call: Call) -> Answer {
    let id: EvalId = call.id.parse().map_err(|why| malformed_id("eval", &why))?;
    let index = |state: &State, _: &ReadOptions| state.table_index(Table::Allocs);
    let find = |state: &State, _: &ReadOptions| -> ApiResult<Page> {
        let Some(eval) = state.eval(id) else { return Ok((Vec::new(), None)) };
        let placed = state.allocs_of_job(&eval.job).filter(|alloc| alloc.eval_id == id);
        let stubs = placed.map(|alloc| {
            let stored = state.job_of_alloc(&alloc);
            let job = stored.as_ref().map(|job| JobOf::of(job));
            views::allocation::stub(&alloc, job, false, true)
        });
        Ok((stubs.collect::<Vec<Value>>(), None))
    };
    let (page, indexed) = call.read(&[Topic::Table(Table::Allocs)], index, find).await?;
    list_reply(page, indexed)
}
