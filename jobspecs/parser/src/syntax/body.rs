//! Files and blocks: attributes, labels, braces.

use std::collections::HashSet;

use super::parser::{Parsed, Parser, with};
use super::tree::{Attribute, Block, Body, Item, Name, Span};
use crate::diagnostics::Problem;

impl Parser<'_> {
    /// The whole source as a body.
    pub fn file(mut self) -> Parsed<Body> {
        self.body(None)
    }

    /// Items up to the end of the source, or up to the brace that closes the block whose header is `open`.
    fn body(&mut self, open: Option<&Span>) -> Parsed<Body> {
        let mut items = Vec::new();
        let mut names = HashSet::new();
        loop {
            self.skip_lines()?;
            match (self.byte(), open) {
                (None, None) => return Ok(Body::Native(items)),
                (None, Some(open)) => {
                    let problem = Problem::new("this block is never closed", open.clone());
                    return Err(with(problem, "a closing brace } is missing"));
                }
                (Some(b'}'), Some(_)) => {
                    self.at += 1;
                    return Ok(Body::Native(items));
                }
                (Some(b'}'), None) => {
                    let problem = Problem::new("this brace closes nothing", self.here());
                    return Err(with(problem, "remove it, or look for a block above that is closed too early"));
                }
                _ => {}
            }
            let block = open.map_or("", |open| self.source[open.clone()].split([' ', '"']).next().unwrap_or(""));
            let item = self.deeper(|parser| parser.item(block))?;
            if let Item::Attribute(Attribute { name, .. }) = &item
                && !names.insert(name.text.clone())
            {
                let problem = Problem::new(format!("{} is set twice in this block", name.text), name.span.clone());
                return Err(with(problem, "keep one of the two"));
            }
            items.push(item);
        }
    }

    /// An attribute or block inside a block of that name.
    fn item(&mut self, inside: &str) -> Parsed<Item> {
        let Some(name) = self.name() else { return Err(self.no_name(inside)) };
        self.skip()?;
        if self.byte() == Some(b'=') && !self.looking_at("==") {
            self.at += 1;
            let value = self.with_lines(false, |parser| parser.expression())?;
            self.skip()?;
            if !self.at_line_end() {
                return Err(self.after_value(&name));
            }
            return Ok(Item::Attribute(Attribute { name, value }));
        }
        self.block(name).map(Item::Block)
    }

    /// A block behind its name.
    fn block(&mut self, name: Name) -> Parsed<Block> {
        let mut labels = Vec::new();
        loop {
            self.skip()?;
            match self.byte() {
                Some(b'{') => break,
                Some(b'"') => labels.push(self.label()?),
                _ => match self.name() {
                    Some(label) => labels.push(label),
                    None => return Err(self.bad_header(&name, &labels)),
                },
            }
        }
        let header = name.span.start..self.at;
        self.at += 1;
        self.skip()?;
        let body = if self.at_line_end() || self.byte() == Some(b'}') {
            self.body(Some(&header))?
        } else {
            self.one_line(&name)?
        };
        self.skip()?;
        if !self.at_line_end() {
            let problem = self.unexpected("the line must end behind a block's closing brace");
            return Err(if problem.help.is_some() { problem } else { with(problem, "start a new line here") });
        }
        Ok(Block { name, labels, body })
    }

    /// The inside of a block on one line: one attribute and the closing brace.
    fn one_line(&mut self, block: &Name) -> Parsed<Body> {
        let advice = "a block on one line holds at most one attribute; put each on its own line";
        let Some(name) = self.name() else {
            let problem = self.unexpected("an attribute or a line end is needed here");
            return Err(if problem.help.is_some() { problem } else { with(problem, advice) });
        };
        self.skip()?;
        if self.byte() != Some(b'=') || self.looking_at("==") {
            let problem = Problem::new(format!("{} stands on the line of {}", name.text, block.text), name.span);
            return Err(with(problem, advice));
        }
        self.at += 1;
        let value = self.with_lines(false, |parser| parser.expression())?;
        self.skip()?;
        if !self.take("}") {
            return Err(with(self.unexpected("a closing brace } is needed here"), advice));
        }
        Ok(Body::Native(vec![Item::Attribute(Attribute { name, value })]))
    }

    /// A label in quotes: text with escapes, no interpolation.
    fn label(&mut self) -> Parsed<Name> {
        let start = self.at;
        self.at += 1;
        let (text, end) = self.quoted_text()?;
        if end != Some(b'"') {
            let problem = Problem::new("a label is plain text and holds no ${...}", start..self.at + 2);
            return Err(with(problem, "write the name out, or escape it as $${...}"));
        }
        self.at += 1;
        Ok(Name { text, span: start..self.at })
    }

    fn no_name(&self, inside: &str) -> Box<Problem> {
        let problem = self.unexpected("the name of an attribute or block is needed here");
        if problem.help.is_some() {
            return problem;
        }
        let line = self.source[self.at..].lines().next().unwrap_or("");
        match self.byte() {
            Some(b'"') => with(Problem::new("a name stands here in quotes", self.here()), quoted_name(line, inside)),
            Some(b'0'..=b'9' | b'-') => with(problem, "a name begins with a letter"),
            _ => problem,
        }
    }

    fn after_value(&self, name: &Name) -> Box<Problem> {
        let problem = self.unexpected("the line must end behind the value");
        if problem.help.is_some() {
            return problem;
        }
        match self.byte() {
            Some(b',') => with(problem, "attributes of a block end with the line, without a comma"),
            Some(b'=') => with(problem, format!("a value ends here; {} was set already", name.text)),
            _ => with(problem, "each attribute stands on its own line; a text needs quotes"),
        }
    }

    fn bad_header(&self, name: &Name, labels: &[Name]) -> Box<Problem> {
        let written: String = labels.iter().map(|label| format!("\"{}\" ", label.text)).collect();
        if self.at_line_end() {
            let message = format!("{} is neither a block nor an attribute: {{ or = is missing", name.text);
            let opens_later = self.source[self.at..].trim_start().starts_with('{');
            let help = if opens_later {
                format!("the brace belongs on this line: {} {written}{{", name.text)
            } else if labels.is_empty() {
                format!("write {0} = ... or {0} {{ ... }}", name.text)
            } else {
                format!("write {} = {} or {} {written}{{ ... }}", name.text, written.trim_end(), name.text)
            };
            return with(Problem::new(message, name.span.clone()), help);
        }
        let problem = self.unexpected("a label, = or { is needed here");
        match (self.byte(), labels) {
            _ if problem.help.is_some() => problem,
            (Some(b':'), []) if name.text == "job" => with(problem, "a job file begins with: job \"name\" { ... }"),
            (Some(b':'), []) => with(problem, format!("HCL sets values with an equals sign: {} = ...", name.text)),
            (Some(b'.'), []) => {
                let key = self.source[name.span.start..].split([' ', '=', '\t']).next().unwrap_or("");
                with(problem, format!("a key like \"{key}\" needs the map form: meta = {{ \"{key}\" = ... }}"))
            }
            _ => problem,
        }
    }
}

/// What to write for `"name" = ...`.
fn quoted_name(line: &str, inside: &str) -> String {
    let mut parts = line.trim_start_matches('"').splitn(2, '"');
    let (name, rest) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return format!("names are written without quotes: {name}{rest}");
    }
    let map = if inside == "env" { "env" } else { "meta" };
    format!("a key like \"{name}\" needs the map form: {map} = {{ \"{name}\" = ... }}")
}
