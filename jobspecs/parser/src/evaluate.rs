//! Expressions to values. Names that only a node knows (`attr.x`, `NOMAD_X`) become the text `${...}` that they are.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::diagnostics::{Problem, nearest};
use crate::files::Files;
use crate::functions;
use crate::operators;
use crate::syntax::{Call, Expression, For, Key, Kind, Reference, Span, Step, StepKey, normal};
use crate::template;
use crate::types::{Place, Type, unify};
use crate::value::Value;

pub(crate) type Evaluated<T = Value> = Result<T, Box<Problem>>;

/// Evaluation steps of one file; nested `for` expressions multiply, so there is an end.
const STEP_BUDGET: u64 = 1_000_000;

/// Remarks that are kept.
const MAX_REMARKS: usize = 100;

/// Where an expression stands decides what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Job and locals: everything.
    Full,
    /// Variable defaults and var files: literals and operators only.
    Constant,
    /// A variable's rule: functions and that variable.
    Condition,
}

/// Names bound by `for`, `dynamic` and splats, innermost first.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Rc<Frame>>);

struct Frame {
    name: String,
    value: Value,
    outer: Scope,
}

/// The name of a splat's item, which nobody can write.
const ITEM: &str = "*";

impl Scope {
    pub fn with(&self, name: impl Into<String>, value: Value) -> Scope {
        Scope(Some(Rc::new(Frame { name: name.into(), value, outer: self.clone() })))
    }

    /// The value of a name, and how many names were looked at.
    fn get(&self, name: &str) -> (Option<&Value>, usize) {
        let (mut at, mut looked) = (self, 0);
        while let Some(frame) = &at.0 {
            looked += 1;
            if frame.name == name {
                return (Some(&frame.value), looked);
            }
            at = &frame.outer;
        }
        (None, looked)
    }
}

/// The names of a file and the means to evaluate its expressions.
pub(crate) struct Evaluator<'s> {
    pub source: &'s str,
    pub mode: Mode,
    pub variables: BTreeMap<String, Value>,
    pub locals: BTreeMap<String, Value>,
    /// Names such as `var.x` whose value could not be found out; that has been told.
    pub broken: BTreeSet<String>,
    /// The files that functions may read, on the command line.
    pub files: Option<&'s dyn Files>,
    /// What deserves a look although it is no mistake.
    pub remarks: RefCell<Vec<Problem>>,
    steps: Cell<u64>,
}

impl<'s> Evaluator<'s> {
    pub fn new(source: &'s str, mode: Mode) -> Evaluator<'s> {
        Evaluator {
            source,
            mode,
            variables: BTreeMap::new(),
            locals: BTreeMap::new(),
            broken: BTreeSet::new(),
            files: None,
            remarks: RefCell::default(),
            steps: Cell::new(0),
        }
    }

    /// Counts work.
    pub fn step(&self, cost: usize, span: &Span) -> Evaluated<()> {
        let steps = self.steps.get().saturating_add(cost as u64);
        self.steps.set(steps);
        if steps > STEP_BUDGET {
            return Err(Problem::new("this file takes too much work to evaluate", span.clone()));
        }
        Ok(())
    }

    /// Whether the budget is used up: then no `try` and no other branch helps.
    pub fn exhausted(&self) -> bool {
        self.steps.get() > STEP_BUDGET
    }

    pub fn evaluate(&self, expression: &Expression, scope: &Scope) -> Evaluated {
        let span = &expression.span;
        self.step(1, span)?;
        match &expression.kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(flag) => Ok(Value::Bool(*flag)),
            Kind::Number(number) => Ok(Value::Number(number.clone())),
            Kind::Text(text) => self.literal(text, span),
            Kind::Template(parts) => template::render(self, parts, span, scope),
            Kind::Lone(inner) | Kind::Parentheses(inner) => self.evaluate(inner, scope),
            Kind::List(items) => self.list(items, scope),
            Kind::Object(items) => self.object(items, scope),
            Kind::For(each) => self.for_each(each, scope),
            Kind::Reference(reference) => self.reference(reference, span, scope),
            Kind::Steps(inner, steps) => self.evaluate(inner, scope).and_then(|value| self.follow(value, steps, scope)),
            Kind::Splat(of, each) => self.splat(of, each, scope),
            Kind::Item => Ok(scope.get(ITEM).0.cloned().unwrap_or(Value::Null)),
            Kind::Call(call) => self.call(call, span, scope),
            Kind::Conditional(three) => self.conditional(three, scope),
            Kind::Unary(operator, inner) => {
                let value = self.evaluate(inner, scope)?;
                operators::unary(*operator, &value).map_err(|why| Problem::new(why, span.clone()))
            }
            Kind::Chain(first, rest) => {
                let mut left = self.evaluate(first, scope)?;
                for (operator, right) in rest {
                    self.step(1, span)?;
                    let right = self.evaluate(right, scope)?;
                    left =
                        operators::binary(&left, *operator, &right).map_err(|why| Problem::new(why, span.clone()))?;
                }
                Ok(left)
            }
        }
    }

