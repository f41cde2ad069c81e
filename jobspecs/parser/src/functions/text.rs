//! Texts.

use super::{Function, MANY, row};
use crate::value::{Sequence, Value};

type Outcome = Result<Value, String>;

pub(super) const TABLE: &[Function] = &[
    row("chomp", 1, 1, |arguments| with_text(arguments, |text| text.trim_end_matches(['\n', '\r']).to_owned())),
    row("format", 1, MANY, format_values),
    row("formatlist", 1, MANY, formatlist),
    row("indent", 2, 2, indent),
    row("join", 2, MANY, join),
    row("lower", 1, 1, |arguments| with_text(arguments, |text| text.to_lowercase())),
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
    row("upper", 1, 1, |arguments| with_text(arguments, |text| text.to_uppercase())),
];

/// Results of text functions are bounded; `replace` can square its input.
const MAX_TEXT: usize = 4 * 1024 * 1024;

fn with_text(arguments: &[Value], change: impl Fn(&str) -> String) -> Outcome {
    Ok(Value::Text(change(&arguments[0].to_text()?)))
}

fn affix(arguments: &[Value], strip: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Outcome {
    let (text, part) = (arguments[0].to_text()?, arguments[1].to_text()?);
    Ok(Value::text(strip(&text, &part).unwrap_or(&text)))
}

fn indent(arguments: &[Value]) -> Outcome {
    let width = usize::try_from(arguments[0].to_int()?).ok().filter(|width| *width <= 1000);
    let pad = format!("\n{}", " ".repeat(width.ok_or("the width must be 0 to 1000")?));
    bounded(arguments[1].to_text()?.replace('\n', &pad))
}

fn bounded(text: String) -> Outcome {
    if text.len() > MAX_TEXT { Err("the result is larger than 4 MiB".to_owned()) } else { Ok(Value::Text(text)) }
}

fn join(arguments: &[Value]) -> Outcome {
    let separator = arguments[0].to_text()?;
    let mut parts = Vec::new();
    for list in &arguments[1..] {
        for item in list.items()? {
            parts.push(item.to_text()?);
        }
    }
    bounded(parts.join(&separator))
}

fn replace(arguments: &[Value]) -> Outcome {
    let (text, from, to) = (arguments[0].to_text()?, arguments[1].to_text()?, arguments[2].to_text()?);
    if text.len().saturating_mul(to.len().max(1)) > MAX_TEXT * 16 {
        return Err("the result is larger than 4 MiB".to_owned());
    }
    bounded(text.replace(&from, &to))
}

fn reverse(arguments: &[Value]) -> Outcome {
    with_text(arguments, |text| text.chars().rev().collect())
}

fn split(arguments: &[Value]) -> Outcome {
    let (separator, text) = (arguments[0].to_text()?, arguments[1].to_text()?);
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|c| Value::text(c.to_string())).collect()
    } else {
        text.split(&separator).map(Value::text).collect()
    };
    Ok(Value::List(Sequence::List, parts))
}

fn strlen(arguments: &[Value]) -> Outcome {
    Ok(Value::int(i64::try_from(arguments[0].to_text()?.chars().count()).unwrap_or(i64::MAX)))
}

fn substr(arguments: &[Value]) -> Outcome {
    let text: Vec<char> = arguments[0].to_text()?.chars().collect();
    let (offset, length) = (arguments[1].to_int()?, arguments[2].to_int()?);
    let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let start = if offset < 0 { (size + offset).max(0) } else { offset.min(size) };
    let end = if length < 0 { size } else { start.saturating_add(length).min(size) };
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    Ok(Value::Text(text.get(range).unwrap_or(&[]).iter().collect()))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at_start = true;
    for c in text.chars() {
        if at_start && c.is_alphabetic() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        at_start = !(c.is_alphanumeric() || c == '_');
    }
    out
}

fn trim(arguments: &[Value]) -> Outcome {
    let (text, set) = (arguments[0].to_text()?, arguments[1].to_text()?);
    Ok(Value::text(text.trim_matches(|c| set.contains(c))))
}

fn formatlist(arguments: &[Value]) -> Outcome {
    let longest = arguments[1..].iter().filter_map(|value| value.items().ok()).map(<[Value]>::len).max();
    let rows = longest.unwrap_or(1);
    let mut out = Vec::with_capacity(rows);
    for at in 0..rows {
        let mut row = vec![arguments[0].clone()];
        for value in &arguments[1..] {
            row.push(match value {
                Value::List(_, items) => items.get(at).cloned().ok_or("the lists have different lengths")?,
                other => other.clone(),
            });
        }
        out.push(format_values(&row)?);
    }
    Ok(Value::List(Sequence::List, out))
}

