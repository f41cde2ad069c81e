//! Filter expressions of lists, as go-bexpr writes them: `Status == "running" and "edge" in Tags`.
//!
//! Expressions are evaluated on the rows as the API shows them, whose keys are Nomad's field names.

use regex::Regex;
use serde_json::Value;

use super::error::{ApiError, ApiResult};

/// Deeper nesting than this is refused.
const MAX_DEPTH: usize = 64;

/// A parsed expression.
#[derive(Debug)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Match(Vec<String>, Test),
}

#[derive(Debug)]
pub(super) enum Test {
    Equal(String),
    Contains(String),
    Matches(Regex),
    Empty,
}

/// Keeps the rows that `text` accepts; all of them when it is empty.
pub(super) fn keep(text: &str, rows: Vec<Value>) -> ApiResult<Vec<Value>> {
    if text.is_empty() {
        return Ok(rows);
    }
    let filter = Filter::parse(text)?;
    let mut kept = Vec::new();
    for row in rows {
        if filter.accepts(&row)? {
            kept.push(row);
        }
    }
    Ok(kept)
}

impl Filter {
    /// Parses an expression.
    pub fn parse(text: &str) -> ApiResult<Filter> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
        let filter = parser.or()?;
        match parser.peek() {
            None => Ok(filter),
            Some(token) => Err(bad(&format!("{token} is not expected after a complete expression"))),
        }
    }

    /// Whether `row` is accepted.
    pub fn accepts(&self, row: &Value) -> ApiResult<bool> {
        Ok(match self {
            Filter::And(left, right) => left.accepts(row)? && right.accepts(row)?,
            Filter::Or(left, right) => left.accepts(row)? || right.accepts(row)?,
            Filter::Not(inner) => !inner.accepts(row)?,
            Filter::Match(path, test) => test.holds(select(row, path)?),
        })
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Test::Equal(wanted) => is(value, wanted),
            Test::Contains(wanted) => match value {
                Value::Array(items) => items.iter().any(|item| is(item, wanted)),
                Value::Object(fields) => fields.contains_key(wanted),
                Value::String(text) => text.contains(wanted.as_str()),
                _ => false,
            },
            Test::Matches(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text)),
            Test::Empty => match value {
                Value::Null => true,
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                Value::Bool(_) | Value::Number(_) => false,
            },
        }
    }
}

/// Whether `value` is what the text says, by the value's own type.
fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(flag) => super::query::go_bool(wanted) == Some(*flag),
        Value::Number(number) => wanted.parse::<f64>().ok() == number.as_f64(),
        Value::Null => wanted.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// The value at `path`. An unknown field of the row is an error, a missing key of a map is null.
fn select<'a>(row: &'a Value, path: &[String]) -> ApiResult<&'a Value> {
    let mut value = row;
    for (depth, name) in path.iter().enumerate() {
        match value.get(name) {
            Some(next) => value = next,
            None if depth == 0 => {
                return Err(bad(&format!("there is no field {name:?}; field names are those of the answer's objects")));
            }
            None => return Ok(&Value::Null),
        }
    }
    Ok(value)
}

fn bad(why: &str) -> ApiError {
    ApiError::bad_request(format!("cannot use the filter expression: {why}"))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(word) => write!(out, "{word:?}"),
            Token::Text(text) => write!(out, "the text {text:?}"),
            Token::Sign(sign) => write!(out, "{sign:?}"),
        }
    }
}

