//! JSON, base64, URLs.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Function, Outcome, csv, row, yaml, yaml_out};
use crate::syntax;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("base64decode", 1, 1, base64decode),
    row("base64encode", 1, 1, |arguments| Ok(Value::Text(STANDARD.encode(arguments[0].to_text()?)))),
    row("csvdecode", 1, 1, csv::csvdecode),
    row("jsondecode", 1, 1, jsondecode),
    row("jsonencode", 1, 1, |arguments| Ok(Value::Text(json_text(&arguments[0])))),
    row("urlencode", 1, 1, urlencode),
    row("yamldecode", 1, 1, yaml::yamldecode),
    row("yamlencode", 1, 1, yaml_out::yamlencode),
];

fn base64decode(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?.replace(['\n', '\r'], "");
    let bytes = STANDARD.decode(text).map_err(|_| "this is no base64 text")?;
    let text = String::from_utf8(bytes).map_err(|_| "the decoded bytes are no text".to_owned())?;
    Ok(Value::Text(syntax::normal(text)))
}

fn jsondecode(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let json = syntax::parse_json_value(&text).map_err(|problem| format!("not JSON: {}", problem.message))?;
    Ok(Value::from_json(&json))
}

/// A value as JSON text, as Go prints it: keys sorted, `<`, `>`, `&` and the two line separators escaped, numbers in
/// full.
pub(super) fn json_text(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Text(text) => write_json_text(text, out),
        Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) | Value::Map(_, entries) => {
            out.push('{');
            for (at, (key, item)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json_text(key, out);
                out.push(':');
                write_json(item, out);
            }
            out.push('}');
        }
    }
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

fn urlencode(arguments: &[Value]) -> Outcome {
    let mut out = String::new();
    for byte in arguments[0].to_text()?.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(Value::Text(out))
}
