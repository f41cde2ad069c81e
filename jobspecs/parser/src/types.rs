//! Types, conversion to them, and the type that several have in common.

use std::collections::BTreeMap;

use crate::diagnostics::Problem;
use crate::evaluate::Evaluated;
use crate::syntax::{Call, Expression, Key, Kind, Span};
use crate::value::Value;

/// What a value is, or has to become.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// Not said: the type of null, and what functions take that take everything.
    Any,
    Text,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    /// Attributes, and whether each may be left out.
    Object(BTreeMap<String, (Type, bool)>),
    Tuple(Vec<Type>),
}

/// Where a type is written decides what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The type of a variable.
    Variable,
    /// The second argument of `convert`, which takes `any` and `optional(...)` as well.
    Convert,
}

impl Type {
    /// Reads `list(string)` and the like.
    pub fn read(expression: &Expression, place: Place) -> Evaluated<Type> {
        let span = expression.span.clone();
        match &expression.kind {
            Kind::Reference(reference) if reference.steps.is_empty() => match reference.root.as_str() {
                "string" => Ok(Type::Text),
                "number" => Ok(Type::Number),
                "bool" => Ok(Type::Bool),
                "any" if place == Place::Convert => Ok(Type::Any),
                "any" => Err(Problem::with_help(
                    "a variable cannot have the type any",
                    span,
                    "leave the type out: then the variable takes that of its default",
                )),
                word @ ("list" | "set" | "map") => Err(Problem::with_help(
                    format!("{word} needs the type of its values"),
                    span,
                    format!("write {word}(string) or {word}(number)"),
                )),
                word => Err(Problem::with_help(
                    format!("there is no type {word:?}"),
                    span,
                    "types are string, number, bool, list(...), set(...), map(...), object({...}) and tuple([...])",
                )),
            },
            Kind::Text(text) => {
                Err(Problem::with_help("a type is written without quotes", span, format!("write type = {text}")))
            }
            Kind::Call(call) => Type::read_call(call, span, place),
            _ => Err(Problem::new("this is not a type", span)),
        }
    }

    fn read_call(call: &Call, span: Span, place: Place) -> Evaluated<Type> {
        let name = call.name.text.as_str();
        let [argument] = &call.arguments[..] else {
            return Err(Problem::new(format!("{name} takes one type"), span));
        };
        let inner = || Type::read(argument, place).map(Box::new);
        match (name, &argument.kind) {
            ("list", _) => Ok(Type::List(inner()?)),
            ("set", _) => Ok(Type::Set(inner()?)),
            ("map", _) => Ok(Type::Map(inner()?)),
            ("tuple", Kind::List(items)) => {
                let types: Evaluated<Vec<Type>> = items.iter().map(|item| Type::read(item, place)).collect();
                Ok(Type::Tuple(types?))
            }
            ("object", Kind::Object(items)) => {
                let mut fields = BTreeMap::new();
                for (key, value) in items {
                    let name = match key {
                        Key::Word(name) => name.text.clone(),
                        Key::Expression(Expression { kind: Kind::Text(text), .. }) => text.clone(),
                        Key::Expression(other) => {
                            return Err(Problem::new("an object type needs plain names", other.span.clone()));
                        }
                    };
                    fields.insert(name, Type::read_field(value, place)?);
                }
                Ok(Type::Object(fields))
            }
            ("tuple", _) => Err(Problem::new("tuple takes a list of types: tuple([string, number])", span)),
            ("object", _) => Err(Problem::new("object takes types by name: object({ port = number })", span)),
            ("optional", _) => Err(Problem::with_help(
                "the attributes of an object cannot be optional",
                span,
                "use map(string), or give the variable a default with all attributes",
            )),
            _ => Err(Problem::new(format!("there is no type {name:?}"), span)),
        }
    }

    /// An attribute of an object type, which `convert` lets be optional.
    fn read_field(value: &Expression, place: Place) -> Evaluated<(Type, bool)> {
        match &value.kind {
            Kind::Call(Call { name, arguments, .. }) if place == Place::Convert && name.text == "optional" => {
                match &arguments[..] {
                    [inner] => Ok((Type::read(inner, place)?, true)),
                    _ => Err(Problem::new("optional takes one type", value.span.clone())),
                }
            }
            _ => Ok((Type::read(value, place)?, false)),
        }
    }

    /// Whether text from a flag or the environment is taken as it stands.
    pub fn takes_plain_text(&self) -> bool {
        matches!(self, Type::Text | Type::Number)
    }

