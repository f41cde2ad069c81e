//! Where each part of a job stands in its file, found by its path in the API's names.
//!
//! Reading leaves a tree of blocks and attributes behind; [`Places::find`] walks it along a path such as
//! `TaskGroups[0].Tasks[1].Driver`. What the file does not say (a default, a value taken from the job for its groups)
//! is placed at the nearest block that it belongs to.

use std::ops::Range;

use crate::schema::{self, Field, Form};
use crate::syntax::{Contents, Expression, Item, Json, Key, Kind, Name};

/// An attribute: its name and where name and value stand.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub name: String,
    pub key: Range<usize>,
    pub value: Range<usize>,
}

/// A block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub name: String,
    pub labels: Vec<String>,
    /// The block's type.
    pub header: Range<usize>,
    /// Its first label; the type when it has none.
    pub label: Range<usize>,
    pub attributes: Vec<Spot>,
    pub children: Vec<Place>,
}

/// The places of one job.
#[derive(Clone, Debug, Default)]
pub struct Places {
    job: Place,
}

/// A place in the file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// What to point at.
    pub span: Range<usize>,
    /// Whether it is a value that the file holds; otherwise it is the block that the value would be in.
    pub written: bool,
}

impl Places {
    pub(crate) fn new(job: Place) -> Places {
        Places { job }
    }

    /// Where the field at `path` stands.
    pub fn find(&self, path: &str) -> Located {
        let mut walk = Walk { chain: vec![&self.job], fields: schema::JOB };
        let mut rest = path;
        loop {
            if rest.is_empty() {
                return walk.here();
            }
            match walk.step(rest) {
                Step::Into(behind) => rest = behind,
                Step::Found(located) => return located,
            }
        }
    }
}

enum Step<'p> {
    /// One segment deeper; what is left of the path.
    Into(&'p str),
    Found(Located),
}

struct Walk<'t> {
    /// The blocks around the present one, outermost first.
    chain: Vec<&'t Place>,
    fields: &'static [Field],
}

/// Name, index and the rest of a path.
fn segment(path: &str) -> (&str, Option<usize>, &str) {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    match head.split_once('[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse().ok(), rest),
        None => (head, None, rest),
    }
}

impl<'t> Walk<'t> {
    fn place(&self) -> &'t Place {
        self.chain[self.chain.len() - 1]
    }

    fn here(&self) -> Located {
        Located { span: self.place().header.clone(), written: false }
    }

    fn missing<'p>(&self) -> Step<'p> {
        Step::Found(self.here())
    }

    fn step<'p>(&mut self, path: &'p str) -> Step<'p> {
        let (name, index, rest) = segment(path);
        let place = self.place();
        let Some(field) = self.fields.iter().find(|field| field.json == name) else { return self.missing() };
        match field.form {
            Form::Block(fields) => match self.inherited(field.hcl) {
                Some(child) => self.enter(child, fields, rest),
                None => self.missing(),
            },
            Form::Labelled(..) if name == "TaskGroups" => self.group(index, rest),
            Form::Labelled(_, fields) | Form::Blocks(fields) | Form::TaskScaling(fields) => {
                self.nth(listed(place, name, field.hcl), index, fields, rest)
            }
            Form::Keyed(_, fields) => {
                let behind = &path[name.len()..].trim_start_matches('.');
                let named =
                    place.all(field.hcl).filter(|child| child.labels.first().is_some_and(|l| begins(behind, l)));
                match named.last() {
                    Some(child) => {
                        let label = child.labels.first().map_or(0, String::len);
                        self.enter(child, fields, behind[label..].trim_start_matches('.'))
                    }
                    None => self.missing(),
                }
            }
            Form::FirstOf(fields) => self.nth(place.all(field.hcl).collect(), Some(0), fields, rest),
            Form::RestOf(fields) => {
                let own = usize::from(place.all(field.hcl).any(|child| child.spot("name").is_none()));
                self.nth(place.all(field.hcl).skip(own).collect(), index, fields, rest)
            }
            Form::Free | Form::MapOrBlock | Form::TextBlock | Form::ListBlock => match place.all(field.hcl).next() {
                Some(child) => Step::Found(child.free(rest)),
                None => self.value(field.hcl, name),
            },
            _ => self.value(field.hcl, name),
        }
    }

    fn enter<'p>(&mut self, child: &'t Place, fields: &'static [Field], rest: &'p str) -> Step<'p> {
        self.chain.push(child);
        self.fields = fields;
        Step::Into(rest)
    }

    /// The block of this name here, or in the nearest block around: groups take `update` and the like from the job.
    fn inherited(&self, name: &str) -> Option<&'t Place> {
        self.chain.iter().rev().find_map(|place| place.all(name).next())
    }

    /// One of a list of blocks; the last when the path means the list as a whole.
    fn nth<'p>(
        &mut self,
        list: Vec<&'t Place>,
        index: Option<usize>,
        fields: &'static [Field],
        rest: &'p str,
    ) -> Step<'p> {
        let child = match index {
            Some(index) => list.get(index),
            None => list.last(),
        };
        match child {
            Some(child) => self.enter(child, fields, rest),
            None => self.missing(),
        }
    }

    /// A task written in the job itself is a group of its own, before all groups.
    fn group<'p>(&mut self, index: Option<usize>, rest: &'p str) -> Step<'p> {
        let job = self.place();
        let alone = job.all("task").count();
        match index {
            Some(index) if index < alone => {
                let (name, _, behind) = segment(rest);
                let list = job.all("task").collect();
                self.nth(list, Some(index), schema::TASK, if name == "Tasks" { behind } else { "" })
            }
            index => self.nth(job.all("group").collect(), index.map(|index| index - alone), schema::GROUP, rest),
        }
    }

    fn value<'p>(&self, hcl: &str, json: &str) -> Step<'p> {
        let place = self.place();
        let written = if hcl.is_empty() { json.to_lowercase() } else { hcl.to_owned() };
        if let Some(spot) = place.spot(&written) {
            return Step::Found(Located { span: spot.value.clone(), written: true });
        }
        if ["ID", "Name", "Label", "Value"].contains(&json) && !place.labels.is_empty() {
            return Step::Found(Located { span: place.label.clone(), written: true });
        }
        self.missing()
    }
}

