//! HCL without expressions, as agents' configuration files are: blocks and literals to JSON.
//!
//! A block becomes an object under its name, its labels nested objects; blocks of one name are merged in order.

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use serde_json::{Map, Value};

/// What is wrong in a literal file, and where (both counted from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralError {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// A sentence without a full stop.
    pub message: String,
}

/// Reads `source`.
///
/// # Errors
/// The first syntax error, or the first value that is not a literal.
pub fn to_json(source: &str) -> Result<Value, LiteralError> {
    let body: Body = hcl_edit::parser::parse_body(source).map_err(|error| LiteralError {
        line: error.location().line(),
        column: error.location().column(),
        message: error.message().to_owned(),
    })?;
    body_to_json(&body, source)
}

fn body_to_json(body: &Body, source: &str) -> Result<Value, LiteralError> {
    let mut object = Map::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => insert_attribute(&mut object, attribute, source)?,
            Structure::Block(block) => insert_block(&mut object, block, source)?,
        }
    }
    Ok(Value::Object(object))
}

fn insert_attribute(object: &mut Map<String, Value>, attribute: &Attribute, source: &str) -> Result<(), LiteralError> {
    let value = expression_to_json(&attribute.value, source)?;
    object.insert(attribute.key.as_str().to_owned(), value);
    Ok(())
}

fn insert_block(object: &mut Map<String, Value>, block: &Block, source: &str) -> Result<(), LiteralError> {
    let mut value = body_to_json(&block.body, source)?;
    for label in block.labels.iter().rev() {
        value = Value::Object(Map::from_iter([(label.as_str().to_owned(), value)]));
    }
    merge(object.entry(block.ident.as_str().to_owned()).or_insert(Value::Null), value);
    Ok(())
}

/// Lays `over` on `base`: objects are merged key by key, everything else is replaced.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

fn expression_to_json(expression: &Expression, source: &str) -> Result<Value, LiteralError> {
    Ok(match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(value) => Value::Bool(*value.value()),
        Expression::Number(value) => number_to_json(value.value()),
        Expression::String(value) => Value::String(value.value().clone()),
        Expression::Array(items) => {
            Value::Array(items.iter().map(|item| expression_to_json(item, source)).collect::<Result<_, _>>()?)
        }
        Expression::Object(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match key {
                    hcl_edit::expr::ObjectKey::Ident(ident) => ident.as_str().to_owned(),
                    hcl_edit::expr::ObjectKey::Expression(Expression::String(text)) => text.value().clone(),
                    hcl_edit::expr::ObjectKey::Expression(other) => return Err(not_literal(other, source)),
                };
                object.insert(key, expression_to_json(value.expr(), source)?);
            }
            Value::Object(object)
        }
        other => return Err(not_literal(other, source)),
    })
}

/// Whole numbers stay whole; others are 64-bit floats.
fn number_to_json(number: &hcl_edit::Number) -> Value {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => Value::from(whole),
        (None, Some(whole), _) => Value::from(whole),
        (None, None, float) => float.and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number),
    }
}

fn not_literal(expression: &Expression, source: &str) -> LiteralError {
    let offset = expression.span().map_or(0, |span| span.start);
    let before = &source[..offset.min(source.len())];
    LiteralError {
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        message: "only literal values can stand here: text, numbers, true, false, lists and maps".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_nest_and_merge() {
        let source = "name = \"a\"\nclient {\n  meta {\n    rack = \"r1\"\n  }\n}\nplugin \"docker\" {\n  config {\n    n = 1\n  }\n}\nclient {\n  enabled = true\n}\n";
        let expected = serde_json::json!({
            "name": "a",
            "client": { "meta": { "rack": "r1" }, "enabled": true },
            "plugin": { "docker": { "config": { "n": 1 } } },
        });
        assert_eq!(to_json(source), Ok(expected));
        let error = to_json("a = 1\nb = foo()\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 5));
    }
}
