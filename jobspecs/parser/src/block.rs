//! Reading a block: attributes by name and type, child blocks by name, `dynamic` expanded, everything unknown reported.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block as Syntax, BlockLabel, Body, Structure};
use model::time::GoDuration;
use serde_json::Value as Json;

use crate::config;
use crate::diagnostics::{Diagnostic, Problem, Severity, nearest};
use crate::evaluate::{Evaluated, Evaluator, Scope, span_of};
use crate::places::{self, Place, Spot};
use crate::value::Value;

/// At most this many errors are told; a file with more is another kind of file.
const MAX_PROBLEMS: usize = 100;

/// One parse: the names it knows and what it found.
pub(crate) struct Session<'s> {
    pub evaluator: Evaluator<'s>,
    found: RefCell<Vec<Diagnostic>>,
    /// Where everything in the job's block stands, once it is read.
    pub job_place: RefCell<Place>,
}

impl<'s> Session<'s> {
    pub fn new(evaluator: Evaluator<'s>) -> Session<'s> {
        Session { evaluator, found: RefCell::default(), job_place: RefCell::default() }
    }

    pub fn report(&self, problem: Problem) {
        self.push(problem.into_diagnostic(self.evaluator.source));
    }

    pub fn warn(&self, message: impl Into<String>, span: Range<usize>, help: impl Into<String>) {
        let source = self.evaluator.source;
        self.push(Diagnostic::new(Severity::Warning, message, span, source, Some(help.into())));
    }

    pub fn push(&self, diagnostic: Diagnostic) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_PROBLEMS && !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }

    pub fn into_parts(self) -> (Vec<Diagnostic>, Place) {
        (self.found.into_inner(), self.job_place.into_inner())
    }
}

struct Attribute<'x> {
    name: &'x str,
    span: Range<usize>,
    value: &'x Expression,
    used: Cell<bool>,
}

/// A block inside another, `dynamic` ones already expanded.
struct Child<'x> {
    name: &'x str,
    span: Range<usize>,
    label_span: Range<usize>,
    labels: Vec<String>,
    body: &'x Body,
    scope: Scope,
    used: Cell<bool>,
}

/// A block that is being read.
pub(crate) struct Block<'x> {
    pub session: &'x Session<'x>,
    /// The block's type name, for messages.
    pub name: &'x str,
    pub span: Range<usize>,
    labels: Vec<String>,
    pub body: &'x Body,
    pub scope: Scope,
    attributes: Vec<Attribute<'x>>,
    children: Vec<Child<'x>>,
    known_attributes: RefCell<Vec<&'static str>>,
    known_blocks: RefCell<Vec<&'static str>>,
    places: RefCell<Vec<Place>>,
}

