//! Text to syntax tree, and words for what stops it.

use hcl_edit::structure::Body;

use crate::diagnostics::{Diagnostic, Severity};

/// The largest job file.
pub(crate) const MAX_SOURCE: usize = 1024 * 1024;

/// Parses a file; a byte-order mark at the very start must be blanked out before (see [`without_mark`]).
pub(crate) fn parse(source: &str) -> Result<Body, Box<Diagnostic>> {
    if source.len() > MAX_SOURCE {
        return Err(error(source, "this file is larger than 1 MiB", 0, None));
    }
    if source.trim_start_matches(' ').starts_with('{') {
        let help = "write the job in HCL, or pass the API's JSON form with -json".to_owned();
        return Err(error(source, "the JSON syntax of HCL is not supported yet", 0, Some(help)));
    }
    hcl_edit::parser::parse_body(source).map_err(|problem| {
        let at = problem.location().offset().min(source.len());
        let line_start = source[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = source[line_start..].lines().next().unwrap_or("");
        error(source, message(problem.message()), at, advice(line))
    })
}

/// The source with a leading byte-order mark turned into blanks, so that positions stay.
pub(crate) fn without_mark(source: &str) -> std::borrow::Cow<'_, str> {
    match source.strip_prefix('\u{feff}') {
        Some(rest) => format!("   {rest}").into(),
        None => source.into(),
    }
}

fn error(source: &str, message: impl Into<String>, at: usize, help: Option<String>) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Severity::Error, message, at..at + 1, source, help))
}

/// The parser's own words, made one sentence.
fn message(text: &str) -> String {
    let joined = text.split('\n').filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(", ");
    if joined.is_empty() { "this cannot be read".to_owned() } else { joined }
}

/// Spellings of older HCL, of JSON and of YAML that people bring along.
fn advice(line: &str) -> Option<String> {
    let text = line.trim();
    let (head, tail) = match text.split_once(['=', ':', '{']) {
        Some((head, tail)) => (head.trim(), tail.trim()),
        None => (text, ""),
    };
    let quoted = head.len() > 2 && head.starts_with('"') && head.ends_with('"');
    if quoted && text.contains('=') {
        let name = head.trim_matches('"');
        if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Some(format!("names are written without quotes: {name} = {tail}"));
        }
        return Some(format!("a key like {head} needs the map form: meta = {{ {head} = ... }}"));
    }
    if text.contains('\'') {
        return Some("texts are written in double quotes".to_owned());
    }
    if text.contains('\u{201c}') || text.contains('\u{201d}') {
        return Some("these are typographic quotes; write plain double quotes".to_owned());
    }
    if text.contains(':') && !text.contains('=') && !head.contains('"') {
        return Some(format!("HCL sets values with an equals sign: {head} = ..."));
    }
    if text.ends_with(',') && text.contains('=') {
        return Some("attributes of a block end with the line, without a comma".to_owned());
    }
    if text.contains('=') && text.contains('{') && text.ends_with('}') {
        return Some("a block on one line holds at most one attribute; put each on its own line".to_owned());
    }
    None
}
