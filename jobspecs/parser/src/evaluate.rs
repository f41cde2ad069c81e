//! Expressions to values. Names that only a node knows (`attr.x`, `NOMAD_X`) become the text `${...}` that they are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use hcl_edit::Span;
use hcl_edit::expr::{Conditional, Expression, ForExpr, FuncCall, Object, ObjectKey, Traversal, TraversalOperator};

use crate::diagnostics::{Problem, nearest};
use crate::functions;
use crate::number::Number;
use crate::operators;
use crate::template;
use crate::types;
use crate::value::{Mapping, Sequence, Value};

pub(crate) type Evaluated<T = Value> = Result<T, Box<Problem>>;

/// Evaluation steps of one file; nested `for` expressions multiply, so there is an end.
const STEP_BUDGET: u64 = 2_000_000;

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

/// Names bound by `for` and `dynamic`, innermost first.
#[derive(Clone, Default)]
pub(crate) struct Scope(Option<Rc<Frame>>);

struct Frame {
    name: String,
    value: Value,
    outer: Scope,
}

impl Scope {
    pub fn with(&self, name: impl Into<String>, value: Value) -> Scope {
        Scope(Some(Rc::new(Frame { name: name.into(), value, outer: self.clone() })))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let mut at = self;
        while let Some(frame) = &at.0 {
            if frame.name == name {
                return Some(&frame.value);
            }
            at = &frame.outer;
        }
        None
    }
}

/// The names of a file and the means to evaluate its expressions.
pub(crate) struct Evaluator<'s> {
    pub source: &'s str,
    pub mode: Mode,
    pub variables: BTreeMap<String, Value>,
    pub locals: BTreeMap<String, Value>,
    steps: Cell<u64>,
}

impl<'s> Evaluator<'s> {
    pub fn new(source: &'s str, mode: Mode) -> Evaluator<'s> {
        Evaluator { source, mode, variables: BTreeMap::new(), locals: BTreeMap::new(), steps: Cell::new(0) }
    }

    /// Counts work.
    pub fn step(&self, cost: usize, span: &Range<usize>) -> Evaluated<()> {
        let steps = self.steps.get().saturating_add(cost as u64);
        self.steps.set(steps);
        if steps > STEP_BUDGET {
            return Err(Problem::new("this file takes too much work to evaluate", span.clone()));
        }
        Ok(())
    }

    pub fn slice(&self, span: &Range<usize>) -> &'s str {
        self.source.get(span.clone()).unwrap_or("")
    }

    pub fn evaluate(&self, expression: &Expression, scope: &Scope) -> Evaluated {
        let span = span_of(expression);
        self.step(1, &span)?;
        match expression {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(flag) => Ok(Value::Bool(*flag.value())),
            Expression::Number(number) => {
                let text = self.slice(&span).trim();
                let parsed = Number::parse(text).or_else(|| Number::parse(&number.value().to_string()));
                parsed.map(Value::Number).ok_or_else(|| Problem::new("this number is too large", span))
            }
            Expression::String(text) => Ok(Value::Text(text.value().clone())),
            Expression::Array(array) => {
                let items: Evaluated<Vec<Value>> = array.iter().map(|item| self.evaluate(item, scope)).collect();
                Ok(Value::tuple(items?))
            }
            Expression::Object(object) => self.object(object, scope),
            Expression::StringTemplate(text) => template::string(self, text, scope),
            Expression::HeredocTemplate(heredoc) => template::heredoc(self, heredoc, scope),
            Expression::Parenthesis(inner) => self.evaluate(inner.inner(), scope),
            Expression::Variable(name) => self.root(name.value().as_str(), span, scope),
            Expression::Conditional(conditional) => self.conditional(conditional, scope),
            Expression::FuncCall(call) => self.call(call, span, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, span, scope),
            Expression::UnaryOp(operation) => {
                let value = self.evaluate(&operation.expr, scope)?;
                operators::unary(*operation.operator.value(), &value).map_err(|why| Problem::new(why, span))
            }
            Expression::BinaryOp(operation) => {
                let left = self.evaluate(&operation.lhs_expr, scope)?;
                let right = self.evaluate(&operation.rhs_expr, scope)?;
                operators::binary(&left, *operation.operator.value(), &right).map_err(|why| Problem::new(why, span))
            }
            Expression::ForExpr(each) => self.for_each(each, scope),
        }
    }

    fn object(&self, object: &Object, scope: &Scope) -> Evaluated {
        let mut entries = BTreeMap::new();
        for (key, value) in object.iter() {
            let name = match key {
                ObjectKey::Ident(name) => name.value().to_string(),
                ObjectKey::Expression(expression) => self.text(expression, scope)?,
            };
            entries.insert(name, self.evaluate(value.expr(), scope)?);
        }
        Ok(Value::Map(Mapping::Object, entries))
    }

    /// An expression that must give text.
    pub fn text(&self, expression: &Expression, scope: &Scope) -> Evaluated<String> {
        self.evaluate(expression, scope)?.to_text().map_err(|why| Problem::new(why, span_of(expression)))
    }

