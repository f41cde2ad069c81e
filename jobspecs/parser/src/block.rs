//! Reading a block: attributes by name and type, child blocks by name, `dynamic` expanded, everything unknown reported.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;

use crate::config;
use crate::diagnostics::{Diagnostic, Problem, Severity, nearest};
use crate::dynamic;
use crate::evaluate::{Evaluator, Scope};
use crate::field::Field;
use crate::places::{self, Place, Spot};
use crate::syntax::{Block as Syntax, Contents, Expression, Item, Json as Tree, JsonKind, Name};
use crate::top::Top;
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
        if !problem.is_follow_on() && !self.is_full() {
            self.push(problem.into_diagnostic(self.evaluator.source));
        }
    }

    pub fn warn(&self, message: impl Into<String>, span: Range<usize>, help: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let source = self.evaluator.source;
        self.push(Diagnostic::new(Severity::Warning, message, span, source, Some(help.into())));
    }

    /// Whether enough was found: finding a place in a long file takes time.
    fn is_full(&self) -> bool {
        self.found.borrow().len() >= MAX_PROBLEMS
    }

    pub fn push(&self, diagnostic: Diagnostic) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_PROBLEMS && !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }

    pub fn into_parts(self) -> (Vec<Diagnostic>, Place) {
        let mut found = self.found.into_inner();
        for Problem { message, span, help } in self.evaluator.remarks.into_inner() {
            if found.len() >= MAX_PROBLEMS {
                break;
            }
            let remark = Diagnostic::new(Severity::Warning, message, span, self.evaluator.source, help);
            if !found.contains(&remark) {
                found.push(remark);
            }
        }
        (found, self.job_place.into_inner())
    }
}

/// The value of an attribute as it is written.
#[derive(Clone, Copy)]
enum Written<'x> {
    Native(&'x Expression),
    Json(&'x Tree),
}

struct Attribute<'x> {
    name: &'x str,
    span: Range<usize>,
    value: Written<'x>,
    used: Cell<bool>,
}

impl Attribute<'_> {
    fn value_span(&self) -> Range<usize> {
        match self.value {
            Written::Native(expression) => expression.span.clone(),
            Written::Json(json) => json.span.clone(),
        }
    }
}

/// A block inside another, `dynamic` ones already expanded.
pub(crate) struct Child<'x> {
    pub name: &'x str,
    pub span: Range<usize>,
    pub label_span: Range<usize>,
    pub labels: Vec<String>,
    pub body: Contents<'x>,
    pub scope: Scope,
    /// Made by a `dynamic` without items: checked for its name, not read.
    pub empty: bool,
    pub used: Cell<bool>,
}

impl<'x> Child<'x> {
    fn of(syntax: &'x Syntax, scope: &Scope) -> Child<'x> {
        let span = syntax.name.span.clone();
        Child {
            name: &syntax.name.text,
            label_span: syntax.labels.first().map_or_else(|| span.clone(), |label| label.span.clone()),
            span,
            labels: syntax.labels.iter().map(|label| label.text.clone()).collect(),
            body: syntax.body.contents(),
            scope: scope.clone(),
            empty: false,
            used: Cell::new(false),
        }
    }
}

/// A block that is being read.
pub(crate) struct Block<'x> {
    pub session: &'x Session<'x>,
    /// The block's type name, for messages.
    pub name: &'x str,
    pub span: Range<usize>,
    labels: Vec<String>,
    pub body: Contents<'x>,
    pub scope: Scope,
    attributes: Vec<Attribute<'x>>,
    children: Vec<Child<'x>>,
    known_attributes: RefCell<Vec<&'static str>>,
    known_blocks: RefCell<Vec<&'static str>>,
    places: RefCell<Vec<Place>>,
}

