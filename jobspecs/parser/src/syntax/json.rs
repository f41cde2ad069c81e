//! The JSON syntax of the language: a tree with positions. Texts in it are templates.

use super::parser::{Parsed, Parser, with};
use super::tree::{Body, Expression, Key, Kind, Name, Span};
use crate::diagnostics::Problem;
use crate::number::Number;

/// A JSON value and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    pub kind: JsonKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum JsonKind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(Name, Json)>),
}

impl Json {
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match self.kind {
            JsonKind::Null => "null",
            JsonKind::Bool(_) => "a truth value",
            JsonKind::Number(_) => "a number",
            JsonKind::Text(_) => "a text",
            JsonKind::List(_) => "a list",
            JsonKind::Object(_) => "an object",
        }
    }

    /// The value as an expression: texts are templates, keys too.
    ///
    /// # Errors
    /// The first template that cannot be read.
    pub fn expression(&self) -> Parsed<Expression> {
        let span = self.span.clone();
        let kind = match &self.kind {
            JsonKind::Null => Kind::Null,
            JsonKind::Bool(flag) => Kind::Bool(*flag),
            JsonKind::Number(number) => Kind::Number(number.clone()),
            JsonKind::Text(text) => return template(text, &span),
            JsonKind::List(items) => Kind::List(items.iter().map(Json::expression).collect::<Parsed<_>>()?),
            JsonKind::Object(entries) => {
                let mut pairs = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    pairs.push((Key::Expression(template(&key.text, &key.span)?), value.expression()?));
                }
                Kind::Object(pairs)
            }
        };
        Ok(Expression::new(kind, span))
    }

    /// The value as it stands: texts are not templates.
    pub fn plain(&self) -> Expression {
        let kind = match &self.kind {
            JsonKind::Null => Kind::Null,
            JsonKind::Bool(flag) => Kind::Bool(*flag),
            JsonKind::Number(number) => Kind::Number(number.clone()),
            JsonKind::Text(text) => Kind::Text(super::expression::normal(text.clone())),
            JsonKind::List(items) => Kind::List(items.iter().map(Json::plain).collect()),
            JsonKind::Object(entries) => {
                let pair = |(key, value): &(Name, Json)| (Key::Word(key.clone()), value.plain());
                Kind::Object(entries.iter().map(pair).collect())
            }
        };
        Expression::new(kind, self.span.clone())
    }
}

/// A text as a template. Escapes shift places inside it, so everything in it stands where the text does.
fn template(text: &str, span: &Span) -> Parsed<Expression> {
    let parsed = Parser::new(text).lone_template().map_err(|mut problem| {
        problem.span = span.clone();
        problem
    });
    let mut expression = parsed?;
    super::place(&mut expression, span);
    Ok(expression)
}

impl Parser<'_> {
    /// The whole source as a body in the JSON syntax.
    pub fn json_file(mut self) -> Parsed<Body> {
        self.lines_are_blanks = true;
        self.json_blanks();
        let value = self.json_value()?;
        self.json_blanks();
        if self.byte().is_some() {
            return Err(self.unexpected("a file in the JSON syntax holds one object"));
        }
        match value.kind {
            JsonKind::Object(entries) => Ok(Body::Json(entries)),
            JsonKind::List(items) if items.iter().all(|item| matches!(item.kind, JsonKind::Object(_))) => {
                let bodies = items.into_iter().map(|item| match item.kind {
                    JsonKind::Object(entries) => entries,
                    _ => Vec::new(),
                });
                Ok(Body::Json(bodies.flatten().collect()))
            }
            _ => Err(Problem::new("a file in the JSON syntax holds an object", value.span)),
        }
    }

    /// The whole source as one JSON value.
    pub fn json_document(mut self) -> Parsed<Json> {
        self.json_blanks();
        let value = self.json_value()?;
        self.json_blanks();
        match self.byte() {
            None => Ok(value),
            Some(_) => Err(self.unexpected("the value must end here")),
        }
    }

    fn json_blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn json_value(&mut self) -> Parsed<Json> {
        let start = self.at;
        let kind = match self.byte() {
            Some(b'{') => self.deeper(|parser| parser.json_object())?,
            Some(b'[') => self.deeper(|parser| parser.json_list())?,
            Some(b'"') => JsonKind::Text(self.json_text()?),
            Some(b'-' | b'0'..=b'9') => JsonKind::Number(self.json_number()?),
            _ if self.take_word("true") => JsonKind::Bool(true),
            _ if self.take_word("false") => JsonKind::Bool(false),
            _ if self.take_word("null") => JsonKind::Null,
            Some(b'/' | b'#') => {
                let problem = self.unexpected("a JSON value is needed here");
                return Err(with(problem, "JSON has no comments; the key \"//\" holds one"));
            }
            _ => return Err(self.unexpected("a JSON value is needed here")),
        };
        Ok(Json { kind, span: start..self.at })
    }

    fn json_object(&mut self) -> Parsed<JsonKind> {
        let open = self.at;
        self.at += 1;
        let mut entries: Vec<(Name, Json)> = Vec::new();
        self.json_blanks();
        if self.take("}") {
            return Ok(JsonKind::Object(entries));
        }
        loop {
            self.json_blanks();
            if self.byte() != Some(b'"') {
                let problem = self.unexpected("a key in double quotes is needed here");
                return Err(match self.byte() {
                    Some(b'}') => with(problem, "remove the comma before the brace"),
                    Some(b'/' | b'#') => with(problem, "JSON has no comments; the key \"//\" holds one"),
                    _ => problem,
                });
            }
            let start = self.at;
            let text = self.json_text()?;
            let key = Name { text, span: start..self.at };
            self.json_blanks();
            if !self.take(":") {
                return Err(self.unexpected("a colon is needed behind a key"));
            }
            self.json_blanks();
            let value = self.json_value()?;
            entries.push((key, value));
            self.json_blanks();
            if self.take("}") {
                return Ok(JsonKind::Object(entries));
            }
            if !self.take(",") {
                return Err(self.json_unclosed("object", open));
            }
        }
    }

    fn json_list(&mut self) -> Parsed<JsonKind> {
        let open = self.at;
        self.at += 1;
        let mut items = Vec::new();
        self.json_blanks();
        if self.take("]") {
            return Ok(JsonKind::List(items));
        }
        loop {
            self.json_blanks();
            items.push(self.json_value()?);
            self.json_blanks();
            if self.take("]") {
                return Ok(JsonKind::List(items));
            }
            if !self.take(",") {
                return Err(self.json_unclosed("list", open));
            }
        }
    }

    fn json_unclosed(&self, what: &str, open: usize) -> Box<Problem> {
        match self.byte() {
            None => Problem::new(format!("this {what} is never closed"), open..open + 1),
            Some(_) => self.unexpected("a comma or the closing bracket is needed here"),
        }
    }

    fn json_number(&mut self) -> Parsed<Number> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = &self.source[start..self.at];
        let digits = text.trim_start_matches('-');
        let leading_zero = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
        let number = Number::parse(text).filter(|_| !leading_zero);
        number.ok_or_else(|| Problem::new("this is no JSON number", start..self.at))
    }

    fn json_text(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.byte() {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                None | Some(b'\n') => return Err(Problem::new("this text has no closing quote", start..start + 1)),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let text = self.source.get(start..self.at).unwrap_or("");
        serde_json::from_str(text).map_err(|why| {
            let why = why.to_string();
            let why = why.split(" at line").next().unwrap_or("this is no JSON text").to_owned();
            Problem::new(why, start..self.at)
        })
    }
}
