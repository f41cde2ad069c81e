//! Values of the language, their conversions, and their JSON.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::number::Number;

/// Where a sequence came from; only `length`, `==` and printing tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    Tuple,
    List,
    Set,
}

/// Whether a mapping has one type for all values (`map(...)`) or one for each (`{ ... }`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    Object,
    Map,
}

/// The result of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Sequence, Vec<Value>),
    Map(Mapping, BTreeMap<String, Value>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn tuple(items: Vec<Value>) -> Value {
        Value::List(Sequence::Tuple, items)
    }

    pub fn int(number: i64) -> Value {
        Value::Number(Number::from(number))
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(Sequence::Set, _) => "a set",
            Value::List(..) => "a list",
            Value::Map(Mapping::Map, _) => "a map",
            Value::Map(Mapping::Object, _) => "an object",
        }
    }

    /// How much a copy costs, in evaluation steps; values that double at every use reach the budget this way.
    pub fn size(&self) -> usize {
        match self {
            Value::Text(text) => text.len() / 64,
            Value::List(_, items) => items.iter().map(Value::size).sum::<usize>() + items.len(),
            Value::Map(_, entries) => entries.values().map(Value::size).sum::<usize>() + entries.len(),
            _ => 0,
        }
    }

    /// As text: numbers and truth values convert, null and collections do not.
    pub fn to_text(&self) -> Result<String, String> {
        match self {
            Value::Text(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            other => Err(format!("a text is needed here, this is {}", other.kind())),
        }
    }

    pub fn to_number(&self) -> Result<Number, String> {
        match self {
            Value::Number(number) => Ok(number.clone()),
            Value::Text(text) => Number::parse(text).ok_or_else(|| format!("a number is needed here, not {text:?}")),
            other => Err(format!("a number is needed here, this is {}", other.kind())),
        }
    }

    pub fn to_bool(&self) -> Result<bool, String> {
        match self {
            Value::Bool(flag) => Ok(*flag),
            Value::Text(text) if text == "true" || text == "1" => Ok(true),
            Value::Text(text) if text == "false" || text == "0" => Ok(false),
            Value::Text(text) => Err(format!("true or false is needed here, not {text:?}")),
            other => Err(format!("true or false is needed here, this is {}", other.kind())),
        }
    }

    pub fn to_int(&self) -> Result<i64, String> {
        let number = self.to_number()?;
        number.to_i64().ok_or_else(|| format!("a whole number of at most 64 bits is needed here, not {number}"))
    }

    /// The items of a list, tuple or set.
    pub fn items(&self) -> Result<&[Value], String> {
        match self {
            Value::List(_, items) => Ok(items),
            other => Err(format!("a list is needed here, this is {}", other.kind())),
        }
    }

    /// The entries of a map or object.
    pub fn entries(&self) -> Result<&BTreeMap<String, Value>, String> {
        match self {
            Value::Map(_, entries) => Ok(entries),
            other => Err(format!("a map is needed here, this is {}", other.kind())),
        }
    }

    /// Keys and values to iterate over with `for` or `dynamic`; a set's keys are its values.
    pub fn pairs(&self) -> Option<Vec<(Value, Value)>> {
        match self {
            Value::List(Sequence::Set, items) => Some(items.iter().map(|v| (v.clone(), v.clone())).collect()),
            Value::List(_, items) => Some(
                items.iter().enumerate().map(|(at, v)| (Value::Number(Number::from(at as i64)), v.clone())).collect(),
            ),
            Value::Map(_, entries) => Some(entries.iter().map(|(k, v)| (Value::text(k), v.clone())).collect()),
            _ => None,
        }
    }

    pub fn to_json(&self) -> Json {
        match self {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Number(number) => number.to_json(),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(_, items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(_, entries) => {
                Json::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    /// A value read from JSON text; `None` only for numbers that JSON cannot hold.
    pub fn from_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Number::parse(&number.to_string()).map_or(Value::Null, Value::Number),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::tuple(items.iter().map(Value::from_json).collect()),
            Json::Object(entries) => Value::Map(
                Mapping::Object,
                entries.iter().map(|(key, value)| (key.clone(), Value::from_json(value))).collect(),
            ),
        }
    }

    /// Two branches of a conditional must be of kinds that can meet; the chosen one is brought to the common kind.
    pub fn unify(chosen: Value, other: &Value) -> Result<Value, String> {
        use Value::{Bool, List, Map, Null, Number as Num, Text};
        match (&chosen, other) {
            (Null, _) | (_, Null) | (Text(_), Text(_)) | (Num(_), Num(_)) | (Bool(_), Bool(_)) => Ok(chosen),
            (Text(_), Num(_) | Bool(_)) => Ok(chosen),
            (Num(_) | Bool(_), Text(_)) => Ok(Text(chosen.to_text()?)),
            (List(a, _), List(b, _)) => match (a, b) {
                (Sequence::List, _) | (_, Sequence::List) => {
                    let List(_, items) = chosen else { return Ok(chosen) };
                    Ok(List(Sequence::List, items))
                }
                _ => Ok(chosen),
            },
            (Map(..), Map(..)) => Ok(chosen),
            _ => Err(format!("the two results do not go together: {} and {}", chosen.kind(), other.kind())),
        }
    }
}

/// A total order for sets, `sort` and `distinct`.
pub(crate) fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => a.to_json().to_string().cmp(&b.to_json().to_string()),
    }
}
