//! Texts with `${...}` and `%{...}` in them.

use crate::evaluate::{Evaluated, Evaluator, Scope};
use crate::syntax::{Part, Span, normal};
use crate::value::Value;

/// The text that the parts of a template make.
pub(crate) fn render(evaluator: &Evaluator<'_>, parts: &[Part], span: &Span, scope: &Scope) -> Evaluated {
    let mut out = String::new();
    append(evaluator, parts, span, scope, &mut out)?;
    Ok(Value::Text(normal(out)))
}

fn append(evaluator: &Evaluator<'_>, parts: &[Part], span: &Span, scope: &Scope, out: &mut String) -> Evaluated<()> {
    for part in parts {
        match part {
            Part::Text(text) => {
                evaluator.step(text.len() / 64, span)?;
                out.push_str(text);
            }
            Part::Value(expression) => {
                let text = evaluator.text(expression, scope)?;
                out.push_str(&text);
            }
            Part::If { condition, yes, no } => {
                let chosen = if evaluator.truth(condition, scope)? { yes } else { no };
                append(evaluator, chosen, span, scope, out)?;
            }
            Part::For { key_name, value_name, collection, each } => {
                for inner in evaluator.bindings(collection, key_name.as_deref(), value_name, scope)? {
                    evaluator.step(1, span)?;
                    append(evaluator, each, span, &inner, out)?;
                }
            }
        }
    }
    Ok(())
}
