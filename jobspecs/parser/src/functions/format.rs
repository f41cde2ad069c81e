//! `format` and `formatlist`: texts with `%` marks.

use unicode_segmentation::UnicodeSegmentation;

use super::{Outcome, bounded, encoding};
use crate::number::{Number, round_digits};
use crate::syntax::normal;
use crate::value::Value;

/// The widest field and the longest fraction.
const MAX_WIDTH: usize = 10_000;

/// One `%` mark: flags, width, precision, which argument, and letter.
#[derive(Default)]
struct Mark {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    position: Option<usize>,
    letter: char,
}

pub(super) fn format(arguments: &[Value]) -> Outcome {
    bounded(normal(render(&arguments[0].to_text()?, &arguments[1..])?))
}

pub(super) fn formatlist(arguments: &[Value]) -> Outcome {
    let lengths: Vec<usize> = arguments[1..].iter().filter_map(|value| value.items().ok()).map(<[_]>::len).collect();
    let rows = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|length| *length != rows) {
        return Err("the lists have different lengths".to_owned());
    }
    let pattern = arguments[0].to_text()?;
    let (mut out, mut size) = (Vec::with_capacity(rows), 0);
    for at in 0..rows {
        let row = arguments[1..].iter().map(|value| value.items().map_or(value, |items| &items[at]).clone());
        let text = normal(render(&pattern, &row.collect::<Vec<_>>())?);
        size += text.len();
        if size > super::MAX_TEXT {
            return Err("the texts are too large together".to_owned());
        }
        out.push(text);
    }
    Ok(Value::texts(out))
}

fn render(pattern: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let (mut rest, mut next, mut used) = (pattern, 0, 0);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (mark, after) = Mark::read(after)?;
        rest = after;
        let at = mark.position.map_or(Ok(next), |position| position.checked_sub(1).ok_or("arguments count from 1"))?;
        let value = values.get(at).ok_or("there are fewer values than % marks")?;
        next = at + 1;
        used = used.max(next);
        out.push_str(&mark.render(value)?);
        if out.len() > super::MAX_TEXT {
            return Err("the result is larger than 4 MiB".to_owned());
        }
    }
    if used < values.len() {
        return Err("there are more values than % marks".to_owned());
    }
    out.push_str(rest);
    Ok(out)
}

