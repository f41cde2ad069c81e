//! Templates: quoted texts and heredocs, with `${...}` and `%{...}` in them.

use super::expression::normal;
use super::parser::{Parsed, Parser, with};
use super::tree::{Expression, Kind, Part, Span};
use crate::diagnostics::Problem;

/// A template before its directives are paired.
enum Token {
    Text(String),
    Value(Expression),
    If(Expression, Span),
    Else(Span),
    EndIf(Span),
    For { key_name: Option<String>, value_name: String, collection: Expression, span: Span },
    EndFor(Span),
}

/// Where a template ends.
enum End<'e> {
    Quote,
    /// A line that holds this word alone.
    Line(&'e str),
    /// The source itself, as in a text of the JSON syntax.
    Source,
}

impl<'s> Parser<'s> {
    /// A text in double quotes.
    pub(super) fn quoted(&mut self) -> Parsed<Expression> {
        let start = self.at;
        self.at += 1;
        let tokens = self.tokens(&End::Quote, start)?;
        self.at += 1;
        self.template(tokens, start)
    }

    /// The whole source as the inside of a text; escapes with a backslash have been resolved before.
    pub fn lone_template(mut self) -> Parsed<Expression> {
        let tokens = self.tokens(&End::Source, 0)?;
        self.template(tokens, 0)
    }

    /// `<<WORD` or `<<-WORD` up to the line with that word.
    pub(super) fn heredoc(&mut self) -> Parsed<Expression> {
        let start = self.at;
        self.at += 2;
        let flush = self.take("-");
        let Some(word) = self.name() else {
            let problem = self.unexpected("a heredoc needs a word that ends it");
            return Err(with(problem, "write <<EOT, the text on the lines below, and EOT on a line of its own"));
        };
        let line_end = self.take("\n") || self.take("\r\n");
        if !line_end {
            let problem = self.unexpected("the text of a heredoc begins on the next line");
            return Err(with(problem, format!("end the line behind <<{}", word.text)));
        }
        let mut tokens = self.tokens(&End::Line(&word.text), start)?;
        if flush {
            take_indent_away(&mut tokens);
        }
        // The line with the end word goes with it; its line end stays.
        let line = &self.source[self.at..];
        self.at += line.find(&word.text).unwrap_or(0) + word.text.len();
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.template(tokens, start)
    }

    fn template(&self, mut tokens: Vec<Token>, start: usize) -> Parsed<Expression> {
        let span = start..self.at;
        if tokens.is_empty() {
            return Ok(Expression::new(Kind::Text(String::new()), span));
        }
        if let [only] = &mut tokens[..] {
            match only {
                Token::Text(text) => return Ok(Expression::new(Kind::Text(normal(std::mem::take(text))), span)),
                Token::Value(value) => {
                    let inner = std::mem::replace(value, Expression::new(Kind::Null, 0..0));
                    return Ok(Expression::new(Kind::Lone(Box::new(inner)), span));
                }
                _ => {}
            }
        }
        if tokens.iter().all(|token| matches!(token, Token::Text(_))) {
            let text = tokens.into_iter().map(|token| if let Token::Text(text) = token { text } else { String::new() });
            return Ok(Expression::new(Kind::Text(normal(text.collect())), span));
        }
        let parts = pair(tokens)?;
        Ok(Expression::new(Kind::Template(parts), span))
    }

    /// The tokens up to the end, which stays unread.
    fn tokens(&mut self, end: &End<'_>, open: usize) -> Parsed<Vec<Token>> {
        let mut tokens = Vec::new();
        let mut trim = false;
        loop {
            let line_start = matches!(end, End::Line(_)) && (self.at == 0 || self.source[..self.at].ends_with('\n'));
            if self.at_template_end(end, open, line_start)? {
                return Ok(tokens);
            }
            if self.looking_at("${") || self.looking_at("%{") {
                trim = self.sequence(&mut tokens)?;
                continue;
            }
            let mut text = match end {
                End::Quote => self.quoted_text()?.0,
                End::Line(_) => self.plain_text(true),
                End::Source => self.plain_text(false),
            };
            if std::mem::take(&mut trim) {
                text = text.trim_start().to_owned();
            }
            tokens.push(Token::Text(text));
        }
    }

