//! Arithmetic.

use num_bigint::BigInt;

use super::{Function, MANY, Outcome, row};
use crate::number::Number;
use crate::types::Type;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("abs", 1, 1, |arguments| Ok(Value::Number(arguments[0].to_number()?.absolute()))),
    row("ceil", 1, 1, |arguments| Ok(Value::Number(arguments[0].to_number()?.ceil()))),
    row("floor", 1, 1, |arguments| Ok(Value::Number(arguments[0].to_number()?.floor()))),
    row("log", 2, 2, log),
    row("max", 1, MANY, |arguments| extreme(arguments, std::cmp::Ordering::Greater)),
    row("min", 1, MANY, |arguments| extreme(arguments, std::cmp::Ordering::Less)),
    row("parseint", 2, 2, parseint),
    row("pow", 2, 2, pow),
    row("range", 1, 3, range),
    row("signum", 1, 1, |arguments| Ok(Value::int(arguments[0].to_int()?.signum()))),
];

fn extreme(arguments: &[Value], wanted: std::cmp::Ordering) -> Outcome {
    let mut best = arguments[0].to_number()?;
    for value in &arguments[1..] {
        let number = value.to_number()?;
        if number.compare(&best) == wanted {
            best = number;
        }
    }
    Ok(Value::Number(best))
}

/// Digits go on with small letters and, from base 37, with capital ones.
fn digit(c: char, base: u32) -> Option<u32> {
    let value = match c {
        '0'..='9' => u32::from(c) - u32::from('0'),
        'a'..='z' => u32::from(c) - u32::from('a') + 10,
        'A'..='Z' => u32::from(c) - u32::from('A') + if base <= 36 { 10 } else { 36 },
        _ => return None,
    };
    (value < base).then_some(value)
}

fn parseint(arguments: &[Value]) -> Outcome {
    let Value::Text(text) = &arguments[0] else {
        return Err(format!("a text is needed here, this is {}", arguments[0].kind()));
    };
    let base = u32::try_from(arguments[1].to_int()?).ok().filter(|base| (2..=62).contains(base));
    let base = base.ok_or("the base must be 2 to 62")?;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 1000 || digits.chars().any(|c| digit(c, base).is_none()) {
        return Err(format!("{text:?} is no number of base {base}"));
    }
    let mut number = BigInt::ZERO;
    for value in digits.chars().filter_map(|c| digit(c, base)) {
        number = number * base + value;
    }
    if text.starts_with('-') {
        number = -number;
    }
    Ok(Value::Number(Number::from_digits(&number)))
}

/// A result that went through 64-bit floats.
fn float(result: f64) -> Outcome {
    Number::from_f64(result).map(Value::Number).ok_or_else(|| "the result is no number".to_owned())
}

fn pow(arguments: &[Value]) -> Outcome {
    float(arguments[0].to_number()?.to_f64().powf(arguments[1].to_number()?.to_f64()))
}

fn log(arguments: &[Value]) -> Outcome {
    let (number, base) = (arguments[0].to_number()?.to_f64(), arguments[1].to_number()?.to_f64());
    float(number.ln() / base.ln())
}

fn range(arguments: &[Value]) -> Outcome {
    let numbers: Vec<Number> = arguments.iter().map(Value::to_number).collect::<Result<_, _>>()?;
    let zero = Number::from(0);
    let (start, end) = match &numbers[..] {
        [end] => (zero.clone(), end.clone()),
        [start, end, ..] => (start.clone(), end.clone()),
        [] => return Err("an end is needed".to_owned()),
    };
    let down = end.compare(&start).is_lt();
    let step = numbers.get(2).cloned().unwrap_or(Number::from(if down { -1 } else { 1 }));
    let backwards = step.is_negative();
    if step.is_zero() || (backwards != down && !end.compare(&start).is_eq()) {
        return Err("the step leads away from the end".to_owned());
    }
    let (mut items, mut at) = (Vec::new(), start);
    while if backwards { at.compare(&end).is_gt() } else { at.compare(&end).is_lt() } {
        if items.len() == 1024 {
            return Err("more than 1024 items".to_owned());
        }
        let next = at.add(&step);
        items.push(Value::Number(at));
        at = next;
    }
    Ok(Value::List(Type::Number, items))
}
