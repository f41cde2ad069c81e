//! Variables: declared, given, checked.

use std::borrow::Cow;

use crate::ParseOptions;
use crate::block::Session;
use crate::diagnostics::{Diagnostic, Problem, Severity, nearest};
use crate::evaluate::{Evaluated, Evaluator, Mode, Scope};
use crate::references;
use crate::syntax::{self, Contents, Expression, Item, Kind, Name, Span};
use crate::top::{Entry, Top};
use crate::types::{Place, Type};
use crate::value::Value;

/// A `variable` block.
struct Declared<'x> {
    name: String,
    span: Span,
    kind: Option<Type>,
    /// Whether the type is written, rather than that of the default.
    rigid: bool,
    value: Option<Value>,
    /// Where its default stands, or else its name.
    default_span: Span,
    /// Where its value comes from, when that is a var file: text and place.
    given_in: Option<(String, String, Span)>,
    /// Whether a value was given that could not be read; that has been told.
    broken: bool,
    rules: Vec<(Cow<'x, Expression>, Cow<'x, Expression>)>,
}

impl Declared<'_> {
    fn new(name: &Name, span: Span) -> Self {
        let name = name.text.clone();
        Declared {
            name,
            default_span: span.clone(),
            span,
            kind: None,
            rigid: false,
            value: None,
            given_in: None,
            broken: false,
            rules: Vec::new(),
        }
    }

    fn take(&mut self, value: Result<Value, String>) -> Result<(), String> {
        self.given_in = None;
        self.broken = value.is_err();
        self.value = None;
        self.value = Some(value?);
        Ok(())
    }

    /// A value of the declared type. A list or map without a type may change its shape.
    fn convert(&self, value: Value) -> Result<Value, String> {
        match &self.kind {
            None | Some(Type::Any) => Ok(value),
            Some(kind @ (Type::Tuple(_) | Type::Object(_))) if !self.rigid => {
                Ok(kind.convert(value.clone()).unwrap_or(value))
            }
            Some(kind) => kind.convert(value),
        }
    }
}

/// Evaluates every variable of a file into the session's evaluator.
pub(crate) fn load<'x>(session: &mut Session<'_>, blocks: &[Top<'x>], options: &ParseOptions) {
    let mut declared: Vec<Declared<'x>> = Vec::new();
    for block in blocks {
        let result = match block.name {
            "variable" => declare(session, block, &mut declared),
            "variables" => declare_plain(session, block, &mut declared),
            _ => Ok(()),
        };
        if let Err(problem) = result {
            // What refers to it would only repeat that.
            session.evaluator.broken.extend(block.labels.iter().map(|label| format!("var.{}", label.text)));
            session.report(*problem);
        }
    }
    let all_given = give(session, &mut declared, options);
    for variable in &declared {
        match &variable.value {
            Some(value) => {
                session.evaluator.variables.insert(variable.name.clone(), value.clone());
            }
            None => {
                let name = &variable.name;
                session.evaluator.broken.insert(format!("var.{name}"));
                if !variable.broken && all_given {
                    session.report(Problem {
                        message: format!("the variable {name:?} has no value"),
                        span: variable.span.clone(),
                        help: Some(format!("pass -var {name}=..., or give it a default")),
                    });
                }
            }
        }
    }
    for variable in &declared {
        if let Err(found) = check_rules(session, variable) {
            session.push(*found);
        }
    }
}

fn declare<'x>(session: &Session<'_>, block: &Top<'x>, declared: &mut Vec<Declared<'x>>) -> Evaluated<()> {
    let span = block.span.clone();
    let [label] = &block.labels[..] else {
        return Err(Problem::new("variable needs one label: its name", span));
    };
    let name = &label.text;
    if !syntax::is_name(name) {
        return Err(Problem::new(format!("{name:?} cannot name a variable: use letters, digits, _ and -"), span));
    }
    if declared.iter().any(|other| other.name == *name) {
        return Err(Problem::new(format!("the variable {name:?} is declared twice"), span));
    }
    let mut variable = Declared::new(label, span);
    let constants = Evaluator::new(session.evaluator.source, Mode::Constant);
    let mut default = None;
    for entry in block.entries(&["validation"])? {
        match entry {
            Entry::Attribute(name, value) => match name.text.as_str() {
                "type" => (variable.kind, variable.rigid) = (Some(read_type(block, &value)?), true),
                "default" => default = Some(value),
                "description" => {
                    constants.text(&value, &Scope::default())?;
                }
                other => return Err(unknown_attribute(other, name)),
            },
            Entry::Block(rule) if rule.name == "validation" => variable.rules.push(read_rule(&rule)?),
            Entry::Block(other) => {
                let help =
                    nearest(other.name, ["validation"].into_iter()).map(|near| format!("did you mean {near:?}?"));
                let message = format!("variable has no block {:?}", other.name);
                return Err(Box::new(Problem { message, span: other.span, help }));
            }
        }
    }
    if let Some(expression) = default {
        let value = constants.evaluate(&expression, &Scope::default())?;
        variable.default_span = expression.span.clone();
        let wrong = |why| Problem::new(format!("default of {:?}: {why}", variable.name), expression.span.clone());
        variable.value = Some(match &variable.kind {
            Some(kind) => kind.convert(value).map_err(wrong)?,
            None => {
                variable.kind = Some(Type::of(&value));
                value
            }
        });
    }
    declared.push(variable);
    Ok(())
}