    fn at_template_end(&self, end: &End<'_>, open: usize, line_start: bool) -> Parsed<bool> {
        match end {
            End::Source => Ok(self.byte().is_none()),
            End::Quote => match self.byte() {
                Some(b'"') => Ok(true),
                Some(b'\n') | None => {
                    let problem = Problem::new("this text has no closing quote on its line", open..open + 1);
                    Err(with(problem, "close it with \", or use a heredoc for a text of several lines"))
                }
                _ => Ok(false),
            },
            End::Line(word) => {
                if line_start {
                    let line = self.source[self.at..].split('\n').next().unwrap_or("");
                    if line.trim() == *word {
                        return Ok(true);
                    }
                }
                if self.byte().is_none() {
                    let line = self.source[..open].matches('\n').count() + 1;
                    let message = format!("the heredoc of line {line} has no end");
                    let problem = Problem::new(message, self.here());
                    return Err(with(problem, format!("put {word} on a line of its own, with nothing behind it")));
                }
                Ok(false)
            }
        }
    }

    /// Text of a template without backslash escapes, up to a `${` or `%{`; of a heredoc at most one line.
    fn plain_text(&mut self, one_line: bool) -> String {
        let start = self.at;
        while let Some(byte) = self.byte() {
            match byte {
                b'$' | b'%' if self.escaped_brace() => self.at += 3,
                b'$' | b'%' if self.rest().get(1) == Some(&b'{') => break,
                b'\n' if one_line => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        unescape_braces(&self.source[start..self.at])
    }

    /// Text between quotes up to a quote or a `${`, and the byte that ends it. Escapes are resolved.
    pub(super) fn quoted_text(&mut self) -> Parsed<(String, Option<u8>)> {
        let open = self.at.saturating_sub(1);
        let mut text = String::new();
        let mut from = self.at;
        loop {
            match self.byte() {
                Some(b'\\') => {
                    text.push_str(&unescape_braces(&self.source[from..self.at]));
                    text.push(self.escape()?);
                    from = self.at;
                }
                Some(b'$' | b'%') if self.escaped_brace() => self.at += 3,
                Some(byte @ (b'$' | b'%')) if self.rest().get(1) == Some(&b'{') => {
                    text.push_str(&unescape_braces(&self.source[from..self.at]));
                    return Ok((text, Some(byte)));
                }
                Some(b'"') => {
                    text.push_str(&unescape_braces(&self.source[from..self.at]));
                    return Ok((text, Some(b'"')));
                }
                Some(b'\n') | None => {
                    let problem = Problem::new("this text has no closing quote on its line", open..open + 1);
                    return Err(with(problem, "close it with \", or use a heredoc for a text of several lines"));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escaped_brace(&self) -> bool {
        self.looking_at("$${") || self.looking_at("%%{")
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let simple = match self.byte() {
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'u') => return self.unicode_escape(start, 4),
            Some(b'U') => return self.unicode_escape(start, 8),
            found => {
                let span = start..self.here().end;
                let problem = Problem::new("this escape does not exist", span);
                return Err(match found {
                    Some(b'$' | b'%') => with(problem, "write $${ for a literal ${, and %%{ for a literal %{"),
                    _ => {
                        with(problem, "there are \\n \\r \\t \\\" \\\\ \\uXXXX \\UXXXXXXXX; write \\\\ for a backslash")
                    }
                });
            }
        };
        self.at += 1;
        Ok(simple)
    }

    fn unicode_escape(&mut self, start: usize, digits: usize) -> Parsed<char> {
        self.at += 1;
        let code = self.source.get(self.at..self.at + digits);
        let code = code.filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let c = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        let Some(c) = c else {
            let end = self.at + self.rest().iter().take(digits).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let message = format!("this needs {digits} hexadecimal digits of a character");
            return Err(Problem::new(message, start..end));
        };
        self.at += digits;
        Ok(c)
    }

    /// `${...}` or `%{...}`; whether the blanks behind it go.
    fn sequence(&mut self, tokens: &mut Vec<Token>) -> Parsed<bool> {
        let start = self.at;
        let directive = self.byte() == Some(b'%');
        self.at += 2;
        if self.take("~")
            && let Some(Token::Text(text)) = tokens.last_mut()
        {
            text.truncate(text.trim_end().len());
        }
        let token = self.with_lines(true, |parser| {
            parser.skip()?;
            let token = if directive { parser.directive(start) } else { parser.interpolation(start) };
            parser.skip()?;
            token
        })?;
        tokens.push(token);
        let trim = self.take("~");
        if !self.take("}") {
            let problem = self.unexpected(&format!("}} is needed to close {}", &self.source[start..start + 2]));
            return Err(if problem.help.is_some() {
                problem
            } else {
                with(problem, "a quote inside ${...} needs no backslash")
            });
        }
        Ok(trim)
    }

    fn interpolation(&mut self, start: usize) -> Parsed<Token> {
        if self.byte() == Some(b'}') {
            return Err(Problem::with_help(
                "nothing stands between these braces",
                start..self.at + 1,
                "for a literal ${ write $${",
            ));
        }
        self.expression().map(Token::Value)
    }

    fn directive(&mut self, start: usize) -> Parsed<Token> {
        if self.take_word("if") {
            let condition = self.expression()?;
            return Ok(Token::If(condition, start..self.at));
        }
        if self.take_word("for") {
            let (key_name, value_name) = self.for_names()?;
            let collection = self.expression()?;
            return Ok(Token::For { key_name, value_name, collection, span: start..self.at });
        }
        for (word, make) in
            [("else", Token::Else as fn(Span) -> Token), ("endif", Token::EndIf), ("endfor", Token::EndFor)]
        {
            if self.take_word(word) {
                return Ok(make(start..self.at));
            }
        }
        let problem = Problem::new("there is no such directive", start..self.here().end);
        Err(with(problem, "%{ ... } takes if, else, endif, for and endfor; for a literal %{ write %%{"))
    }
}

/// `$${` and `%%{` stand for `${` and `%{`.
fn unescape_braces(text: &str) -> String {
    if text.contains('{') { text.replace("$${", "${").replace("%%{", "%{") } else { text.to_owned() }
}

/// Takes away the blanks that all lines of a heredoc begin with. Each character counts one, lines of blanks only do
/// not count.
fn take_indent_away(tokens: &mut [Token]) {
    let mut least = usize::MAX;
    let mut firsts = Vec::new();
    let mut at_line_start = true;
    for (at, token) in tokens.iter().enumerate() {
        let Token::Text(text) = token else {
            if std::mem::take(&mut at_line_start) {
                least = 0;
            }
            continue;
        };
        if std::mem::replace(&mut at_line_start, text.ends_with('\n')) {
            let indent = text.chars().take_while(|c| c.is_whitespace()).count();
            let blank = text.trim_start().is_empty() && text.ends_with('\n');
            if !blank {
                least = least.min(indent);
                firsts.push(at);
            }
        }
    }
    for at in firsts {
        if let Token::Text(text) = &mut tokens[at] {
            let cut = text.char_indices().nth(least).map_or(text.len(), |(cut, _)| cut);
            text.drain(..cut);
        }
    }
}

/// A directive that waits for its end.
enum Open {
    If { condition: Expression, span: Span, yes: Option<Vec<Part>> },
    For { key_name: Option<String>, value_name: String, collection: Expression, span: Span },
}

/// Pairs directives with their ends.
fn pair(tokens: Vec<Token>) -> Parsed<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Vec<(Open, Vec<Part>)> = Vec::new();
    for token in tokens {
        match token {
            Token::Text(text) => {
                if !text.is_empty() {
                    parts.push(Part::Text(text));
                }
            }
            Token::Value(value) => parts.push(Part::Value(value)),
            Token::If(condition, span) => {
                open.push((Open::If { condition, span, yes: None }, std::mem::take(&mut parts)));
            }
            Token::For { key_name, value_name, collection, span } => {
                let each = Open::For { key_name, value_name, collection, span };
                open.push((each, std::mem::take(&mut parts)));
            }
            Token::Else(span) => match open.last_mut() {
                Some((Open::If { yes: yes @ None, .. }, _)) => *yes = Some(std::mem::take(&mut parts)),
                _ => return Err(Problem::new("this else belongs to no if", span)),
            },
            Token::EndIf(span) => match open.pop() {
                Some((Open::If { condition, yes, .. }, outer)) => {
                    let last = std::mem::replace(&mut parts, outer);
                    let (yes, no) = match yes {
                        Some(yes) => (yes, last),
                        None => (last, Vec::new()),
                    };
                    parts.push(Part::If { condition, yes, no });
                }
                _ => return Err(Problem::new("this endif belongs to no if", span)),
            },
            Token::EndFor(span) => match open.pop() {
                Some((Open::For { key_name, value_name, collection, .. }, outer)) => {
                    let each = std::mem::replace(&mut parts, outer);
                    parts.push(Part::For { key_name, value_name, collection, each });
                }
                _ => return Err(Problem::new("this endfor belongs to no for", span)),
            },
        }
        if open.len() > MAX_DIRECTIVES {
            return Err(Problem::new(format!("directives are nested more than {MAX_DIRECTIVES} deep"), 0..0));
        }
    }
    match open.pop() {
        None => Ok(parts),
        Some((Open::If { span, .. }, _)) => {
            Err(Problem::with_help("this if has no end", span, "close it with %{ endif }"))
        }
        Some((Open::For { span, .. }, _)) => {
            Err(Problem::with_help("this for has no end", span, "close it with %{ endfor }"))
        }
    }
}

/// Directives may lie this deep in each other.
const MAX_DIRECTIVES: usize = 256;