fn tokens(text: &str) -> ApiResult<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let signs = ["==", "!=", "(", ")", "[", "]", "."];
        let length = if let Some(sign) = signs.into_iter().find(|sign| rest.starts_with(sign)) {
            out.push(Token::Sign(sign));
            sign.len()
        } else if matches!(first, '"' | '`') {
            let body = &rest[1..];
            let (content, length) = quoted(body, first).ok_or_else(|| bad("a quoted text has no end"))?;
            out.push(Token::Text(content));
            length + 1
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | ':' | '+');
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if length == 0 {
                return Err(bad(&format!("{first:?} is not expected")));
            }
            out.push(Token::Word(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    Ok(out)
}

/// The content of a quoted text, and its length with the closing quote.
fn quoted(body: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            end if end == quote => return Some((content, at + 1)),
            '\\' if quote == '"' => content.push(characters.next()?.1),
            other => content.push(other),
        }
    }
    None
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> ApiResult<Token> {
        let token = self.peek().cloned().ok_or_else(|| bad("it ends where something more is expected"))?;
        self.at += 1;
        Ok(token)
    }

    fn eat(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.eat(&Token::Word(word.to_owned()))
    }

    fn or(&mut self) -> ApiResult<Filter> {
        let mut left = self.and()?;
        while self.eat_word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> ApiResult<Filter> {
        let mut left = self.unary()?;
        while self.eat_word("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> ApiResult<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(bad("it is nested too deeply"));
        }
        let filter = if self.eat_word("not") {
            Filter::Not(Box::new(self.unary()?))
        } else if self.eat(&Token::Sign("(")) {
            let inner = self.or()?;
            if !self.eat(&Token::Sign(")")) {
                return Err(bad("a closing parenthesis is missing"));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self) -> ApiResult<Filter> {
        let first = self.take()?;
        let negated = self.eat_word("not");
        if self.eat_word("in") {
            let value = literal(first)?;
            let path = self.path()?;
            return Ok(negate(negated, Filter::Match(path, Test::Contains(value))));
        }
        self.at -= 1 + usize::from(negated);
        let path = self.path()?;
        let negated = self.eat_word("not");
        let (negated, test) = match self.take()? {
            Token::Sign("==") if !negated => (false, Test::Equal(literal(self.take()?)?)),
            Token::Sign("!=") if !negated => (true, Test::Equal(literal(self.take()?)?)),
            Token::Word(word) if word == "contains" => (negated, Test::Contains(literal(self.take()?)?)),
            Token::Word(word) if word == "matches" => {
                let pattern = literal(self.take()?)?;
                (negated, Test::Matches(Regex::new(&pattern).map_err(|why| bad(&why.to_string()))?))
            }
            Token::Word(word) if word == "is" && !negated => {
                let negated = self.eat_word("not");
                if !self.eat_word("empty") {
                    return Err(bad("\"is\" must be followed by \"empty\" or \"not empty\""));
                }
                (negated, Test::Empty)
            }
            other => {
                return Err(bad(&format!("{other} is not an operator; use ==, !=, in, contains, matches or is empty")));
            }
        };
        Ok(negate(negated, Filter::Match(path, test)))
    }

    fn path(&mut self) -> ApiResult<Vec<String>> {
        let Token::Word(first) = self.take()? else { return Err(bad("a field's name is expected")) };
        let mut path = vec![first];
        loop {
            if self.eat(&Token::Sign(".")) {
                path.push(literal(self.take()?)?);
            } else if self.eat(&Token::Sign("[")) {
                path.push(literal(self.take()?)?);
                if !self.eat(&Token::Sign("]")) {
                    return Err(bad("a closing bracket is missing"));
                }
            } else {
                return Ok(path);
            }
        }
    }
}

fn literal(token: Token) -> ApiResult<String> {
    match token {
        Token::Word(text) | Token::Text(text) => Ok(text),
        Token::Sign(sign) => Err(bad(&format!("{sign:?} is found where a value is expected"))),
    }
}

fn negate(negated: bool, filter: Filter) -> Filter {
    if negated { Filter::Not(Box::new(filter)) } else { filter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_accept_what_they_say() {
        let row = json!({"Status": "running", "Stop": false, "Priority": 50, "Tags": ["a", "edge"], "Meta": {"team": "x"}, "None": null});
        for (text, wanted) in [
            ("Status == running", true),
            ("Status == \"run\"", false),
            ("Status != \"dead\" and Priority == 50", true),
            ("Stop == true or not (Status == \"running\")", false),
            ("\"edge\" in Tags", true),
            ("\"b\" not in Tags", true),
            ("Tags contains \"a\"", true),
            ("Status contains \"nn\"", true),
            ("Meta[\"team\"] == \"x\" and Meta.team == x", true),
            ("Meta.gone is empty", true),
            ("None is not empty", false),
            ("Status matches \"^run+ing$\"", true),
            ("Status not matches `^x`", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().accepts(&row), Ok(wanted), "{text}");
        }
        for text in
            ["Type ==", "Colour == red", "== 1", "(Status == x", "Status ~ x", "Status == \"x", "Status matches \"(\""]
        {
            let outcome = Filter::parse(text).and_then(|filter| filter.accepts(&row));
            assert!(outcome.is_err_and(|why| why.status == 400), "{text}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
        assert!(Filter::parse(&"not ".repeat(100_000)).is_err());
    }
}
