//! Variables and locals: declared, given, checked.

use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block as Syntax, Body, Structure};
use serde_json::Value as Json;

use crate::ParseOptions;
use crate::block::{Block, Session};
use crate::diagnostics::{Diagnostic, Problem, Severity, nearest};
use crate::evaluate::{Evaluated, Evaluator, Mode, Scope, span_of};
use crate::syntax;
use crate::types::Type;
use crate::value::Value;

/// A `variable` block.
struct Declared<'x> {
    name: String,
    span: Range<usize>,
    kind: Option<Type>,
    value: Option<Value>,
    rules: Vec<(&'x Expression, &'x Expression)>,
}

/// Evaluates every variable and local of a file into the session's evaluator.
pub(crate) fn load<'x>(session: &mut Session<'x>, body: &'x Body, options: &ParseOptions) {
    let source = session.evaluator.source;
    let mut declared: Vec<Declared<'x>> = Vec::new();
    let mut locals: Vec<(String, &'x Expression)> = Vec::new();
    for syntax in body.blocks() {
        let result = match syntax.ident.value().as_str() {
            "variable" => declare(session, syntax, &mut declared),
            "variables" => declare_plain(source, syntax, &mut declared),
            "locals" => collect_locals(syntax, &mut locals),
            _ => Ok(()),
        };
        if let Err(problem) = result {
            session.report(*problem);
        }
    }
    give(session, &mut declared, options);
    for variable in &declared {
        match &variable.value {
            Some(value) => {
                session.evaluator.variables.insert(variable.name.clone(), value.clone());
            }
            None => {
                let name = &variable.name;
                session.report(Problem {
                    message: format!("the variable {name:?} has no value"),
                    span: variable.span.clone(),
                    help: Some(format!("pass -var {name}=..., or give it a default")),
                });
            }
        }
    }
    for variable in &declared {
        if let Err(problem) = check_rules(session, variable) {
            session.report(*problem);
        }
    }
    evaluate_locals(session, locals);
}

fn declare<'x>(session: &Session<'x>, syntax: &'x Syntax, declared: &mut Vec<Declared<'x>>) -> Evaluated<()> {
    let span = syntax.ident.span().unwrap_or(0..0);
    let [label] = &syntax.labels[..] else {
        return Err(Problem::new("variable needs one label: its name", span));
    };
    let name = label.as_str().to_owned();
    let good = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !good {
        return Err(Problem::new(format!("{name:?} cannot name a variable: use letters, digits, _ and -"), span));
    }
    if declared.iter().any(|other| other.name == name) {
        return Err(Problem::new(format!("the variable {name:?} is declared twice"), span));
    }
    let mut variable = Declared { name, span, kind: None, value: None, rules: Vec::new() };
    let constants = Evaluator::new(session.evaluator.source, Mode::Constant);
    let mut default = None;
    for structure in syntax.body.iter() {
        match structure {
            Structure::Attribute(attribute) => match attribute.key.value().as_str() {
                "type" => variable.kind = Some(Type::read(&attribute.value, false)?),
                "default" => default = Some(&attribute.value),
                "description" => {
                    constants.text(&attribute.value, &Scope::default())?;
                }
                other => {
                    let span = attribute.key.span().unwrap_or(0..0);
                    let known = ["type", "default", "description", "validation"];
                    let help = nearest(other, known.into_iter()).map(|near| format!("did you mean {near:?}?"));
                    let message = format!("variable has no attribute {other:?}");
                    return Err(Box::new(Problem { message, span, help }));
                }
            },
            Structure::Block(rule) if rule.ident.value().as_str() == "validation" => {
                let get = |name: &str| rule.body.get_attribute(name).map(|attribute| &attribute.value);
                let span = rule.ident.span().unwrap_or(0..0);
                let (Some(condition), Some(message)) = (get("condition"), get("error_message")) else {
                    return Err(Problem::new("validation needs condition and error_message", span));
                };
                variable.rules.push((condition, message));
            }
            Structure::Block(other) => {
                let name = other.ident.value().as_str();
                let span = other.ident.span().unwrap_or(0..0);
                return Err(Problem::new(format!("variable has no block {name:?}"), span));
            }
        }
    }
    if let Some(expression) = default {
        let value = constants.evaluate(expression, &Scope::default())?;
        let wrong = |why| Problem::new(format!("default of {:?}: {why}", variable.name), span_of(expression));
        variable.value = Some(match &variable.kind {
            Some(kind) => kind.convert(value).map_err(wrong)?,
            None => value,
        });
    }
    declared.push(variable);
    Ok(())
}