/// In the JSON syntax a type is a text that holds it.
fn read_type(block: &Top<'_>, value: &Expression) -> Evaluated<Type> {
    match &value.kind {
        Kind::Text(text) if block.is_json() => {
            let expression = syntax::parse_expression(text);
            let kind = expression.and_then(|expression| Type::read(&expression, Place::Variable));
            kind.map_err(|problem| Box::new(Problem { span: value.span.clone(), ..*problem }))
        }
        _ => Type::read(value, Place::Variable),
    }
}

fn unknown_attribute(name: &str, at: &Name) -> Box<Problem> {
    let known = ["type", "default", "description", "validation"];
    let help = match name {
        "sensitive" | "nullable" => Some("remove the line; every variable may be null, and none is hidden".to_owned()),
        _ => nearest(name, known.into_iter()).map(|near| format!("did you mean {near:?}?")),
    };
    Box::new(Problem { message: format!("variable has no attribute {name:?}"), span: at.span.clone(), help })
}

type Rule<'x> = (Cow<'x, Expression>, Cow<'x, Expression>);

fn read_rule<'x>(rule: &Top<'x>) -> Evaluated<Rule<'x>> {
    let (mut condition, mut message) = (None, None);
    for entry in rule.entries(&[])? {
        match entry {
            Entry::Attribute(name, value) if name.text == "condition" => condition = Some(value),
            Entry::Attribute(name, value) if name.text == "error_message" => message = Some(value),
            Entry::Attribute(name, _) => {
                let known = ["condition", "error_message"];
                let help = nearest(&name.text, known.into_iter()).map(|near| format!("did you mean {near:?}?"));
                let message = format!("validation has no attribute {:?}", name.text);
                return Err(Box::new(Problem { message, span: name.span.clone(), help }));
            }
            Entry::Block(other) => return Err(Problem::new("validation takes attributes only", other.span)),
        }
    }
    match (condition, message) {
        (Some(condition), Some(message)) => Ok((condition, message)),
        _ => Err(Problem::new("validation needs condition and error_message", rule.span.clone())),
    }
}

/// The old `variables { name = default }`.
fn declare_plain<'x>(session: &Session<'_>, block: &Top<'x>, declared: &mut Vec<Declared<'x>>) -> Evaluated<()> {
    if !block.labels.is_empty() {
        return Err(Problem::new("variables takes no label", block.span.clone()));
    }
    let constants = Evaluator::new(session.evaluator.source, Mode::Constant);
    for entry in block.entries(&[])? {
        let (name, value) = match entry {
            Entry::Attribute(name, value) => (name, value),
            Entry::Block(inner) => return Err(Problem::new("variables takes attributes only", inner.span)),
        };
        let value = constants.evaluate(&value, &Scope::default())?;
        if declared.iter().any(|other| other.name == name.text) {
            let message = format!("the variable {:?} is declared twice", name.text);
            return Err(Problem::new(message, name.span.clone()));
        }
        let kind = Some(Type::of(&value));
        declared.push(Declared { kind, value: Some(value), ..Declared::new(name, name.span.clone()) });
    }
    Ok(())
}