impl<'x> Block<'x> {
    /// Reads a top-level block with `read`, then reports what was not asked for.
    pub fn root<T>(session: &'x Session<'x>, syntax: &'x Syntax, read: impl FnOnce(&Block<'x>) -> T) -> T {
        let child = Child {
            name: syntax.ident.value().as_str(),
            span: header_span(syntax),
            label_span: label_span(syntax),
            labels: syntax.labels.iter().map(label_text).collect(),
            body: &syntax.body,
            scope: Scope::default(),
            used: Cell::new(true),
        };
        let (result, place) = Block::run(session, &child, read);
        session.job_place.replace(place);
        result
    }

    fn run<T>(session: &'x Session<'x>, child: &Child<'x>, read: impl FnOnce(&Block<'x>) -> T) -> (T, Place) {
        let mut block = Block {
            session,
            name: child.name,
            span: child.span.clone(),
            labels: child.labels.clone(),
            body: child.body,
            scope: child.scope.clone(),
            attributes: Vec::new(),
            children: Vec::new(),
            known_attributes: RefCell::default(),
            known_blocks: RefCell::default(),
            places: RefCell::default(),
        };
        for structure in child.body.iter() {
            match structure {
                Structure::Attribute(attribute) => block.attributes.push(Attribute {
                    name: attribute.key.value().as_str(),
                    span: attribute.key.span().unwrap_or(0..0),
                    value: &attribute.value,
                    used: Cell::new(false),
                }),
                Structure::Block(syntax) if syntax.ident.value().as_str() == "dynamic" => {
                    if let Err(problem) = block.expand(syntax) {
                        session.report(*problem);
                    }
                }
                Structure::Block(syntax) => block.children.push(Child {
                    name: syntax.ident.value().as_str(),
                    span: header_span(syntax),
                    label_span: label_span(syntax),
                    labels: syntax.labels.iter().map(label_text).collect(),
                    body: &syntax.body,
                    scope: block.scope.clone(),
                    used: Cell::new(false),
                }),
            }
        }
        let result = read(&block);
        let place = block.place_tree(child.label_span.clone());
        block.finish();
        (result, place)
    }

    /// What was read, as places.
    fn place_tree(&self, label: Range<usize>) -> Place {
        let spot = |attribute: &Attribute<'_>| Spot {
            name: attribute.name.to_owned(),
            key: attribute.span.clone(),
            value: span_of(attribute.value),
        };
        Place {
            name: self.name.to_owned(),
            labels: self.labels.clone(),
            header: self.span.clone(),
            label,
            attributes: self.attributes.iter().map(spot).collect(),
            children: self.places.take(),
        }
    }

    /// Turns `dynamic "x" { for_each = ... content { ... } }` into one child for each item.
    fn expand(&mut self, syntax: &'x Syntax) -> Evaluated<()> {
        let span = header_span(syntax);
        let [label] = &syntax.labels[..] else {
            return Err(Problem::new("dynamic needs one label: the name of the block to make", span));
        };
        let name = match label {
            BlockLabel::Ident(name) => name.value().as_str(),
            BlockLabel::String(text) => text.value().as_str(),
        };
        let (mut for_each, mut iterator, mut labels, mut content) = (None, None, None, None);
        for structure in syntax.body.iter() {
            match structure {
                Structure::Attribute(attribute) => {
                    let slot = match attribute.key.value().as_str() {
                        "for_each" => &mut for_each,
                        "iterator" => &mut iterator,
                        "labels" => &mut labels,
                        other => {
                            let span = attribute.key.span().unwrap_or(0..0);
                            return Err(Problem::new(format!("dynamic has no attribute {other:?}"), span));
                        }
                    };
                    *slot = Some(&attribute.value);
                }
                Structure::Block(inner) if inner.ident.value().as_str() == "content" && content.is_none() => {
                    content = Some(&inner.body);
                }
                Structure::Block(inner) => {
                    return Err(Problem::new("dynamic takes exactly one content block", header_span(inner)));
                }
            }
        }
        let (Some(for_each), Some(content)) = (for_each, content) else {
            return Err(Problem::new("dynamic needs for_each and a content block", span));
        };
        let iterator = match iterator {
            None => name,
            Some(Expression::Variable(word)) => word.value().as_str(),
            Some(other) => return Err(Problem::new("iterator takes a bare word", span_of(other))),
        };
        let collection = self.session.evaluator.evaluate(for_each, &self.scope)?;
        let Some(pairs) = collection.pairs() else {
            let why = format!("for_each needs a list or a map, this is {}", collection.kind());
            return Err(Problem::new(why, span_of(for_each)));
        };
        for (key, value) in pairs {
            self.session.evaluator.step(10, &span)?;
            let entries = BTreeMap::from([("key".to_owned(), key), ("value".to_owned(), value)]);
            let scope = self.scope.with(iterator, Value::Map(crate::value::Mapping::Object, entries));
            let mut texts = Vec::new();
            if let Some(labels) = labels {
                let value = self.session.evaluator.evaluate(labels, &scope)?;
                for item in value.items().map_err(|why| Problem::new(why, span_of(labels)))? {
                    texts.push(item.to_text().map_err(|why| Problem::new(why, span_of(labels)))?);
                }
            }
            let (span, label_span) = (span.clone(), span.clone());
            let used = Cell::new(false);
            self.children.push(Child { name, span, label_span, labels: texts, body: content, scope, used });
        }
        if self.children.is_empty() || !self.children.iter().any(|child| child.name == name) {
            // Nothing was made, yet the name and the insides are checked like any other.
            self.known_later(name, span, content);
        }
        Ok(())
    }

    /// Remembers an empty `dynamic` so that an unknown block name is still told.
    fn known_later(&mut self, name: &'x str, span: Range<usize>, body: &'x Body) {
        let scope = Scope::default();
        self.children.push(Child {
            name,
            label_span: span.clone(),
            span,
            labels: vec![EMPTY_DYNAMIC.to_owned()],
            body,
            scope,
            used: Cell::new(false),
        });
    }

    /// The label at `at`; the parent has checked that it is there.
    pub fn label(&self, at: usize) -> String {
        self.labels.get(at).cloned().unwrap_or_default()
    }

    fn find(&self, name: &'static str) -> Option<&Attribute<'x>> {
        self.known_attributes.borrow_mut().push(name);
        let attribute = self.attributes.iter().find(|attribute| attribute.name == name)?;
        attribute.used.set(true);
        Some(attribute)
    }

    /// Where an attribute's name stands, or the block's header.
    pub fn place(&self, name: &str) -> Range<usize> {
        let attribute = self.attributes.iter().find(|attribute| attribute.name == name);
        attribute.map_or_else(|| self.span.clone(), |attribute| attribute.span.clone())
    }

    /// An attribute's value; its default when it is absent or wrong (then that is reported).
    pub fn get<T: Field>(&self, name: &'static str) -> T {
        let Some(attribute) = self.find(name) else { return T::default() };
        let value = match self.session.evaluator.evaluate(attribute.value, &self.scope) {
            Ok(value) => value,
            Err(problem) => {
                self.session.report(*problem);
                return T::default();
            }
        };
        match T::read(value) {
            Ok(field) => field,
            Err(why) => {
                let span = span_of(attribute.value);
                self.session.report(Problem {
                    message: format!("{name}: {why}"),
                    span,
                    help: T::ADVICE.map(str::to_owned),
                });
                T::default()
            }
        }
    }

    /// An attribute that must be there.
    pub fn required<T: Field>(&self, name: &'static str) -> T {
        if self.find(name).is_none() {
            let message = format!("{} needs {name:?}", self.name);
            self.session.report(Problem { message, span: self.span.clone(), help: None });
        }
        self.get(name)
    }

    /// Like [`Block::get`], with a default of its own for an attribute that is absent or null.
    pub fn get_or<T>(&self, name: &'static str, default: T) -> Option<T>
    where
        Option<T>: Field,
    {
        self.get::<Option<T>>(name).or(Some(default))
    }

    /// A child block that may be there once.
    pub fn one<T>(&self, name: &'static str, read: impl Fn(&Block<'_>) -> T) -> Option<T> {
        let mut results = self.each(name, &[], read);
        if let Some((second, _)) = results.get(1) {
            self.session.report(Problem {
                message: format!("{name} is given twice in this {}", self.name),
                span: second.clone(),
                help: Some(format!("keep one {name} block and put everything into it")),
            });
        }
        if results.is_empty() { None } else { Some(results.swap_remove(0).1) }
    }

    /// Child blocks that may be repeated; `None` when there is none. `labels` names the labels they take.
    pub fn many<T>(&self, name: &'static str, labels: &[&str], read: impl Fn(&Block<'_>) -> T) -> Option<Vec<T>> {
        let results: Vec<T> = self.each(name, labels, read).into_iter().map(|(_, result)| result).collect();
        if results.is_empty() { None } else { Some(results) }
    }

    fn each<T>(&self, name: &'static str, labels: &[&str], read: impl Fn(&Block<'_>) -> T) -> Vec<(Range<usize>, T)> {
        self.known_blocks.borrow_mut().push(name);
        let mut results = Vec::new();
        for child in self.children.iter().filter(|child| child.name == name) {
            child.used.set(true);
            if child.labels.first().is_some_and(|label| label == EMPTY_DYNAMIC) {
                continue;
            }
            if child.labels.len() != labels.len() {
                self.session.report(label_problem(name, labels, child));
                continue;
            }
            let (result, place) = Block::run(self.session, child, |block| read(block));
            self.places.borrow_mut().push(place);
            results.push((child.span.clone(), result));
        }
        results
    }

    /// Where the first child block of a name stands.
    pub fn place_of_block(&self, name: &str) -> Option<Range<usize>> {
        self.children.iter().find(|child| child.name == name).map(|child| child.span.clone())
    }

    /// A block whose attributes are all free: `header { X = ["y"] }`. Repeated ones are joined.
    pub fn free<T: Field>(&self, name: &'static str) -> Option<BTreeMap<String, T>> {
        self.one(name, |block| block.all::<T>())
    }

    /// Every attribute of this block, whatever its name.
    pub fn all<T: Field>(&self) -> BTreeMap<String, T> {
        let mut entries = BTreeMap::new();
        for attribute in &self.attributes {
            attribute.used.set(true);
            let value = match self.session.evaluator.evaluate(attribute.value, &self.scope) {
                Ok(value) => value,
                Err(problem) => {
                    self.session.report(*problem);
                    continue;
                }
            };
            match T::read(value) {
                Ok(field) => {
                    entries.insert(attribute.name.to_owned(), field);
                }
                Err(why) => {
                    let message = format!("{}: {why}", attribute.name);
                    self.session.report(Problem { message, span: span_of(attribute.value), help: None });
                }
            }
        }
        entries
    }

    /// `meta` and `env`: a block, or an attribute holding a map.
    pub fn either(&self, name: &'static str) -> Option<BTreeMap<String, String>> {
        let block = self.free::<String>(name);
        let attribute = self.find(name).map(|attribute| attribute.span.clone());
        match (block, attribute) {
            (Some(_), Some(attribute)) => {
                let block = self.place_of_block(name).unwrap_or_else(|| attribute.clone());
                let span = block;
                let message = format!("{name} is given both as a block and as an attribute");
                self.session.report(Problem { message, span, help: Some(format!("keep one of the two {name}")) });
                None
            }
            (block, None) => block,
            (None, Some(_)) => self.get(name),
        }
    }

    /// A free-form block such as a driver's `config`.
    pub fn config(&self, name: &'static str) -> Option<BTreeMap<String, Json>> {
        self.one(name, config::free_form)
    }

    /// Remembers the places inside a free-form block, which are not read one by one.
    pub fn remember_inside(&self) {
        let mut inside = Place::default();
        places::of_body(&mut inside, self.body);
        self.places.replace(inside.children);
    }

    /// Marks everything in the block as read.
    pub fn use_all(&self) {
        self.attributes.iter().for_each(|attribute| attribute.used.set(true));
        self.children.iter().for_each(|child| child.used.set(true));
    }

    fn finish(self) {
        let (attributes, blocks) = (self.known_attributes.into_inner(), self.known_blocks.into_inner());
        for attribute in self.attributes.iter().filter(|attribute| !attribute.used.get()) {
            let name = attribute.name;
            let help = if blocks.contains(&name) {
                format!("{name} is a block: write {name} {{ ... }} without an equals sign")
            } else {
                suggestion(name, attributes.iter().chain(&blocks))
            };
            let message = format!("{} has no attribute {name:?}", self.name);
            self.session.report(Problem { message, span: attribute.span.clone(), help: Some(help) });
        }
        for child in self.children.iter().filter(|child| !child.used.get()) {
            let name = child.name;
            let help = if attributes.contains(&name) {
                format!("{name} is an attribute: write {name} = ...")
            } else {
                suggestion(name, blocks.iter().chain(&attributes))
            };
            let message = format!("{} has no block {name:?}", self.name);
            self.session.report(Problem { message, span: child.span.clone(), help: Some(help) });
        }
    }
}

