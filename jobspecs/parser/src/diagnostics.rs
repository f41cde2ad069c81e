//! What the parser has to say: message, place, advice, and their rendering with a caret.

use std::fmt::Write as _;
use std::ops::Range;

pub(crate) use model::suggest::nearest;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, yet something in it deserves a look.
    Warning,
}

/// One finding in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// Bytes of the file that it is about.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What to write instead.
    pub help: Option<String>,
    /// The file, when it is not the job file itself: a var file with its text.
    pub file: Option<(String, String)>,
}

impl Diagnostic {
    /// A finding at `span` of `source`.
    pub fn new(
        severity: Severity,
        message: impl Into<String>,
        span: Range<usize>,
        source: &str,
        help: Option<String>,
    ) -> Diagnostic {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end.max(start));
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Diagnostic {
            severity,
            message: message.into(),
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: source[line_start..start].chars().count() + 1,
            help,
            file: None,
        }
    }

    /// The finding as text of several lines: message, place, the source line with a caret below, help.
    /// `file_name` and `source` are those of the job file.
    pub fn render(&self, file_name: &str, source: &str, color: bool) -> String {
        let (file_name, source) = self.origin(file_name, source);
        let paint = |code: &str, text: &str| {
            if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
        };
        let (word, code) = match self.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let mut out = format!("{}: {}\n", paint(code, word), paint("1", &printable(&self.message)));
        let gutter = " ".repeat(self.line.to_string().len());
        let _ = writeln!(out, "{gutter} {} {file_name}:{}:{}", paint("34", "-->"), self.line, self.column);
        if let Some(text) = source.lines().nth(self.line.saturating_sub(1)) {
            let (shown, caret_at) = window(text, self.column - 1);
            let width = self.caret_width(source, text).min(shown.chars().count().saturating_sub(caret_at)).max(1);
            let bar = paint("34", "|");
            let _ = writeln!(out, "{gutter} {bar}");
            let _ = writeln!(out, "{} {bar} {}", paint("34", &self.line.to_string()), printable(&shown));
            let caret = paint(code, &"^".repeat(width));
            let _ = writeln!(out, "{gutter} {bar} {}{caret}", " ".repeat(caret_at));
        }
        if let Some(help) = &self.help {
            for (at, line) in help.lines().enumerate() {
                let lead = if at == 0 { "= help:" } else { "       " };
                let _ = writeln!(out, "{gutter} {} {}", paint("34", lead), printable(line));
            }
        }
        out
    }

    /// Name and text of the file that it is about, given those of the job file.
    pub fn origin<'d>(&'d self, file_name: &'d str, source: &'d str) -> (&'d str, &'d str) {
        match &self.file {
            Some((name, text)) => (name, text),
            None => (file_name, source),
        }
    }

    /// Line and column (both from 1, in characters) just behind the span; `source` is the file that it is about.
    pub fn end(&self, source: &str) -> (usize, usize) {
        let before = &source[..floor_boundary(source, self.span.end)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Characters of the span that lie on its first line.
    fn caret_width(&self, source: &str, line: &str) -> usize {
        let marked = source.get(self.span.clone()).unwrap_or("");
        marked.lines().next().unwrap_or("").chars().count().min(line.chars().count())
    }
}

/// The part of a long line around `at`, and where `at` is in it.
fn window(line: &str, at: usize) -> (String, usize) {
    const WIDTH: usize = 160;
    let skip = if at > WIDTH - 40 { at - 60 } else { 0 };
    (line.chars().skip(skip).take(WIDTH).collect(), at - skip)
}

/// Control characters would move the terminal's cursor, so each is shown as one harmless character.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A problem at a place of the source that is being evaluated; becomes a [`Diagnostic`] where the source is known.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub message: String,
    pub span: Range<usize>,
    pub help: Option<String>,
}

impl Problem {
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Box<Problem> {
        Box::new(Problem { message: message.into(), span, help: None })
    }

    pub fn with_help(message: impl Into<String>, span: Range<usize>, help: impl Into<String>) -> Box<Problem> {
        Box::new(Problem { message: message.into(), span, help: Some(help.into()) })
    }

    /// A mistake that only follows from another one, which has been told.
    pub fn follow_on(span: Range<usize>) -> Box<Problem> {
        Problem::new("", span)
    }

    /// Whether it only follows from another one.
    pub fn is_follow_on(&self) -> bool {
        self.message.is_empty()
    }

    pub fn into_diagnostic(self, source: &str) -> Diagnostic {
        Diagnostic::new(Severity::Error, self.message, self.span, source, self.help)
    }
}
