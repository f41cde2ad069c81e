//! Lists, sets and maps.

use std::collections::BTreeMap;

use super::{Function, MANY, row};
use crate::value::{Mapping, Sequence, Value, compare};

type Outcome = Result<Value, String>;

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
    row("merge", 1, MANY, merge),
    row("setintersection", 1, MANY, setintersection),
    row("setunion", 1, MANY, setunion),
    row("slice", 3, 3, slice),
    row("sort", 1, 1, sort),
    row("values", 1, 1, values),
    row("zipmap", 2, 2, zipmap),
];

fn list(items: Vec<Value>) -> Value {
    Value::tuple(items)
}

fn chunklist(arguments: &[Value]) -> Outcome {
    let items = arguments[0].items()?;
    let size = usize::try_from(arguments[1].to_int()?).map_err(|_| "the size cannot be negative")?;
    if size == 0 {
        return Ok(list(vec![list(items.to_vec())]));
    }
    Ok(list(items.chunks(size).map(|chunk| list(chunk.to_vec())).collect()))
}

fn coalesce(arguments: &[Value]) -> Outcome {
    arguments.iter().find(|value| **value != Value::Null).cloned().ok_or("all arguments are null".to_owned())
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
    let kept = arguments[0].items()?.iter().filter(|item| **item != Value::Null && **item != Value::text(""));
    Ok(Value::List(Sequence::List, kept.cloned().collect()))
}

fn concat(arguments: &[Value]) -> Outcome {
    let mut joined = Vec::new();
    for value in arguments {
        joined.extend(value.items()?.iter().cloned());
    }
    Ok(list(joined))
}

fn contains(arguments: &[Value]) -> Outcome {
    Ok(Value::Bool(arguments[0].items()?.contains(&arguments[1])))
}

fn distinct(arguments: &[Value]) -> Outcome {
    let mut kept: Vec<Value> = Vec::new();
    let items = arguments[0].items()?;
    if items.len() > 10_000 {
        return Err("the list is longer than 10000 items".to_owned());
    }
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Ok(Value::List(Sequence::List, kept))
}

fn element(arguments: &[Value]) -> Outcome {
    let items = arguments[0].items()?;
    let at = arguments[1].to_int()?;
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if length == 0 {
        return Err("the list is empty".to_owned());
    }
    if at < 0 {
        return Err("the index cannot be negative".to_owned());
    }
    let at = usize::try_from(at % length).unwrap_or(0);
    Ok(items[at].clone())
}

fn flatten(arguments: &[Value]) -> Outcome {
    fn pour(value: &Value, out: &mut Vec<Value>) {
        match value {
            Value::List(_, items) => items.iter().for_each(|item| pour(item, out)),
            other => out.push(other.clone()),
        }
    }
    let mut out = Vec::new();
    arguments[0].items()?.iter().for_each(|item| pour(item, &mut out));
    Ok(list(out))
}

fn index(arguments: &[Value]) -> Outcome {
    match &arguments[0] {
        Value::List(_, items) => {
            let at = arguments[1].to_int()?;
            let item = usize::try_from(at).ok().and_then(|at| items.get(at));
            item.cloned().ok_or_else(|| format!("there is no item {at}"))
        }
        Value::Map(_, entries) => {
            let key = arguments[1].to_text()?;
            entries.get(&key).cloned().ok_or_else(|| format!("there is no key {key:?}"))
        }
        other => Err(format!("a list or map is needed, this is {}", other.kind())),
    }
}

fn keys(arguments: &[Value]) -> Outcome {
    Ok(list(arguments[0].entries()?.keys().map(Value::text).collect()))
}

fn length(arguments: &[Value]) -> Outcome {
    let count = match &arguments[0] {
        Value::List(_, items) => items.len(),
        Value::Map(Mapping::Map, entries) => entries.len(),
        other => return Err(format!("a list, set or map is needed, this is {}; for texts use strlen", other.kind())),
    };
    Ok(Value::int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn lookup(arguments: &[Value]) -> Outcome {
    let key = arguments[1].to_text()?;
    Ok(arguments[0].entries()?.get(&key).unwrap_or(&arguments[2]).clone())
}

fn merge(arguments: &[Value]) -> Outcome {
    let mut merged = BTreeMap::new();
    for value in arguments.iter().filter(|value| **value != Value::Null) {
        merged.extend(value.entries()?.iter().map(|(key, item)| (key.clone(), item.clone())));
    }
    Ok(Value::Map(Mapping::Object, merged))
}

fn slice(arguments: &[Value]) -> Outcome {
    let items = arguments[0].items()?;
    let bound = |value: &Value| -> Result<usize, String> {
        usize::try_from(value.to_int()?).map_err(|_| "an index cannot be negative".to_owned())
    };
    let (from, to) = (bound(&arguments[1])?, bound(&arguments[2])?);
    items.get(from..to).map(|part| list(part.to_vec())).ok_or_else(|| format!("{from} to {to} is outside the list"))
}

fn sort(arguments: &[Value]) -> Outcome {
    let mut texts: Vec<String> = arguments[0].items()?.iter().map(Value::to_text).collect::<Result<_, _>>()?;
    texts.sort();
    Ok(Value::List(Sequence::List, texts.into_iter().map(Value::Text).collect()))
}

fn values(arguments: &[Value]) -> Outcome {
    Ok(list(arguments[0].entries()?.values().cloned().collect()))
}

fn zipmap(arguments: &[Value]) -> Outcome {
    let (names, items) = (arguments[0].items()?, arguments[1].items()?);
    if names.len() != items.len() {
        return Err("the two lists have different lengths".to_owned());
    }
    let mut entries = BTreeMap::new();
    for (name, item) in names.iter().zip(items) {
        entries.insert(name.to_text()?, item.clone());
    }
    Ok(Value::Map(Mapping::Object, entries))
}

/// Sorts and drops repeats, as sets do.
fn set(mut items: Vec<Value>) -> Value {
    items.sort_by(compare);
    items.dedup();
    Value::List(Sequence::Set, items)
}

fn setunion(arguments: &[Value]) -> Outcome {
    concat(arguments).and_then(|all| Ok(set(all.items()?.to_vec())))
}

fn setintersection(arguments: &[Value]) -> Outcome {
    let mut kept = arguments[0].items()?.to_vec();
    for other in &arguments[1..] {
        let other = other.items()?;
        kept.retain(|item| other.contains(item));
    }
    Ok(set(kept))
}
