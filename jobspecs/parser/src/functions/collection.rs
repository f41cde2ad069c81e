//! Lists, sets and maps.

use std::collections::BTreeMap;

use super::{MANY, Outcome, given, row};
use crate::functions::Function;
use crate::types::{Type, unify};
use crate::value::{Value, compare};

pub(super) const TABLE: &[Function] = &[
    row("chunklist", 2, 2, chunklist),
    row("coalesce", 1, MANY, coalesce),
    row("coalescelist", 1, MANY, coalescelist),
    row("compact", 1, 1, compact),
    row("concat", 1, MANY, concat),
    row("contains", 2, 2, contains),
    row("distinct", 1, 1, distinct),
    row("element", 2, 2, element),
    row("flatten", 1, 1, flatten),
    row("index", 2, 2, index),
    row("keys", 1, 1, keys),
    row("length", 1, 1, length),
    row("lookup", 3, 3, lookup),
    row("merge", 0, MANY, merge),
    row("setintersection", 1, MANY, setintersection),
    row("setproduct", 2, MANY, setproduct),
    row("setunion", 1, MANY, setunion),
    row("slice", 3, 3, slice),
    row("sort", 1, 1, sort),
    row("values", 1, 1, values),
    row("zipmap", 2, 2, zipmap),
];

/// The most that `setproduct` makes, in steps of evaluation.
const MAX_PRODUCT: usize = 200_000;

/// The argument as a list whose items have one type.
fn list(value: &Value) -> Result<(Type, Vec<Value>), String> {
    match Type::List(Box::new(Type::Any)).convert(given(value)?.clone())? {
        Value::List(kind, items) => Ok((kind, items)),
        other => Err(format!("a list is needed here, this is {}", other.kind())),
    }
}

/// The argument as a list of texts; null stays null.
pub(super) fn texts(value: &Value) -> Result<Vec<Value>, String> {
    Type::List(Box::new(Type::Text)).convert(given(value)?.clone())?.items().map(<[Value]>::to_vec)
}

/// The items of a list that has an order.
fn ordered(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::Set(..) => Err("a list is needed here, this is a set; convert(..., list(string)) makes one".to_owned()),
        other => other.items(),
    }
}

/// The same kind of list with other items.
fn like(value: &Value, items: Vec<Value>) -> Value {
    match value {
        Value::List(kind, _) => Value::List(kind.clone(), items),
        _ => Value::Tuple(items),
    }
}

fn chunklist(arguments: &[Value]) -> Outcome {
    let (kind, items) = list(&arguments[0])?;
    let size = usize::try_from(arguments[1].to_int()?).map_err(|_| "the size cannot be negative")?;
    let size = if size == 0 { items.len().max(1) } else { size };
    let chunks = items.chunks(size).map(|chunk| Value::List(kind.clone(), chunk.to_vec())).collect();
    Ok(Value::List(Type::List(Box::new(kind.clone())), chunks))
}

fn coalesce(arguments: &[Value]) -> Outcome {
    let kinds: Vec<Type> = arguments.iter().map(Type::of).collect();
    let kind = unify(&kinds).ok_or("the arguments have no type in common")?;
    let first = arguments.iter().find(|value| !value.is_null()).ok_or("all arguments are null")?;
    kind.convert(first.clone())
}

fn coalescelist(arguments: &[Value]) -> Outcome {
    for value in arguments {
        if !value.items()?.is_empty() {
            return Ok(value.clone());
        }
    }
    Err("all lists are empty".to_owned())
}

fn compact(arguments: &[Value]) -> Outcome {
    let mut items = texts(&arguments[0])?;
    items.retain(|item| !item.is_null() && *item != Value::text(""));
    Ok(Value::List(Type::Text, items))
}

fn concat(arguments: &[Value]) -> Outcome {
    let (mut joined, mut kinds, mut all_lists) = (Vec::new(), Vec::new(), true);
    for value in arguments {
        joined.extend(ordered(value)?.iter().cloned());
        match value {
            Value::List(kind, _) => kinds.push(kind.clone()),
            _ => all_lists = false,
        }
    }
    match unify(&kinds).filter(|_| all_lists) {
        Some(kind) => Type::List(Box::new(kind)).convert(Value::Tuple(joined)),
        None => Ok(Value::Tuple(joined)),
    }
}

