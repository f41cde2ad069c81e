//! Unary and binary operators.

use std::cmp::Ordering;

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
        Op::Plus => numbers().map(|(a, b)| Value::Number(a.add(&b)))?,
        Op::Minus => numbers().map(|(a, b)| Value::Number(a.subtract(&b)))?,
        Op::Times => numbers().map(|(a, b)| Value::Number(a.multiply(&b)))?,
        Op::Modulo => numbers().map(|(a, b)| Value::Number(a.remainder(&b)))?,
        Op::Divide => {
            let (a, b) = numbers()?;
            Value::Number(a.divide(&b).ok_or("a number cannot be divided by zero")?)
        }
    })
}
