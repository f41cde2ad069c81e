//! `csvdecode`: a table of texts with a header line.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use crate::types::Type;
use crate::value::Value;

pub(super) fn csvdecode(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let mut records = records(&text)?.into_iter();
    let header = records.next().ok_or("a header line is needed")?;
    if header.iter().collect::<BTreeSet<_>>().len() != header.len() {
        return Err("a column name is there twice".to_owned());
    }
    let mut rows = Vec::new();
    for (at, record) in records.enumerate() {
        if record.len() != header.len() {
            return Err(format!("record {} has {} fields, the header {}", at + 2, record.len(), header.len()));
        }
        let cells = header.iter().cloned().zip(record.into_iter().map(Value::Text));
        rows.push(Value::Object(cells.collect::<BTreeMap<_, _>>()));
    }
    let kind = Type::Object(header.into_iter().map(|name| (name, (Type::Text, false))).collect());
    Ok(Value::List(kind, rows))
}

/// Records of RFC 4180; empty lines between them do not count.
fn records(text: &str) -> Result<Vec<Vec<String>>, String> {
    let text = text.replace("\r\n", "\n");
    let mut chars = text.chars().peekable();
    let (mut records, mut record) = (Vec::new(), Vec::new());
    while chars.peek().is_some() {
        if record.is_empty() && chars.peek() == Some(&'\n') {
            chars.next();
            continue;
        }
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => return Err("a quote is never closed".to_owned()),
                }
            }
            if chars.peek().is_some_and(|c| *c != ',' && *c != '\n') {
                return Err("a quoted field must end with its quote".to_owned());
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',' && *c != '\n') {
                if c == '"' {
                    return Err("a quote stands in a field without quotes".to_owned());
                }
                field.push(c);
            }
        }
        record.push(field);
        match chars.next() {
            Some(',') if chars.peek().is_none() || chars.peek() == Some(&'\n') => {
                record.push(String::new());
                chars.next();
                records.push(std::mem::take(&mut record));
            }
            Some(',') => {}
            _ => records.push(std::mem::take(&mut record)),
        }
    }
    Ok(records)
}
