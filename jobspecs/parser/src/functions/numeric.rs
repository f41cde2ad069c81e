//! Arithmetic.

use super::{Function, MANY, row};
use crate::number::Number;
use crate::value::Value;

type Outcome = Result<Value, String>;

pub(super) const TABLE: &[Function] = &[
    row("abs", 1, 1, abs),
    row("ceil", 1, 1, |arguments| rounded(arguments, f64::ceil)),
    row("floor", 1, 1, |arguments| rounded(arguments, f64::floor)),
    row("max", 1, MANY, |arguments| extreme(arguments, std::cmp::Ordering::Greater)),
    row("min", 1, MANY, |arguments| extreme(arguments, std::cmp::Ordering::Less)),
    row("parseint", 2, 2, parseint),
    row("pow", 2, 2, pow),
    row("range", 1, 3, range),
    row("signum", 1, 1, signum),
];

fn abs(arguments: &[Value]) -> Outcome {
    let number = arguments[0].to_number()?;
    let negative = number.compare(&Number::from(0)).is_lt();
    Ok(Value::Number(if negative { number.negate() } else { number }))
}

fn rounded(arguments: &[Value], round: fn(f64) -> f64) -> Outcome {
    let number = arguments[0].to_number()?;
    Ok(Value::Number(match number {
        Number::Int(_) => number,
        Number::Float(float) => Number::from_f64(round(float)),
    }))
}

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

fn parseint(arguments: &[Value]) -> Outcome {
    let text = arguments[0].to_text()?;
    let base = u32::try_from(arguments[1].to_int()?).ok().filter(|base| (2..=36).contains(base));
    let base = base.ok_or("the base must be 2 to 36")?;
    let number = i128::from_str_radix(&text, base).map_err(|_| format!("{text:?} is no number of base {base}"))?;
    Ok(Value::Number(Number::Int(number)))
}

fn pow(arguments: &[Value]) -> Outcome {
    let result = arguments[0].to_number()?.to_f64().powf(arguments[1].to_number()?.to_f64());
    if result.is_finite() { Ok(Value::Number(Number::from_f64(result))) } else { Err("the result is too large".into()) }
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
    let backwards = step.compare(&zero).is_lt();
    if step.compare(&zero).is_eq() || (backwards != down && !end.compare(&start).is_eq()) {
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
    Ok(Value::List(crate::value::Sequence::List, items))
}

fn signum(arguments: &[Value]) -> Outcome {
    let order = arguments[0].to_number()?.compare(&Number::from(0));
    Ok(Value::int(order as i64))
}