/// The old `variables { name = default }`.
fn declare_plain<'x>(source: &str, syntax: &'x Syntax, declared: &mut Vec<Declared<'x>>) -> Evaluated<()> {
    let constants = Evaluator::new(source, Mode::Constant);
    for structure in syntax.body.iter() {
        let attribute = match structure {
            Structure::Attribute(attribute) => attribute,
            Structure::Block(block) => {
                let span = block.ident.span().unwrap_or(0..0);
                return Err(Problem::new("variables takes attributes only", span));
            }
        };
        let value = constants.evaluate(&attribute.value, &Scope::default())?;
        let name = attribute.key.value().to_string();
        if declared.iter().any(|other| other.name == name) {
            let span = attribute.key.span().unwrap_or(0..0);
            return Err(Problem::new(format!("the variable {name:?} is declared twice"), span));
        }
        declared.push(Declared {
            name,
            span: attribute.key.span().unwrap_or(0..0),
            kind: None,
            value: Some(value),
            rules: Vec::new(),
        });
    }
    Ok(())
}

fn collect_locals<'x>(syntax: &'x Syntax, locals: &mut Vec<(String, &'x Expression)>) -> Evaluated<()> {
    if !syntax.labels.is_empty() {
        return Err(Problem::new("locals takes no label", syntax.ident.span().unwrap_or(0..0)));
    }
    for structure in syntax.body.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                let name = attribute.key.value().to_string();
                locals.retain(|(other, _)| *other != name);
                locals.push((name, &attribute.value));
            }
            Structure::Block(block) => {
                return Err(Problem::new("locals takes attributes only", block.ident.span().unwrap_or(0..0)));
            }
        }
    }
    Ok(())
}

/// Values from outside: environment, then var files, then flags; the last one counts.
fn give(session: &Session<'_>, declared: &mut [Declared<'_>], options: &ParseOptions) {
    for prefix in ["NOMAD_VAR_", "DROVER_VAR_"] {
        for (name, text) in &options.env {
            let Some(name) = name.strip_prefix(prefix) else { continue };
            if let Some(variable) = declared.iter_mut().find(|variable| variable.name == name) {
                give_text(session, variable, text, &format!("{prefix}{name}"));
            }
        }
    }
    for (file, text) in &options.var_files {
        match read_var_file(file, text) {
            Err(mut found) => found.drain(..).for_each(|diagnostic| session.push(diagnostic)),
            Ok(values) => {
                for (name, value, span) in values {
                    give_value(session, declared, &name, value, options.strict, |message, severity, help| {
                        in_file(Diagnostic::new(severity, message, span.clone(), text, help), file, text)
                    });
                }
            }
        }
    }
    let source = session.evaluator.source;
    for (name, text) in &options.variables {
        match declared.iter_mut().find(|variable| variable.name == *name) {
            Some(variable) => give_text(session, variable, text, &format!("-var {name}")),
            None => session.push(undeclared(name, declared, options.strict, |message, severity, help| {
                Diagnostic::new(severity, format!("-var {name}: {message}"), 0..0, source, help)
            })),
        }
    }
}

fn undeclared(
    name: &str,
    declared: &[Declared<'_>],
    strict: bool,
    make: impl Fn(String, Severity, Option<String>) -> Diagnostic,
) -> Diagnostic {
    let severity = if strict { Severity::Error } else { Severity::Warning };
    let near = nearest(name, declared.iter().map(|variable| variable.name.as_str()));
    let help = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("declare it in the job file: variable \"{name}\" {{}}, or remove the value"),
    };
    make(format!("the job file declares no variable {name:?}"), severity, Some(help))
}

