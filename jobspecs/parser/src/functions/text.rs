//! Texts. What counts as one character is what a reader sees as one.

use regex::RegexBuilder;
use unicode_segmentation::UnicodeSegmentation;

use super::collection::texts;
use super::{Function, MANY, MAX_TEXT, Outcome, bounded, format, row};
use crate::syntax::normal;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("chomp", 1, 1, |arguments| with_text(arguments, |text| text.trim_end_matches(['\n', '\r']).to_owned())),
    row("format", 1, MANY, format::format),
    row("formatlist", 1, MANY, format::formatlist),
    row("indent", 2, 2, indent),
    row("join", 2, MANY, join),
    row("lower", 1, 1, |arguments| with_text(arguments, |text| text.chars().map(lower).collect())),
    row("regex_replace", 3, 3, regex_replace),
    row("replace", 3, 3, replace),
    row("reverse", 1, 1, reverse),
    row("split", 2, 2, split),
    row("strlen", 1, 1, strlen),
    row("strrev", 1, 1, reverse),
    row("substr", 3, 3, substr),
    row("title", 1, 1, |arguments| with_text(arguments, title)),
    row("trim", 2, 2, trim),
    row("trimprefix", 2, 2, |arguments| affix(arguments, |text, part| text.strip_prefix(part))),
    row("trimspace", 1, 1, |arguments| with_text(arguments, |text| text.trim().to_owned())),
    row("trimsuffix", 2, 2, |arguments| affix(arguments, |text, part| text.strip_suffix(part))),
    row("upper", 1, 1, |arguments| with_text(arguments, |text| text.chars().map(upper).collect())),
];

/// The longest text that a pattern is looked for in.
const MAX_MATCHED: usize = 256 * 1024;

fn with_text(arguments: &[Value], change: impl Fn(&str) -> String) -> Outcome {
    Ok(Value::Text(normal(change(&arguments[0].to_text()?))))
}

/// One character for one: those that become several stay, or keep the first.
fn upper(c: char) -> char {
    let mut changed = c.to_uppercase();
    match (changed.next(), changed.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn affix(arguments: &[Value], strip: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Outcome {
    let (text, part) = (arguments[0].to_text()?, arguments[1].to_text()?);
    Ok(Value::text(strip(&text, &part).unwrap_or(&text)))
}

fn indent(arguments: &[Value]) -> Outcome {
    let width = usize::try_from(arguments[0].to_int()?).ok().filter(|width| *width <= 1000);
    let pad = format!("\n{}", " ".repeat(width.ok_or("the width must be 0 to 1000")?));
    let text = arguments[1].to_text()?;
    enough_room(&text, &pad)?;
    bounded(text.replace('\n', &pad))
}

/// Before each character is replaced by `with`.
fn enough_room(text: &str, with: &str) -> Result<(), String> {
    match text.len().saturating_add(1).saturating_mul(with.len().max(1)) {
        size if size > MAX_TEXT * 16 => Err("the result is larger than 4 MiB".to_owned()),
        _ => Ok(()),
    }
}

fn join(arguments: &[Value]) -> Outcome {
    let separator = arguments[0].to_text()?;
    let mut parts = Vec::new();
    for list in &arguments[1..] {
        for item in texts(list)? {
            parts.push(item.to_text()?);
        }
    }
    if separator.len().saturating_mul(parts.len()) > MAX_TEXT {
        return Err("the result is larger than 4 MiB".to_owned());
    }
    bounded(normal(parts.join(&separator)))
}

fn replace(arguments: &[Value]) -> Outcome {
    let (text, from, to) = (arguments[0].to_text()?, arguments[1].to_text()?, arguments[2].to_text()?);
    enough_room(&text, &to)?;
    bounded(normal(text.replace(&from, &to)))
}

fn regex_replace(arguments: &[Value]) -> Outcome {
    let (text, pattern, to) = (arguments[0].to_text()?, arguments[1].to_text()?, arguments[2].to_text()?);
    if text.len() > MAX_MATCHED {
        return Err("the text is larger than 256 KiB".to_owned());
    }
    let pattern = RegexBuilder::new(&pattern).size_limit(1 << 18).build().map_err(|why| {
        let why = why.to_string();
        let last = why.lines().last().unwrap_or("it cannot be read").trim_start_matches("error: ").to_owned();
        format!("the pattern is wrong: {last}")
    })?;
    // A replacement may hold the match several times.
    let growth = to.len() + to.matches('$').count().saturating_mul(text.len());
    if text.len().saturating_add(1).saturating_mul(growth.max(1)) > MAX_TEXT * 16 {
        return Err("the result is larger than 4 MiB".to_owned());
    }
    bounded(normal(pattern.replace_all(&text, to.as_str()).into_owned()))
}

fn reverse(arguments: &[Value]) -> Outcome {
    with_text(arguments, |text| text.graphemes(true).rev().collect())
}

fn split(arguments: &[Value]) -> Outcome {
    let (separator, text) = (arguments[0].to_text()?, arguments[1].to_text()?);
    if separator.is_empty() {
        return Ok(Value::texts(text.chars().map(String::from)));
    }
    Ok(Value::texts(text.split(&separator).map(str::to_owned)))
}

fn strlen(arguments: &[Value]) -> Outcome {
    let count = arguments[0].to_text()?.graphemes(true).count();
    Ok(Value::int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// A negative offset counts from the end; a negative length means the rest.
fn substr(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let (offset, length) = (arguments[1].to_int()?, arguments[2].to_int()?);
    let graphemes: Vec<&str> = text.graphemes(true).collect();
    let size = i64::try_from(graphemes.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { size.saturating_add(offset).max(0) } else { offset.min(size) };
    let end = if length < 0 { size } else { start.saturating_add(length).min(size) };
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    Ok(Value::Text(graphemes.get(range).unwrap_or(&[]).concat()))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at_start = true;
    for c in text.chars() {
        out.push(if at_start { upper(c) } else { c });
        at_start = if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() };
    }
    out
}

fn trim(arguments: &[Value]) -> Outcome {
    let (text, set) = (arguments[0].to_text()?, arguments[1].to_text()?);
    Ok(Value::text(text.trim_matches(|c| set.contains(c))))
}
