//! Regular expressions as Nomad's users write them (RE2's dialect), matched by the `regex` crate.
//!
//! The dialects differ in little: Perl classes are ASCII in RE2, brackets do not nest, `{` that starts no repetition is
//! a plain character, `\Q..\E` quotes, and some escapes and flags do not exist. [`compiled`] rewrites the former and
//! refuses the latter.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// The largest compiled program, in bytes: patterns come from users.
const SIZE_LIMIT: usize = 1 << 20;

/// The largest repetition count.
const REPEAT_LIMIT: u32 = 1000;

/// Compiled patterns that are remembered: compiling one takes longer than a whole evaluation without it.
const REMEMBERED: usize = 32;

/// Patterns with what they compile to, those used last at the end.
static KNOWN: Mutex<VecDeque<(String, Arc<Regex>)>> = Mutex::new(VecDeque::new());

/// Compiles a pattern, unless that was done lately; it is not anchored.
///
/// # Errors
/// What is wrong with the pattern, in one sentence.
pub fn compiled(pattern: &str) -> Result<Arc<Regex>, String> {
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = |known: &mut VecDeque<(String, Arc<Regex>)>| {
        let place = known.iter().rposition(|(text, _)| text == pattern)?;
        let entry = known.remove(place)?;
        let regex = entry.1.clone();
        known.push_back(entry);
        Some(regex)
    };
    if let Some(regex) = known(&mut lock()) {
        return Ok(regex);
    }
    // Others need not wait meanwhile.
    let regex = Arc::new(compile(pattern)?);
    let mut all = lock();
    if let Some(regex) = known(&mut all) {
        return Ok(regex);
    }
    all.push_back((pattern.to_owned(), regex.clone()));
    while all.len() > REMEMBERED {
        all.pop_front();
    }
    Ok(regex)
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let rewritten = Rewriter { rest: pattern, out: String::new() }.run()?;
    RegexBuilder::new(&rewritten)
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| format!("regular expression {pattern:?} does not compile: {error}"))
}

struct Rewriter<'a> {
    rest: &'a str,
    out: String,
}

