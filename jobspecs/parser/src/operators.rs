//! Unary and binary operators.

use std::cmp::Ordering;

use crate::number::Number;
use crate::syntax::{BinaryOperator, UnaryOperator};
use crate::value::Value;

pub(crate) fn unary(operator: UnaryOperator, value: &Value) -> Result<Value, String> {
    match operator {
        UnaryOperator::Negate => Ok(Value::Number(value.to_number()?.negate())),
        UnaryOperator::Not => Ok(Value::Bool(!value.to_bool()?)),
    }
}

pub(crate) fn binary(left: &Value, operator: BinaryOperator, right: &Value) -> Result<Value, String> {
    use BinaryOperator as Op;
    let tame = |number: Number| match number.is_tame() {
        true => Ok(Value::Number(number)),
        false => Err("the result is too large, or too small".to_owned()),
    };
    let numbers = || -> Result<_, String> { Ok((left.to_number()?, right.to_number()?)) };
    let ordered = |accepted: &[Ordering]| -> Result<Value, String> {
        let (a, b) = numbers()?;
        Ok(Value::Bool(accepted.contains(&a.compare(&b))))
    };
    Ok(match operator {
        Op::Equal => Value::Bool(left == right),
        Op::NotEqual => Value::Bool(left != right),
        Op::Less => ordered(&[Ordering::Less])?,
        Op::LessEqual => ordered(&[Ordering::Less, Ordering::Equal])?,
        Op::Greater => ordered(&[Ordering::Greater])?,
        Op::GreaterEqual => ordered(&[Ordering::Greater, Ordering::Equal])?,
        Op::And => Value::Bool(left.to_bool()? & right.to_bool()?),
        Op::Or => Value::Bool(left.to_bool()? | right.to_bool()?),
        Op::Plus => numbers().and_then(|(a, b)| tame(a.add(&b)))?,
        Op::Minus => numbers().and_then(|(a, b)| tame(a.subtract(&b)))?,
        Op::Times => numbers().and_then(|(a, b)| tame(a.multiply(&b)))?,
        Op::Modulo => numbers().and_then(|(a, b)| tame(a.remainder(&b)))?,
        Op::Divide => {
            let (a, b) = numbers()?;
            tame(a.divide(&b).ok_or("a number cannot be divided by zero")?)?
        }
    })
}
