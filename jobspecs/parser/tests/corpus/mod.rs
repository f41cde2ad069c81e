//! A corpus of job files and of what Nomad makes of them, when it lies beside the tree: in `shared/corpus/jobs` in this
//! folder's parents, or under `DROVER_SHARED`. Without it these tests say so and pass, unless
//! `DROVER_CORPUS_REQUIRED` is set.

mod accepted;
mod api_json;
mod attributes;
mod expressions;
mod refused;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use jobspec::{Diagnostic, ParseOptions, Parsed, parse_bytes};
use serde_json::Value as Json;

/// The corpus, or a word that it is not here.
pub fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("DROVER_SHARED").map(PathBuf::from);
    let beside = here.ancestors().map(|folder| folder.join("shared"));
    let found = shared.into_iter().chain(beside).map(|shared| shared.join("corpus/jobs")).find(|path| path.is_dir());
    if found.is_none() {
        assert!(std::env::var_os("DROVER_CORPUS_REQUIRED").is_none(), "the corpus is required and not here");
        println!("the corpus is not here: nothing compared");
    }
    found
}

/// Counts what was compared, and fails when that is nothing or something differs.
pub fn conclude(what: &str, compared: usize, different: &[String]) {
    // The test harness keeps what is printed to itself when a test passes; this is to be seen in any case.
    let _ = writeln!(std::io::stderr(), "{what}: compared {compared}, {} differ", different.len());
    assert!(compared > 0, "{what}: nothing was compared");
    assert!(different.is_empty(), "{what}: {} of {compared} differ\n{}", different.len(), different.join("\n"));
}

/// The differences that are meant: names of corpus files (without ending) and lines of its tables.
pub struct Meant {
    listed: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Meant {
    pub fn load() -> Meant {
        let listed = include_str!("../../../../docs/differences.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name.to_owned())
            .collect::<BTreeSet<_>>();
        assert!(listed.len() <= 15, "{} differences are meant, at most 15 may be", listed.len());
        Meant { listed, seen: BTreeSet::new() }
    }

    /// Keeps what is wrong with a file, unless it is meant to be so.
    pub fn judge(&mut self, name: &str, wrong: Vec<String>, different: &mut Vec<String>) {
        match (self.listed.contains(name), wrong.is_empty()) {
            (true, true) => different.push(format!("{name} is listed as a difference, yet it is none")),
            (true, false) => drop(self.seen.insert(name.to_owned())),
            (false, _) => different.extend(wrong.into_iter().map(|why| format!("{name}: {why}"))),
        }
    }

    /// Listed names below a folder that no file has.
    pub fn unseen(&self, folder: &str) -> Vec<String> {
        let below = self.listed.iter().filter(|name| name.starts_with(folder) && !self.seen.contains(*name));
        below.map(|name| format!("{name} is listed as a difference, yet no such file differs")).collect()
    }
}

pub fn parse_file(path: &Path) -> Result<Parsed, Vec<Diagnostic>> {
    let vars = PathBuf::from(path.to_string_lossy().replace(".nomad.hcl", ".vars"));
    let var_files = std::fs::read_to_string(vars).ok().map(|text| ("test.vars".to_owned(), text));
    let options = ParseOptions { var_files: var_files.into_iter().collect(), ..ParseOptions::default() };
    parse_bytes(&std::fs::read(path).unwrap(), &path.to_string_lossy(), &options)
}

pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

pub fn json(path: impl AsRef<Path>) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Paths that differ: a null equals an absent key, whole numbers compare by value, others as 64-bit floats.
pub fn differences(ours: &Json, theirs: &Json) -> Vec<String> {
    let mut found = Vec::new();
    walk(ours, theirs, "", &mut found);
    found
}

fn walk(ours: &Json, theirs: &Json, path: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Json::Object(a), Json::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Json::Null), b.get(key).unwrap_or(&Json::Null));
                walk(a, b, &format!("{path}.{key}"), found);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                walk(a, b, &format!("{path}[{at}]"), found);
            }
        }
        (Json::Number(a), Json::Number(b)) if same_number(a, b) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: {} here, {} there", short(a), short(b))),
    }
}

fn same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

fn short(json: &Json) -> String {
    json.to_string().chars().take(100).collect()
}

/// The lines of a table: cells between tabs, without the header when it has one.
pub fn table(path: impl AsRef<Path>, header: bool) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
    text.lines().skip(usize::from(header)).map(cells).collect()
}

/// The text that the job of a file has under `key` in its `meta`.
pub fn meta(source: &str, key: &str, options: &ParseOptions) -> Result<String, String> {
    match parse_bytes(source.as_bytes(), "test.nomad.hcl", options) {
        Ok(parsed) => {
            let meta: BTreeMap<String, String> = parsed.job.meta.unwrap_or_default();
            meta.get(key).cloned().ok_or_else(|| "nothing".to_owned())
        }
        Err(found) => Err(found.iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("; ")),
    }
}
