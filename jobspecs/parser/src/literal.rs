//! HCL without expressions, as agents' configuration files are: blocks and literals to JSON.
//!
//! A block becomes an object under its name, its labels nested objects; blocks of one name are merged in order.

use serde_json::{Map, Value};

use crate::diagnostics::Diagnostic;
use crate::evaluate::{Evaluator, Mode, Scope};
use crate::syntax::{self, Block, Body, Expression, Item};

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
    if syntax::is_json(source) {
        return syntax::parse_json_value(source)
            .map_err(|problem| problem.into_diagnostic(source).into())
            .map(|json| crate::value::Value::from_json(&json).to_json().unwrap_or(Value::Null));
    }
    let body = syntax::parse(source).map_err(|diagnostic| LiteralError::from(*diagnostic))?;
    body_to_json(&body, source)
}

impl From<Diagnostic> for LiteralError {
    fn from(found: Diagnostic) -> LiteralError {
        LiteralError { line: found.line, column: found.column, message: found.message }
    }
}

fn body_to_json(body: &Body, source: &str) -> Result<Value, LiteralError> {
    let mut object = Map::new();
    for item in body.items() {
        match item {
            Item::Attribute(attribute) => {
                let value = expression_to_json(&attribute.value, source)?;
                object.insert(attribute.name.text.clone(), value);
            }
            Item::Block(block) => insert_block(&mut object, block, source)?,
        }
    }
    Ok(Value::Object(object))
}

fn insert_block(object: &mut Map<String, Value>, block: &Block, source: &str) -> Result<(), LiteralError> {
    let mut value = body_to_json(&block.body, source)?;
    for label in block.labels.iter().rev() {
        value = Value::Object(Map::from_iter([(label.text.clone(), value)]));
    }
    merge(object.entry(block.name.text.clone()).or_insert(Value::Null), value);
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
    let value = Evaluator::new(source, Mode::Constant).evaluate(expression, &Scope::default());
    value.ok().and_then(|value| value.to_json()).ok_or_else(|| {
        let message = "only literal values can stand here: text, numbers, true, false, lists and maps";
        crate::diagnostics::Problem::new(message, expression.span.clone()).into_diagnostic(source).into()
    })
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
