//! Text to syntax tree, and words for what stops it.

mod body;
mod expression;
mod json;
mod parser;
mod template;
mod tree;

pub(crate) use expression::normal;
pub(crate) use json::{Json, JsonKind};
pub(crate) use tree::*;

use crate::diagnostics::{Diagnostic, Problem, Severity};
use parser::Parser;

/// The largest job file.
pub(crate) const MAX_SOURCE: usize = 1024 * 1024;

/// Parses a var file: like a job file, with any blanks before the brace of the JSON syntax.
pub(crate) fn parse_var_file(source: &str) -> Result<Body, Box<Diagnostic>> {
    let blanks = |c: char| c.is_ascii_whitespace() || c == '\u{feff}';
    if source.len() <= MAX_SOURCE && source.trim_start_matches(blanks).starts_with('{') {
        return Parser::new(source).json_file().map_err(|problem| Box::new(problem.into_diagnostic(source)));
    }
    parse(source)
}

/// Parses a file. A byte-order mark at its very start is stepped over.
///
/// A file whose first character, spaces apart, is an opening brace is in the JSON syntax.
pub(crate) fn parse(source: &str) -> Result<Body, Box<Diagnostic>> {
    if source.len() > MAX_SOURCE {
        let message = "this file is larger than 1 MiB";
        return Err(Box::new(Diagnostic::new(Severity::Error, message, 0..0, source, None)));
    }
    let parser = Parser::new(source);
    let parsed = if is_json(source) { parser.json_file() } else { parser.file() };
    parsed.map_err(|problem| Box::new(json_advice(source, *problem).into_diagnostic(source)))
}

/// Whether a text is a name of the language.
pub(crate) fn is_name(text: &str) -> bool {
    let mut parser = Parser::new(text);
    parser.name().is_some_and(|name| name.text.len() == text.len())
}

/// Whether a file is in the JSON syntax.
pub(crate) fn is_json(source: &str) -> bool {
    source.trim_start_matches(' ').starts_with('{')
}

/// Parses the text of one value, as a flag gives it.
pub(crate) fn parse_expression(source: &str) -> Result<Expression, Box<Problem>> {
    Parser::new(source).lone_expression()
}

/// Parses a document of plain JSON.
pub(crate) fn parse_json_value(source: &str) -> Result<Json, Box<Problem>> {
    Parser::new(source).json_document()
}

/// A brace that opens the file asks for the JSON syntax, yet a line end before it hides that.
fn json_advice(source: &str, mut problem: Problem) -> Problem {
    let first = source.len() - source.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
    if problem.span.start == first && source[first..].starts_with('{') {
        problem.help = Some("a file in the JSON syntax begins with its brace: remove what stands before it".to_owned());
    }
    problem
}

/// Moves an expression, and all in it, to one place.
fn place(expression: &mut Expression, span: &Span) {
    expression.span = span.clone();
    let mut step = |step: &mut Step| {
        step.span = span.clone();
        if let StepKey::Expression(key) = &mut step.key {
            place(key, span);
        }
    };
    match &mut expression.kind {
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Item => {}
        Kind::Reference(reference) => reference.steps.iter_mut().for_each(step),
        Kind::Template(parts) => place_parts(parts, span),
        Kind::Lone(inner) | Kind::Parentheses(inner) | Kind::Unary(_, inner) => place(inner, span),
        Kind::List(items) => items.iter_mut().for_each(|item| place(item, span)),
        Kind::Object(items) => {
            for (key, value) in items {
                if let Key::Expression(key) = key {
                    place(key, span);
                }
                place(value, span);
            }
        }
        Kind::For(each) => {
            let each = each.as_mut();
            let optional = each.key.iter_mut().chain(&mut each.condition);
            optional.chain([&mut each.collection, &mut each.value]).for_each(|inner| place(inner, span));
        }
        Kind::Steps(inner, steps) => {
            steps.iter_mut().for_each(&mut step);
            place(inner, span);
        }
        Kind::Splat(of, each) => {
            place(of, span);
            place(each, span);
        }
        Kind::Call(call) => {
            call.name.span = span.clone();
            call.arguments.iter_mut().for_each(|argument| place(argument, span));
        }
        Kind::Conditional(three) => three.iter_mut().for_each(|inner| place(inner, span)),
        Kind::Chain(first, rest) => {
            place(first, span);
            rest.iter_mut().for_each(|(_, inner)| place(inner, span));
        }
    }
}

fn place_parts(parts: &mut [Part], span: &Span) {
    for part in parts {
        match part {
            Part::Text(_) => {}
            Part::Value(value) => place(value, span),
            Part::If { condition, yes, no } => {
                place(condition, span);
                place_parts(yes, span);
                place_parts(no, span);
            }
            Part::For { collection, each, .. } => {
                place(collection, span);
                place_parts(each, span);
            }
        }
    }
}