fn contains(arguments: &[Value]) -> Outcome {
    let wanted = given(&arguments[1])?;
    Ok(Value::Bool(arguments[0].items()?.contains(wanted)))
}

fn distinct(arguments: &[Value]) -> Outcome {
    let (kind, items) = list(&arguments[0])?;
    // Each item with its place, sorted by item; of equal ones the first stays.
    let mut places: Vec<(usize, Value)> = items.into_iter().enumerate().collect();
    places.sort_by(|(_, a), (_, b)| compare(a, b));
    places.dedup_by(|(_, a), (_, b)| compare(a, b).is_eq());
    places.sort_by_key(|(at, _)| *at);
    Ok(Value::List(kind, places.into_iter().map(|(_, item)| item).collect()))
}

fn element(arguments: &[Value]) -> Outcome {
    let items = ordered(&arguments[0])?;
    let at = arguments[1].to_int()?;
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if length == 0 {
        return Err("the list is empty".to_owned());
    }
    Ok(items[usize::try_from(at.rem_euclid(length)).unwrap_or(0)].clone())
}

fn flatten(arguments: &[Value]) -> Outcome {
    fn pour(items: &[Value], out: &mut Vec<Value>) {
        for item in items {
            match item.items() {
                Ok(inner) => pour(inner, out),
                Err(_) => out.push(item.clone()),
            }
        }
    }
    let mut out = Vec::new();
    pour(arguments[0].items()?, &mut out);
    Ok(Value::Tuple(out))
}

/// The item at a position or under a key, both of exactly that type.
fn index(arguments: &[Value]) -> Outcome {
    match (&arguments[0], &arguments[1]) {
        (Value::List(_, items) | Value::Tuple(items), Value::Number(number)) => {
            let item = number.to_i64().and_then(|at| usize::try_from(at).ok()).and_then(|at| items.get(at));
            item.cloned().ok_or_else(|| format!("there is no item {number}: the list has {} items", items.len()))
        }
        (Value::List(..) | Value::Tuple(_), other) => {
            Err(format!("it fetches the item at a position, which is a number, not {}", other.kind()))
        }
        (Value::Map(_, entries), Value::Text(key)) => {
            entries.get(key).cloned().ok_or_else(|| format!("there is no key {key:?}"))
        }
        (other, _) => Err(format!("a list or map is needed, this is {}", other.kind())),
    }
}

fn keys(arguments: &[Value]) -> Outcome {
    let names = arguments[0].entries()?.keys().map(Value::text).collect();
    Ok(match &arguments[0] {
        Value::Map(..) => Value::List(Type::Text, names),
        _ => Value::Tuple(names),
    })
}