impl<'x> Block<'x> {
    /// Reads a top-level block with `read`, then reports what was not asked for.
    pub fn root<T>(session: &'x Session<'x>, top: &Top<'x>, read: impl FnOnce(&Block<'x>) -> T) -> T {
        let child = Child {
            name: top.name,
            span: top.span.clone(),
            label_span: top.labels.first().map_or_else(|| top.span.clone(), |label| label.span.clone()),
            labels: top.labels.iter().map(|label| label.text.clone()).collect(),
            body: top.contents,
            scope: Scope::default(),
            empty: false,
            used: Cell::new(true),
        };
        let (result, place) = Block::run(session, &child, true, read);
        session.job_place.replace(place);
        result
    }

    /// `loops` says whether `dynamic` makes blocks in here; in free-form blocks it is a block like any other.
    fn run<T>(
        session: &'x Session<'x>,
        child: &Child<'x>,
        loops: bool,
        read: impl FnOnce(&Block<'x>) -> T,
    ) -> (T, Place) {
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
        match child.body {
            Contents::Native(items) => items.iter().for_each(|item| block.take_in(item, loops)),
            Contents::Json(entries) => entries.iter().for_each(|(name, value)| block.take_in_json(name, value, loops)),
        }
        let result = read(&block);
        let place = block.place_tree(child.label_span.clone());
        block.finish();
        (result, place)
    }

    fn take_in(&mut self, item: &'x Item, loops: bool) {
        match item {
            Item::Attribute(attribute) => self.attributes.push(Attribute {
                name: &attribute.name.text,
                span: attribute.name.span.clone(),
                value: Written::Native(&attribute.value),
                used: Cell::new(false),
            }),
            Item::Block(syntax) if loops && syntax.name.text == "dynamic" => {
                match dynamic::expand(&self.session.evaluator, syntax, &self.scope) {
                    Ok(children) => self.children.extend(children),
                    Err(problem) => self.session.report(*problem),
                }
            }
            Item::Block(syntax) => self.children.push(Child::of(syntax, &self.scope)),
        }
    }

    /// In the JSON syntax a property is an attribute until somebody asks for a block of its name. A key of two slashes
    /// is a comment.
    fn take_in_json(&mut self, name: &'x Name, value: &'x Tree, loops: bool) {
        if name.text == "//" {
            return;
        }
        if loops && name.text == "dynamic" {
            match dynamic::expand_json(&self.session.evaluator, value, &self.scope) {
                Ok(children) => self.children.extend(children),
                Err(problem) => self.session.report(*problem),
            }
            return;
        }
        self.attributes.push(Attribute {
            name: &name.text,
            span: name.span.clone(),
            value: Written::Json(value),
            used: Cell::new(false),
        });
    }

    /// What was read, as places.
    fn place_tree(&self, label: Range<usize>) -> Place {
        let spot = |attribute: &Attribute<'_>| Spot {
            name: attribute.name.to_owned(),
            key: attribute.span.clone(),
            value: attribute.value_span(),
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
        let Some(value) = self.value_of(attribute) else { return T::default() };
        match T::read(value) {
            Ok(field) => field,
            Err(why) => {
                let span = attribute.value_span();
                self.session.report(Problem {
                    message: format!("{name}: {why}"),
                    span,
                    help: T::ADVICE.map(str::to_owned),
                });
                T::default()
            }
        }
    }

    /// The value of an attribute; a mistake in it is reported.
    fn value_of(&self, attribute: &Attribute<'_>) -> Option<Value> {
        let evaluator = &self.session.evaluator;
        let result = match attribute.value {
            Written::Native(expression) => evaluator.evaluate(expression, &self.scope),
            Written::Json(json) => {
                json.expression().and_then(|expression| evaluator.evaluate(&expression, &self.scope))
            }
        };
        result.map_err(|problem| self.session.report(*problem)).ok()
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
        self.only(name, true, read)
    }

    fn only<T>(&self, name: &'static str, loops: bool, read: impl Fn(&Block<'_>) -> T) -> Option<T> {
        let mut results = self.each(name, &[], loops, read);
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
        let results: Vec<T> = self.each(name, labels, true, read).into_iter().map(|(_, result)| result).collect();
        if results.is_empty() { None } else { Some(results) }
    }

    fn each<T>(
        &self,
        name: &'static str,
        labels: &[&str],
        loops: bool,
        read: impl Fn(&Block<'_>) -> T,
    ) -> Vec<(Range<usize>, T)> {
        self.known_blocks.borrow_mut().push(name);
        let mut results = Vec::new();
        let mut run = |child: &Child<'_>, session| {
            let (result, place) = Block::run(session, child, loops, |block| read(block));
            self.places.borrow_mut().push(place);
            results.push((child.span.clone(), result));
        };
        for child in self.children.iter().filter(|child| child.name == name) {
            child.used.set(true);
            if child.empty {
                continue;
            }
            if child.labels.len() != labels.len() {
                self.session.report(label_problem(name, labels, child));
                continue;
            }
            run(child, self.session);
        }
        for attribute in self.attributes.iter().filter(|attribute| attribute.name == name) {
            let Written::Json(json) = attribute.value else { continue };
            attribute.used.set(true);
            let mut bodies = Vec::new();
            if let Err(problem) = json_blocks(json, labels, name, Vec::new(), &attribute.span, &mut bodies) {
                self.session.report(*problem);
            }
            for (labels, span, body) in bodies {
                let label_span = span.clone();
                let (scope, used) = (self.scope.clone(), Cell::new(true));
                run(&Child { name, span, label_span, labels, body, scope, empty: false, used }, self.session);
            }
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
            let Some(value) = self.value_of(attribute) else { continue };
            match T::read(value) {
                Ok(field) => {
                    entries.insert(attribute.name.to_owned(), field);
                }
                Err(why) => {
                    let message = format!("{}: {why}", attribute.name);
                    self.session.report(Problem { message, span: attribute.value_span(), help: None });
                }
            }
        }
        entries
    }

    /// `meta` and `env`: a block, or an attribute holding a map.
    pub fn either(&self, name: &'static str) -> Option<BTreeMap<String, String>> {
        let json = self.attributes.iter().any(|one| one.name == name && matches!(one.value, Written::Json(_)));
        if json {
            return self.get(name);
        }
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
        self.only(name, false, config::free_form)
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
            if self.session.is_full() {
                return;
            }
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
            if self.session.is_full() {
                return;
            }
            let name = child.name;
            let help = if attributes.contains(&name) {
                format!("{name} is an attribute: write {name} = ...")
            } else {
                suggestion(name, blocks.iter().chain(&attributes).chain(&["dynamic"]))
            };
            let message = format!("{} has no block {name:?}", self.name);
            self.session.report(Problem { message, span: child.span.clone(), help: Some(help) });
        }
    }
}