    /// The type of a value.
    pub fn of(value: &Value) -> Type {
        match value {
            Value::Null => Type::Any,
            Value::Bool(_) => Type::Bool,
            Value::Number(_) => Type::Number,
            Value::Text(_) => Type::Text,
            Value::Tuple(items) => Type::Tuple(items.iter().map(Type::of).collect()),
            Value::List(kind, _) => Type::List(Box::new(kind.clone())),
            Value::Set(kind, _) => Type::Set(Box::new(kind.clone())),
            Value::Object(entries) => {
                Type::Object(entries.iter().map(|(name, value)| (name.clone(), (Type::of(value), false))).collect())
            }
            Value::Map(kind, _) => Type::Map(Box::new(kind.clone())),
        }
    }

    /// Brings a value to this type; null stays null.
    pub fn convert(&self, value: Value) -> Result<Value, String> {
        if value.is_null() {
            return Ok(value);
        }
        match self {
            Type::Any => Ok(value),
            Type::Text => value.to_text().map(Value::Text),
            Type::Number => value.to_number().map(Value::Number),
            Type::Bool => value.to_bool().map(Value::Bool),
            Type::List(inner) => {
                let kind = inner.for_items(&value)?;
                let items = kind.convert_all(value.items()?)?;
                Ok(Value::List(kind, items))
            }
            Type::Set(inner) => {
                let kind = inner.for_items(&value)?;
                let items = kind.convert_all(value.items()?)?;
                Ok(Value::set(kind, items))
            }
            Type::Map(inner) => {
                let kind = inner.for_entries(&value)?;
                let mut entries = BTreeMap::new();
                for (key, item) in value.entries()? {
                    let item = kind.convert(item.clone()).map_err(|why| format!("{key}: {why}"))?;
                    entries.insert(key.clone(), item);
                }
                Ok(Value::Map(kind, entries))
            }
            Type::Object(fields) => {
                let given = value.entries()?;
                let mut entries = BTreeMap::new();
                for (name, (kind, optional)) in fields {
                    let item = match given.get(name) {
                        Some(item) => kind.convert(item.clone()).map_err(|why| format!("{name}: {why}"))?,
                        None if *optional => Value::Null,
                        None => return Err(format!("the attribute {name:?} is missing")),
                    };
                    entries.insert(name.clone(), item);
                }
                Ok(Value::Object(entries))
            }
            Type::Tuple(kinds) => {
                let Value::Tuple(items) = value else {
                    return Err(format!("a list of {} items is needed here, this is {}", kinds.len(), value.kind()));
                };
                if items.len() != kinds.len() {
                    return Err(format!("{} items are needed here, not {}", kinds.len(), items.len()));
                }
                let pairs = kinds.iter().zip(items);
                pairs.map(|(kind, item)| kind.convert(item)).collect::<Result<_, _>>().map(Value::Tuple)
            }
        }
    }

    /// This type for the items of a value; for `Any` the one they have in common.
    fn for_items(&self, value: &Value) -> Result<Type, String> {
        match (self, value) {
            (Type::Any, Value::List(kind, _) | Value::Set(kind, _)) => Ok(kind.clone()),
            (Type::Any, Value::Tuple(items)) => {
                let kinds: Vec<Type> = items.iter().map(Type::of).collect();
                unify(&kinds).ok_or_else(|| "the items have no type in common".to_owned())
            }
            _ => Ok(self.clone()),
        }
    }

    fn for_entries(&self, value: &Value) -> Result<Type, String> {
        match (self, value) {
            (Type::Any, Value::Map(kind, _)) => Ok(kind.clone()),
            (Type::Any, Value::Object(entries)) => {
                let kinds: Vec<Type> = entries.values().map(Type::of).collect();
                unify(&kinds).ok_or_else(|| "the values have no type in common".to_owned())
            }
            _ => Ok(self.clone()),
        }
    }

    fn convert_all(&self, items: &[Value]) -> Result<Vec<Value>, String> {
        items.iter().map(|item| self.convert(item.clone())).collect()
    }

