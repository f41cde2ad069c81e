//! Where the parser stands in the source, and how it steps over blanks and comments.

use unicode_ident::{is_xid_continue, is_xid_start};

use super::tree::{Name, Span};
use crate::diagnostics::Problem;

pub(super) type Parsed<T> = Result<T, Box<Problem>>;

/// Expressions, templates and blocks may lie this deep in each other.
pub(super) const MAX_DEPTH: usize = 4096;

/// A reader of one source. It stops at the first mistake.
pub(crate) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) at: usize,
    depth: usize,
    /// Whether a line end is a blank here: inside parentheses and brackets.
    pub(super) lines_are_blanks: bool,
}

impl<'s> Parser<'s> {
    pub fn new(source: &'s str) -> Parser<'s> {
        let at = if source.starts_with('\u{feff}') { 3 } else { 0 };
        Parser { source, at, depth: 0, lines_are_blanks: false }
    }

    pub(super) fn rest(&self) -> &'s [u8] {
        &self.source.as_bytes()[self.at..]
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    pub(super) fn char(&self) -> Option<char> {
        self.source[self.at..].chars().next()
    }

    pub(super) fn looking_at(&self, text: &str) -> bool {
        self.rest().starts_with(text.as_bytes())
    }

    /// Steps over `text` if it is what comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let here = self.looking_at(text);
        if here {
            self.at += text.len();
        }
        here
    }

    /// The character here, or nothing at the end.
    pub(super) fn here(&self) -> Span {
        self.at..self.at + self.char().map_or(0, char::len_utf8)
    }

    /// Steps over blanks and comments, and over line ends where they mean nothing.
    pub(super) fn skip(&mut self) -> Parsed<()> {
        loop {
            match self.rest() {
                [b' ' | b'\t', ..] => self.at += 1,
                [b'\n', ..] if self.lines_are_blanks => self.at += 1,
                [b'\r', b'\n', ..] if self.lines_are_blanks => self.at += 2,
                [b'#', ..] | [b'/', b'/', ..] => self.skip_line_comment(),
                [b'/', b'*', ..] => match self.source[self.at + 2..].find("*/") {
                    Some(length) => self.at += length + 4,
                    None => {
                        return Err(Problem::with_help(
                            "this comment has no end",
                            self.at..self.at + 2,
                            "close it with */, or begin each of its lines with #",
                        ));
                    }
                },
                _ => return Ok(()),
            }
        }
    }

    fn skip_line_comment(&mut self) {
        let length = self.rest().iter().position(|byte| *byte == b'\n').unwrap_or(self.source.len() - self.at);
        self.at += length;
    }

    /// Like [`Parser::skip`], over line ends too.
    pub(super) fn skip_lines(&mut self) -> Parsed<()> {
        let before = std::mem::replace(&mut self.lines_are_blanks, true);
        let result = self.skip();
        self.lines_are_blanks = before;
        result
    }

    /// Whether a line ends here, or the source.
    pub(super) fn at_line_end(&self) -> bool {
        matches!(self.rest(), [] | [b'\n', ..] | [b'\r', b'\n', ..])
    }

    /// Runs `inner` where line ends are blanks, or where they are not.
    pub(super) fn with_lines<T>(&mut self, are_blanks: bool, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let before = std::mem::replace(&mut self.lines_are_blanks, are_blanks);
        let result = inner(self);
        self.lines_are_blanks = before;
        result
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} levels deep");
            return Err(Problem::new(message, self.here()));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// A word: letters of any script, digits, `_` and `-`, not beginning with a digit or `-`.
    pub(super) fn name(&mut self) -> Option<Name> {
        let rest = &self.source[self.at..];
        let first = rest.chars().next()?;
        if !(first == '_' || is_xid_start(first)) {
            return None;
        }
        let length = rest.find(|c: char| c != '-' && !is_xid_continue(c)).unwrap_or(rest.len());
        let span = self.at..self.at + length;
        self.at = span.end;
        Some(Name { text: rest[..length].to_owned(), span })
    }

    /// Whether the keyword comes next, as a whole word.
    pub(super) fn at_word(&self, word: &str) -> bool {
        let rest = &self.source[self.at..];
        rest.strip_prefix(word).is_some_and(|tail| !tail.starts_with(|c: char| c == '-' || is_xid_continue(c)))
    }

    /// Steps over a keyword.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        if here {
            self.at += word.len();
        }
        here
    }

    /// What stands here, for messages.
    pub(super) fn found(&self) -> String {
        match self.char() {
            None => "the end of the file".to_owned(),
            Some('\n' | '\r') => "the end of the line".to_owned(),
            Some('\u{feff}') => "a byte-order mark".to_owned(),
            Some('\u{a0}') => "a non-breaking space".to_owned(),
            Some(c) if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
            Some(c) => format!("{c:?}"),
        }
    }

    /// A mistake right here.
    pub(super) fn unexpected(&self, wanted: &str) -> Box<Problem> {
        let problem = Problem::new(format!("{wanted}, not {}", self.found()), self.here());
        match self.char() {
            Some('\'') => with(problem, "texts are written in double quotes"),
            Some('\u{201c}' | '\u{201d}' | '\u{201e}') => {
                with(problem, "these are typographic quotes; write plain double quotes")
            }
            Some(';') => with(problem, "remove the semicolon: each attribute ends with its line"),
            Some('\u{a0}' | '\u{feff}') => with(problem, "delete this invisible character, or replace it by a space"),
            _ => problem,
        }
    }
}

/// The problem with advice.
pub(super) fn with(mut problem: Box<Problem>, help: impl Into<String>) -> Box<Problem> {
    problem.help = Some(help.into());
    problem
}
