//! Tables of expressions, functions and variables with their results.

use jobspec::ParseOptions;
use serde_json::Value as Json;

use super::{Meant, conclude, corpus, meta, table};

fn compare_expressions(name: &str, context: &str) {
    let Some(corpus) = corpus() else { return };
    let mut meant = Meant::load();
    let mut different = Vec::new();
    let rows = table(corpus.join(name), false);
    for row in &rows {
        let [expression, wanted] = &row[..] else { panic!("a row of {name} has two cells: {row:?}") };
        let source = format!("{context}job \"f\" {{\n  meta = {{\n    k0 = jsonencode({expression})\n  }}\n}}\n");
        let result = meta(&source, "k0", &ParseOptions::default());
        let wrong = match (wanted.as_str(), result) {
            ("ERROR", Err(_)) => None,
            (wanted, Ok(text)) if wanted == text => None,
            (wanted, result) => Some(format!("{result:?} instead of {wanted}")),
        };
        meant.judge(&format!("{name}: {expression}"), wrong.into_iter().collect(), &mut different);
    }
    different.extend(meant.unseen(name));
    conclude(name, rows.len(), &different);
}

#[test]
fn functions_give_the_same_results() {
    compare_expressions("functions.tsv", "");
}

#[test]
fn expressions_give_the_same_results() {
    let Some(corpus) = corpus() else { return };
    let context = std::fs::read_to_string(corpus.join("expressions.context.hcl")).unwrap();
    compare_expressions("expressions.tsv", &context);
}

#[test]
fn text_from_outside_becomes_the_same_variable() {
    let Some(corpus) = corpus() else { return };
    let mut different = Vec::new();
    let rows = table(corpus.join("cli-variables.tsv"), true);
    for row in &rows {
        let [kind, text, by_flag, by_environment] = &row[..] else { panic!("a row has four cells: {row:?}") };
        let kind = if kind == "(none)" { String::new() } else { format!("  type = {kind}\n") };
        let source =
            format!("variable \"v\" {{\n{kind}}}\njob \"f\" {{\n  meta = {{\n    k = jsonencode(var.v)\n  }}\n}}\n");
        let variables = vec![("v".to_owned(), text.clone())];
        let flag = ParseOptions { variables, strict: true, ..ParseOptions::default() };
        let env = vec![("NOMAD_VAR_v".to_owned(), text.clone())];
        let environment = ParseOptions { env, strict: true, ..ParseOptions::default() };
        for (how, wanted, options) in [("flag", by_flag, flag), ("environment", by_environment, environment)] {
            let result = meta(&source, "k", &options);
            let right = match (wanted.as_str(), &result) {
                ("ERROR", result) => result.is_err(),
                (wanted, Ok(text)) => serde_json::from_str::<Json>(wanted).ok() == serde_json::from_str(text).ok(),
                _ => false,
            };
            if !right {
                different.push(format!("{kind:?} {text:?} by {how}: {result:?} instead of {wanted}"));
            }
        }
    }
    conclude("cli-variables.tsv", rows.len() * 2, &different);
}
