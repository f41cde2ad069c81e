//! The names that an expression refers to.

use crate::syntax::{Expression, Key, Kind, Part, Step, StepKey};

/// Roots and, where it is literal, the name behind each: `local.a` gives `("local", Some("a"))`.
pub(crate) fn of(expression: &Expression) -> Vec<(&str, Option<&str>)> {
    let mut found = Vec::new();
    visit(expression, &mut found);
    found
}

fn visit<'x>(expression: &'x Expression, found: &mut Vec<(&'x str, Option<&'x str>)>) {
    match &expression.kind {
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Item => {}
        Kind::Reference(reference) => {
            let name = match reference.steps.first().map(|step| &step.key) {
                Some(StepKey::Attribute(name) | StepKey::Text(name)) => Some(name.as_str()),
                _ => None,
            };
            found.push((&reference.root, name));
        }
        Kind::Template(parts) => visit_parts(parts, found),
        Kind::Lone(inner) | Kind::Parentheses(inner) | Kind::Unary(_, inner) => visit(inner, found),
        Kind::List(items) => items.iter().for_each(|item| visit(item, found)),
        Kind::Object(items) => {
            for (key, value) in items {
                if let Key::Expression(key) = key {
                    visit(key, found);
                }
                visit(value, found);
            }
        }
        Kind::For(each) => {
            let optional = each.key.iter().chain(&each.condition);
            optional.chain([&each.collection, &each.value]).for_each(|inner| visit(inner, found));
        }
        Kind::Steps(inner, steps) => {
            visit(inner, found);
            steps.iter().for_each(|step| visit_step(step, found));
        }
        Kind::Splat(of, each) => {
            visit(of, found);
            visit(each, found);
        }
        Kind::Call(call) => call.arguments.iter().for_each(|argument| visit(argument, found)),
        Kind::Conditional(three) => three.iter().for_each(|inner| visit(inner, found)),
        Kind::Chain(first, rest) => {
            visit(first, found);
            rest.iter().for_each(|(_, inner)| visit(inner, found));
        }
    }
}

fn visit_step<'x>(step: &'x Step, found: &mut Vec<(&'x str, Option<&'x str>)>) {
    if let StepKey::Expression(key) = &step.key {
        visit(key, found);
    }
}

fn visit_parts<'x>(parts: &'x [Part], found: &mut Vec<(&'x str, Option<&'x str>)>) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Value(value) => visit(value, found),
            Part::If { condition, yes, no } => {
                visit(condition, found);
                visit_parts(yes, found);
                visit_parts(no, found);
            }
            Part::For { collection, each, .. } => {
                visit(collection, found);
                visit_parts(each, found);
            }
        }
    }
}
