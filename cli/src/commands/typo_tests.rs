//! One wrong letter in a known name of an example: the right name is suggested, in the right line.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Purpose, remarks};

/// Blocks and objects whose names are free.
const FREE: [&str; 12] = [
    "env",
    "meta",
    "labels",
    "options",
    "headers",
    "header",
    "locals",
    "common",
    "ports",
    "default",
    "port_map",
    "logging.config",
];

/// Attributes that take one of a few values, with the block they stand in.
const CHOICES: [(&str, &str); 13] = [
    ("job", "type"),
    ("check", "type"),
    ("mount", "type"),
    ("task", "driver"),
    ("lifecycle", "hook"),
    ("restart", "mode"),
    ("reschedule", "delay_function"),
    ("parameterized", "payload"),
    ("template", "change_mode"),
    ("update", "health_check"),
    ("service", "provider"),
    ("constraint", "operator"),
    ("affinity", "operator"),
];

/// A name in a file: where it begins, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    block: String,
    text: String,
    at: usize,
}

fn word_at(source: &str, at: usize) -> &str {
    let rest = &source[at..];
    &rest[..rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())]
}

/// Every known name of a file, each once for each kind of block that it stands in.
fn names(source: &str) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut stack: Vec<String> = Vec::new();
    let mut heredoc: Option<String> = None;
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let text = line.trim();
        let indent = start + line.len() - line.trim_start().len();
        start += line.len();
        if let Some(end) = &heredoc {
            if text == end {
                heredoc = None;
            }
            continue;
        }
        if text.starts_with('#') || text.is_empty() {
            continue;
        }
        if text.starts_with(['}', ']']) {
            stack.pop();
        }
        let block = stack.last().cloned().unwrap_or_default();
        let around = stack.iter().rev().take(2).rev().cloned().collect::<Vec<_>>().join(".");
        let free = FREE.contains(&block.as_str()) || FREE.contains(&around.as_str()) || block == "[";
        let name = word_at(source, indent);
        let mut add = |text: &str, at: usize, kind: &str| {
            if !text.is_empty() && seen.insert((block.clone(), kind.to_owned(), text.to_owned())) {
                found.push(Name { block: block.clone(), text: text.to_owned(), at });
            }
        };
        if !free {
            add(name, indent, "name");
        }
        if let Some((_, value)) = line.split_once("= \"").filter(|_| CHOICES.contains(&(block.as_str(), name))) {
            let at = start - line.len() + line.len() - value.len();
            add(word_at(source, at), at, "choice");
        }
        for prefix in ["var.", "local."] {
            for (at, _) in line.match_indices(prefix) {
                let at = start - line.len() + at + prefix.len();
                add(word_at(source, at), at, prefix);
            }
        }
        for (open, _) in line.match_indices('(').filter(|_| !text.contains("string(") && !text.contains('"')) {
            let word = line[..open].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
            if name != "type" {
                add(word, start - line.len() + open - word.len(), "function");
            }
        }
        if let Some((_, marker)) = text.split_once("<<") {
            heredoc = Some(marker.trim_start_matches('-').to_owned());
        } else if text.ends_with('{') || text.ends_with("({") {
            let dynamic = name == "dynamic" || name == "content";
            stack.push(if dynamic && name == "content" { "port".to_owned() } else { name.to_owned() });
        } else if text.ends_with('[') {
            stack.push("[".to_owned());
        }
    }
    found
}

/// The name with one edit: deleted, inserted, swapped, replaced.
fn edits(name: &str, seed: usize) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let letter = |at: usize| char::from(b'a' + ((seed * 7 + at * 11) % 26) as u8);
    let mut all = Vec::new();
    for at in 0..letters.len() {
        let (before, rest) = letters.split_at(at);
        let join = |middle: &[char], rest: &[char]| [before, middle, rest].concat().into_iter().collect::<String>();
        all.push(join(&[], &rest[1..]));
        all.push(join(&[letter(at)], rest));
        all.push(join(&[letter(at + 5)], &rest[1..]));
        if rest.len() > 1 {
            all.push(join(&[rest[1], rest[0]], &rest[2..]));
        }
    }
    all.retain(|edit| edit != name && edit.starts_with(|c: char| c.is_ascii_alphabetic()));
    all
}

/// Whether a file with the typo gets the right name in the right line.
fn is_understood(source: &str, name: &Name, typo: &str) -> bool {
    let wrong = format!("{}{typo}{}", &source[..name.at], &source[name.at + name.text.len()..]);
    let line = source[..name.at].matches('\n').count() + 1;
    let rules = |job: &model::job::Job| remarks(job, Purpose::Look);
    let found = match jobspec::check(&wrong, "typo", &jobspec::ParseOptions::default(), &rules) {
        Ok(parsed) => parsed.warnings,
        Err(found) => found,
    };
    found.iter().any(|one| {
        let help = one.help.as_deref().unwrap_or_default();
        let words: Vec<&str> = help.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        one.line == line && help.starts_with("did you mean") && words.contains(&name.text.as_str())
    })
}

#[test]
fn a_typo_gets_the_right_suggestion_in_the_right_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobspecs/examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "hcl"));
    files.sort();
    let (mut right, mut total, mut missed) = (0, 0, Vec::new());
    let mut tried = BTreeSet::new();
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let all = names(&source);
        let known: BTreeSet<&str> = all.iter().map(|name| name.text.as_str()).chain(["cron", "variables"]).collect();
        for name in &all {
            // A name in a kind of block is tried once over all files.
            if !tried.insert((name.block.clone(), name.text.clone())) {
                continue;
            }
            for typo in edits(&name.text, tried.len()).into_iter().filter(|typo| !known.contains(typo.as_str())) {
                total += 1;
                if is_understood(&source, name, &typo) {
                    right += 1;
                } else {
                    missed.push(format!("{}.{} as {typo}", name.block, name.text));
                }
            }
        }
    }
    let share = 100.0 * right as f64 / total as f64;
    println!("{right} of {total} typos in {} names understood: {share:.1} %", tried.len());
    missed.iter().take(100).for_each(|one| println!("missed: {one}"));
    assert!(tried.len() > 150 && share >= 95.0, "{share:.1} % of {total}");
}
