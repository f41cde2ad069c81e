//! JSON and its like.

use super::{Function, row};
use crate::value::Value;

type Outcome = Result<Value, String>;

pub(super) const TABLE: &[Function] =
    &[row("jsondecode", 1, 1, jsondecode), row("jsonencode", 1, 1, jsonencode), row("urlencode", 1, 1, urlencode)];

fn jsondecode(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let json = serde_json::from_str(&text).map_err(|why| format!("not JSON: {why}"))?;
    Ok(Value::from_json(&json))
}

/// Keys are sorted; `<`, `>`, `&` and the two line separators are escaped, as Go does.
fn jsonencode(arguments: &[Value]) -> Outcome {
    let plain = arguments[0].to_json().to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    Ok(Value::Text(out))
}

fn urlencode(arguments: &[Value]) -> Outcome {
    let mut out = String::new();
    for byte in arguments[0].to_text()?.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::Text(out))
}
