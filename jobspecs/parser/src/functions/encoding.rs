//! JSON, base64, hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::{Function, row};
use crate::value::Value;

type Outcome = Result<Value, String>;

pub(super) const TABLE: &[Function] = &[
    row("base64decode", 1, 1, base64decode),
    row("base64encode", 1, 1, |arguments| Ok(Value::Text(STANDARD.encode(arguments[0].to_text()?)))),
    row("jsondecode", 1, 1, jsondecode),
    row("jsonencode", 1, 1, jsonencode),
    row("sha256", 1, 1, |arguments| Ok(Value::Text(hex(&Sha256::digest(arguments[0].to_text()?))))),
    row("sha512", 1, 1, |arguments| Ok(Value::Text(hex(&Sha512::digest(arguments[0].to_text()?))))),
    row("urlencode", 1, 1, urlencode),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64decode(arguments: &[Value]) -> Outcome {
    let bytes = STANDARD.decode(arguments[0].to_text()?).map_err(|_| "this is no base64 text")?;
    String::from_utf8(bytes).map(Value::Text).map_err(|_| "the decoded bytes are no text".to_owned())
}

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