impl Rewriter<'_> {
    fn run(mut self) -> Result<String, String> {
        let mut after_repetition = false;
        while let Some(next) = self.rest.chars().next() {
            let was_repetition = std::mem::take(&mut after_repetition);
            match next {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '{' => match repetition(self.rest) {
                    Some(text) => {
                        if was_repetition {
                            return Err("a repetition cannot be repeated".to_owned());
                        }
                        check_counts(text)?;
                        after_repetition = true;
                        self.copy(text.len());
                    }
                    None => {
                        self.out.push('\\');
                        self.copy(1);
                    }
                },
                '*' | '+' | '?' => {
                    if was_repetition {
                        return Err(format!("{next:?} cannot follow a repetition"));
                    }
                    after_repetition = true;
                    self.copy(1);
                    if self.rest.starts_with('?') {
                        self.copy(1);
                    }
                }
                '(' if self.rest.starts_with("(?") => {
                    check_flags(self.rest)?;
                    self.copy(2);
                }
                other => self.copy(other.len_utf8()),
            }
        }
        Ok(self.out)
    }

    fn copy(&mut self, bytes: usize) {
        let (head, tail) = self.rest.split_at(bytes);
        self.out.push_str(head);
        self.rest = tail;
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(escaped) = self.rest[1..].chars().next() else {
            return Err("the pattern ends in a backslash".to_owned());
        };
        let ascii_class = match (escaped, in_class) {
            ('d', true) => Some("0-9"),
            ('d', false) => Some("[0-9]"),
            ('D', _) => Some("[^0-9]"),
            ('w', true) => Some("0-9A-Za-z_"),
            ('w', false) => Some("[0-9A-Za-z_]"),
            ('W', _) => Some("[^0-9A-Za-z_]"),
            ('s', true) => Some("\\t\\n\\f\\r\\x20"),
            ('s', false) => Some("[\\t\\n\\f\\r\\x20]"),
            ('S', _) => Some("[^\\t\\n\\f\\r\\x20]"),
            ('b', false) => Some("(?-u:\\b)"),
            ('B', false) => Some("(?-u:\\B)"),
            _ => None,
        };
        if let Some(class) = ascii_class {
            self.out.push_str(class);
            self.skip(2);
            return Ok(());
        }
        match escaped {
            'Q' if !in_class => {
                let quoted = &self.rest[2..];
                let (text, length) = quoted.split_once("\\E").map_or((quoted, quoted.len()), |(t, _)| (t, t.len() + 2));
                self.out.push_str(&regex::escape(text));
                self.skip(2 + length);
            }
            'p' | 'P' | 'x' if self.rest[2..].starts_with('{') => {
                let end = self.rest.find('}').ok_or_else(|| format!("\\{escaped}{{ is not closed"))?;
                self.copy(end + 1);
            }
            'p' | 'P' | 'x' | 'a' | 'f' | 't' | 'n' | 'r' | 'v' => self.copy(2),
            'A' | 'z' if !in_class => self.copy(2),
            letter if letter.is_ascii_alphanumeric() => return Err(format!("the escape \\{letter} does not exist")),
            other if other.is_ascii() => self.copy(2),
            _ => return Err(format!("{escaped:?} cannot be escaped")),
        }
        Ok(())
    }

    /// A bracketed class: `[` inside is a plain character unless it starts `[:name:]`.
    fn class(&mut self) -> Result<(), String> {
        self.copy(1);
        if self.rest.starts_with('^') {
            self.copy(1);
        }
        if self.rest.starts_with(']') {
            self.out.push('\\');
            self.copy(1);
        }
        while let Some(next) = self.rest.chars().next() {
            match next {
                ']' => {
                    self.copy(1);
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let length = self.rest.find(":]").map_or(self.rest.len(), |at| at + 2);
                    check_class_name(&self.rest[2..length - 2])?;
                    self.copy(length);
                }
                '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.copy(1);
                }
                '-' if self.rest.starts_with("-]") => {
                    self.out.push('\\');
                    self.copy(1);
                }
                '-' if self.out.ends_with('_') => {
                    // After an expanded \w a dash is a plain character.
                    self.out.push('\\');
                    self.copy(1);
                }
                other => self.copy(other.len_utf8()),
            }
        }
        Err("a [ is not closed".to_owned())
    }
}

fn check_class_name(name: &str) -> Result<(), String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ];
    let known = NAMES.contains(&name.trim_start_matches('^'));
    if known { Ok(()) } else { Err(format!("the class [:{name}:] does not exist")) }
}

/// `{2}`, `{2,}` or `{2,5}` at the start of `text`.
fn repetition(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!low.is_empty() && digits(low) && digits(high)).then(|| &text[..=end])
}

fn check_counts(text: &str) -> Result<(), String> {
    let counts = text.trim_matches(['{', '}']).split(',').filter(|part| !part.is_empty());
    for count in counts {
        if count.parse::<u32>().ok().is_none_or(|count| count > REPEAT_LIMIT) {
            return Err(format!("the repetition {text} is above {REPEAT_LIMIT}"));
        }
    }
    Ok(())
}

/// After `(?` only groups, names and the flags `imsU` exist.
fn check_flags(text: &str) -> Result<(), String> {
    let tail = &text[2..];
    if (tail.starts_with('<') && !tail.starts_with("<=") && !tail.starts_with("<!")) || tail.starts_with("P<") {
        return Ok(());
    }
    let end = tail.find([':', ')']).ok_or_else(|| "a (? is not closed".to_owned())?;
    if tail[..end].chars().all(|flag| "imsU-".contains(flag)) {
        return Ok(());
    }
    Err(format!("(?{} does not exist", &tail[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn re2_differences_are_kept() {
        let matches = |pattern: &str, text: &str| compile(pattern).unwrap().is_match(text);
        assert!(!matches("\\d", "٣") && matches("\\d", "3"));
        assert!(matches("a{,2}", "a{,2}"));
        assert!(matches("\\Qa.b\\E", "a.b") && !matches("\\Qa.b\\E", "axb"));
        assert!(matches("[a[b]", "["));
        assert!(!matches("a$", "a\n"));
        for pattern in ["a{1001}", "\\Z", "(?x)a", "\\u0078", "a**", "(l)\\1", "(?=x)", "[a", "\\"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
