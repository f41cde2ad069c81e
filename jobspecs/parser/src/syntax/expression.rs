//! Expressions: operators, terms, and the steps behind them.

use unicode_normalization::UnicodeNormalization;

use super::parser::{Parsed, Parser, with};
use super::tree::{
    BinaryOperator, Call, Expression, For, Key, Kind, Name, Reference, Span, Step, StepKey, UnaryOperator,
};
use crate::diagnostics::Problem;
use crate::number::Number;

impl Parser<'_> {
    /// The whole source as one expression.
    pub fn lone_expression(mut self) -> Parsed<Expression> {
        self.lines_are_blanks = true;
        let expression = self.expression()?;
        self.skip()?;
        match self.byte() {
            None => Ok(expression),
            Some(_) => Err(self.unexpected("the value must end here")),
        }
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| {
            let condition = parser.binary(0)?;
            parser.skip()?;
            if !parser.take("?") {
                return Ok(condition);
            }
            let yes = parser.expression()?;
            parser.skip()?;
            if !parser.take(":") {
                return Err(parser.unexpected("the second choice of a conditional, `: value`, is needed here"));
            }
            let no = parser.expression()?;
            let span = condition.span.start..no.span.end;
            Ok(Expression::new(Kind::Conditional(Box::new([condition, yes, no])), span))
        })
    }

    /// Operators that bind tighter than `floor`, from left to right.
    fn binary(&mut self, floor: u8) -> Parsed<Expression> {
        let mut left = self.unary()?;
        loop {
            self.skip()?;
            let Some((operator, length)) = BinaryOperator::read(self.rest()) else { return Ok(left) };
            let rank = operator.rank();
            if rank <= floor {
                return Ok(left);
            }
            self.at += length;
            let right = self.binary(rank)?;
            left = chain(left, operator, rank, right);
        }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        self.skip()?;
        let start = self.at;
        let operator = match self.rest() {
            [b'-', ..] => UnaryOperator::Negate,
            [b'!', b'=', ..] => return self.with_steps(),
            [b'!', ..] => UnaryOperator::Not,
            _ => return self.with_steps(),
        };
        self.at += 1;
        let inner = self.deeper(|parser| parser.unary())?;
        let span = start..inner.span.end;
        Ok(Expression::new(Kind::Unary(operator, Box::new(inner)), span))
    }

    fn with_steps(&mut self) -> Parsed<Expression> {
        let term = self.term()?;
        self.steps(term, false)
    }

    fn term(&mut self) -> Parsed<Expression> {
        let start = self.at;
        match self.byte() {
            Some(b'(') => {
                self.at += 1;
                let inner = self.with_lines(true, |parser| {
                    let inner = parser.expression()?;
                    parser.skip()?;
                    Ok(inner)
                })?;
                if !self.take(")") {
                    return Err(self.unclosed("parenthesis", ')', start));
                }
                Ok(Expression::new(Kind::Parentheses(Box::new(inner)), start..self.at))
            }
            Some(b'0'..=b'9') => self.number(),
            Some(b'"') => self.quoted(),
            Some(b'[') => self.list(),
            Some(b'{') => self.object(),
            Some(b'<') if self.looking_at("<<") => self.heredoc(),
            _ => match self.name() {
                Some(name) => self.named(name),
                None => Err(self.no_value()),
            },
        }
    }

    fn no_value(&self) -> Box<Problem> {
        let problem = self.unexpected("a value is needed here");
        match self.byte() {
            _ if problem.help.is_some() => problem,
            Some(b'.') => with(problem, "a fraction begins with a digit: 0.5"),
            Some(b'$') => with(problem, "${...} stands inside double quotes only"),
            Some(b'/') => with(problem, "put the text in double quotes"),
            _ => problem,
        }
    }

    fn unclosed(&self, what: &str, close: char, open: usize) -> Box<Problem> {
        let line = self.source[..open].matches('\n').count() + 1;
        let problem = self.unexpected(&format!("the {what} of line {line} must be closed here"));
        if problem.help.is_some() { problem } else { with(problem, format!("write {close}, or what joins the values")) }
    }

    fn number(&mut self) -> Parsed<Expression> {
        let start = self.at;
        let digits = |parser: &mut Self| {
            while matches!(parser.byte(), Some(b'0'..=b'9')) {
                parser.at += 1;
            }
        };
        digits(self);
        if matches!(self.rest(), [b'.', b'0'..=b'9', ..]) {
            self.at += 1;
            digits(self);
        }
        match self.rest() {
            [b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..] => self.at += 2,
            [b'e' | b'E', b'0'..=b'9', ..] => self.at += 1,
            _ => {}
        }
        digits(self);
        let span = start..self.at;
        let number = Number::parse(&self.source[span.clone()]);
        let number = number.ok_or_else(|| Problem::new("this number is too large", span.clone()))?;
        Ok(Expression::new(Kind::Number(number), span))
    }

    /// A word on its own, a call, or a reference.
    fn named(&mut self, name: Name) -> Parsed<Expression> {
        let kind = match name.text.as_str() {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => {
                let end = self.at;
                self.skip()?;
                if self.byte() == Some(b'(') {
                    return self.call(name);
                }
                if self.looking_at("::") {
                    let problem = Problem::new("functions have no namespace here", name.span.start..self.at + 2);
                    return Err(with(problem, "write the function's name alone"));
                }
                self.at = end;
                return Ok(Self::reference(name));
            }
        };
        Ok(Expression::new(kind, name.span))
    }

    fn call(&mut self, name: Name) -> Parsed<Expression> {
        let (start, open) = (name.span.start, self.at);
        self.at += 1;
        let (arguments, expand) = self.with_lines(true, |parser| {
            let mut arguments = Vec::new();
            loop {
                parser.skip()?;
                if parser.take(")") {
                    return Ok((arguments, false));
                }
                arguments.push(parser.expression()?);
                parser.skip()?;
                if parser.take("...") {
                    parser.skip()?;
                    if !parser.take(")") {
                        return Err(parser.unexpected("... ends the arguments, so ) is needed here"));
                    }
                    return Ok((arguments, true));
                }
                if !parser.take(",") && parser.byte() != Some(b')') {
                    return Err(parser.unclosed("argument list", ')', open));
                }
            }
        })?;
        Ok(Expression::new(Kind::Call(Call { name, arguments, expand }), start..self.at))
    }

    fn list(&mut self) -> Parsed<Expression> {
        let start = self.at;
        self.at += 1;
        let kind = self.with_lines(true, |parser| {
            parser.skip()?;
            if parser.at_word("for") {
                return parser.for_expression(b']', start);
            }
            let mut items = Vec::new();
            loop {
                parser.skip()?;
                if parser.take("]") {
                    return Ok(Kind::List(items));
                }
                items.push(parser.expression()?);
                parser.skip()?;
                if !parser.take(",") && parser.byte() != Some(b']') {
                    let problem = parser.unexpected("a comma or ] is needed between the values of a list");
                    return Err(if problem.help.is_some() { problem } else { with(problem, "write a comma here") });
                }
            }
        })?;
        Ok(Expression::new(kind, start..self.at))
    }

    fn object(&mut self) -> Parsed<Expression> {
        let start = self.at;
        self.at += 1;
        self.skip_lines()?;
        let kind = if self.at_word("for") {
            self.with_lines(true, |parser| parser.for_expression(b'}', start))?
        } else {
            self.with_lines(false, |parser| parser.object_items(start))?
        };
        Ok(Expression::new(kind, start..self.at))
    }

    fn object_items(&mut self, open: usize) -> Parsed<Kind> {
        let mut items = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take("}") {
                return Ok(Kind::Object(items));
            }
            if self.byte().is_none() {
                return Err(Problem::new("this map is never closed", open..open + 1));
            }
            let key = self.object_key()?;
            self.skip()?;
            if !(self.take("=") || self.take(":")) {
                return Err(self.unexpected("= and a value are needed behind a key"));
            }
            items.push((key, self.expression()?));
            self.skip()?;
            if !self.take(",") && !self.at_line_end() && self.byte() != Some(b'}') {
                return Err(self.unexpected("a comma or a new line is needed between the values of a map"));
            }
        }
    }

    fn object_key(&mut self) -> Parsed<Key> {
        let in_parentheses = self.byte() == Some(b'(');
        let expression = self.expression()?;
        if in_parentheses {
            return Ok(Key::Expression(expression));
        }
        if let Some(word) = expression.word() {
            return Ok(Key::Word(Name { text: word.to_owned(), span: expression.span }));
        }
        if let Kind::Reference(_) = &expression.kind {
            let text = &self.source[expression.span.clone()];
            let problem = Problem::new("a key cannot hold dots or brackets", expression.span.clone());
            return Err(with(problem, format!("write \"{text}\" for that text, or ({text}) for its value")));
        }
        Ok(Key::Expression(expression))
    }

    /// From `for` to the closing bracket.
    fn for_expression(&mut self, close: u8, open: usize) -> Parsed<Kind> {
        self.at += 3;
        let (key_name, value_name) = self.for_names()?;
        let collection = self.expression()?;
        self.skip()?;
        if !self.take(":") {
            return Err(self.unexpected("a colon and the result are needed here"));
        }
        let mut value = self.expression()?;
        self.skip()?;
        let mut key = None;
        if self.looking_at("=>") {
            if close == b']' {
                let problem = Problem::new("a list has no keys", self.at..self.at + 2);
                return Err(with(problem, "write { for ... } with braces for a map"));
            }
            self.at += 2;
            key = Some(std::mem::replace(&mut value, self.expression()?));
            self.skip()?;
        } else if close == b'}' {
            return Err(self.unexpected("a map needs `key => value`"));
        }
        let group = self.looking_at("...");
        if group {
            if key.is_none() {
                return Err(Problem::new("... collects the values of one key; a list has none", self.at..self.at + 3));
            }
            self.at += 3;
            self.skip()?;
        }
        let condition = if self.take_word("if") { Some(self.expression()?) } else { None };
        self.skip()?;
        if self.byte() != Some(close) {
            return Err(self.unclosed("for expression", char::from(close), open));
        }
        self.at += 1;
        Ok(Kind::For(Box::new(For { key_name, value_name, collection, key, value, group, condition })))
    }

    /// `k, v in` or `v in`.
    pub(super) fn for_names(&mut self) -> Parsed<(Option<String>, String)> {
        let name = |parser: &mut Self| {
            parser.skip()?;
            parser.name().ok_or_else(|| parser.unexpected("a name for each item is needed here"))
        };
        let first = name(self)?.text;
        self.skip()?;
        let names = if self.take(",") { (Some(first), name(self)?.text) } else { (None, first) };
        self.skip()?;
        if !self.take_word("in") {
            return Err(self.unexpected("the word `in` is needed here"));
        }
        Ok(names)
    }

    /// A reference takes in the literal steps behind it as they come; see [`Parser::steps`].
    fn reference(name: Name) -> Expression {
        let reference = Reference {
            root: name.text,
            steps: Vec::new(),
            literal: String::new(),
            brace_behind: false,
            in_braces: false,
        };
        Expression::new(Kind::Reference(reference), name.span)
    }

    /// Completes a reference whose steps have all been read.
    fn seal(&self, value: &mut Expression) {
        if let Kind::Reference(reference) = &mut value.kind
            && !matches!(reference.root.as_str(), "var" | "local")
            && reference.literal.is_empty()
        {
            (reference.literal, reference.brace_behind) = self.literal_of(&value.span);
            let lead = self.source[..value.span.start].trim_end_matches([' ', '\t', '~']);
            reference.in_braces = lead.ends_with("${");
        }
    }

    /// The text that stays for a reference only the node can follow, and whether it takes in braces behind it.
    ///
    /// Inside `${...}` the blanks there are kept. For each further brace behind, blanks apart, everything between it and
    /// the reference is repeated: that is what Nomad does, and jobs may have come to depend on it.
    fn literal_of(&self, span: &Span) -> (String, bool) {
        let before = self.source[..span.start].trim_end_matches([' ', '\t']);
        let lead = before.strip_suffix('~').unwrap_or(before);
        let behind = &self.source[span.end..];
        let blanks = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        let tail = behind[blanks..].strip_prefix('~').unwrap_or(&behind[blanks..]);
        let reference = &self.source[span.clone()];
        if !lead.ends_with("${") || !tail.starts_with('}') {
            return (format!("${{{reference}}}"), false);
        }
        let front = &self.source[before.len()..span.start];
        let mut literal = format!("${{{front}{reference}{}", &behind[..blanks]);
        let mut brace_behind = false;
        let run = behind[blanks..].bytes().take_while(|byte| matches!(byte, b' ' | b'}')).count();
        for at in blanks + 1..blanks + run {
            if behind.as_bytes()[at] == b'}' && literal.len() < 4096 {
                literal.push_str(&behind[..at]);
                brace_behind = true;
            }
        }
        literal.push('}');
        (literal, brace_behind)
    }

    /// A step behind a dot.
    fn dotted_step(&mut self, start: usize) -> Parsed<Step> {
        if let Some(name) = self.name() {
            return Ok(Step { key: StepKey::Attribute(name.text), span: start..self.at });
        }
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.unexpected("a name, a number or * is needed behind the dot"));
        }
        let number = Number::parse(&self.source[self.at..self.at + digits]).unwrap_or_else(|| Number::from(0));
        self.at += digits;
        Ok(Step { key: StepKey::Number(number), span: start..self.at })
    }

    /// The steps behind `value`. Behind `.*` only dots belong to the splat.
    fn steps(&mut self, mut value: Expression, dots_only: bool) -> Parsed<Expression> {
        loop {
            let end = self.at;
            self.skip()?;
            match self.rest() {
                [b'.', rest @ ..] if !rest.starts_with(b"..") => {
                    let dot = self.at;
                    self.at += 1;
                    self.skip()?;
                    if self.byte() == Some(b'*') {
                        if dots_only {
                            return Err(Problem::new("a splat cannot follow .*", self.here()));
                        }
                        self.at += 1;
                        value = self.splat(value, true)?;
                        continue;
                    }
                    let step = self.dotted_step(dot)?;
                    push_step(&mut value, step);
                }
                [b'[', ..] if !dots_only => value = self.deeper(|parser| parser.bracket(value))?,
                _ => {
                    self.at = end;
                    self.seal(&mut value);
                    return Ok(value);
                }
            }
        }
    }

    /// `[*]` or `[key]`.
    fn bracket(&mut self, mut value: Expression) -> Parsed<Expression> {
        let open = self.at;
        self.at += 1;
        let key = self.with_lines(true, |parser| {
            parser.skip()?;
            let key = if parser.take("*") { None } else { Some(parser.expression()?) };
            parser.skip()?;
            Ok(key)
        })?;
        if !self.take("]") {
            return Err(self.unclosed("bracket", ']', open));
        }
        let Some(key) = key else {
            // What follows belongs to the splat, so the reference before it ends at the bracket.
            let end = std::mem::replace(&mut self.at, open);
            self.seal(&mut value);
            self.at = end;
            return self.splat(value, false);
        };
        let key = step_key(key);
        if matches!(key, StepKey::Expression(_)) && matches!(value.kind, Kind::Reference(_)) {
            self.seal(&mut value);
            let span = value.span.clone();
            value = Expression::new(Kind::Steps(Box::new(value), Vec::new()), span);
        }
        push_step(&mut value, Step { key, span: open..self.at });
        Ok(value)
    }

    fn splat(&mut self, mut value: Expression, dots_only: bool) -> Parsed<Expression> {
        self.seal(&mut value);
        let start = value.span.start;
        let item = Expression::new(Kind::Item, start..self.at);
        let each = self.deeper(|parser| parser.steps(item, dots_only))?;
        let span = start..each.span.end;
        Ok(Expression::new(Kind::Splat(Box::new(value), Box::new(each)), span))
    }
}