/// Stands in the labels of a `dynamic` that made nothing; a zero byte cannot be written in a label.
const EMPTY_DYNAMIC: &str = "\0empty dynamic";

fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n &'static str>) -> String {
    let mut known: Vec<&str> = known.copied().collect();
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!("did you mean {near:?}?");
    }
    known.sort_unstable();
    known.dedup();
    if known.is_empty() { "nothing goes in here".to_owned() } else { format!("it takes: {}", known.join(", ")) }
}

fn label_problem(name: &str, labels: &[&str], child: &Child<'_>) -> Problem {
    let example: Vec<String> = labels.iter().map(|label| format!("\"<{label}>\" ")).collect();
    let help = format!("write {name} {}{{ ... }}", example.concat());
    let message = match (labels.len(), child.labels.len()) {
        (0, _) => format!("{name} takes no label"),
        (wanted, given) if given < wanted => format!("{name} needs a label: its {}", labels[given]),
        (wanted, _) => format!("{name} takes {wanted} label"),
    };
    Problem { message, span: child.span.clone(), help: Some(help) }
}

fn label_text(label: &BlockLabel) -> String {
    match label {
        BlockLabel::Ident(name) => name.value().to_string(),
        BlockLabel::String(text) => text.value().clone(),
    }
}

fn header_span(syntax: &Syntax) -> Range<usize> {
    syntax.ident.span().unwrap_or(0..0)
}