    /// An expression that must give true or false.
    pub fn truth(&self, expression: &Expression, scope: &Scope) -> Evaluated<bool> {
        self.evaluate(expression, scope)?.to_bool().map_err(|why| Problem::new(why, span_of(expression)))
    }

    /// A word on its own.
    fn root(&self, name: &str, span: Range<usize>, scope: &Scope) -> Evaluated {
        if let Some(value) = scope.get(name) {
            self.step(value.size(), &span)?;
            return Ok(value.clone());
        }
        let all = |names: &BTreeMap<String, Value>| {
            self.step(names.values().map(Value::size).sum(), &span)?;
            Ok(Value::Map(Mapping::Object, names.clone()))
        };
        match name {
            "var" if self.mode != Mode::Constant => all(&self.variables),
            "local" if self.mode == Mode::Full => all(&self.locals),
            _ => self.runtime(self.slice(&span), span),
        }
    }

    fn runtime(&self, text: &str, span: Range<usize>) -> Evaluated {
        if self.mode == Mode::Full {
            return Ok(Value::Text(format!("${{{}}}", text.trim())));
        }
        Err(Problem::with_help(
            format!("{text} is not known here"),
            span,
            "defaults, var files and flags take plain values; quote a text: \"like this\"",
        ))
    }

    /// Whether the expression begins with a word that only the node knows.
    pub fn is_runtime(&self, expression: &Expression, scope: &Scope) -> bool {
        match expression {
            Expression::Variable(name) => {
                let name = name.value().as_str();
                self.mode == Mode::Full && scope.get(name).is_none() && name != "var" && name != "local"
            }
            Expression::Traversal(traversal) => {
                matches!(traversal.expr, Expression::Variable(_)) && self.is_runtime(&traversal.expr, scope)
            }
            _ => false,
        }
    }

    fn conditional(&self, conditional: &Conditional, scope: &Scope) -> Evaluated {
        let chosen = self.truth(&conditional.cond_expr, scope)?;
        let yes = self.evaluate(&conditional.true_expr, scope)?;
        let no = self.evaluate(&conditional.false_expr, scope)?;
        let (value, other) = if chosen { (yes, no) } else { (no, yes) };
        Value::unify(value, &other).map_err(|why| Problem::new(why, span_of(&conditional.true_expr)))
    }

    fn traversal(&self, traversal: &Traversal, span: Range<usize>, scope: &Scope) -> Evaluated {
        let Expression::Variable(root) = &traversal.expr else {
            let value = self.evaluate(&traversal.expr, scope)?;
            return self.operators(value, &traversal.operators, &span, scope);
        };
        let root = root.value().as_str();
        let named = match root {
            _ if scope.get(root).is_some() => None,
            "var" if self.mode != Mode::Constant => Some(("variable", &self.variables)),
            "local" if self.mode == Mode::Full => Some(("local", &self.locals)),
            _ => return self.runtime(self.slice(&span), span),
        };
        let (Some((what, names)), Some(first)) = (named, traversal.operators.first()) else {
            let value = self.root(root, span.clone(), scope)?;
            return self.operators(value, &traversal.operators, &span, scope);
        };
        let name = match first.value() {
            TraversalOperator::GetAttr(name) => name.value().to_string(),
            TraversalOperator::Index(index) => self.text(index, scope)?,
            _ => {
                let value = self.root(root, span.clone(), scope)?;
                return self.operators(value, &traversal.operators, &span, scope);
            }
        };
        let Some(value) = names.get(&name) else {
            let help = match nearest(&name, names.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {root}.{near}?"),
                None if what == "variable" => format!("declare it: variable \"{name}\" {{ default = ... }}"),
                None => format!("add it: locals {{ {name} = ... }}"),
            };
            return Err(Problem::with_help(format!("there is no {what} {name:?}"), span, help));
        };
        self.step(value.size(), &span)?;
        self.operators(value.clone(), &traversal.operators[1..], &span, scope)
    }

