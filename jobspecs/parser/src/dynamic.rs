//! `dynamic` blocks: one block for each item of a collection.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::block::Child;
use crate::diagnostics::{Problem, nearest};
use crate::evaluate::{Evaluated, Evaluator, Scope};
use crate::syntax::{Block as Syntax, Contents, Expression, Item, Json, JsonKind, Name, Span};
use crate::value::Value;

/// What `dynamic` says, in either syntax.
struct Dynamic<'x> {
    /// The name of the blocks to make.
    name: &'x str,
    span: Span,
    for_each: Expression,
    iterator: Option<String>,
    labels: Option<Expression>,
    content: Contents<'x>,
}

/// Turns `dynamic "x" { for_each = ... content { ... } }` into one child for each item.
pub(crate) fn expand<'x>(evaluator: &Evaluator<'_>, syntax: &'x Syntax, scope: &Scope) -> Evaluated<Vec<Child<'x>>> {
    let span = syntax.name.span.clone();
    let [label] = &syntax.labels[..] else {
        return Err(Problem::new("dynamic needs one label: the name of the block to make", span));
    };
    let (mut for_each, mut iterator, mut labels, mut content) = (None, None, None, None);
    for item in syntax.body.items() {
        match item {
            Item::Attribute(attribute) => match attribute.name.text.as_str() {
                "for_each" => for_each = Some(attribute.value.clone()),
                "iterator" => iterator = Some(word(&attribute.value)?),
                "labels" => labels = Some(attribute.value.clone()),
                other => {
                    let message = format!("dynamic has no attribute {other:?}");
                    let help = match nearest(other, ["for_each", "iterator", "labels"].into_iter()) {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => format!("attributes of the {} go inside content {{ ... }}", label.text),
                    };
                    return Err(Problem::with_help(message, attribute.name.span.clone(), help));
                }
            },
            Item::Block(inner) if inner.name.text == "content" && content.is_none() => {
                content = Some(inner.body.contents())
            }
            Item::Block(inner) => {
                let message = "dynamic takes exactly one content block";
                return Err(match nearest(&inner.name.text, ["content"].into_iter()).filter(|_| content.is_none()) {
                    Some(near) => {
                        Problem::with_help(message, inner.name.span.clone(), format!("did you mean {near:?}?"))
                    }
                    None => Problem::new(message, inner.name.span.clone()),
                });
            }
        }
    }
    let (Some(for_each), Some(content)) = (for_each, content) else {
        return Err(Problem::new("dynamic needs for_each and a content block", span));
    };
    make(evaluator, Dynamic { name: &label.text, span, for_each, iterator, labels, content }, scope)
}

/// The name that `iterator` gives.
fn word(expression: &Expression) -> Evaluated<String> {
    let word = expression.word().map(str::to_owned);
    word.ok_or_else(|| Problem::new("iterator takes a bare word", expression.span.clone()))
}

/// The same in the JSON syntax: `{"x": {"for_each": ..., "content": {...}}}`, or lists of these.
pub(crate) fn expand_json<'x>(evaluator: &Evaluator<'_>, json: &'x Json, scope: &Scope) -> Evaluated<Vec<Child<'x>>> {
    let mut children = Vec::new();
    match &json.kind {
        JsonKind::List(items) => {
            for item in items {
                children.extend(expand_json(evaluator, item, scope)?);
            }
        }
        JsonKind::Object(entries) => {
            for (name, value) in entries {
                let several = match &value.kind {
                    JsonKind::List(items) => items.iter().collect(),
                    _ => vec![value],
                };
                for one in several {
                    children.extend(make(evaluator, read_json(name, one)?, scope)?);
                }
            }
        }
        _ => return Err(Problem::new(format!("dynamic is a block, not {}", json.what()), json.span.clone())),
    }
    Ok(children)
}

fn read_json<'x>(name: &'x Name, json: &'x Json) -> Evaluated<Dynamic<'x>> {
    let span = name.span.clone();
    let JsonKind::Object(entries) = &json.kind else {
        return Err(Problem::new("dynamic needs for_each and content", json.span.clone()));
    };
    let (mut for_each, mut iterator, mut labels, mut content) = (None, None, None, None);
    for (key, value) in entries {
        match (key.text.as_str(), &value.kind) {
            ("for_each", _) => for_each = Some(value.expression()?),
            ("iterator", JsonKind::Text(text)) => iterator = Some(text.clone()),
            ("labels", _) => labels = Some(value.expression()?),
            ("content", JsonKind::Object(entries)) => content = Some(Contents::Json(entries)),
            ("//", _) => {}
            (other, _) => {
                return Err(Problem::new(format!("dynamic takes no {other:?} of this kind"), key.span.clone()));
            }
        }
    }
    let (Some(for_each), Some(content)) = (for_each, content) else {
        return Err(Problem::new("dynamic needs for_each and content", span));
    };
    Ok(Dynamic { name: &name.text, span, for_each, iterator, labels, content })
}

fn make<'x>(evaluator: &Evaluator<'_>, dynamic: Dynamic<'x>, scope: &Scope) -> Evaluated<Vec<Child<'x>>> {
    let Dynamic { name, span, for_each, iterator, labels, content } = dynamic;
    let iterator = iterator.as_deref().unwrap_or(name);
    let collection = evaluator.evaluate(&for_each, scope)?;
    let kind = collection.kind();
    let Some(pairs) = collection.pairs() else {
        let why = format!("for_each needs a list or a map, this is {kind}");
        return Err(Problem::new(why, for_each.span));
    };
    let label_span = labels.as_ref().map_or_else(|| span.clone(), |labels| labels.span.clone());
    let child = |labels, scope, empty| {
        let (span, label_span) = (span.clone(), label_span.clone());
        Child { name, span, label_span, labels, body: content, scope, empty, used: Cell::new(false) }
    };
    let mut children = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        evaluator.step(10, &span)?;
        let entries = BTreeMap::from([("key".to_owned(), key), ("value".to_owned(), value)]);
        let scope = scope.with(iterator, Value::Object(entries));
        let mut texts = Vec::new();
        if let Some(labels) = &labels {
            let wrong = |why| Problem::new(why, labels.span.clone());
            let value = evaluator.evaluate(labels, &scope)?;
            for item in value.items().map_err(wrong)? {
                texts.push(item.to_text().map_err(wrong)?);
            }
        }
        children.push(child(texts, scope, false));
    }
    if children.is_empty() {
        children.push(child(Vec::new(), Scope::default(), true));
    }
    Ok(children)
}