/// A block of the JSON syntax: its labels, where it stands, and its body.
type JsonBlock<'x> = (Vec<String>, Range<usize>, Contents<'x>);

/// The blocks that a property stands for: one level of keys for each label, a list where there are several.
fn json_blocks<'x>(
    json: &'x Tree,
    missing: &[&str],
    name: &str,
    labels: Vec<String>,
    span: &Range<usize>,
    out: &mut Vec<JsonBlock<'x>>,
) -> Result<(), Box<Problem>> {
    match (&json.kind, missing.split_first()) {
        (JsonKind::Null, _) => Ok(()),
        (JsonKind::List(items), _) => {
            items.iter().try_for_each(|item| json_blocks(item, missing, name, labels.clone(), span, out))
        }
        (JsonKind::Object(entries), None) => {
            out.push((labels, span.clone(), Contents::Json(entries)));
            Ok(())
        }
        (JsonKind::Object(entries), Some((_, deeper))) => entries.iter().try_for_each(|(key, value)| {
            let mut labels = labels.clone();
            labels.push(key.text.clone());
            json_blocks(value, deeper, name, labels, &key.span, out)
        }),
        (_, deeper) => {
            let wanted = deeper.map_or("its attributes".to_owned(), |(label, _)| format!("its {label}"));
            let message = format!("{name} is a block, so an object with {wanted} is needed, not {}", json.what());
            Err(Problem::new(message, json.span.clone()))
        }
    }
}

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
    let span = if child.labels.len() > labels.len() { child.label_span.clone() } else { child.span.clone() };
    Problem { message, span, help: Some(help) }
}