    fn literal(&self, text: &str, span: &Span) -> Evaluated {
        self.step(text.len() / 64, span)?;
        Ok(Value::text(text))
    }

    fn list(&self, items: &[Expression], scope: &Scope) -> Evaluated {
        let items: Evaluated<Vec<Value>> = items.iter().map(|item| self.evaluate(item, scope)).collect();
        Ok(Value::Tuple(items?))
    }

    fn object(&self, items: &[(Key, Expression)], scope: &Scope) -> Evaluated {
        let mut entries = BTreeMap::new();
        for (key, value) in items {
            let name = match key {
                Key::Word(name) => normal(name.text.clone()),
                Key::Expression(expression) => self.text(expression, scope)?,
            };
            entries.insert(name, self.evaluate(value, scope)?);
        }
        Ok(Value::Object(entries))
    }

    /// An expression that must give text.
    pub fn text(&self, expression: &Expression, scope: &Scope) -> Evaluated<String> {
        let value = self.evaluate(expression, scope)?;
        self.step(value.size(), &expression.span)?;
        value.to_text().map_err(|why| Problem::new(why, expression.span.clone()))
    }

    /// An expression that must give true or false.
    pub fn truth(&self, expression: &Expression, scope: &Scope) -> Evaluated<bool> {
        self.evaluate(expression, scope)?.to_bool().map_err(|why| Problem::new(why, expression.span.clone()))
    }

    fn reference(&self, reference: &Reference, span: &Span, scope: &Scope) -> Evaluated {
        let root = reference.root.as_str();
        let (bound, looked) = scope.get(root);
        self.step(looked / 16, span)?;
        if let Some(value) = bound {
            return self.walk(value, &reference.steps, span);
        }
        let (what, names) = match root {
            "var" if self.mode != Mode::Constant => ("variable", &self.variables),
            "local" if self.mode == Mode::Full => ("local", &self.locals),
            _ => return self.runtime(reference, span),
        };
        let name = match reference.steps.first().map(|step| &step.key) {
            Some(StepKey::Attribute(name) | StepKey::Text(name)) => name,
            Some(_) => return Err(Problem::new(format!("{root} is indexed by names"), span.clone())),
            None => {
                self.step(names.values().map(Value::size).sum(), span)?;
                return Ok(Value::Object(names.clone()));
            }
        };
        match names.get(name) {
            Some(value) => self.walk(value, &reference.steps[1..], span),
            None if self.broken.contains(&format!("{root}.{name}")) => Err(Problem::follow_on(span.clone())),
            None => Err(unknown(what, root, name, names, span)),
        }
    }

    /// What lies behind literal steps; copies nothing but the result.
    fn walk(&self, value: &Value, steps: &[Step], span: &Span) -> Evaluated {
        let mut at = value;
        for step in steps {
            self.step(1, span)?;
            at = child(at, &step.key, &step.span)?;
        }
        self.step(at.size(), span)?;
        Ok(at.clone())
    }

    fn runtime(&self, reference: &Reference, span: &Span) -> Evaluated {
        let text = self.source.get(span.clone()).unwrap_or(&reference.root);
        if self.mode != Mode::Full {
            return Err(Problem::with_help(
                format!("{text} is not known here"),
                span.clone(),
                "defaults, var files and flags take plain values; quote a text: \"like this\"",
            ));
        }
        if reference.brace_behind {
            let help = format!("write ${{\"}}\"}} for the brace, or keep it away from {text} by other text");
            self.remark("a brace right behind a reference is doubled".to_owned(), span, help);
        }
        if !reference.in_braces && !on_node(&reference.root) {
            let message = format!("{text} is no name of this file, so it stays as the text {}", reference.literal);
            self.remark(message, span, instead_of(text, &reference.root));
        }
        Ok(Value::Text(normal(reference.literal.clone())))
    }

    /// Keeps a remark; a loop would make the same one many times.
    fn remark(&self, message: String, span: &Span, help: String) {
        let mut remarks = self.remarks.borrow_mut();
        let known = remarks.iter().any(|one| one.span == *span && one.message == message);
        if remarks.len() < MAX_REMARKS && !known {
            remarks.push(Problem { message, span: span.clone(), help: Some(help) });
        }
    }

