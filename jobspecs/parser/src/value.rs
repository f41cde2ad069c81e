//! Values of the language, their types, and their JSON.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::number::Number;
use crate::syntax::{Json as Tree, JsonKind};
use crate::types::Type;

/// The result of an expression. Lists, sets and maps know the type of what they hold, even when they are empty.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// `[...]`: each item has a type of its own.
    Tuple(Vec<Value>),
    List(Type, Vec<Value>),
    /// Sorted, without repeats.
    Set(Type, Vec<Value>),
    /// `{...}`: each attribute has a type of its own.
    Object(BTreeMap<String, Value>),
    Map(Type, BTreeMap<String, Value>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    pub fn int(number: i64) -> Value {
        Value::Number(Number::from(number))
    }

    pub fn texts(items: impl IntoIterator<Item = String>) -> Value {
        Value::List(Type::Text, items.into_iter().map(Value::Text).collect())
    }

    /// A set of items that have the type already.
    pub fn set(kind: Type, mut items: Vec<Value>) -> Value {
        items.sort_by(compare);
        items.dedup_by(|a, b| compare(a, b).is_eq());
        Value::Set(kind, items)
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::Set(..) => "a set",
            Value::Tuple(_) | Value::List(..) => "a list",
            Value::Map(..) => "a map",
            Value::Object(_) => "an object",
        }
    }

    /// How much a copy costs, in evaluation steps; values that double at every use reach the budget this way.
    pub fn size(&self) -> usize {
        match self {
            Value::Text(text) => text.len() / 64,
            Value::Number(number) => number.weight(),
            Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => {
                items.iter().map(Value::size).sum::<usize>() + items.len()
            }
            Value::Object(entries) | Value::Map(_, entries) => {
                entries.iter().map(|(key, value)| key.len() / 64 + value.size()).sum::<usize>() + entries.len()
            }
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
            Value::Text(text) => {
                let number = Number::parse(text).filter(|_| !text.starts_with('+'));
                number.ok_or_else(|| format!("a number is needed here, not {text:?}"))
            }
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
            Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => Ok(items),
            other => Err(format!("a list is needed here, this is {}", other.kind())),
        }
    }

    /// The entries of a map or object.
    pub fn entries(&self) -> Result<&BTreeMap<String, Value>, String> {
        match self {
            Value::Map(_, entries) | Value::Object(entries) => Ok(entries),
            other => Err(format!("a map is needed here, this is {}", other.kind())),
        }
    }

    /// Keys and values for loops: positions of a list, keys of a map, the items themselves of a set.
    pub fn pairs(self) -> Option<Vec<(Value, Value)>> {
        Some(match self {
            Value::Set(_, items) => items.into_iter().map(|item| (item.clone(), item)).collect(),
            Value::Tuple(items) | Value::List(_, items) => (0..).map(Value::int).zip(items).collect(),
            Value::Map(_, entries) | Value::Object(entries) => {
                entries.into_iter().map(|(key, value)| (Value::Text(key), value)).collect()
            }
            _ => return None,
        })
    }

    /// As JSON; `None` for a number that no 64-bit float is large enough for.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Number(number) => number.to_json()?,
            Value::Text(text) => Json::String(text.clone()),
            Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => {
                Json::Array(items.iter().map(Value::to_json).collect::<Option<_>>()?)
            }
            Value::Map(_, entries) | Value::Object(entries) => {
                let pairs = entries.iter().map(|(key, value)| Some((key.clone(), value.to_json()?)));
                Json::Object(pairs.collect::<Option<_>>()?)
            }
        })
    }

    /// Levels of lists and maps.
    pub fn depth(&self) -> usize {
        match self {
            Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => {
                1 + items.iter().map(Value::depth).max().unwrap_or(0)
            }
            Value::Map(_, entries) | Value::Object(entries) => {
                1 + entries.values().map(Value::depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// A value read from JSON text; texts as they stand.
    pub fn from_json(json: &Tree) -> Value {
        match &json.kind {
            JsonKind::Null => Value::Null,
            JsonKind::Bool(flag) => Value::Bool(*flag),
            JsonKind::Number(number) => Value::Number(number.clone()),
            JsonKind::Text(text) => Value::Text(crate::syntax::normal(text.clone())),
            JsonKind::List(items) => Value::Tuple(items.iter().map(Value::from_json).collect()),
            JsonKind::Object(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), Value::from_json(value))).collect())
            }
        }
    }
}

/// Values are equal when their types are, and what they hold; null is equal to null alone.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        use Value::{Bool, List, Map, Null, Number, Object, Set, Text, Tuple};
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Number(a), Number(b)) => a == b,
            (Text(a), Text(b)) => a == b,
            (Tuple(a), Tuple(b)) => a == b,
            (List(kind, a), List(other, b)) | (Set(kind, a), Set(other, b)) => kind == other && a == b,
            (Object(a), Object(b)) => a == b,
            (Map(kind, a), Map(other, b)) => kind == other && a == b,
            _ => false,
        }
    }
}

/// A total order for sets and `sort`.
pub(crate) fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    let items = |a: &[Value], b: &[Value]| {
        let pairs = a.iter().zip(b).map(|(a, b)| compare(a, b));
        pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(a.len().cmp(&b.len()))
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.compare(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => match (a.items(), b.items(), a.entries(), b.entries()) {
            (Ok(a), Ok(b), ..) => items(a, b),
            (_, _, Ok(a), Ok(b)) => {
                let keys = a.keys().cmp(b.keys());
                let values = a.values().zip(b.values()).map(|(a, b)| compare(a, b));
                keys.then(values.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then))
            }
            _ => a.kind().cmp(b.kind()),
        },
    }
}