/// One `%` verb: its flags, width, precision and letter.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

fn format_values(arguments: &[Value]) -> Outcome {
    let pattern: Vec<char> = arguments[0].to_text()?.chars().collect();
    let (mut out, mut at, mut next) = (String::new(), 0, 1);
    while at < pattern.len() {
        if pattern[at] != '%' {
            out.push(pattern[at]);
            at += 1;
            continue;
        }
        at += 1;
        if pattern.get(at) == Some(&'%') {
            out.push('%');
            at += 1;
            continue;
        }
        let (verb, letter, after, position) = read_verb(&pattern, at)?;
        at = after;
        if let Some(position) = position {
            next = position;
        }
        let value = arguments.get(next).ok_or("there are fewer values than % marks")?;
        next += 1;
        out.push_str(&verb.pad(verb.render(letter, value)?));
    }
    let positional = pattern.contains(&'[');
    if next < arguments.len() && !positional {
        return Err("there are more values than % marks".to_owned());
    }
    bounded(out)
}

fn read_verb(pattern: &[char], mut at: usize) -> Result<(Verb, char, usize, Option<usize>), String> {
    let mut verb = Verb::default();
    let number = |at: &mut usize| {
        let mut number = 0usize;
        while let Some(digit) = pattern.get(*at).and_then(|c| c.to_digit(10)) {
            number = (number * 10 + digit as usize).min(10_000);
            *at += 1;
        }
        number
    };
    loop {
        match pattern.get(at) {
            Some('-') => verb.minus = true,
            Some('+') => verb.plus = true,
            Some('0') => verb.zero = true,
            Some(' ') => verb.space = true,
            Some('#') => verb.alternate = true,
            _ => break,
        }
        at += 1;
    }
    verb.width = number(&mut at);
    if pattern.get(at) == Some(&'.') {
        at += 1;
        verb.precision = Some(number(&mut at));
    }
    let mut position = None;
    if pattern.get(at) == Some(&'[') {
        at += 1;
        position = Some(number(&mut at).max(1));
        at += 1;
    }
    let letter = *pattern.get(at).ok_or("the text ends in the middle of a % mark")?;
    Ok((verb, letter, at + 1, position))
}

impl Verb {
    fn render(&self, letter: char, value: &Value) -> Result<String, String> {
        let cut = |text: String| match self.precision {
            Some(length) => text.chars().take(length).collect(),
            None => text,
        };
        Ok(match letter {
            's' => cut(value.to_text()?),
            'q' => serde_json::Value::String(cut(value.to_text()?)).to_string(),
            'v' if self.alternate => value.to_json().to_string(),
            'v' => match value {
                Value::Text(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                other => other.to_json().to_string(),
            },
            't' => value.to_bool()?.to_string(),
            'd' => self.sign(format!("{}", value.to_number()?.to_f64().trunc() as i128)),
            'b' => self.sign(signed(value, |n| format!("{n:b}"))?),
            'o' => self.sign(signed(value, |n| format!("{n:o}"))?),
            'x' => self.sign(signed(value, |n| format!("{n:x}"))?),
            'X' => self.sign(signed(value, |n| format!("{n:X}"))?),
            'f' => self.sign(format!("{:.*}", self.precision.unwrap_or(6), value.to_number()?.to_f64())),
            'e' => self.sign(exponent(value.to_number()?.to_f64(), self.precision.unwrap_or(6))),
            'g' => self.sign(value.to_number()?.to_string()),
            other => return Err(format!("there is no mark %{other}")),
        })
    }

    fn sign(&self, digits: String) -> String {
        match digits.starts_with('-') {
            false if self.plus => format!("+{digits}"),
            false if self.space => format!(" {digits}"),
            _ => digits,
        }
    }

    fn pad(&self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if self.zero {
            let (sign, digits) = match text.strip_prefix(['-', '+']) {
                Some(digits) => (&text[..1], digits),
                None => ("", text.as_str()),
            };
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

fn signed(value: &Value, print: impl Fn(u128) -> String) -> Result<String, String> {
    let whole = value.to_int()?;
    let digits = print(u128::from(whole.unsigned_abs()));
    Ok(if whole < 0 { format!("-{digits}") } else { digits })
}

/// Go prints at least two digits of exponent.
fn exponent(float: f64, precision: usize) -> String {
    let text = format!("{float:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}