fn label_span(syntax: &Syntax) -> Range<usize> {
    syntax.labels.first().and_then(|label| label.span()).unwrap_or_else(|| header_span(syntax))
}

/// A type that an attribute can be read as. Options take null, all others refuse it.
pub(crate) trait Field: Default {
    /// What to write, when the value is wrong.
    const ADVICE: Option<&'static str> = None;

    fn read(value: Value) -> Result<Self, String>;
}

const NULL: &str = "null cannot stand here";

impl Field for String {
    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null { Err(NULL.to_owned()) } else { value.to_text() }
    }
}

impl Field for bool {
    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null { Err(NULL.to_owned()) } else { value.to_bool() }
    }
}

impl Field for i64 {
    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null { Err(NULL.to_owned()) } else { value.to_int() }
    }
}

impl Field for u64 {
    /// As Nomad's unsigned fields do: from 1 up, a fraction that a float holds exactly is cut off.
    fn read(value: Value) -> Result<Self, String> {
        let number = value.to_number()?;
        if let Some(whole) = number.to_i64() {
            return u64::try_from(whole).map_err(|_| format!("a number from 0 up is needed here, not {whole}"));
        }
        let float = number.to_f64();
        let exact = (1.0..9.0e18).contains(&float) && (float * 1_048_576.0).fract() == 0.0;
        if exact { Ok(float as u64) } else { Err(format!("a whole number from 0 up is needed here, not {number}")) }
    }
}

