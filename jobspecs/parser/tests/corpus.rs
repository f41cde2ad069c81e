//! The corpus of job files and of what Nomad makes of them, when it lies beside the tree. The floors only go up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jobspec::{Diagnostic, ParseOptions, parse};
use serde_json::Value as Json;

/// Accept files whose plain result is equal.
const PLAIN_FLOOR: usize = 275;
/// Accept files whose canonical result is equal, the provider of services apart.
const CANONICAL_FLOOR: usize = 273;
/// Reject files of stage `parse` that are refused.
const REFUSED_FLOOR: usize = 287;
/// Of those, the ones where the lines are the same too.
const LINES_FLOOR: usize = 276;

/// Reject files of stage `validate` that are refused.
const INVALID_FLOOR: usize = 103;

fn corpus() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/jobs");
    if !path.is_dir() {
        println!("the corpus is not here; nothing compared");
        return None;
    }
    Some(path)
}

fn options(file: &Path) -> ParseOptions {
    let vars = PathBuf::from(file.to_string_lossy().replace(".nomad.hcl", ".vars"));
    let var_files = std::fs::read_to_string(vars).ok().map(|text| ("test.vars".to_owned(), text));
    ParseOptions { var_files: var_files.into_iter().collect(), ..ParseOptions::default() }
}

fn read(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(path).ok()?).ok()
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.to_string_lossy().ends_with(".nomad.hcl") {
            out.push(path);
        }
    }
}

/// Paths that differ: a null equals an absent key, numbers compare by value.
fn differences(ours: &Json, theirs: &Json, path: &str, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Json::Object(a), Json::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Json::Null), b.get(key).unwrap_or(&Json::Null));
                differences(a, b, &format!("{path}.{key}"), out);
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}[{at}]"), out);
            }
        }
        (Json::Number(a), Json::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: {} / {}", short(a), short(b))),
    }
}

fn short(json: &Json) -> String {
    json.to_string().chars().take(100).collect()
}

fn golden(path: &Path, ending: &str) -> Json {
    let text = std::fs::read_to_string(path.to_string_lossy().replace(".nomad.hcl", ending)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What differs after defaults; doing it twice must change nothing.
fn canonical_differences(mut job: model::job::Job, path: &Path) -> Vec<String> {
    job.canonicalise();
    let mut twice = job.clone();
    twice.canonicalise();
    assert_eq!(job, twice, "{}", path.display());
    let mut found = Vec::new();
    differences(&serde_json::to_value(&job).unwrap(), &golden(path, ".canonical.json"), "", &mut found);
    // A service that names no provider is drover's own here and Consul's there.
    found.retain(|difference| !difference.ends_with(".Provider: \"nomad\" / \"consul\""));
    found
}

fn lines(found: &[Diagnostic]) -> Vec<u64> {
    let lines: BTreeSet<u64> = found.iter().map(|one| one.line as u64).collect();
    lines.into_iter().collect()
}

#[test]
fn accepted_files_give_what_nomad_gives() {
    let Some(corpus) = corpus() else { return };
    let mut all = Vec::new();
    files(&corpus.join("accept"), &mut all);
    let (mut equal, mut canonical) = (0, 0);
    for path in &all {
        let name = path.strip_prefix(&corpus).unwrap().display().to_string();
        let Some(source) = read(path) else { continue };
        let expected = golden(path, ".json");
        match parse(&source, &name, &options(path)) {
            Ok(parsed) => {
                let mut found = Vec::new();
                differences(&serde_json::to_value(&parsed.job).unwrap(), &expected, "", &mut found);
                if found.is_empty() {
                    equal += 1;
                } else {
                    println!("DIFF {name}\n    {}", found.into_iter().take(4).collect::<Vec<_>>().join("\n    "));
                }
                let found = canonical_differences(parsed.job, path);
                if found.is_empty() {
                    canonical += 1;
                } else {
                    println!("CANON {name}\n    {}", found.into_iter().take(4).collect::<Vec<_>>().join("\n    "));
                }
            }
            Err(found) => println!("FAIL {name}\n{}", found[0].render(&name, &source, false)),
        }
    }
    println!("plain: {equal} of {} equal, canonical: {canonical}", all.len());
    assert!(equal >= PLAIN_FLOOR, "{equal} of {} equal, there were {PLAIN_FLOOR}", all.len());
    assert!(canonical >= CANONICAL_FLOOR, "{canonical} of {} canonical, there were {CANONICAL_FLOOR}", all.len());
}

#[test]
fn refused_files_are_refused_at_the_same_lines() {
    let Some(corpus) = corpus() else { return };
    let index: Json =
        serde_json::from_str(&std::fs::read_to_string(corpus.join("reject/index.json")).unwrap()).unwrap();
    let (mut refused, mut same_lines, mut total) = (0, 0, 0);
    for case in index.as_array().unwrap().iter().filter(|case| case["stage"] == "parse") {
        total += 1;
        let name = case["file"].as_str().unwrap();
        let path = corpus.join("reject").join(name);
        let Some(source) = read(&path) else {
            refused += 1;
            continue;
        };
        match parse(&source, name, &options(&path)) {
            Ok(_) => println!("ACCEPTED {name}: {}", case["wrong"]),
            Err(found) => {
                refused += 1;
                let wanted: Vec<u64> = case["lines"].as_array().unwrap().iter().filter_map(Json::as_u64).collect();
                if wanted.is_empty() || lines(&found) == wanted || case.get("any_of_lines").is_some() {
                    same_lines += 1;
                } else {
                    println!("LINES {name}: {:?} instead of {wanted:?}: {}", lines(&found), found[0].message);
                }
            }
        }
    }
    println!("parse: {refused} of {total} refused, {same_lines} at the same lines");
    assert!(refused >= REFUSED_FLOOR && same_lines >= LINES_FLOOR, "{refused} refused, {same_lines} same lines");
}

#[test]
fn invalid_jobs_are_refused_at_the_same_field() {
    let Some(corpus) = corpus() else { return };
    let index: Json =
        serde_json::from_str(&std::fs::read_to_string(corpus.join("reject/index.json")).unwrap()).unwrap();
    let (mut refused, mut same, mut total) = (0, 0, 0);
    for case in index.as_array().unwrap().iter().filter(|case| case["stage"] == "validate") {
        total += 1;
        let name = case["file"].as_str().unwrap();
        let path = corpus.join("reject").join(name);
        let source = read(&path).unwrap();
        match parse(&source, name, &options(&path)) {
            Err(found) => println!("INVALID {name} does not parse: {}", found[0].message),
            Ok(parsed) => {
                let found = model::job::validate(&parsed.job);
                refused += usize::from(!found.is_empty());
                let wanted = case["path"].as_str().unwrap();
                let hit = found.iter().any(|one| one.path == wanted) || (wanted == "several" && found.len() >= 4);
                same += usize::from(hit);
                if !hit {
                    println!("INVALID {name}: {wanted} ({}), found {found:?}", case["wrong"]);
                }
            }
        }
    }
    println!("validate: {refused} of {total} refused, {same} at the same field");
    assert!(refused >= INVALID_FLOOR, "{refused} of {total} refused, there were {INVALID_FLOOR}");
}
