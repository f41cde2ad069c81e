//! Free-form blocks: a driver's `config`, a scaling `policy` and their like.
//!
//! Every block, and every object written directly behind `=`, becomes a list of one map, so that drivers see both
//! spellings alike; objects inside other values stay maps. Labels nest.

use std::collections::BTreeMap;

use hcl_edit::expr::Expression;
use hcl_edit::structure::{BlockLabel, Body, Structure};
use serde_json::{Map, Value as Json};

use crate::block::Block;

pub(crate) fn free_form(block: &Block<'_>) -> BTreeMap<String, Json> {
    block.use_all();
    block.remember_inside();
    body(block, block.body).into_iter().collect()
}

fn body(block: &Block<'_>, syntax: &Body) -> Map<String, Json> {
    let mut entries = Map::new();
    for structure in syntax.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                let value = match block.session.evaluator.evaluate(&attribute.value, &block.scope) {
                    Ok(value) => value.to_json(),
                    Err(problem) => {
                        block.session.report(*problem);
                        continue;
                    }
                };
                let wrapped = match attribute.value {
                    Expression::Object(_) => Json::Array(vec![value]),
                    _ => value,
                };
                entries.insert(attribute.key.value().to_string(), wrapped);
            }
            Structure::Block(inner) => {
                let mut value = Json::Object(body(block, &inner.body));
                for label in inner.labels.iter().rev() {
                    let label = match label {
                        BlockLabel::Ident(name) => name.value().to_string(),
                        BlockLabel::String(text) => text.value().clone(),
                    };
                    value = Json::Object(Map::from_iter([(label, Json::Array(vec![value]))]));
                }
                let list = entries.entry(inner.ident.value().to_string()).or_insert_with(|| Json::Array(Vec::new()));
                match list {
                    Json::Array(items) => items.push(value),
                    other => *other = Json::Array(vec![value]),
                }
            }
        }
    }
    entries
}
