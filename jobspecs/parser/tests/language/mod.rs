//! The language in files of the project's own: jobs with the JSON they give, and a table of expressions with their
//! results. `BLESS=1 cargo test -p jobspec` writes both anew.

use std::path::{Path, PathBuf};

use jobspec::{ParseOptions, parse};
use serde_json::json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language")
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The job as written, as it is with defaults, and what is warned about.
#[test]
fn job_files_give_their_golden_jobs() {
    let files = crate::corpus::files(&folder(), ".nomad.hcl");
    assert!(files.len() >= 8, "only {} files found", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        let vars = path.with_file_name(name.replace(".nomad.hcl", ".vars"));
        let var_files = std::fs::read_to_string(vars).ok().map(|text| ("a.vars".to_owned(), text));
        let options = ParseOptions { var_files: var_files.into_iter().collect(), ..ParseOptions::default() };
        let parsed = parse(&source, &name, &options).unwrap_or_else(|found| {
            panic!("{name}:\n{}", found.iter().map(|one| one.render(&name, &source, false)).collect::<String>())
        });
        let mut canonical = parsed.job.clone();
        canonical.canonicalise();
        let warnings: Vec<String> =
            parsed.warnings.iter().map(|one| format!("{}: {}", one.line, one.message)).collect();
        let all = json!({ "warnings": warnings, "plain": parsed.job, "canonical": canonical });
        let text = serde_json::to_string_pretty(&without_nulls(all)).unwrap() + "\n";
        let golden = path.with_file_name(name.replace(".nomad.hcl", ".json"));
        if blessing() {
            std::fs::write(&golden, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&golden).unwrap_or_default(), "{name}: BLESS=1 writes the new result");
    }
}

/// Unset fields make golden files long and say nothing.
fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        serde_json::Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Each line is an expression, a tab, and its value as `jsonencode` prints it, or ERROR. Other lines group them.
#[test]
fn expressions_give_their_golden_values() {
    let context = std::fs::read_to_string(folder().join("context.hcl")).unwrap();
    let table = folder().join("expressions.tsv");
    let text = std::fs::read_to_string(&table).unwrap();
    let (mut found, mut count) = (String::new(), 0);
    for line in text.lines() {
        let Some((expression, _)) = line.split_once('\t') else {
            found.push_str(&format!("{line}\n"));
            continue;
        };
        count += 1;
        let source = format!("{context}job \"e\" {{\n  meta = {{\n    k = jsonencode({expression})\n  }}\n}}\n");
        let value = crate::corpus::meta(&source, "k", &ParseOptions::default()).unwrap_or_else(|_| "ERROR".to_owned());
        found.push_str(&format!("{expression}\t{value}\n"));
    }
    assert!(count >= 150, "only {count} expressions");
    if blessing() {
        std::fs::write(&table, &found).unwrap();
    }
    for (wanted, found) in text.lines().zip(found.lines()) {
        assert_eq!(wanted, found);
    }
}
