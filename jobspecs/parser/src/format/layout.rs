//! Tokens to lines: indentation, blanks within a line, columns over several lines.

use super::STEP;
use super::lexer::{Kind, Token};

/// A line in three cells; the second and third are put into columns with those of the lines around.
#[derive(Default)]
struct Line {
    indent: usize,
    lead: String,
    /// `= ...` of an attribute that ends on this line.
    assign: String,
    comment: String,
    end: String,
}

/// The laid out text of tokens.
pub(super) fn lines(tokens: &[Token<'_>]) -> String {
    let mut lines = Vec::new();
    let mut brackets = Brackets::default();
    let mut rest = tokens;
    while !rest.is_empty() {
        let len = rest.iter().position(|token| token.kind == Kind::Newline).unwrap_or(rest.len());
        let end = rest.get(len).map_or("\n", |newline| newline.text);
        lines.push(line(&rest[..len], end, &mut brackets));
        rest = rest.get(len + 1..).unwrap_or_default();
    }
    align(&mut lines, |line| &mut line.assign, |line| width(&line.lead));
    align(
        &mut lines,
        |line| &mut line.comment,
        |line| {
            if line.assign.is_empty() { width(&line.lead) } else { width(&line.lead) + 1 + width(&line.assign) }
        },
    );
    let mut out = String::new();
    for line in &lines {
        write(line, &mut out);
    }
    out
}

/// Characters of the last line of a cell.
fn width(cell: &str) -> usize {
    cell.rsplit('\n').next().unwrap_or("").chars().count()
}

fn write(line: &Line, out: &mut String) {
    if !line.lead.is_empty() {
        out.push_str(&STEP.repeat(line.indent));
    }
    let cells: Vec<&str> = [&line.lead, &line.assign, &line.comment]
        .into_iter()
        .filter(|cell| !cell.is_empty())
        .map(String::as_str)
        .collect();
    out.push_str(&cells.join(" "));
    out.push_str(&line.end);
}

/// Puts a cell of neighbouring lines into one column.
fn align(lines: &mut [Line], cell: fn(&mut Line) -> &mut String, before: fn(&Line) -> usize) {
    let mut from = 0;
    while from < lines.len() {
        let indent = lines[from].indent;
        let chained = |line: &mut Line| !cell(line).is_empty() && line.indent == indent && !line.lead.is_empty();
        let len = lines[from..].iter_mut().map(chained).take_while(|chained| *chained).count();
        let column = lines[from..from + len].iter().map(before).max().unwrap_or(0);
        for line in &mut lines[from..from + len] {
            let pad = " ".repeat(column - before(line));
            cell(line).insert_str(0, &pad);
        }
        from += len.max(1);
    }
}

/// The open brackets, each with the line that opened it: brackets opened on one line indent once.
#[derive(Default)]
struct Brackets {
    open: Vec<Bracket>,
    /// What is outside of all brackets.
    outside: Bracket,
    line: usize,
}

#[derive(Clone, Copy, Default)]
struct Bracket {
    line: usize,
    /// Whether a `for` stands in it.
    of_for: bool,
    /// Whether a `?` waits for its `:`.
    question: bool,
}

impl Brackets {
    fn depth(open: &[Bracket]) -> usize {
        let mut lines: Vec<usize> = open.iter().map(|bracket| bracket.line).collect();
        lines.dedup();
        lines.len()
    }

    fn innermost(&mut self) -> &mut Bracket {
        self.open.last_mut().unwrap_or(&mut self.outside)
    }

    /// Takes a token into account; the next one tells whether a bracket holds a `for`.
    fn take(&mut self, token: &Token<'_>, next: Option<&Token<'_>>) {
        match token.kind {
            Kind::Open(_) => {
                let of_for = next.is_some_and(|next| next.text == "for");
                self.open.push(Bracket { line: self.line, of_for, question: false });
            }
            Kind::Close(_) => {
                self.open.pop();
            }
            _ => {}
        }
    }
}

fn line(tokens: &[Token<'_>], end: &str, brackets: &mut Brackets) -> Line {
    brackets.line += 1;
    let around = &brackets.open[..outermost(tokens, brackets.open.len())];
    let mut line = Line { indent: Brackets::depth(around), end: end.to_owned(), ..Line::default() };
    let is_attribute = matches!(tokens, [first, second, ..] if first.kind == Kind::Word && second.kind == Kind::Equal);
    let depth = brackets.open.len();
    for (at, token) in tokens.iter().enumerate() {
        let blank = at > 0 && space(&tokens[..at], token, brackets);
        let cell = match token.kind {
            Kind::Comment if at > 0 => &mut line.comment,
            _ if is_attribute && at > 0 => &mut line.assign,
            _ => &mut line.lead,
        };
        if !cell.is_empty() {
            match keeps_blanks(tokens[at - 1].kind, token.kind) {
                true => cell.push_str(token.blanks),
                false if blank => cell.push(' '),
                false => {}
            }
        }
        cell.push_str(token.text);
        brackets.take(token, tokens.get(at + 1));
    }
    // A value that goes on below is not put into a column.
    if brackets.open.len() != depth && !line.assign.is_empty() {
        line.lead = format!("{} {}", line.lead, line.assign);
        line.assign = String::new();
    }
    line
}

/// How many of the open brackets indent a line: not those that it closes, when it begins with closing.
fn outermost(tokens: &[Token<'_>], open: usize) -> usize {
    if !matches!(tokens.first().map(|token| token.kind), Some(Kind::Close(_))) {
        return open;
    }
    let (mut depth, mut least) = (open, open);
    for token in tokens {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        least = least.min(depth);
    }
    least
}

/// Names that only a node knows become text as they are written, blanks and all.
fn keeps_blanks(before: Kind, after: Kind) -> bool {
    before == Kind::Dot || after == Kind::Dot || after == Kind::Index
}

/// Whether a blank belongs between what stands before on the line and `token`.
fn space(before: &[Token<'_>], token: &Token<'_>, brackets: &mut Brackets) -> bool {
    let last = &before[before.len() - 1];
    let here = brackets.innermost();
    match (last.kind, token.kind) {
        (_, Kind::Comment | Kind::BlockComment) | (Kind::BlockComment, _) => true,
        (Kind::Open('{'), Kind::Close(_)) => false,
        (Kind::Open('{'), _) | (_, Kind::Close('}')) => true,
        (Kind::Open(_), _) | (_, Kind::Close(_) | Kind::Comma) => false,
        (Kind::Word, Kind::Open('(')) => is_keyword(last.text) && here.of_for,
        (_, Kind::Question) => {
            here.question = true;
            true
        }
        (_, Kind::Colon) => std::mem::take(&mut here.question) || here.of_for,
        (Kind::Operator, _) if last.text == "::" || is_unary(before) => false,
        (_, Kind::Operator) => token.text != "::" && token.text != "...",
        _ => true,
    }
}

fn is_keyword(word: &str) -> bool {
    ["in", "if", "for"].contains(&word)
}

/// Whether the last token is a sign of the value behind it and no operation.
fn is_unary(before: &[Token<'_>]) -> bool {
    let [rest @ .., last] = before else { return false };
    let sign = rest.last().is_none_or(|token| match token.kind {
        Kind::Operator | Kind::Open(_) | Kind::Comma | Kind::Equal | Kind::Colon | Kind::Question => true,
        Kind::Word => is_keyword(token.text),
        _ => false,
    });
    last.text == "!" || (last.text == "-" && sign)
}
