//! HCL text to tokens that, with the blanks between them, are the whole text again.
//!
//! Quoted texts, heredocs, comments and index brackets are one token each: nothing inside them is layout. Index
//! brackets because a name that only a node knows (`attr.x["a b"]`) becomes text as it is written.

/// What a token is, as far as layout cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Quoted,
    Heredoc,
    /// `#` or `//` up to the end of the line.
    Comment,
    /// `/* ... */`
    BlockComment,
    Newline,
    Open(char),
    Close(char),
    /// `[...]` behind a value.
    Index,
    Dot,
    Comma,
    Equal,
    Colon,
    Question,
    Operator,
}

/// A token and the blanks before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub kind: Kind,
    pub text: &'s str,
    /// How many blanks stood before it.
    pub blanks: &'s str,
}

const OPERATORS: [&str; 18] =
    ["...", "::", "==", "!=", "<=", ">=", "&&", "||", "=>", "+", "-", "*", "/", "%", "<", ">", "!", "&"];

/// The tokens of `source`, whatever it is; what is no token of HCL becomes an operator.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    while lexer.next() {}
    lexer.tokens
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    tokens: Vec<Token<'s>>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn next(&mut self) -> bool {
        let blanks_len = self.rest().find(|c| c != ' ' && c != '\t').unwrap_or(self.rest().len());
        let blanks = &self.rest()[..blanks_len];
        self.at += blanks_len;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return false };
        let (kind, len) = self.token(rest, first);
        self.tokens.push(Token { kind, text: &rest[..len], blanks });
        self.at += len;
        true
    }

    fn token(&self, rest: &str, first: char) -> (Kind, usize) {
        let line_end = rest.find('\n').unwrap_or(rest.len());
        match first {
            '\n' => (Kind::Newline, 1),
            '\r' if rest.starts_with("\r\n") => (Kind::Newline, 2),
            '#' => (Kind::Comment, rest[..line_end].trim_end().len()),
            '/' if rest.starts_with("//") => (Kind::Comment, rest[..line_end].trim_end().len()),
            '/' if rest.starts_with("/*") => (Kind::BlockComment, rest.find("*/").map_or(rest.len(), |at| at + 2)),
            '"' => (Kind::Quoted, quoted(rest)),
            '<' if rest.starts_with("<<") => match heredoc(rest) {
                Some(len) => (Kind::Heredoc, len),
                None => (Kind::Operator, 2),
            },
            '[' if self.follows_value() => (Kind::Index, bracketed(rest)),
            '(' | '[' | '{' => (Kind::Open(first), 1),
            ')' | ']' | '}' => (Kind::Close(first), 1),
            ',' => (Kind::Comma, 1),
            '.' if !rest.starts_with("...") => (Kind::Dot, 1),
            '?' => (Kind::Question, 1),
            ':' if !rest.starts_with("::") => (Kind::Colon, 1),
            '=' if !rest.starts_with("==") && !rest.starts_with("=>") => (Kind::Equal, 1),
            '0'..='9' => (Kind::Number, number(rest)),
            _ if first.is_alphabetic() || first == '_' => (Kind::Word, word(rest)),
            _ => {
                let known = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
                (Kind::Operator, known.map_or(first.len_utf8(), |operator| operator.len()))
            }
        }
    }

    /// Whether a bracket here would be an index: it stands on the line of a value that it belongs to.
    fn follows_value(&self) -> bool {
        let Some(last) = self.tokens.last() else { return false };
        match last.kind {
            Kind::Word => !(self.in_for() && (last.text == "in" || last.text == "if")),
            Kind::Quoted | Kind::Index | Kind::Close(')' | ']' | '}') => true,
            Kind::Operator => last.text == "*" && self.tokens.iter().rev().nth(1).is_some_and(|t| t.kind == Kind::Dot),
            Kind::Number => self.tokens.iter().rev().nth(1).is_some_and(|token| token.kind == Kind::Dot),
            _ => false,
        }
    }

    /// Whether the innermost open bracket begins a `for`.
    fn in_for(&self) -> bool {
        let mut depth = 0;
        for (at, token) in self.tokens.iter().enumerate().rev() {
            match token.kind {
                Kind::Close(_) => depth += 1,
                Kind::Open(_) if depth > 0 => depth -= 1,
                Kind::Open(_) => {
                    let inside = self.tokens[at + 1..].iter().find(|token| token.kind != Kind::Newline);
                    return inside.is_some_and(|token| token.text == "for");
                }
                _ => {}
            }
        }
        false
    }
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len())
}

/// Digits, a fraction, an exponent with its sign.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits(sign) > sign {
            end = digits(sign);
        }
    }
    end
}

/// From a quote to the one that ends it; quotes inside `${...}` belong to texts inside.
fn quoted(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            b'\n' => return at,
            b'$' | b'%' if rest[at..].starts_with("$${") || rest[at..].starts_with("%%{") => at += 3,
            b'$' | b'%' if bytes.get(at + 1) == Some(&b'{') => at += 1 + bracketed(&rest[at + 1..]),
            _ => at += 1,
        }
    }
    rest.len()
}

/// From an opening bracket to the one that closes it.
fn bracketed(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at += quoted(&rest[at..]);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    rest.len()
}

/// `<<WORD` or `<<-WORD` up to the line that holds nothing but the word; the line end behind it does not belong to it.
fn heredoc(rest: &str) -> Option<usize> {
    let head = rest.lines().next()?;
    let marker = head.strip_prefix("<<-").or_else(|| head.strip_prefix("<<"))?.trim_end_matches('\r');
    if marker.is_empty() || word(marker) != marker.len() {
        return None;
    }
    let mut at = head.len() + 1;
    for line in rest.get(at..)?.split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        if text.trim() == marker {
            return Some(at + text.len());
        }
        at += line.len();
    }
    None
}
