//! Files that Nomad refuses: while reading, or as a job that breaks a rule.

use jobspec::Diagnostic;
use serde_json::Value as Json;

use super::{Meant, conclude, corpus, json, parse_file};

#[test]
fn refused_files_are_refused_at_the_same_place() {
    let Some(corpus) = corpus() else { return };
    let mut meant = Meant::load();
    let mut different = Vec::new();
    let index = json(corpus.join("reject/index.json"));
    let cases = index.as_array().unwrap();
    for case in cases {
        let file = case["file"].as_str().unwrap();
        let parsed = parse_file(&corpus.join("reject").join(file));
        let wrong = match (case["stage"].as_str().unwrap(), parsed) {
            ("parse", Ok(_)) => Some("accepted".to_owned()),
            ("parse", Err(found)) => wrong_line(case, &found[0]),
            (_, Err(found)) => Some(format!("does not parse, line {}: {}", found[0].line, found[0].message)),
            (_, Ok(parsed)) => wrong_path(case, &model::job::validate(&parsed.job)),
        };
        let wrong = wrong.map(|wrong| format!("{wrong} ({})", case["wrong"].as_str().unwrap_or_default()));
        let name = format!("reject/{}", file.trim_end_matches(".nomad.hcl"));
        meant.judge(&name, wrong.into_iter().collect(), &mut different);
    }
    different.extend(meant.unseen("reject/"));
    conclude("refused files", cases.len(), &different);
}

/// The first mistake stands on one of the lines that are named, if any are.
fn wrong_line(case: &Json, first: &Diagnostic) -> Option<String> {
    let wanted: Vec<u64> = case["lines"].as_array().unwrap().iter().filter_map(Json::as_u64).collect();
    let in_vars = case["lines_in"] == "vars";
    let right = wanted.is_empty() || (wanted.contains(&(first.line as u64)) && first.file.is_some() == in_vars);
    (!right).then(|| format!("line {} instead of {wanted:?}: {}", first.line, first.message))
}

fn wrong_path(case: &Json, found: &[model::job::Violation]) -> Option<String> {
    let wanted = case["path"].as_str().unwrap();
    let right = match wanted {
        "several" => found.len() as u64 >= case["errors"].as_u64().unwrap_or(2),
        path => found.iter().any(|one| one.path == path),
    };
    let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
    (!right).then(|| format!("{wanted} is not among {paths:?}"))
}