impl Mark {
    /// Reads a mark behind its `%`, and gives what follows.
    fn read(text: &str) -> Result<(Mark, &str), String> {
        let mut mark = Mark::default();
        let mut rest = text;
        loop {
            let flag = match rest.as_bytes().first() {
                Some(b'-') => &mut mark.minus,
                Some(b'+') => &mut mark.plus,
                Some(b'0') => &mut mark.zero,
                Some(b' ') => &mut mark.space,
                Some(b'#') => &mut mark.alternate,
                _ => break,
            };
            *flag = true;
            rest = &rest[1..];
        }
        if let Some((width, after)) = number(rest)? {
            (mark.width, rest) = (width, after);
        }
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?.unwrap_or((0, after));
            (mark.precision, rest) = (Some(precision), after);
        }
        if let Some(after) = rest.strip_prefix('[') {
            let (position, after) = number(after)?.ok_or("a number is needed between [ and ]")?;
            (mark.position, rest) = (Some(position), after.strip_prefix(']').ok_or("a ] is missing")?);
        }
        let mut chars = rest.chars();
        mark.letter = chars.next().ok_or("the text ends in the middle of a % mark")?;
        Ok((mark, chars.as_str()))
    }

    fn render(&self, value: &Value) -> Result<String, String> {
        let text = match self.letter {
            'v' if self.alternate => encoding::json_text(value),
            'v' => match value {
                Value::Text(text) => text.clone(),
                Value::Number(number) => self.shortest(number),
                Value::Bool(flag) => flag.to_string(),
                other => encoding::json_text(other),
            },
            's' => self.cut(value.to_text()?),
            'q' => encoding::json_text(&Value::Text(self.cut(value.to_text()?))),
            't' => return Ok(value.to_bool()?.to_string()),
            'd' | 'b' | 'o' | 'x' | 'X' => return self.whole(&value.to_number()?),
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => return Ok(self.float(&value.to_number()?)),
            other => return Err(format!("there is no mark %{other}")),
        };
        Ok(self.padded(String::new(), text))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(length) => text.graphemes(true).take(length).collect(),
            None => text,
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        }
    }

    fn whole(&self, number: &Number) -> Result<String, String> {
        if !number.is_whole() {
            return Err(format!("a whole number is needed for %{}, not {number}", self.letter));
        }
        let whole = number.truncated();
        let (radix, lead) = match self.letter {
            'b' => (2, "0b"),
            'o' => (8, "0"),
            'x' => (16, "0x"),
            'X' => (16, "0X"),
            _ => (10, ""),
        };
        let mut digits = whole.magnitude().to_str_radix(radix);
        if self.letter == 'X' {
            digits.make_ascii_uppercase();
        }
        if let Some(least) = self.precision {
            digits = format!("{digits:0>least$}");
        }
        let lead = if self.alternate { lead } else { "" };
        Ok(self.padded(format!("{}{lead}", self.sign(number.is_negative())), digits))
    }

    fn float(&self, number: &Number) -> String {
        let magnitude = number.absolute();
        let digits = match self.letter {
            'e' | 'E' => exponential(magnitude.decimal(), self.precision.unwrap_or(6)),
            'f' | 'F' => fixed(magnitude.decimal(), self.precision.unwrap_or(6)),
            _ => self.shortest(&magnitude),
        };
        let digits = if self.letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
        self.padded(self.sign(number.is_negative()).to_owned(), digits)
    }

    /// The shorter of fixed and exponential form, without a plus or blank in front.
    fn shortest(&self, number: &Number) -> String {
        let sign = if number.is_negative() { "-" } else { "" };
        let (digits, point) = match self.precision {
            Some(precision) => {
                let (digits, point) = number.decimal();
                round_digits(digits, point, precision.max(1))
            }
            None => number.shortest(),
        };
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        // Beyond that many digits before the point, the exponent is shorter.
        let limit = match self.precision.map(|precision| i64::try_from(precision.max(1)).unwrap_or(i64::MAX)) {
            Some(precision) if precision > count && count >= point => count,
            Some(precision) => precision,
            None => 6,
        };
        let body = if !digits.is_empty() && (point < -3 || point > limit) {
            let fraction = digits.len() - 1;
            exponential((digits, point), fraction)
        } else {
            let fraction = if count == 0 { 0 } else { usize::try_from((count - point).max(0)).unwrap_or(0) };
            fixed((digits, point), fraction)
        };
        format!("{sign}{body}")
    }

    /// Fills up to the width: blanks in front, or behind, or zeros behind the sign.
    fn padded(&self, sign: String, text: String) -> String {
        let length = sign.len() + text.graphemes(true).count();
        let missing = self.width.saturating_sub(length);
        match (self.minus, self.zero) {
            (true, _) => format!("{sign}{text}{}", " ".repeat(missing)),
            (false, true) => format!("{sign}{}{text}", "0".repeat(missing)),
            (false, false) => format!("{}{sign}{text}", " ".repeat(missing)),
        }
    }
}

/// A number at the start of a text, and what follows it.
fn number(text: &str) -> Result<Option<(usize, &str)>, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok(None);
    }
    let number = text[..digits].parse::<usize>().ok().filter(|number| *number <= MAX_WIDTH);
    let number = number.ok_or_else(|| format!("a width is at most {MAX_WIDTH}"))?;
    Ok(Some((number, &text[digits..])))
}

fn char_of(digit: u8) -> char {
    char::from(b'0' + digit)
}

/// `1.50`, with that many digits behind the point.
fn fixed((digits, point): (Vec<u8>, i64), precision: usize) -> String {
    let kept = point.saturating_add(i64::try_from(precision).unwrap_or(i64::MAX));
    let (digits, point) = match usize::try_from(kept) {
        Ok(kept) => round_digits(digits, point, kept),
        Err(_) => (Vec::new(), 0),
    };
    let digit = |at: i64| usize::try_from(at).ok().and_then(|at| digits.get(at)).map_or('0', |digit| char_of(*digit));
    let mut out = String::new();
    if point <= 0 || digits.is_empty() {
        out.push('0');
    } else {
        out.extend((0..point).map(digit));
    }
    if precision > 0 {
        out.push('.');
        out.extend((0..i64::try_from(precision).unwrap_or(0)).map(|at| digit(point + at)));
    }
    out
}

/// `1.5e+03`, with that many digits behind the point and at least two of exponent.
fn exponential((digits, point): (Vec<u8>, i64), precision: usize) -> String {
    let zero = digits.is_empty();
    let (digits, point) = round_digits(digits, point, precision.saturating_add(1));
    let digit = |at: usize| digits.get(at).map_or('0', |digit| char_of(*digit));
    let mut out = String::from(digit(0));
    if precision > 0 {
        out.push('.');
        out.extend((1..=precision).map(digit));
    }
    let power = if zero { 0 } else { point - 1 };
    out.push_str(&format!("e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs()));
    out
}
