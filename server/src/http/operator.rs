//! What operators set for the whole cluster: the scheduler configuration.

use model::scheduling::{Algorithm, SchedulerConfiguration};
use serde_json::{Map, Value, json};
use state::{Op, State, Table};

use super::call::{Answer, Call};
use super::error::{ApiError, ApiResult};
use super::query::ReadOptions;
use super::response::{Indexed, Reply};
use super::views::value_of;
use crate::Topic;

/// `GET /v1/operator/scheduler/configuration`
pub(super) async fn scheduler(call: Call) -> Answer {
    let index = |state: &State, _: &ReadOptions| state.scheduling().modify_index;
    let find = |state: &State, _: &ReadOptions| Ok(state.scheduling());
    let (config, indexed) = call.read(&[Topic::Table(Table::Scheduling)], index, find).await?;
    let (index, known_leader) = match indexed {
        Indexed::Read { index, known_leader } => (index, known_leader),
        _ => (config.modify_index, true),
    };
    let body = json!({
        "SchedulerConfig": value_of(&*config),
        "Index": index, "KnownLeader": known_leader, "LastContact": 0, "NextToken": "",
    });
    Ok(Reply::json(&body)?.read_at(index, known_leader))
}

/// `PUT /v1/operator/scheduler/configuration`, with `cas` only when the stored one has that `ModifyIndex`. What the body
/// leaves out is off.
pub(super) async fn set_scheduler(mut call: Call) -> Answer {
    let config = read_config(&mut call)?;
    let cas = match call.query.get("cas") {
        None => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            ApiError::bad_request(format!("the cas value {text:?} is no index; use the ModifyIndex that you read"))
        })?),
    };
    let committed = call.propose(Op::SetScheduling { config, cas }).await?;
    let state::Reply::Scheduling { updated } = committed.reply else {
        return Err(ApiError::refused("the write was answered with something else").into());
    };
    Ok(Reply::json(&json!({"Updated": updated, "Index": committed.index}))?.written(committed.index))
}

fn read_config(call: &mut Call) -> ApiResult<SchedulerConfiguration> {
    let mut body: Map<String, Value> = call.json()?;
    let wrong = |text: String| ApiError::bad_request(format!("the scheduler configuration cannot be read: {text}"));
    let named = body.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case("SchedulerAlgorithm"));
    if let Some((_, value)) = named {
        let text = value.as_str().unwrap_or_default();
        if Algorithm::parse(text).is_none() {
            let text = format!("{value} is no scheduler algorithm; use \"binpack\", \"spread\" or \"balanced\"");
            return Err(ApiError::bad_request(text));
        }
        if text.is_empty() {
            *value = json!("binpack");
        }
    }
    serde_json::from_value(Value::Object(body)).map_err(|why| wrong(why.to_string()))
}
