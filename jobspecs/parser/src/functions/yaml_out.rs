//! `yamlencode`: values as YAML, texts in double quotes or, when they have several lines, as block literals.

use super::Outcome;
use crate::value::Value;

pub(super) fn yamlencode(arguments: &[Value]) -> Outcome {
    let mut out = String::new();
    let value = &arguments[0];
    write(value, 0, &mut out);
    // A bare scalar needs an end, or a reader could take what follows for a part of it.
    if matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        out.push_str("...\n");
    }
    super::bounded(out)
}

/// Writes a value whose first line has begun already, and its line end.
fn write(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Null => out.push_str("null\n"),
        Value::Bool(flag) => out.push_str(&format!("{flag}\n")),
        Value::Number(number) => out.push_str(&format!("{number}\n")),
        Value::Text(text) if as_block(text) => block(text, indent, out),
        Value::Text(text) => {
            quoted(text, out);
            out.push('\n');
        }
        Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) => {
            if items.is_empty() {
                return out.push_str("[]\n");
            }
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push_str(&pad);
                }
                out.push_str("- ");
                write(item, indent + 2, out);
            }
        }
        Value::Object(entries) | Value::Map(_, entries) => {
            if entries.is_empty() {
                return out.push_str("{}\n");
            }
            for (at, (key, item)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push_str(&pad);
                }
                quoted(key, out);
                out.push(':');
                entry(item, indent, out);
            }
        }
    }
}

/// A value behind a key: collections begin on the next line, lists as far left as the key.
fn entry(value: &Value, indent: usize, out: &mut String) {
    let deeper = match value {
        Value::Tuple(items) | Value::List(_, items) | Value::Set(_, items) if !items.is_empty() => indent,
        Value::Object(entries) | Value::Map(_, entries) if !entries.is_empty() => indent + 2,
        _ => {
            out.push(' ');
            return write(value, indent + 2, out);
        }
    };
    out.push('\n');
    out.push_str(&" ".repeat(deeper));
    write(value, deeper, out);
}

/// Whether a text is written as a block: several lines of printable characters without blanks at its end.
fn as_block(text: &str) -> bool {
    text.contains('\n') && !text.ends_with(' ') && text.chars().all(|c| c == '\n' || printable(c))
}

fn printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{a0}' | '\u{85}')
}

fn block(text: &str, indent: usize, out: &mut String) {
    let indent = indent.max(2);
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    let trimmed = text.trim_end_matches('\n');
    match text.len() - trimmed.len() {
        0 => out.push('-'),
        1 if !trimmed.is_empty() => {}
        _ => out.push('+'),
    }
    out.push('\n');
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(line);
    }
    if !text.ends_with('\n') {
        out.push('\n');
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
}
