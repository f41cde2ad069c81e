//! Free-form blocks: a driver's `config`, a scaling `policy` and their like.
//!
//! Every block, and every object written directly behind `=`, becomes a list of one map, so that drivers see both
//! spellings alike; objects inside other values stay maps. Labels nest.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::block::Block;
use crate::diagnostics::Problem;
use crate::evaluate::Evaluated;
use crate::syntax::{Contents, Expression, Item, Kind, Span};

/// Lists and maps may lie this deep in each other: readers of the API's JSON go no deeper.
const MAX_DEPTH: usize = 100;

pub(crate) fn free_form(block: &Block<'_>) -> BTreeMap<String, Json> {
    block.use_all();
    block.remember_inside();
    body(block, block.body, 0).into_iter().collect()
}

fn body(block: &Block<'_>, syntax: Contents<'_>, depth: usize) -> Map<String, Json> {
    let mut entries = Map::new();
    let insert = |entries: &mut Map<String, Json>, name: &str, value: Evaluated<Json>| match value {
        Ok(value) => drop(entries.insert(name.to_owned(), value)),
        Err(problem) => block.session.report(*problem),
    };
    let items = match syntax {
        Contents::Native(items) => items,
        Contents::Json(properties) => {
            for (name, json) in properties.iter().filter(|(name, _)| name.text != "//") {
                let value = json.expression().and_then(|expression| value(block, &expression, &json.span, depth));
                insert(&mut entries, &name.text, value);
            }
            return entries;
        }
    };
    for item in items {
        match item {
            Item::Attribute(attribute) => {
                let value = value(block, &attribute.value, &attribute.value.span, depth);
                let wrapped = value.map(|value| match attribute.value.kind {
                    Kind::Object(_) => Json::Array(vec![value]),
                    _ => value,
                });
                insert(&mut entries, &attribute.name.text, wrapped);
            }
            Item::Block(inner) if depth > MAX_DEPTH => {
                block.session.report(*too_deep(&inner.name.span));
                return entries;
            }
            Item::Block(inner) => {
                let mut value = Json::Object(body(block, inner.body.contents(), depth + 1));
                for label in inner.labels.iter().rev() {
                    value = Json::Object(Map::from_iter([(label.text.clone(), Json::Array(vec![value]))]));
                }
                let list = entries.entry(inner.name.text.clone()).or_insert_with(|| Json::Array(Vec::new()));
                match list {
                    Json::Array(items) => items.push(value),
                    other => *other = Json::Array(vec![value]),
                }
            }
        }
    }
    entries
}

fn value(block: &Block<'_>, expression: &Expression, span: &Span, depth: usize) -> Evaluated<Json> {
    let value = block.session.evaluator.evaluate(expression, &block.scope)?;
    if value.depth() + depth > MAX_DEPTH {
        return Err(too_deep(span));
    }
    value.to_json().ok_or_else(|| Problem::new("this number is too large", span.clone()))
}

fn too_deep(span: &Span) -> Box<Problem> {
    Problem::new(format!("this is nested more than {MAX_DEPTH} levels deep"), span.clone())
}