/// A whole number; a fraction is cut off, as Nomad does for a few fields.
#[derive(Default)]
pub(crate) struct Cut(pub Option<i64>);

impl Field for Cut {
    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null {
            return Ok(Cut(None));
        }
        let number = value.to_number()?;
        match number.to_i64() {
            Some(whole) => Ok(Cut(Some(whole))),
            None if number.to_f64().abs() < 9.0e15 => Ok(Cut(Some(number.to_f64() as i64))),
            None => Err(format!("{number} is too large")),
        }
    }
}

impl Field for GoDuration {
    const ADVICE: Option<&'static str> = Some("write a duration as text with a unit: \"30s\", \"5m\", \"1h30m\"");

    fn read(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => GoDuration::parse(&text),
            Value::Number(number) => {
                number.to_i64().map(GoDuration).ok_or_else(|| format!("{number} is not a whole number of nanoseconds"))
            }
            Value::Null => Err(NULL.to_owned()),
            other => Err(format!("a duration is needed here, this is {}", other.kind())),
        }
    }
}

impl Field for Option<GoDuration> {
    const ADVICE: Option<&'static str> = GoDuration::ADVICE;

    /// Durations refuse null even where they are optional, as Nomad does.
    fn read(value: Value) -> Result<Self, String> {
        GoDuration::read(value).map(Some)
    }
}

macro_rules! optional {
    ($($kind:ty),*) => {$(
        impl Field for Option<$kind> {
            const ADVICE: Option<&'static str> = <$kind as Field>::ADVICE;

            fn read(value: Value) -> Result<Self, String> {
                if value == Value::Null { Ok(None) } else { <$kind>::read(value).map(Some) }
            }
        }
    )*};
}
optional!(String, bool, i64, u64);

impl<T: Field> Field for Option<Vec<T>> {
    const ADVICE: Option<&'static str> = Some("write a list: [\"a\", \"b\"]");

    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null {
            return Ok(None);
        }
        let items: Result<Vec<T>, String> = value.items()?.iter().map(|item| T::read(item.clone())).collect();
        items.map(Some)
    }
}

impl Field for Vec<String> {
    fn read(value: Value) -> Result<Self, String> {
        value.items()?.iter().map(|item| String::read(item.clone())).collect()
    }
}

impl Field for Option<BTreeMap<String, String>> {
    const ADVICE: Option<&'static str> = Some("write a map: { key = \"value\" }");

    fn read(value: Value) -> Result<Self, String> {
        if value == Value::Null {
            return Ok(None);
        }
        let mut entries = BTreeMap::new();
        for (key, item) in value.entries()? {
            entries.insert(key.clone(), String::read(item.clone()).map_err(|why| format!("{key}: {why}"))?);
        }
        Ok(Some(entries))
    }
}
