//! The syntax tree: bodies, blocks, attributes and expressions, each with its bytes in the source.

use std::ops::Range;

use super::json::Json;
use crate::number::Number;

/// Bytes of the source.
pub(crate) type Span = Range<usize>;

/// A word of the source: the name of an attribute or block, a label, an object's key.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub text: String,
    pub span: Span,
}

/// What stands in a file or between a block's braces.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Attributes and blocks in the order written.
    Native(Vec<Item>),
    /// An object of the JSON syntax. What is an attribute and what a block shows only when it is read.
    Json(Vec<(Name, Json)>),
}

/// What a body holds, by reference.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contents<'x> {
    Native(&'x [Item]),
    Json(&'x [(Name, Json)]),
}

impl Body {
    pub fn contents(&self) -> Contents<'_> {
        match self {
            Body::Native(items) => Contents::Native(items),
            Body::Json(entries) => Contents::Json(entries),
        }
    }

    /// The items of a body in the native syntax.
    pub fn items(&self) -> &[Item] {
        match self {
            Body::Native(items) => items,
            Body::Json(_) => &[],
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Attribute(Attribute),
    Block(Block),
}

/// `name = value`.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub name: Name,
    pub value: Expression,
}

/// `name "label" { ... }`.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub name: Name,
    pub labels: Vec<Name>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub kind: Kind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    /// Text without interpolation, brought to NFC.
    Text(String),
    Template(Vec<Part>),
    /// `"${x}"` and nothing around it: keeps the type of its value.
    Lone(Box<Expression>),
    List(Vec<Expression>),
    Object(Vec<(Key, Expression)>),
    For(Box<For>),
    /// `root.step[0]`.
    Reference(Reference),
    /// Steps behind an expression that is no plain reference, or that are no literals.
    Steps(Box<Expression>, Vec<Step>),
    /// `x.*.a` and `x[*].a`: the second expression is what is done with each item, which it knows as [`Kind::Item`].
    Splat(Box<Expression>, Box<Expression>),
    /// The item of the innermost splat.
    Item,
    Call(Call),
    Conditional(Box<[Expression; 3]>),
    Unary(UnaryOperator, Box<Expression>),
    /// Operators of one rank, from left to right. Flat, so that a long sum is no deep tree.
    Chain(Box<Expression>, Vec<(BinaryOperator, Expression)>),
    Parentheses(Box<Expression>),
}

/// A name with literal steps. When nothing in the file has that name, only the node knows it, and its text stays.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub root: String,
    pub steps: Vec<Step>,
    /// The text `${...}` that stands for it until a node fills it in.
    pub literal: String,
    /// Whether that text holds more than the reference: a brace right behind it is taken in.
    pub brace_behind: bool,
    /// Whether it stands right behind `${`, as a name for the node does.
    pub in_braces: bool,
}

/// `.name` or `[key]`.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub key: StepKey,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum StepKey {
    Attribute(String),
    Text(String),
    Number(Number),
    Bool(bool),
    Null,
    /// A key that must be evaluated first; never in a [`Reference`].
    Expression(Box<Expression>),
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub name: Name,
    pub arguments: Vec<Expression>,
    /// `...` behind the last argument: its items are the arguments.
    pub expand: bool,
}

/// The key of an object's item.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// A bare word.
    Word(Name),
    Expression(Expression),
}

/// `[for k, v in c : value if cond]` or `{for k, v in c : key => value... if cond}`.
#[derive(Clone, Debug)]
pub(crate) struct For {
    pub key_name: Option<String>,
    pub value_name: String,
    pub collection: Expression,
    pub key: Option<Expression>,
    pub value: Expression,
    pub group: bool,
    pub condition: Option<Expression>,
}

/// A piece of a template.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Text(String),
    Value(Expression),
    If { condition: Expression, yes: Vec<Part>, no: Vec<Part> },
    For { key_name: Option<String>, value_name: String, collection: Expression, each: Vec<Part> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Negate,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Plus,
    Minus,
    Times,
    Divide,
    Modulo,
}

impl BinaryOperator {
    /// The operator at the start of `text`, and its length.
    pub fn read(text: &[u8]) -> Option<(BinaryOperator, usize)> {
        use BinaryOperator as Op;
        Some(match text {
            [b'|', b'|', ..] => (Op::Or, 2),
            [b'&', b'&', ..] => (Op::And, 2),
            [b'=', b'=', ..] => (Op::Equal, 2),
            [b'!', b'=', ..] => (Op::NotEqual, 2),
            [b'<', b'=', ..] => (Op::LessEqual, 2),
            [b'>', b'=', ..] => (Op::GreaterEqual, 2),
            [b'<', b'<', ..] => return None,
            [b'<', ..] => (Op::Less, 1),
            [b'>', ..] => (Op::Greater, 1),
            [b'+', ..] => (Op::Plus, 1),
            [b'-', ..] => (Op::Minus, 1),
            [b'*', ..] => (Op::Times, 1),
            [b'/', ..] => (Op::Divide, 1),
            [b'%', ..] => (Op::Modulo, 1),
            _ => return None,
        })
    }

    /// How tightly it binds; higher is tighter.
    pub fn rank(self) -> u8 {
        use BinaryOperator as Op;
        match self {
            Op::Or => 1,
            Op::And => 2,
            Op::Equal | Op::NotEqual => 3,
            Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => 4,
            Op::Plus | Op::Minus => 5,
            Op::Times | Op::Divide | Op::Modulo => 6,
        }
    }
}

impl Expression {
    pub fn new(kind: Kind, span: Span) -> Expression {
        Expression { kind, span }
    }

    /// The bare word that the expression is, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Reference(reference) if reference.steps.is_empty() => Some(&reference.root),
            Kind::Null => Some("null"),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            _ => None,
        }
    }
}
