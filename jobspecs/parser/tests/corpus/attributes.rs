//! Each attribute of the language: its kind, whether null is accepted, where it goes.

use jobspec::{ParseOptions, Parsed, parse_bytes};
use serde_json::Value as Json;

use super::{conclude, corpus, differences, table};

/// Blocks that carry a label, which is then their name.
const LABELLED: &[&str] = &[
    "group",
    "task",
    "port",
    "reserved_ports",
    "volume",
    "device",
    "target",
    "region",
    "action",
    "secret",
    "envoy_gateway_bind_addresses",
];

/// Attributes that a block cannot do without, by block and name.
const NEEDED: &[(&str, &str)] = &[("lifecycle", "hook"), ("action", "command")];

/// The blocks from the job down to the one that the table calls `path`.
fn chain(path: &str) -> Vec<String> {
    let full = match path.split('.').next().unwrap() {
        "job" => path.to_owned(),
        "task" => format!("job.group.{path}"),
        "connect" => {
            let inside = match path.split('.').nth(1) {
                Some("upstreams" | "transparent_proxy") => {
                    path.replacen("connect.", "connect.sidecar_service.proxy.", 1)
                }
                Some("proxy") => path.replacen("connect.", "connect.sidecar_service.", 1),
                _ => path.to_owned(),
            };
            format!("job.group.service.{inside}")
        }
        "gateway" => format!("job.group.service.connect.{path}"),
        "service" => format!("job.group.{path}"),
        _ => format!("job.{path}"),
    };
    full.split('.').map(str::to_owned).collect()
}

/// A job in which the block at `path` holds `inside`.
fn source(path: &str, inside: &str) -> String {
    let chain = chain(path);
    let mut text = String::new();
    for (depth, block) in chain.iter().enumerate() {
        let parent = if depth == 0 { "" } else { chain[depth - 1].as_str() };
        let label = match (block.as_str(), parent) {
            ("job", _) => " \"j\"",
            ("scaling", "task") => " \"cpu\"",
            (block, _) if LABELLED.contains(&block) => " \"n\"",
            _ => "",
        };
        text.push_str(&format!("{block}{label} {{\n"));
        let set = inside.split(' ').next().unwrap_or_default();
        for (_, name) in NEEDED.iter().filter(|(of, name)| of == block && (depth + 1 < chain.len() || *name != set)) {
            text.push_str(&format!("{name} = \"needed\"\n"));
        }
        if block == "scaling" && parent == "group" && set != "max" {
            text.push_str("max = 1\n");
        }
    }
    text.push_str(inside);
    text.push('\n');
    chain.iter().skip(1).for_each(|_| text.push_str("}\n"));
    // What the job passes on to its tasks needs one.
    if matches!(path, "job.vault" | "job.secret") {
        text.push_str("task \"t\" {}\n");
    }
    text + "}\n"
}

fn read(path: &str, inside: &str) -> Result<Parsed, String> {
    let source = source(path, inside);
    parse_bytes(source.as_bytes(), "test", &ParseOptions::default())
        .map_err(|found| format!("line {}: {}", found[0].line, found[0].message))
}

/// A value of a kind, and one that must be refused.
fn samples(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "text" => ("\"x\"", "[\"x\"]"),
        "duration" => ("\"90s\"", "\"soon\""),
        "truth value" => ("true", "7"),
        "whole number" => ("7", "7.5"),
        "list of text" => ("[\"x\"]", "\"x\""),
        "list of whole numbers" => ("[7]", "[0.5]"),
        "map of text" => ("{ x = \"y\" }", "\"x\""),
        kind if kind.starts_with("whole number") => ("7", "\"x\""),
        other => panic!("the kind {other} is not known"),
    }
}

fn json(parsed: &Parsed) -> Json {
    serde_json::to_value(&parsed.job).unwrap()
}

/// What is wrong with one row of the table.
fn wrong(row: &[String]) -> Vec<String> {
    let [path, name, kind, null, place] = row else { panic!("a row has five cells: {row:?}") };
    let (good, bad) = samples(kind);
    // The type of a scaling block must be the one that follows from its place.
    let good = match (path.as_str(), name.as_str()) {
        ("group.scaling", "type") => "\"horizontal\"",
        ("task.scaling", "type") => "\"vertical_cpu\"",
        _ => good,
    };
    // Where the value is the default, another one shows where it goes.
    let others = [good, if kind == "truth value" { "false" } else { good }];
    let mut found = Vec::new();
    let mut changed = Vec::new();
    for good in others {
        match (read(path, &format!("{name} = {good}")), read(path, "")) {
            (Err(why), _) | (_, Err(why)) => found.push(format!("{good} is refused: {why}")),
            (Ok(with), Ok(without)) => changed.extend(differences(&json(&with), &json(&without))),
        }
    }
    let names: Vec<&str> = place.split([' ', '.']).collect();
    let last = &names[names.len().saturating_sub(2)..];
    let at_place = changed.iter().any(|change| last.iter().any(|name| change.contains(name)));
    let fixed = ["\"horizontal\"", "\"vertical_cpu\""].contains(&good);
    if place == "-" && !changed.is_empty() {
        found.push(format!("it should change nothing, and changes {changed:?}"));
    } else if place != "-" && !at_place && !fixed && found.is_empty() {
        found.push(format!("it should go to {place}, and changes {changed:?}"));
    }
    if read(path, &format!("{name} = {bad}")).is_ok() {
        found.push(format!("{bad} is accepted"));
    }
    match (null.as_str(), read(path, &format!("{name} = null"))) {
        ("yes", Err(why)) => found.push(format!("null is refused: {why}")),
        ("no", Ok(_)) => found.push("null is accepted".to_owned()),
        _ => {}
    }
    found
}

#[test]
fn attributes_have_the_same_kinds_and_places() {
    let Some(corpus) = corpus() else { return };
    let rows = table(corpus.join("attributes.tsv"), true);
    let mut different = Vec::new();
    for row in &rows {
        different.extend(wrong(row).into_iter().map(|why| format!("{}.{}: {why}", row[0], row[1])));
    }
    conclude("attributes.tsv", rows.len(), &different);
}