fn length(arguments: &[Value]) -> Outcome {
    let count = match &arguments[0] {
        Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => items.len(),
        Value::Map(_, entries) => entries.len(),
        Value::Text(_) => {
            return Err("it counts the items of a list; strlen counts the characters of a text".to_owned());
        }
        Value::Object(_) => return Err("an object has no length; length(keys(...)) counts its keys".to_owned()),
        other => return Err(format!("a list, set or map is needed, this is {}", other.kind())),
    };
    Ok(Value::int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn lookup(arguments: &[Value]) -> Outcome {
    let (entries, key) = (arguments[0].entries()?, arguments[1].to_text()?);
    let default = given(&arguments[2])?;
    match (entries.get(&key), &arguments[0]) {
        (Some(found), _) => Ok(found.clone()),
        (None, Value::Map(kind, _)) => kind.convert(default.clone()),
        (None, _) => Ok(default.clone()),
    }
}

fn merge(arguments: &[Value]) -> Outcome {
    let (mut merged, mut kinds, mut all_maps) = (BTreeMap::new(), Vec::new(), true);
    for value in arguments.iter().filter(|value| !value.is_null()) {
        merged.extend(value.entries()?.iter().map(|(key, item)| (key.clone(), item.clone())));
        match value {
            Value::Map(kind, _) => kinds.push(kind.clone()),
            _ => all_maps = false,
        }
    }
    Ok(match kinds.first() {
        Some(kind) if all_maps && kinds.iter().all(|other| other == kind) => Value::Map(kind.clone(), merged),
        _ => Value::Object(merged),
    })
}

fn slice(arguments: &[Value]) -> Outcome {
    let items = ordered(&arguments[0])?;
    let bound = |value: &Value| -> Result<usize, String> {
        usize::try_from(value.to_int()?).map_err(|_| "an index cannot be negative".to_owned())
    };
    let (from, to) = (bound(&arguments[1])?, bound(&arguments[2])?);
    let part = items.get(from..to).ok_or_else(|| format!("{from} to {to} is outside the list"))?;
    Ok(like(&arguments[0], part.to_vec()))
}

fn sort(arguments: &[Value]) -> Outcome {
    let mut sorted: Vec<String> = texts(&arguments[0])?.iter().map(Value::to_text).collect::<Result<_, _>>()?;
    sorted.sort();
    Ok(Value::texts(sorted))
}

fn values(arguments: &[Value]) -> Outcome {
    let items: Vec<Value> = arguments[0].entries()?.values().cloned().collect();
    Ok(match &arguments[0] {
        Value::Map(kind, _) => Value::List(kind.clone(), items),
        _ => Value::Tuple(items),
    })
}

fn zipmap(arguments: &[Value]) -> Outcome {
    let (names, items) = (texts(&arguments[0])?, ordered(&arguments[1])?);
    if names.len() != items.len() {
        return Err("the two lists have different lengths".to_owned());
    }
    let mut entries = BTreeMap::new();
    for (name, item) in names.iter().zip(items) {
        entries.insert(name.to_text()?, item.clone());
    }
    Ok(match &arguments[1] {
        Value::List(kind, _) => Value::Map(kind.clone(), entries),
        _ => Value::Object(entries),
    })
}

/// All arguments as sets of the one type that they have in common.
fn sets(arguments: &[Value]) -> Result<(Type, Vec<Vec<Value>>), String> {
    let mut kinds = Vec::new();
    for value in arguments {
        kinds.push(list(value)?.0);
    }
    let kind = unify(&kinds).ok_or("the sets have no type in common")?;
    let wanted = Type::Set(Box::new(kind.clone()));
    let each = arguments.iter().map(|value| wanted.convert(value.clone())?.items().map(<[Value]>::to_vec));
    Ok((kind, each.collect::<Result<_, _>>()?))
}

fn setunion(arguments: &[Value]) -> Outcome {
    let (kind, sets) = sets(arguments)?;
    Ok(Value::set(kind, sets.concat()))
}

fn setintersection(arguments: &[Value]) -> Outcome {
    let (kind, sets) = sets(arguments)?;
    let mut sets = sets.into_iter();
    let mut kept = sets.next().unwrap_or_default();
    for other in sets {
        kept.retain(|item| other.binary_search_by(|probe| compare(probe, item)).is_ok());
    }
    Ok(Value::set(kind, kept))
}

fn setproduct(arguments: &[Value]) -> Outcome {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    let mut kinds = Vec::new();
    for value in arguments {
        let (kind, items) = list(value)?;
        let width = kinds.len() + 1 + items.iter().map(Value::size).max().unwrap_or(0);
        if rows.len().saturating_mul(items.len()).saturating_mul(width) > MAX_PRODUCT {
            return Err("the result is too large".to_owned());
        }
        kinds.push(kind);
        rows = rows
            .iter()
            .flat_map(|row| items.iter().map(move |item| row.iter().chain([item]).cloned().collect()))
            .collect();
    }
    let rows = rows.into_iter().map(Value::Tuple).collect();
    let kind = Type::Tuple(kinds);
    let all_sets = arguments.iter().all(|value| matches!(value, Value::Set(..)));
    Ok(if all_sets { Value::set(kind, rows) } else { Value::List(kind, rows) })
}
