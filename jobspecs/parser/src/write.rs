//! A job back into HCL, in the canonical layout: `parse(write(job))` is the job again.
//!
//! What only the server sets (indexes, status, version) is left out, as are values that the language implies.

use model::job::Job;
use model::time::GoDuration;
use serde_json::{Map, Value};

use crate::format::canonical;
use crate::schema::{self, Field, Form};

type Written<T = ()> = Result<T, String>;

/// The job as a file.
///
/// # Errors
/// Says what cannot be written in HCL, such as a key of `config` with a blank in it; only jobs from JSON hold such.
pub fn write(job: &Job) -> Result<String, String> {
    let value = serde_json::to_value(job).map_err(|why| why.to_string())?;
    let object = value.as_object().ok_or("a job is an object")?;
    let mut writer = Writer::default();
    let label = text_of(object, "ID").or_else(|| text_of(object, "Name")).unwrap_or_default();
    writer.open(&format!("job {}", label_text(&label)));
    let mut shown = object.clone();
    if object.get("Name") == object.get("ID") {
        shown.remove("Name");
    }
    writer.body(schema::JOB, &shown)?;
    writer.close();
    Ok(canonical(&writer.out))
}

#[derive(Default)]
struct Writer {
    out: String,
    /// Whether the present block has something in it already, for each open block.
    filled: Vec<bool>,
}

impl Writer {
    /// Begins a block, apart from what stands before it.
    fn open(&mut self, header: &str) {
        if self.fill() {
            self.out.push('\n');
        }
        self.out.push_str(&format!("{header} {{\n"));
        self.filled.push(false);
    }

    fn close(&mut self) {
        if self.filled.pop() == Some(false) && self.out.ends_with("{\n") {
            self.out.truncate(self.out.len() - 1);
        }
        self.out.push_str("}\n");
    }

    /// Notes that the block is not empty; whether it was not before.
    fn fill(&mut self) -> bool {
        self.filled.last_mut().is_some_and(|filled| std::mem::replace(filled, true))
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.fill();
        self.out.push_str(&format!("{name} = {value}\n"));
    }

