//! `${...}` references. In most places they are replaced as text; a driver's config knows them as expressions.

use std::collections::BTreeMap;

use serde_json::Value;

/// Replaces every `${name}` that `lookup` knows; everything else stays as it is.
pub fn text(source: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let inner = &from[2..];
        let found = inner.find('}').map(|end| &inner[..end]).filter(|name| is_reference(name));
        match found.and_then(|name| lookup(name).map(|value| (name, value))) {
            Some((name, value)) => {
                out.push_str(&value);
                rest = &inner[name.len() + 1..];
            }
            None => {
                out.push_str("${");
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_reference(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Evaluates the texts of a driver's config: `${name}`, `${env["name"]}`, `${"text"}`; `$${` stands for `${`.
///
/// # Errors
/// An unknown or malformed reference, with the place in the config.
pub fn config(
    source: &BTreeMap<String, Value>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Value>, String> {
    source.iter().map(|(key, value)| Ok((key.clone(), config_value(key, value, lookup)?))).collect()
}

fn config_value(place: &str, value: &Value, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(source) => {
            Value::String(expressions(source, lookup).map_err(|why| format!("config.{place}: {why}"))?)
        }
        Value::Array(items) => {
            let items = items.iter().enumerate().map(|(i, item)| config_value(&format!("{place}[{i}]"), item, lookup));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, item)| Ok((key.clone(), config_value(&format!("{place}.{key}"), item, lookup)?)))
                .collect::<Result<_, String>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn expressions(source: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        let inner = &from[2..];
        if before.ends_with('$') {
            out.push_str(before);
            out.push('{');
            rest = inner;
            continue;
        }
        out.push_str(before);
        let end = inner.find('}').ok_or_else(|| format!("`${{` without `}}` in {source:?}"))?;
        out.push_str(&expression(inner[..end].trim(), lookup)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn expression(source: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if let Some(literal) = quoted(source) {
        return Ok(literal.to_owned());
    }
    let name = match source.strip_prefix("env[").and_then(|rest| rest.strip_suffix(']')).and_then(quoted) {
        Some(name) => name,
        None => source.strip_prefix("env.").unwrap_or(source),
    };
    if !is_reference(name) {
        return Err(format!(
            "cannot evaluate ${{{source}}} on a node; only references are known here (write $${{...}} to pass it on)"
        ));
    }
    lookup(name)
        .ok_or_else(|| format!("unknown reference ${{{source}}}; write $${{{source}}} to pass it to the task as it is"))
}

fn quoted(source: &str) -> Option<&str> {
    source.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains(['"', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        match name {
            "NOMAD_TASK_NAME" => Some("task-n".to_owned()),
            "NOMAD_ALLOC_INDEX" => Some("0".to_owned()),
            "attr.kernel.name" => Some("linux".to_owned()),
            "meta.odd.key-x" => Some("odd value".to_owned()),
            "dash-env" => Some("dash".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn texts_keep_what_is_unknown() {
        for (source, result) in [
            ("${NOMAD_TASK_NAME}", "task-n"),
            ("x${NOMAD_TASK_NAME}y${NOMAD_ALLOC_INDEX}z", "xtask-ny0z"),
            ("${NOMAD_TASK_NAME}${NOMAD_TASK_NAME}", "task-ntask-n"),
            ("${meta.odd.key-x}", "odd value"),
            ("${nope}", "${nope}"),
            ("$NOMAD_TASK_NAME", "$NOMAD_TASK_NAME"),
            ("${ NOMAD_TASK_NAME }", "${ NOMAD_TASK_NAME }"),
            ("$${NOMAD_TASK_NAME}", "$task-n"),
            ("$$", "$$"),
            ("${}", "${}"),
            ("${NOMAD_TASK_NAME", "${NOMAD_TASK_NAME"),
            ("${${NOMAD_TASK_NAME}}", "${task-n}"),
            ("${env[\"dash-env\"]}", "${env[\"dash-env\"]}"),
            ("ä${NOMAD_ALLOC_INDEX}ö", "ä0ö"),
        ] {
            assert_eq!(text(source, &known), result, "{source}");
        }
    }

    #[test]
    fn configs_are_expressions() {
        for (source, result) in [
            ("${NOMAD_TASK_NAME}", "task-n"),
            ("${ NOMAD_TASK_NAME }", "task-n"),
            ("$${NOMAD_TASK_NAME}", "${NOMAD_TASK_NAME}"),
            ("$$", "$$"),
            ("$NOMAD_TASK_NAME", "$NOMAD_TASK_NAME"),
            ("${env[\"dash-env\"]}", "dash"),
            ("${env.NOMAD_TASK_NAME}", "task-n"),
            ("${\"lit\"}", "lit"),
        ] {
            assert_eq!(expressions(source, &known).as_deref(), Ok(result), "{source}");
        }
        for source in ["${nope}", "${}", "${NOMAD_TASK_NAME", "${attr.nope}", "${1 + 1}"] {
            assert!(expressions(source, &known).is_err(), "{source}");
        }
        let nested = BTreeMap::from([("args".to_owned(), serde_json::json!(["a", {"k": "${nope}"}, 5]))]);
        let why = config(&nested, &known).unwrap_err();
        assert!(why.starts_with("config.args[1].k: unknown reference ${nope}"), "{why}");
    }
}
