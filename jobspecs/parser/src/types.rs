//! Types of variables, and conversion to them.

use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, FuncCall, ObjectKey};

use crate::diagnostics::Problem;
use crate::evaluate::{Evaluated, span_of};
use crate::value::{Mapping, Sequence, Value, compare};

/// What a variable holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Any,
    Text,
    Number,
    Bool,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Object(BTreeMap<String, Type>),
    Tuple(Vec<Type>),
}

impl Type {
    /// Reads `list(string)` and the like. `any` is allowed in `convert` only.
    pub fn read(expression: &Expression, any: bool) -> Evaluated<Type> {
        let span = span_of(expression);
        match expression {
            Expression::Variable(name) => match name.value().as_str() {
                "string" => Ok(Type::Text),
                "number" => Ok(Type::Number),
                "bool" => Ok(Type::Bool),
                "any" if any => Ok(Type::Any),
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
            Expression::String(text) => Err(Problem::with_help(
                "a type is written without quotes",
                span,
                format!("write type = {}", text.value()),
            )),
            Expression::FuncCall(call) => Type::read_call(call, span, any),
            _ => Err(Problem::new("this is not a type", span)),
        }
    }

    fn read_call(call: &FuncCall, span: std::ops::Range<usize>, any: bool) -> Evaluated<Type> {
        let name = call.name.name.value().as_str();
        let arguments: Vec<&Expression> = call.args.iter().collect();
        let [argument] = arguments[..] else {
            return Err(Problem::new(format!("{name} takes one type"), span));
        };
        let inner = || Type::read(argument, any).map(Box::new);
        match (name, argument) {
            ("list", _) => Ok(Type::List(inner()?)),
            ("set", _) => Ok(Type::Set(inner()?)),
            ("map", _) => Ok(Type::Map(inner()?)),
            ("tuple", Expression::Array(items)) => {
                let types: Evaluated<Vec<Type>> = items.iter().map(|item| Type::read(item, any)).collect();
                Ok(Type::Tuple(types?))
            }
            ("object", Expression::Object(object)) => {
                let mut fields = BTreeMap::new();
                for (key, value) in object.iter() {
                    let name = match key {
                        ObjectKey::Ident(name) => name.value().to_string(),
                        ObjectKey::Expression(Expression::String(text)) => text.value().clone(),
                        ObjectKey::Expression(other) => {
                            return Err(Problem::new("an object type needs plain names", span_of(other)));
                        }
                    };
                    fields.insert(name, Type::read(value.expr(), any)?);
                }
                Ok(Type::Object(fields))
            }
            ("tuple", _) => Err(Problem::new("tuple takes a list of types: tuple([string, number])", span)),
            ("object", _) => Err(Problem::new("object takes types by name: object({ port = number })", span)),
            _ => Err(Problem::new(format!("there is no type {name:?}"), span)),
        }
    }

    /// Whether text from a flag or the environment is taken as it stands.
    pub fn takes_plain_text(&self) -> bool {
        matches!(self, Type::Text | Type::Number)
    }

    /// Brings a value to this type; null stays null.
    pub fn convert(&self, value: Value) -> Result<Value, String> {
        if value == Value::Null {
            return Ok(value);
        }
        Ok(match self {
            Type::Any => value,
            Type::Text => Value::Text(value.to_text()?),
            Type::Number => Value::Number(value.to_number()?),
            Type::Bool => Value::Bool(value.to_bool()?),
            Type::List(inner) => Value::List(Sequence::List, inner.convert_all(value.items()?)?),
            Type::Set(inner) => {
                let mut items = inner.convert_all(value.items()?)?;
                items.sort_by(compare);
                items.dedup();
                Value::List(Sequence::Set, items)
            }
            Type::Map(inner) => {
                let mut entries = BTreeMap::new();
                for (key, item) in value.entries()? {
                    entries.insert(key.clone(), inner.convert(item.clone())?);
                }
                Value::Map(Mapping::Map, entries)
            }
            Type::Object(fields) => {
                let given = value.entries()?;
                let mut entries = BTreeMap::new();
                for (name, kind) in fields {
                    let item = given.get(name).ok_or_else(|| format!("the attribute {name:?} is missing"))?;
                    entries.insert(name.clone(), kind.convert(item.clone()).map_err(|why| format!("{name}: {why}"))?);
                }
                Value::Map(Mapping::Object, entries)
            }
            Type::Tuple(kinds) => {
                let items = value.items()?;
                if items.len() != kinds.len() {
                    return Err(format!("{} items are needed here, not {}", kinds.len(), items.len()));
                }
                let pairs = kinds.iter().zip(items);
                let converted: Result<Vec<Value>, String> = pairs.map(|(k, v)| k.convert(v.clone())).collect();
                Value::tuple(converted?)
            }
        })
    }

    fn convert_all(&self, items: &[Value]) -> Result<Vec<Value>, String> {
        items.iter().map(|item| self.convert(item.clone())).collect()
    }
}