    /// Attributes first, then blocks.
    fn body(&mut self, fields: &[Field], object: &Map<String, Value>) -> Written {
        for blocks in [false, true] {
            for field in fields {
                let value = object.get(field.json).unwrap_or(&Value::Null);
                if !value.is_null() && is_block(field.form, value) == blocks {
                    self.field(field, value, object)?;
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &Value, object: &Map<String, Value>) -> Written {
        let name = field.hcl;
        match field.form {
            Form::Derived => Ok(()),
            Form::Block(fields) | Form::FirstOf(fields) => self.block(name, fields, value),
            Form::Blocks(fields) | Form::RestOf(fields) => {
                items(value).iter().try_for_each(|item| self.block(name, fields, item))
            }
            Form::Labelled(label, fields) => {
                let name = if loose_ports(field.json, value) { "reserved_ports" } else { name };
                items(value).iter().try_for_each(|item| self.labelled(name, label, fields, item))
            }
            Form::Keyed(label, fields) => {
                let entries = value.as_object().into_iter().flatten();
                entries.map(|(_, item)| item).try_for_each(|item| self.labelled(name, label, fields, item))
            }
            Form::TaskScaling(fields) => items(value).iter().try_for_each(|item| {
                let kind = item.get("Type").and_then(Value::as_str).unwrap_or_default();
                self.block(&format!("{name} {}", label_text(kind.trim_start_matches("vertical_"))), fields, item)
            }),
            Form::Free => self.free_block(name, value),
            Form::TextBlock | Form::ListBlock => self.plain_block(name, value),
            Form::MapOrBlock if has_plain_keys(value) => self.plain_block(name, value),
            _ if is_implied(field, value, object) => Ok(()),
            Form::Duration | Form::DurationOr(_) => {
                self.attribute(name, &duration(value));
                Ok(())
            }
            _ => {
                self.attribute(name, &own_line(value));
                Ok(())
            }
        }
    }

    fn block(&mut self, header: &str, fields: &[Field], value: &Value) -> Written {
        let Some(object) = value.as_object() else { return Err(format!("{header} is no object")) };
        self.open(header);
        self.body(fields, object)?;
        self.close();
        Ok(())
    }

    fn labelled(&mut self, name: &str, label: &str, fields: &[Field], value: &Value) -> Written {
        let label = value.get(label).and_then(Value::as_str).unwrap_or_default();
        self.block(&format!("{name} {}", label_text(label)), fields, value)
    }

    /// A block whose values are texts or lists of texts.
    fn plain_block(&mut self, name: &str, value: &Value) -> Written {
        self.open(name);
        for (key, value) in value.as_object().into_iter().flatten() {
            if !is_word(key) {
                return Err(format!("{name} has the key {key:?}, which a block cannot have"));
            }
            self.attribute(key, &own_line(value));
        }
        self.close();
        Ok(())
    }

    /// A free-form block: lists of maps are blocks again, as they were read. A map that stands alone was not written
    /// directly behind an equals sign, or it would be in a list; parentheses keep it out of one.
    fn free_block(&mut self, name: &str, value: &Value) -> Written {
        self.open(name);
        let entries = value.as_object().ok_or_else(|| format!("{name} is no object"))?;
        for blocks in [false, true] {
            for (key, value) in entries {
                if !is_word(key) {
                    return Err(format!("{name} has the key {key:?}, which a block cannot have"));
                }
                let maps = items(value);
                let as_blocks = !maps.is_empty() && key != "dynamic" && maps.iter().all(can_be_block);
                match (as_blocks, blocks) {
                    (true, true) => maps.iter().try_for_each(|map| self.free_block(key, map))?,
                    (false, false) if value.is_object() => self.attribute(key, &format!("({})", expression(value))),
                    (false, false) => self.attribute(key, &own_line(value)),
                    _ => {}
                }
            }
        }
        self.close();
        Ok(())
    }
}

fn can_be_block(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().all(|key| is_word(key)))
}

fn is_block(form: Form, value: &Value) -> bool {
    match form {
        Form::MapOrBlock => has_plain_keys(value),
        Form::TextBlock | Form::ListBlock | Form::Free | Form::Block(_) | Form::Blocks(_) => true,
        Form::Labelled(..) | Form::Keyed(..) | Form::FirstOf(_) | Form::RestOf(_) | Form::TaskScaling(_) => true,
        _ => false,
    }
}

/// Whether leaving the attribute out says the same.
fn is_implied(field: &Field, value: &Value, object: &Map<String, Value>) -> bool {
    let empty = match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(flag) => !flag,
        _ => false,
    };
    match field.form {
        _ if field.plain && empty => true,
        Form::TextOr(implied) => value == implied,
        Form::TruthOr(implied) => *value == implied,
        Form::DurationOr(seconds) => *value == GoDuration::from_secs(seconds).0,
        Form::TextsOrNone => items(value).is_empty(),
        _ => field.json == "Operand" && value == "=" && object.contains_key("LTarget"),
    }
}

/// Ports without a number in the list of fixed ones come from the block of that name.
fn loose_ports(json: &str, value: &Value) -> bool {
    let loose = |port: &Value| port.get("Value").and_then(Value::as_i64).unwrap_or(0) <= 0;
    json == "ReservedPorts" && items(value).iter().any(loose)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text_of(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn has_plain_keys(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().all(|key| is_word(key)))
}

/// Whether a text can name an attribute.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn duration(value: &Value) -> String {
    let nanos = value.as_i64().unwrap_or_default();
    let text = GoDuration(nanos).to_string();
    if GoDuration::parse(&text) == Ok(GoDuration(nanos)) { format!("\"{text}\"") } else { nanos.to_string() }
}

/// An attribute's value; a text of several lines becomes a heredoc.
fn own_line(value: &Value) -> String {
    match value {
        Value::String(text) => heredoc(text).unwrap_or_else(|| quoted(text)),
        other => expression(other),
    }
}

fn expression(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(expression).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let key = if is_word(key) && !["for", "null", "true", "false"].contains(&key.as_str()) {
                    key.clone()
                } else {
                    label_text(key)
                };
                format!("{key} = {}", expression(value))
            };
            let entries: Vec<String> = map.iter().map(entry).collect();
            if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text, true))
}

/// A label, or the key of a map: `${` cannot stand in it.
fn label_text(text: &str) -> String {
    let marked = text.replace("${", "$${").replace("%{", "%%{");
    let plain: String = marked.chars().map(escape).collect();
    format!("\"{plain}\"")
}

fn escape(c: char) -> String {
    match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    }
}

/// Text of a template. Names that only a node knows are left as they are; every other `${` and `%{` is doubled so that
/// it stays text.
fn escaped(text: &str, in_quotes: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("${") || rest.starts_with("%{") {
            let name = runtime_name(rest).filter(|_| !out.ends_with('$'));
            let len = name.map_or(2, str::len);
            if name.is_none() {
                out.push(first);
            }
            out.push_str(&rest[..len]);
            rest = &rest[len..];
            continue;
        }
        match in_quotes {
            true => out.push_str(&escape(first)),
            false => out.push(first),
        }
        rest = &rest[first.len_utf8()..];
    }
    out
}

/// `${attr.kernel.name}` and its like at the start of a text. A closing brace behind it would be doubled when read.
fn runtime_name(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let name = text.strip_prefix("${")?.get(..end - 2)?;
    let first = name.split('.').next()?;
    let known = ["var", "local", "true", "false", "null"].contains(&first);
    let written = name.split('.').all(is_word);
    let braced = text[end + 1..].trim_start().starts_with('}');
    (written && !known && !braced).then(|| &text[..=end])
}

/// A text of several whole lines as a heredoc.
fn heredoc(text: &str) -> Option<String> {
    let lines = text.strip_suffix('\n')?;
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !lines.contains('\n') || text.contains(odd) {
        return None;
    }
    let taken = |marker: &String| text.lines().any(|line| line.trim() == marker);
    let marker = ["EOF", "EOT", "END", "TEXT"].map(str::to_owned).into_iter().find(|marker| !taken(marker))?;
    Some(format!("<<{marker}\n{}{marker}", escaped(text, false)))
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