/// The blocks that a list of the JSON was read from. Ports with a fixed number are listed apart from the others.
fn listed<'t>(place: &'t Place, json: &str, hcl: &str) -> Vec<&'t Place> {
    let fixed = |port: &&Place| port.spot("static").is_some();
    match json {
        "ReservedPorts" if place.all(hcl).next().is_none() => place.all("reserved_ports").collect(),
        "ReservedPorts" => place.all(hcl).filter(fixed).collect(),
        "DynamicPorts" => place.all(hcl).filter(|port| !fixed(port)).collect(),
        _ => place.all(hcl).collect(),
    }
}

/// Whether a path begins with a key.
fn begins(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Place {
    fn all(&self, name: &str) -> impl Iterator<Item = &Place> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn spot(&self, name: &str) -> Option<&Spot> {
        self.attributes.iter().find(|spot| spot.name == name)
    }

    /// Below a block with free names.
    fn free(&self, path: &str) -> Located {
        if path.is_empty() {
            return Located { span: self.header.clone(), written: false };
        }
        let (name, index, rest) = segment(path);
        let child = self.all(name).nth(index.unwrap_or(0));
        match (child, self.spot(name).or_else(|| self.spot(path))) {
            (Some(child), _) if !rest.is_empty() => child.free(rest),
            (_, Some(spot)) => Located { span: spot.value.clone(), written: true },
            (Some(child), None) => child.free(rest),
            (None, None) => Located { span: self.header.clone(), written: false },
        }
    }

    /// Where the name at `path` below a free-form block stands, when it is written.
    fn free_key(&self, path: &str) -> Option<Range<usize>> {
        let (name, index, rest) = segment(path);
        let child = self.all(name).nth(index.unwrap_or(0));
        match (child, rest.is_empty()) {
            (Some(child), false) => child.free_key(rest),
            (Some(child), true) => Some(child.header.clone()),
            (None, _) => self.spot(name).map(|spot| spot.key.clone()),
        }
    }
}

impl Places {
    /// Where the name of a setting in a driver's `config` stands, for findings about the name itself.
    pub fn find_name(&self, path: &str) -> Located {
        let split = path.split_once(".Config.").and_then(|(task, setting)| {
            let mut walk = Walk { chain: vec![&self.job], fields: schema::JOB };
            let mut rest = task;
            while !rest.is_empty() {
                match walk.step(rest) {
                    Step::Into(behind) => rest = behind,
                    Step::Found(_) => return None,
                }
            }
            walk.place().all("config").next()?.free_key(setting)
        });
        match split {
            Some(span) => Located { span, written: true },
            None => self.find(path),
        }
    }
}

/// The places in a free-form body: blocks and objects alike are blocks.
pub(crate) fn of_body(place: &mut Place, body: Contents<'_>) {
    let items = match body {
        Contents::Native(items) => items,
        Contents::Json(entries) => {
            let spot = |(name, value): &(Name, Json)| Spot {
                name: name.text.clone(),
                key: name.span.clone(),
                value: value.span.clone(),
            };
            place.attributes.extend(entries.iter().map(spot));
            return;
        }
    };
    for item in items {
        match item {
            Item::Attribute(attribute) => {
                add_value(place, attribute.name.text.clone(), attribute.name.span.clone(), &attribute.value);
            }
            Item::Block(block) => {
                let header = block.name.span.clone();
                let mut child =
                    Place { name: block.name.text.clone(), label: header.clone(), header, ..Place::default() };
                of_body(&mut child, block.body.contents());
                place.children.push(child);
            }
        }
    }
}

fn add_value(place: &mut Place, name: String, key: Range<usize>, value: &Expression) {
    if let Kind::Object(items) = &value.kind {
        let mut child = Place { name: name.clone(), header: key.clone(), label: key.clone(), ..Place::default() };
        for (key, value) in items {
            match key {
                Key::Word(name) => add_value(&mut child, name.text.clone(), name.span.clone(), value),
                Key::Expression(Expression { kind: Kind::Text(text), span }) => {
                    add_value(&mut child, text.clone(), span.clone(), value);
                }
                Key::Expression(_) => {}
            }
        }
        place.children.push(child);
    }
    place.attributes.push(Spot { name, key, value: value.span.clone() });
}