    fn operators(
        &self,
        mut value: Value,
        operators: &[hcl_edit::Decorated<TraversalOperator>],
        span: &Range<usize>,
        scope: &Scope,
    ) -> Evaluated {
        let mut at = 0;
        while let Some(operator) = operators.get(at) {
            at += 1;
            self.step(1, span)?;
            let place = operator.span().unwrap_or_else(|| span.clone());
            value = match operator.value() {
                TraversalOperator::GetAttr(name) => attribute(&value, name.value().as_str(), place)?,
                TraversalOperator::LegacyIndex(index) => {
                    let index = Value::int(i64::try_from(*index.value()).unwrap_or(i64::MAX));
                    self.index(&value, &index, place)?
                }
                TraversalOperator::Index(key) => {
                    let key = self.evaluate(key, scope)?;
                    self.index(&value, &key, place)?
                }
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let full = matches!(operator.value(), TraversalOperator::FullSplat(_));
                    let rest = &operators[at..];
                    let taken = rest.iter().take_while(|op| full || is_attribute(op.value())).count();
                    at += taken;
                    let items = match value {
                        Value::Null => Vec::new(),
                        Value::List(_, items) => items,
                        single => vec![single],
                    };
                    let each: Evaluated<Vec<Value>> =
                        items.into_iter().map(|item| self.operators(item, &rest[..taken], span, scope)).collect();
                    Value::tuple(each?)
                }
            };
        }
        Ok(value)
    }

    pub fn index(&self, value: &Value, key: &Value, span: Range<usize>) -> Evaluated {
        match value {
            Value::List(Sequence::Set, _) => Err(Problem::new("a set has no order, so it cannot be indexed", span)),
            Value::List(_, items) => {
                let at = key.to_int().map_err(|why| Problem::new(why, span.clone()))?;
                let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                item.cloned().ok_or_else(|| {
                    Problem::new(format!("there is no item {at}: the list has {} items", items.len()), span)
                })
            }
            Value::Map(..) => {
                let name = key.to_text().map_err(|why| Problem::new(why, span.clone()))?;
                attribute(value, &name, span)
            }
            other => Err(Problem::new(format!("{} has no items", other.kind()), span)),
        }
    }

    fn for_each(&self, each: &ForExpr, scope: &Scope) -> Evaluated {
        let span = span_of(&each.intro.collection_expr);
        let collection = self.evaluate(&each.intro.collection_expr, scope)?;
        let Some(pairs) = collection.pairs() else {
            return Err(Problem::new(format!("for needs a list or a map, this is {}", collection.kind()), span));
        };
        let mut items = Vec::new();
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (key, value) in pairs {
            self.step(1, &span)?;
            let mut inner = scope.clone();
            if let Some(name) = &each.intro.key_var {
                inner = inner.with(name.value().as_str(), key);
            }
            inner = inner.with(each.intro.value_var.value().as_str(), value);
            if let Some(condition) = &each.cond
                && !self.truth(&condition.expr, &inner)?
            {
                continue;
            }
            let Some(key_expression) = &each.key_expr else {
                items.push(self.evaluate(&each.value_expr, &inner)?);
                continue;
            };
            let name = self.text(key_expression, &inner)?;
            let result = self.evaluate(&each.value_expr, &inner)?;
            if each.grouping {
                groups.entry(name).or_default().push(result);
            } else if entries.insert(name.clone(), result).is_some() {
                return Err(Problem::with_help(
                    format!("the key {name:?} comes up twice"),
                    span_of(key_expression),
                    "put ... behind the value to collect the values of one key in a list",
                ));
            }
        }
        if each.key_expr.is_none() {
            return Ok(Value::tuple(items));
        }
        if each.grouping {
            entries = groups.into_iter().map(|(name, values)| (name, Value::tuple(values))).collect();
        }
        Ok(Value::Map(Mapping::Object, entries))
    }

    fn call(&self, call: &FuncCall, span: Range<usize>, scope: &Scope) -> Evaluated {
        let name = call.name.name.value().as_str();
        if self.mode == Mode::Constant {
            return Err(Problem::new(format!("functions such as {name}() cannot be called here"), span));
        }
        let arguments: Vec<&Expression> = call.args.iter().collect();
        match name {
            "try" => return self.first_that_works(&arguments, span, scope),
            "can" if arguments.len() == 1 => return Ok(Value::Bool(self.evaluate(arguments[0], scope).is_ok())),
            "convert" if arguments.len() == 2 => {
                let value = self.evaluate(arguments[0], scope)?;
                let wanted = types::Type::read(arguments[1], true)?;
                return wanted.convert(value).map_err(|why| Problem::new(why, span));
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in &arguments {
            values.push(self.evaluate(argument, scope)?);
        }
        if call.args.expand_final()
            && let Some(last) = values.pop()
        {
            let items = last.items().map_err(|why| Problem::new(why, span.clone()))?;
            values.extend(items.iter().cloned());
        }
        let Some(function) = functions::find(name) else {
            let help = functions::advice(name);
            return Err(Box::new(Problem { message: format!("there is no function {name:?}"), span, help }));
        };
        let result = function.call(&values).map_err(|why| Problem::new(format!("{name}: {why}"), span.clone()))?;
        self.step(result.size(), &span)?;
        Ok(result)
    }

    fn first_that_works(&self, arguments: &[&Expression], span: Range<usize>, scope: &Scope) -> Evaluated {
        let mut last = Problem::new("try needs at least one argument", span);
        for argument in arguments {
            match self.evaluate(argument, scope) {
                Ok(value) => return Ok(value),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }
}

fn is_attribute(operator: &TraversalOperator) -> bool {
    matches!(operator, TraversalOperator::GetAttr(_))
}

fn attribute(value: &Value, name: &str, span: Range<usize>) -> Evaluated {
    let Value::Map(_, entries) = value else {
        return Err(Problem::new(format!("{} has no attribute {name:?}", value.kind()), span));
    };
    entries.get(name).cloned().ok_or_else(|| {
        let help = nearest(name, entries.keys().map(String::as_str)).map(|near| format!("did you mean {near:?}?"));
        Box::new(Problem { message: format!("there is no attribute {name:?}"), span, help })
    })
}

/// The bytes of an expression; parsed ones always have them.
pub(crate) fn span_of(expression: &Expression) -> Range<usize> {
    expression.span().unwrap_or(0..0)
}