    /// Whether values of this type may become `wanted`, their contents permitting.
    fn converts_to(&self, wanted: &Type) -> bool {
        match (self, wanted) {
            (_, Type::Any) | (Type::Any, _) => true,
            (Type::Text | Type::Number | Type::Bool, Type::Text)
            | (Type::Text, Type::Number | Type::Bool)
            | (Type::Number, Type::Number)
            | (Type::Bool, Type::Bool) => true,
            (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) => a.converts_to(b),
            (Type::Tuple(kinds), Type::List(b) | Type::Set(b)) => kinds.iter().all(|a| a.converts_to(b)),
            (Type::Map(a), Type::Map(b)) => a.converts_to(b),
            (Type::Object(fields), Type::Map(b)) => fields.values().all(|(a, _)| a.converts_to(b)),
            (Type::Map(a), Type::Object(fields)) => fields.values().all(|(b, _)| a.converts_to(b)),
            (Type::Object(given), Type::Object(fields)) => {
                fields.iter().all(|(name, (b, optional))| given.get(name).map_or(*optional, |(a, _)| a.converts_to(b)))
            }
            (Type::Tuple(a), Type::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.converts_to(b)),
            _ => false,
        }
    }
}

/// The type that values of all these types can become, as HCL chooses it for the branches of a conditional and the
/// items of a list.
pub(crate) fn unify(types: &[Type]) -> Option<Type> {
    let known: Vec<&Type> = types.iter().filter(|kind| **kind != Type::Any).collect();
    let Some(first) = known.first() else { return Some(Type::Any) };
    if known.iter().all(|kind| kind == first) {
        return Some((*first).clone());
    }
    let count = |wanted: fn(&Type) -> bool| known.iter().filter(|kind| wanted(kind)).count();
    let (objects, maps) = (count(|kind| matches!(kind, Type::Object(_))), count(|kind| matches!(kind, Type::Map(_))));
    let (tuples, lists) = (count(|kind| matches!(kind, Type::Tuple(_))), count(|kind| matches!(kind, Type::List(_))));
    let sets = count(|kind| matches!(kind, Type::Set(_)));
    let all = known.len();
    let inner = || -> Vec<Type> { known.iter().flat_map(|kind| kind.inner()).collect() };
    if objects == all {
        return unify_objects(&known).or_else(|| unify(&inner()).map(|kind| Type::Map(Box::new(kind))));
    }
    if tuples == all {
        return unify_tuples(&known).or_else(|| unify(&inner()).map(|kind| Type::List(Box::new(kind))));
    }
    if maps > 0 && maps + objects == all {
        return unify(&inner()).map(|kind| Type::Map(Box::new(kind)));
    }
    if lists > 0 && lists + tuples + sets == all {
        return unify(&inner()).map(|kind| Type::List(Box::new(kind)));
    }
    if sets > 0 && sets + tuples == all {
        return unify(&inner()).map(|kind| Type::Set(Box::new(kind)));
    }
    // Text takes in numbers and truth values, so it comes first.
    let rank = |kind: &Type| usize::from(*kind != Type::Text);
    let mut wanted = known.clone();
    wanted.sort_by_key(|kind| rank(kind));
    wanted.into_iter().find(|wanted| known.iter().all(|kind| kind.converts_to(wanted))).cloned()
}

impl Type {
    /// The types of what a collection holds.
    fn inner(&self) -> Vec<Type> {
        match self {
            Type::List(kind) | Type::Set(kind) | Type::Map(kind) => vec![(**kind).clone()],
            Type::Tuple(kinds) => kinds.clone(),
            Type::Object(fields) => fields.values().map(|(kind, _)| kind.clone()).collect(),
            _ => Vec::new(),
        }
    }
}

/// Objects with the same names stay objects.
fn unify_objects(types: &[&Type]) -> Option<Type> {
    let fields = types.iter().filter_map(|kind| if let Type::Object(fields) = kind { Some(fields) } else { None });
    let fields: Vec<&BTreeMap<String, (Type, bool)>> = fields.collect();
    let first = fields.first()?;
    if fields.iter().any(|other| !other.keys().eq(first.keys())) {
        return None;
    }
    let mut unified = BTreeMap::new();
    for name in first.keys() {
        let kinds: Vec<Type> =
            fields.iter().filter_map(|fields| fields.get(name)).map(|(kind, _)| kind.clone()).collect();
        unified.insert(name.clone(), (unify(&kinds)?, false));
    }
    Some(Type::Object(unified))
}

/// Tuples of the same length stay tuples.
fn unify_tuples(types: &[&Type]) -> Option<Type> {
    let items: Vec<&Vec<Type>> =
        types.iter().filter_map(|kind| if let Type::Tuple(items) = kind { Some(items) } else { None }).collect();
    let first = items.first()?;
    if items.iter().any(|other| other.len() != first.len()) {
        return None;
    }
    let column = |at: usize| unify(&items.iter().map(|items| items[at].clone()).collect::<Vec<_>>());
    (0..first.len()).map(column).collect::<Option<_>>().map(Type::Tuple)
}
