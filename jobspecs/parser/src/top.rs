//! The top of a file: its `job`, `variable`, `variables` and `locals` blocks, in either syntax.

use std::borrow::Cow;

use crate::block::{Block, Session};
use crate::diagnostics::{Problem, nearest};
use crate::evaluate::Evaluated;
use crate::syntax::{Body, Contents, Expression, Item, Json, JsonKind, Name, Span};

/// A block at the top of a file.
pub(crate) struct Top<'x> {
    pub name: &'x str,
    pub span: Span,
    pub labels: Vec<&'x Name>,
    pub contents: Contents<'x>,
}

/// An attribute of such a block, or what the JSON syntax has in its place.
pub(crate) enum Entry<'x> {
    Attribute(&'x Name, Cow<'x, Expression>),
    Block(Top<'x>),
}

const NAMES: [&str; 4] = ["job", "variable", "variables", "locals"];

/// The blocks of a file. What cannot stand there is reported.
pub(crate) fn blocks<'x>(session: &Session<'_>, body: &'x Body) -> Vec<Top<'x>> {
    let mut blocks = Vec::new();
    match body.contents() {
        Contents::Native(items) => {
            for item in items {
                match item {
                    Item::Attribute(attribute) => {
                        let name = &attribute.name;
                        let help = Some("a job file begins with: job \"name\" { ... }".to_owned());
                        let message = format!("{:?} cannot stand outside a job", name.text);
                        session.report(Problem { message, span: name.span.clone(), help });
                    }
                    Item::Block(block) => blocks.push(Top {
                        name: &block.name.text,
                        span: block.name.span.clone(),
                        labels: block.labels.iter().collect(),
                        contents: block.body.contents(),
                    }),
                }
            }
        }
        Contents::Json(entries) => {
            for (name, json) in entries.iter().filter(|(name, _)| name.text != "//") {
                let labels = usize::from(matches!(name.text.as_str(), "job" | "variable"));
                if let Err(problem) = json_tops(name, json, labels, &mut Vec::new(), &mut blocks) {
                    session.report(*problem);
                }
            }
        }
    }
    blocks.retain(|block| {
        let known = NAMES.contains(&block.name);
        if !known {
            let help = match nearest(block.name, NAMES.into_iter()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "at the top of a file stand job, variable and locals".to_owned(),
            };
            let message = format!("there is no block {:?} at the top of a file", block.name);
            session.report(Problem { message, span: block.span.clone(), help: Some(help) });
        }
        known
    });
    blocks
}

/// The blocks that a property at the top stands for.
fn json_tops<'x>(
    name: &'x Name,
    json: &'x Json,
    missing: usize,
    labels: &mut Vec<&'x Name>,
    out: &mut Vec<Top<'x>>,
) -> Evaluated<()> {
    match &json.kind {
        JsonKind::List(items) => items.iter().try_for_each(|item| json_tops(name, item, missing, labels, out)),
        JsonKind::Object(entries) if missing == 0 => {
            let (labels, contents) = (labels.clone(), Contents::Json(entries));
            out.push(Top { name: &name.text, span: name.span.clone(), labels, contents });
            Ok(())
        }
        JsonKind::Object(entries) => {
            entries.iter().filter(|(label, _)| label.text != "//").try_for_each(|(label, value)| {
                labels.push(label);
                let result = json_tops(name, value, missing - 1, labels, out);
                labels.pop();
                result
            })
        }
        _ => {
            let message = format!("{} is a block, so an object is needed, not {}", name.text, json.what());
            let help = match name.text.as_str() {
                "ID" | "Job" | "TaskGroups" => "this is the API's form of a job; pass it with -json",
                _ => "write {\"job\": {\"<name>\": {...}}}",
            };
            Err(Problem::with_help(message, json.span.clone(), help))
        }
    }
}

impl<'x> Top<'x> {
    /// What stands in the block. In the JSON syntax, `blocks` names what is a block without labels.
    pub fn entries(&self, blocks: &[&str]) -> Evaluated<Vec<Entry<'x>>> {
        match self.contents {
            Contents::Native(items) => Ok(items
                .iter()
                .map(|item| match item {
                    Item::Attribute(attribute) => Entry::Attribute(&attribute.name, Cow::Borrowed(&attribute.value)),
                    Item::Block(block) => Entry::Block(Top {
                        name: &block.name.text,
                        span: block.name.span.clone(),
                        labels: block.labels.iter().collect(),
                        contents: block.body.contents(),
                    }),
                })
                .collect()),
            Contents::Json(entries) => {
                let mut found = Vec::new();
                for (name, json) in entries.iter().filter(|(name, _)| name.text != "//") {
                    if blocks.contains(&name.text.as_str()) {
                        let mut tops = Vec::new();
                        json_tops(name, json, 0, &mut Vec::new(), &mut tops)?;
                        found.extend(tops.into_iter().map(Entry::Block));
                    } else {
                        found.push(Entry::Attribute(name, Cow::Owned(json.expression()?)));
                    }
                }
                Ok(found)
            }
        }
    }

    /// Whether the block is written in the JSON syntax.
    pub fn is_json(&self) -> bool {
        matches!(self.contents, Contents::Json(_))
    }
}

/// The one job of a file.
pub(crate) fn the_job<'b, 'x>(session: &Session<'_>, blocks: &'b [Top<'x>]) -> Option<&'b Top<'x>> {
    let mut job = None;
    for block in blocks.iter().filter(|block| block.name == "job") {
        if job.is_some() {
            let message = "a file holds one job".to_owned();
            session.report(Problem { message, span: block.span.clone(), help: None });
            continue;
        }
        if block.labels.len() != 1 {
            let help = Some("write job \"name\" { ... }".to_owned());
            let message = "job needs one label: its name".to_owned();
            session.report(Problem { message, span: block.span.clone(), help });
            return None;
        }
        job = Some(block);
    }
    job
}

/// Reads the job's block.
pub(crate) fn read_job<'x, T>(session: &'x Session<'x>, top: &Top<'x>, read: impl FnOnce(&Block<'x>) -> T) -> T {
    Block::root(session, top, read)
}
