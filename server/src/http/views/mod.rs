//! API objects, put together from the state's compact rows when they are read.

pub(super) mod allocation;
pub(super) mod evaluation;
pub(super) mod job;
pub(super) mod node;
pub(super) mod resources;
pub(super) mod task;

use model::time::Timestamp;
use serde_json::{Map, Value};

/// An optional id as Nomad writes it: the empty text stands for none.
pub(super) fn id_text<T: ToString>(id: &Option<T>) -> String {
    id.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// An optional time as Nomad writes it.
pub(super) fn time_or_null(time: Option<Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_rfc3339()))
}

/// Removes what Go's `omitempty` leaves out: null, false, zero, and empty texts, lists and objects.
pub(super) fn omit_empty(mut object: Map<String, Value>) -> Value {
    object.retain(|_, value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) => true,
    });
    Value::Object(object)
}

/// Anything of the vocabulary as a JSON value. Its maps have text keys, so that this cannot fail.
pub(super) fn value_of(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
