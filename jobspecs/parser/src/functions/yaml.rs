//! `yamldecode`: one YAML document, with the plain scalars of YAML 1.1 as Nomad resolves them.

use std::collections::BTreeMap;

use num_bigint::BigInt;
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::Outcome;
use crate::number::Number;
use crate::syntax::normal;
use crate::value::Value;

/// Values of one document; aliases multiply them.
const MAX_NODES: usize = 100_000;
/// Lists and maps may lie this deep in each other.
const MAX_DEPTH: usize = 100;

pub(super) fn yamldecode(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    // A tab indents nothing in YAML.
    if text.lines().any(|line| line.starts_with('\t') && line.trim_start().starts_with(|c: char| c.is_alphanumeric())) {
        return Err("not YAML: a line begins with a tab".to_owned());
    }
    let mut reader = Reader { parser: Parser::new_from_str(&text), anchors: BTreeMap::new(), nodes: 0, depth: 0 };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::StreamEnd => return Err("there is no document".to_owned()),
            first => {
                let value = reader.value(first)?;
                return match (reader.next()?, reader.next()?) {
                    (Event::DocumentEnd, Event::StreamEnd) => Ok(value),
                    _ => Err("only one document can be read".to_owned()),
                };
            }
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: BTreeMap<usize, Value>,
    nodes: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(why)) => Err(format!("not YAML: {why}")),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, event: Event<'t>) -> Outcome {
        if self.depth > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
        }
        self.count(1)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or("an alias stands for nothing")?;
                self.count(value.size())?;
                return Ok(value);
            }
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref())?, anchor),
            Event::SequenceStart(anchor, _) => {
                self.depth += 1;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.value(event)?),
                    }
                }
                self.depth -= 1;
                (Value::Tuple(items), anchor)
            }
            Event::MappingStart(anchor, _) => {
                self.depth += 1;
                let entries = self.mapping()?;
                self.depth -= 1;
                (Value::Object(entries), anchor)
            }
            _ => return Err("not YAML: a value is missing".to_owned()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn count(&mut self, more: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES { Err(format!("it holds more than {MAX_NODES} values")) } else { Ok(()) }
    }

    fn mapping(&mut self) -> Result<BTreeMap<String, Value>, String> {
        let (mut entries, mut merged) = (BTreeMap::new(), BTreeMap::new());
        loop {
            let key = self.next()?;
            if key == Event::MappingEnd {
                break;
            }
            let is_merge = matches!(&key, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.value(key)?;
            let event = self.next()?;
            let value = self.value(event)?;
            if is_merge {
                merge(&value, &mut merged)?;
            } else {
                entries.insert(key.to_text().map_err(|_| "a key must be a text, number or truth value")?, value);
            }
        }
        merged.extend(entries);
        Ok(merged)
    }
}

/// The entries of a map, or of a list of maps of which the first ones count more.
fn merge(value: &Value, into: &mut BTreeMap<String, Value>) -> Result<(), String> {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                into.entry(key.clone()).or_insert_with(|| value.clone());
            }
            Ok(())
        }
        Value::Tuple(items) => items.iter().try_for_each(|item| merge(item, into)),
        other => Err(format!("<< takes a map, not {}", other.kind())),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Outcome {
    let as_text = || Ok(Value::Text(normal(text.to_owned())));
    let suffix = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    match (suffix, style) {
        (Some("str" | "binary"), _) => as_text(),
        (Some(kind @ ("int" | "float" | "bool" | "null" | "timestamp")), _) => {
            plain(text)?.ok_or_else(|| format!("{text:?} is no {kind}"))
        }
        (None, ScalarStyle::Plain) if tag.is_none() => match plain(text)? {
            Some(value) => Ok(value),
            None => as_text(),
        },
        _ => as_text(),
    }
}

/// What a scalar without quotes stands for; `None` when for itself.
fn plain(text: &str) -> Result<Option<Value>, String> {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan" | ".NaN"
        | ".NAN" => return Err(format!("{text} is no number here")),
        _ => match number(text) {
            Some(number) => Value::Number(number),
            None => return Ok(time(text).map(Value::Text)),
        },
    };
    Ok(Some(value))
}

fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    for (lead, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(lead) {
            let whole = BigInt::parse_bytes(rest.as_bytes(), radix).filter(|_| !rest.starts_with(['-', '+']))?;
            return Some(Number::from_digits(&if negative { -whole } else { whole }));
        }
    }
    // `.5` and `5.` are numbers here.
    let (mantissa, power) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let full = format!("0{}{power}", mantissa.strip_suffix('.').unwrap_or(mantissa));
    let has_digit = mantissa.starts_with(|c: char| c.is_ascii_digit())
        || (mantissa.starts_with('.') && mantissa[1..].starts_with(|c: char| c.is_ascii_digit()));
    let number = Number::parse(&full).filter(|_| has_digit)?;
    Some(if negative { number.negate() } else { number })
}

/// A date, as the text of its point in time; other times stay as they are.
fn time(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '-');
    let mut number = |least: usize, most: usize| {
        parts
            .next()
            .filter(|part| (least..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (year, month, day) = (number(4, 4)?, number(1, 2)?, number(1, 2)?);
    let date = format!("{year}-{month:0>2}-{day:0>2}T00:00:00Z");
    super::date::exists(&date).then_some(date)
}