    /// Steps whose keys may be expressions.
    fn follow(&self, mut value: Value, steps: &[Step], scope: &Scope) -> Evaluated {
        for step in steps {
            self.step(1, &step.span)?;
            value = match &step.key {
                StepKey::Expression(key) => {
                    let key = match self.evaluate(key, scope)? {
                        Value::Number(number) => StepKey::Number(number),
                        Value::Text(text) => StepKey::Text(text),
                        Value::Bool(flag) => StepKey::Bool(flag),
                        _ => StepKey::Null,
                    };
                    child(&value, &key, &step.span)?.clone()
                }
                key => child(&value, key, &step.span)?.clone(),
            };
        }
        Ok(value)
    }

    /// What is done with each item of a list; a single value is a list of one, null of none.
    fn splat(&self, of: &Expression, each: &Expression, scope: &Scope) -> Evaluated {
        let (items, is_list) = match self.evaluate(of, scope)? {
            Value::Null => (Vec::new(), false),
            Value::Tuple(items) => (items, false),
            Value::List(_, items) | Value::Set(_, items) => (items, true),
            single => (vec![single], false),
        };
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.evaluate(each, &scope.with(ITEM, item))?);
        }
        let kinds: Vec<Type> = results.iter().map(Type::of).collect();
        match kinds.first() {
            Some(first) if is_list && kinds.iter().all(|kind| kind == first) => Ok(Value::List(first.clone(), results)),
            _ => Ok(Value::Tuple(results)),
        }
    }

    /// Both branches are looked at, for they must have a type in common; a mistake counts only in the chosen one.
    fn conditional(&self, three: &[Expression; 3], scope: &Scope) -> Evaluated {
        let [condition, yes, no] = three;
        let holds = self.truth(condition, scope)?;
        let (chosen, other) = if holds { (yes, no) } else { (no, yes) };
        let (value, other_value) = (self.evaluate(chosen, scope)?, self.evaluate(other, scope));
        let Ok(other_value) = other_value else { return Ok(value) };
        let kinds = [Type::of(&value), Type::of(&other_value)];
        let Some(kind) = unify(&kinds) else {
            let message = format!("the two results do not go together: {} and {}", value.kind(), other_value.kind());
            return Err(Problem::new(message, yes.span.start..no.span.end));
        };
        kind.convert(value).map_err(|why| Problem::new(why, chosen.span.clone()))
    }

    fn for_each(&self, each: &For, scope: &Scope) -> Evaluated {
        let span = &each.collection.span;
        let mut items = Vec::new();
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for inner in self.bindings(&each.collection, each.key_name.as_deref(), &each.value_name, scope)? {
            self.step(1, span)?;
            if let Some(condition) = &each.condition
                && !self.truth(condition, &inner)?
            {
                continue;
            }
            let Some(key) = &each.key else {
                items.push(self.evaluate(&each.value, &inner)?);
                continue;
            };
            let name = self.text(key, &inner)?;
            let result = self.evaluate(&each.value, &inner)?;
            if each.group {
                groups.entry(name).or_default().push(result);
            } else if entries.insert(name.clone(), result).is_some() {
                return Err(Problem::with_help(
                    format!("the key {name:?} comes up twice"),
                    key.span.clone(),
                    "put ... behind the value to collect the values of one key in a list",
                ));
            }
        }
        if each.key.is_none() {
            return Ok(Value::Tuple(items));
        }
        if each.group {
            entries = groups.into_iter().map(|(name, values)| (name, Value::Tuple(values))).collect();
        }
        Ok(Value::Object(entries))
    }

    /// One scope for each item of a collection.
    pub fn bindings(
        &self,
        collection: &Expression,
        key_name: Option<&str>,
        value_name: &str,
        scope: &Scope,
    ) -> Evaluated<Vec<Scope>> {
        let value = self.evaluate(collection, scope)?;
        let kind = value.kind();
        let Some(pairs) = value.pairs() else {
            let message = format!("for needs a list or a map, this is {kind}");
            return Err(Problem::new(message, collection.span.clone()));
        };
        let bind = |(key, value)| {
            let outer = key_name.map_or_else(|| scope.clone(), |name| scope.with(name, key));
            outer.with(value_name, value)
        };
        Ok(pairs.into_iter().map(bind).collect())
    }

    fn call(&self, call: &Call, span: &Span, scope: &Scope) -> Evaluated {
        let name = call.name.text.as_str();
        if self.mode == Mode::Constant {
            return Err(Problem::new(format!("functions such as {name}() cannot be called here"), span.clone()));
        }
        let arguments = &call.arguments[..];
        match (name, arguments) {
            ("try", _) => return self.first_that_works(arguments, span, scope),
            ("can", [only]) => {
                let works = self.evaluate(only, scope).is_ok();
                self.step(0, span)?;
                return Ok(Value::Bool(works));
            }
            ("convert", [value, kind]) => {
                let value = self.evaluate(value, scope)?;
                let wanted = Type::read(kind, Place::Convert)?;
                return wanted.convert(value).map_err(|why| Problem::new(why, span.clone()));
            }
            ("can", _) => return Err(Problem::new("can takes 1 argument", span.clone())),
            ("convert", _) => return Err(Problem::new("convert takes a value and a type", span.clone())),
            _ => {}
        }
        let Some(function) = functions::find(name) else {
            let help = functions::advice(name);
            let message = format!("there is no function {name:?}");
            return Err(Box::new(Problem { message, span: call.name.span.clone(), help }));
        };
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument, scope)?);
        }
        if call.expand
            && let Some(last) = values.pop()
        {
            let items = last.items().map_err(|why| Problem::new(why, span.clone()))?;
            values.extend(items.iter().cloned());
        }
        self.step(function.cost(&values), span)?;
        let result = function.call(&values, self.files);
        let result = result.map_err(|why| Problem::new(format!("{name}: {why}"), span.clone()))?;
        self.step(result.size(), span)?;
        Ok(result)
    }

    fn first_that_works(&self, arguments: &[Expression], span: &Span, scope: &Scope) -> Evaluated {
        let mut last = Problem::new("try needs at least one argument", span.clone());
        for argument in arguments {
            match self.evaluate(argument, scope) {
                Ok(value) => return Ok(value),
                Err(problem) if self.exhausted() => return Err(problem),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }
}

/// Whether a node knows names that begin with this word. Variables of the environment are in capitals.
fn on_node(root: &str) -> bool {
    let capitals = root.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    matches!(root, "attr" | "node" | "meta" | "env" | "device" | "secret")
        || root.starts_with("NOMAD_")
        || (capitals && !matches!(root, "TRUE" | "FALSE" | "NULL"))
}

/// What was meant by a word that is no name.
fn instead_of(text: &str, root: &str) -> String {
    let known = ["true", "false", "null", "var", "local", "attr", "node", "meta"];
    match root.to_lowercase().as_str() {
        "nil" | "none" | "undefined" => "write null for no value".to_owned(),
        "yes" | "on" => "write true, or the word in double quotes".to_owned(),
        "no" | "off" => "write false, or the word in double quotes".to_owned(),
        lower => match nearest(lower, known.into_iter()) {
            Some(near) => format!("did you mean {near}{}?", &text[root.len().min(text.len())..]),
            None => format!("put a text in double quotes: \"{text}\"; for a name on the node write \"${{{text}}}\""),
        },
    }
}

fn unknown(what: &str, root: &str, name: &str, names: &BTreeMap<String, Value>, span: &Span) -> Box<Problem> {
    let help = match nearest(name, names.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {root}.{near}?"),
        None if what == "variable" => format!("declare it: variable \"{name}\" {{ default = ... }}"),
        None => format!("add it: locals {{ {name} = ... }}"),
    };
    Problem::with_help(format!("there is no {what} {name:?}"), span.clone(), help)
}

/// What lies behind one step.
fn child<'v>(value: &'v Value, key: &StepKey, span: &Span) -> Evaluated<&'v Value> {
    let wrong = |why: String| Problem::new(why, span.clone());
    let name = match (value, key) {
        (Value::Set(..), _) => {
            let why = "a set has no order, so it cannot be indexed";
            return Err(Problem::with_help(why, span.clone(), "convert(..., list(string)) makes a list of it"));
        }
        (_, StepKey::Null | StepKey::Expression(_)) => return Err(wrong("null is no index".to_owned())),
        (_, StepKey::Attribute(name)) => name.clone(),
        (Value::Tuple(items) | Value::List(_, items), key) => {
            let at = index(key).map_err(wrong)?;
            let item = usize::try_from(at).ok().and_then(|at| items.get(at));
            return item.ok_or_else(|| wrong(format!("there is no item {at}: the list has {} items", items.len())));
        }
        (_, StepKey::Text(name)) => name.clone(),
        (_, StepKey::Number(number)) => number.to_string(),
        (_, StepKey::Bool(flag)) => flag.to_string(),
    };
    let Ok(entries) = value.entries() else {
        return Err(wrong(format!("{} has no attribute {name:?}", value.kind())));
    };
    entries.get(&name).ok_or_else(|| {
        let help = nearest(&name, entries.keys().map(String::as_str)).map(|near| format!("did you mean {near:?}?"));
        Box::new(Problem { message: format!("there is no attribute {name:?}"), span: span.clone(), help })
    })
}

/// A key as the position in a list.
fn index(key: &StepKey) -> Result<i64, String> {
    match key {
        StepKey::Number(number) => Value::Number(number.clone()).to_int(),
        StepKey::Text(text) => Value::text(text).to_int(),
        StepKey::Bool(flag) => Value::Bool(*flag).to_int(),
        _ => Err("a number is needed here".to_owned()),
    }
}