/// `left operator right`, one flat chain for operators of one rank.
fn chain(left: Expression, operator: BinaryOperator, rank: u8, right: Expression) -> Expression {
    let span = left.span.start..right.span.end;
    let kind = match left.kind {
        Kind::Chain(first, mut rest) if rest.first().is_some_and(|(other, _)| other.rank() == rank) => {
            rest.push((operator, right));
            Kind::Chain(first, rest)
        }
        kind => Kind::Chain(Box::new(Expression::new(kind, left.span)), vec![(operator, right)]),
    };
    Expression::new(kind, span)
}

fn push_step(value: &mut Expression, step: Step) {
    let end = step.span.end;
    match &mut value.kind {
        Kind::Reference(reference) => reference.steps.push(step),
        Kind::Steps(_, steps) => steps.push(step),
        _ => {
            let span = value.span.clone();
            let inner = std::mem::replace(value, Expression::new(Kind::Null, span.clone()));
            *value = Expression::new(Kind::Steps(Box::new(inner), vec![step]), span);
        }
    }
    value.span.end = end;
}

fn step_key(key: Expression) -> StepKey {
    match key.kind {
        Kind::Number(number) => StepKey::Number(number),
        Kind::Text(text) => StepKey::Text(text),
        Kind::Bool(flag) => StepKey::Bool(flag),
        Kind::Null => StepKey::Null,
        _ => StepKey::Expression(Box::new(key)),
    }
}

/// Text in the form in which equal looks are equal bytes.
pub(crate) fn normal(text: String) -> String {
    if text.is_ascii() { text } else { text.nfc().collect() }
}