/// Values from outside: environment, then var files, then flags; the last one counts. Tells whether every var file
/// could be read.
fn give(session: &Session<'_>, declared: &mut [Declared<'_>], options: &ParseOptions) -> bool {
    let mut all_read = true;
    for prefix in ["NOMAD_VAR_", "DROVER_VAR_"] {
        for (name, text) in &options.env {
            let Some(name) = name.strip_prefix(prefix) else { continue };
            if let Some(variable) = declared.iter_mut().find(|variable| variable.name == name) {
                give_text(session, variable, text, &format!("{prefix}{name}"));
            }
        }
    }
    for (file, text) in &options.var_files {
        let given = read_var_file(text);
        let in_file = |diagnostic| in_file(diagnostic, file, text);
        match given {
            Err(found) => {
                all_read = false;
                found.into_iter().for_each(|diagnostic| session.push(in_file(diagnostic)));
            }
            Ok(values) => {
                for (name, value, span) in values {
                    let make =
                        |message, severity, help| in_file(Diagnostic::new(severity, message, span.clone(), text, help));
                    give_value(session, declared, &name, value, options.strict, make);
                    if let Some(variable) = declared.iter_mut().find(|variable| variable.name == name) {
                        variable.given_in = Some((file.clone(), text.clone(), span.clone()));
                    }
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
    all_read
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
    let converted = variable.convert(value);
    if let Err(why) = variable.take(converted) {
        session.push(make(format!("{name}: {why}"), Severity::Error, None));
    }
}

/// Text of a flag or the environment: taken as it stands for text and numbers, an expression for other types.
fn give_text(session: &Session<'_>, variable: &mut Declared<'_>, text: &str, origin: &str) {
    let result = match &variable.kind {
        None | Some(Type::Any) => Ok(Value::text(text)),
        Some(kind) if kind.takes_plain_text() => kind.convert(Value::text(text)),
        Some(_) => constant(text).and_then(|value| variable.convert(value)),
    };
    if let Err(why) = variable.take(result) {
        session.report(Problem { message: format!("{origin}: {why}"), span: variable.span.clone(), help: None });
    }
}

fn constant(text: &str) -> Result<Value, String> {
    if text.len() > syntax::MAX_SOURCE {
        return Err("the value is larger than 1 MiB".to_owned());
    }
    let expression = syntax::parse_expression(text).map_err(|_| format!("{text:?} cannot be read as a value"))?;
    let evaluator = Evaluator::new(text, Mode::Constant);
    evaluator.evaluate(&expression, &Scope::default()).map_err(|problem| problem.message)
}

type Given = Vec<(String, Value, Span)>;

fn in_file(mut diagnostic: Diagnostic, file: &str, text: &str) -> Diagnostic {
    diagnostic.file = Some((file.to_owned(), text.to_owned()));
    diagnostic
}

/// The values of a var file. In the JSON syntax texts are taken as they stand.
fn read_var_file(text: &str) -> Result<Given, Vec<Diagnostic>> {
    let body = syntax::parse_var_file(text).map_err(|diagnostic| vec![*diagnostic])?;
    let evaluator = Evaluator::new(text, Mode::Constant);
    let (mut given, mut found) = (Given::new(), Vec::new());
    match body.contents() {
        Contents::Json(entries) => {
            for (name, json) in entries {
                match evaluator.evaluate(&json.plain(), &Scope::default()) {
                    Ok(value) => given.push((name.text.clone(), value, json.span.clone())),
                    Err(problem) => found.push(problem.into_diagnostic(text)),
                }
            }
        }
        Contents::Native(items) => {
            for item in items {
                match item {
                    Item::Attribute(attribute) => match evaluator.evaluate(&attribute.value, &Scope::default()) {
                        Ok(value) => given.push((attribute.name.text.clone(), value, attribute.value.span.clone())),
                        Err(problem) => found.push(problem.into_diagnostic(text)),
                    },
                    Item::Block(block) => {
                        let message = "a var file holds name = value lines, no blocks";
                        found.push(Problem::new(message, block.name.span.clone()).into_diagnostic(text));
                    }
                }
            }
        }
    }
    if found.is_empty() { Ok(given) } else { Err(found) }
}

/// A rule that fails points at the value that breaks it when that is in a var file, else at the variable.
fn check_rules(session: &Session<'_>, variable: &Declared<'_>) -> Result<(), Box<Diagnostic>> {
    let Some(value) = &variable.value else { return Ok(()) };
    let source = session.evaluator.source;
    let told = |problem: Box<Problem>| Box::new(problem.into_diagnostic(source));
    for (condition, message) in &variable.rules {
        let mut evaluator = Evaluator::new(source, Mode::Condition);
        evaluator.variables.insert(variable.name.clone(), value.clone());
        let text = evaluator.text(message, &Scope::default()).map_err(told)?;
        if text.trim().is_empty() {
            return Err(told(Problem::new("error_message is empty", message.span.clone())));
        }
        let looked_at = references::of(condition);
        if !looked_at.iter().any(|(root, name)| *root == "var" && *name == Some(variable.name.as_str())) {
            let why = format!("this condition never looks at var.{}", variable.name);
            return Err(told(Problem::new(why, condition.span.clone())));
        }
        if !evaluator.truth(condition, &Scope::default()).map_err(told)? {
            let message = format!("{}: {text}", variable.name);
            return Err(Box::new(match &variable.given_in {
                Some((file, text, span)) => {
                    in_file(Diagnostic::new(Severity::Error, message, span.clone(), text, None), file, text)
                }
                None => Diagnostic::new(Severity::Error, message, variable.default_span.clone(), source, None),
            }));
        }
    }
    Ok(())
}