fn give_value(
    session: &Session<'_>,
    declared: &mut [Declared<'_>],
    name: &str,
    value: Value,
    strict: bool,
    make: impl Fn(String, Severity, Option<String>) -> Diagnostic,
) {
    let Some(at) = declared.iter().position(|variable| variable.name == name) else {
        session.push(undeclared(name, declared, strict, make));
        return;
    };
    let variable = &mut declared[at];
    let converted = match &variable.kind {
        Some(kind) => kind.convert(value),
        None => Ok(value),
    };
    match converted {
        Ok(value) => variable.value = Some(value),
        Err(why) => {
            // One report is enough: the variable counts as given.
            variable.value = Some(Value::Null);
            session.push(make(format!("{name}: {why}"), Severity::Error, None));
        }
    }
}

/// Text of a flag or the environment: taken as it stands for text and numbers, an expression for other types.
fn give_text(session: &Session<'_>, variable: &mut Declared<'_>, text: &str, origin: &str) {
    let result = match &variable.kind {
        None => Ok(Value::text(text)),
        Some(kind) if kind.takes_plain_text() => kind.convert(Value::text(text)),
        Some(kind) => constant(text).and_then(|value| kind.convert(value)),
    };
    match result {
        Ok(value) => variable.value = Some(value),
        Err(why) => {
            variable.value = Some(Value::Null);
            session.report(Problem { message: format!("{origin}: {why}"), span: variable.span.clone(), help: None });
        }
    }
}

fn constant(text: &str) -> Result<Value, String> {
    if text.len() > syntax::MAX_SOURCE {
        return Err("the value is larger than 1 MiB".to_owned());
    }
    let expression = hcl_edit::parser::parse_expr(text).map_err(|_| format!("{text:?} cannot be read as a value"))?;
    let evaluator = Evaluator::new(text, Mode::Constant);
    evaluator.evaluate(&expression, &Scope::default()).map_err(|problem| problem.message)
}

type Given = Vec<(String, Value, Range<usize>)>;

fn in_file(mut diagnostic: Diagnostic, file: &str, text: &str) -> Diagnostic {
    diagnostic.file = Some((file.to_owned(), text.to_owned()));
    diagnostic
}

fn read_var_file(file: &str, text: &str) -> Result<Given, Vec<Diagnostic>> {
    let fail = |message: String, span: Range<usize>| {
        in_file(Diagnostic::new(Severity::Error, message, span, text, None), file, text)
    };
    if text.trim_start().starts_with('{') {
        let json: Json = serde_json::from_str(text).map_err(|why| vec![fail(format!("not JSON: {why}"), 0..0)])?;
        let entries = json.as_object().ok_or_else(|| vec![fail("an object is needed".to_owned(), 0..0)])?;
        return Ok(entries.iter().map(|(name, value)| (name.clone(), Value::from_json(value), 0..0)).collect());
    }
    let clean = syntax::without_mark(text);
    let body = syntax::parse(&clean).map_err(|diagnostic| vec![in_file(*diagnostic, file, text)])?;
    let evaluator = Evaluator::new(&clean, Mode::Constant);
    let (mut given, mut found) = (Given::new(), Vec::new());
    for structure in body.iter() {
        match structure {
            Structure::Attribute(attribute) => match evaluator.evaluate(&attribute.value, &Scope::default()) {
                Ok(value) => given.push((attribute.key.value().to_string(), value, span_of(&attribute.value))),
                Err(problem) => found.push(fail(problem.message, problem.span)),
            },
            Structure::Block(block) => {
                let span = block.ident.span().unwrap_or(0..0);
                found.push(fail("a var file holds name = value lines, no blocks".to_owned(), span));
            }
        }
    }
    if found.is_empty() { Ok(given) } else { Err(found) }
}

fn check_rules(session: &Session<'_>, variable: &Declared<'_>) -> Evaluated<()> {
    let Some(value) = &variable.value else { return Ok(()) };
    for (condition, message) in &variable.rules {
        let mut evaluator = Evaluator::new(session.evaluator.source, Mode::Condition);
        evaluator.variables.insert(variable.name.clone(), value.clone());
        let text = evaluator.text(message, &Scope::default())?;
        if text.trim().is_empty() {
            return Err(Problem::new("error_message is empty", span_of(message)));
        }
        if !evaluator.slice(&span_of(condition)).contains(&format!("var.{}", variable.name)) {
            let why = format!("this condition never looks at var.{}", variable.name);
            return Err(Problem::new(why, span_of(condition)));
        }
        if !evaluator.truth(condition, &Scope::default())? {
            return Err(Problem::new(format!("{}: {text}", variable.name), variable.span.clone()));
        }
    }
    Ok(())
}

/// Locals may refer to each other in any order: those that fail wait for the others.
fn evaluate_locals<'x>(session: &mut Session<'x>, mut pending: Vec<(String, &'x Expression)>) {
    loop {
        let before = pending.len();
        let mut failed = Vec::new();
        let names: Vec<String> = pending.iter().map(|(name, _)| name.clone()).collect();
        for (name, expression) in pending {
            let waits = names.iter().any(|other| {
                !session.evaluator.locals.contains_key(other)
                    && mentions(session.evaluator.slice(&span_of(expression)), other)
            });
            let result = if waits {
                Err(Problem::new(format!("local.{name} needs itself"), span_of(expression)))
            } else {
                session.evaluator.evaluate(expression, &Scope::default())
            };
            match result {
                Ok(value) => {
                    session.evaluator.locals.insert(name, value);
                }
                Err(problem) => failed.push((name, expression, problem)),
            }
        }
        if failed.is_empty() {
            return;
        }
        if failed.len() == before {
            failed.into_iter().for_each(|(_, _, problem)| session.report(*problem));
            return;
        }
        pending = failed.into_iter().map(|(name, expression, _)| (name, expression)).collect();
    }
}

/// Whether source text refers to `local.name`.
fn mentions(source: &str, name: &str) -> bool {
    source.match_indices("local.").any(|(at, found)| {
        let rest = &source[at + found.len()..];
        rest.strip_prefix(name)
            .is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
    })
}

/// Only `job`, `variable`, `variables` and `locals` stand at the top of a file.
pub(crate) fn check_top<'x>(session: &Session<'x>, body: &'x Body) -> Option<&'x Syntax> {
    let mut job: Option<&Syntax> = None;
    for structure in body.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                let name = attribute.key.value().as_str();
                let span = attribute.key.span().unwrap_or(0..0);
                let help = Some("a job file begins with: job \"name\" { ... }".to_owned());
                session.report(Problem { message: format!("{name:?} cannot stand outside a job"), span, help });
            }
            Structure::Block(syntax) => {
                let name = syntax.ident.value().as_str();
                let span = syntax.ident.span().unwrap_or(0..0);
                match name {
                    "job" if job.is_some() => {
                        session.report(Problem { message: "a file holds one job".to_owned(), span, help: None });
                    }
                    "job" => job = Some(syntax),
                    "variable" | "variables" | "locals" => {}
                    _ => {
                        let known = ["job", "variable", "variables", "locals"];
                        let help = match nearest(name, known.into_iter()) {
                            Some(near) => format!("did you mean {near:?}?"),
                            None => "at the top of a file stand job, variable and locals".to_owned(),
                        };
                        let message = format!("there is no block {name:?} at the top of a file");
                        session.report(Problem { message, span, help: Some(help) });
                    }
                }
            }
        }
    }
    job
}

/// Reads the job's block.
pub(crate) fn read_job<'x, T>(
    session: &'x Session<'x>,
    syntax: &'x Syntax,
    read: impl FnOnce(&Block<'x>) -> T,
) -> Option<T> {
    if syntax.labels.len() != 1 {
        let span = syntax.ident.span().unwrap_or(0..0);
        let help = Some("write job \"name\" { ... }".to_owned());
        session.report(Problem { message: "job needs one label: its name".to_owned(), span, help });
        return None;
    }
    Some(Block::root(session, syntax, read))
}
