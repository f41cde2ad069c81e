//! `explain`: why a copy is where it is, why not elsewhere, and what would have to change. `replay`: whether a recorded
//! decision comes out the same when it is made again.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::Value;

use super::reasons;
use crate::args::{Explain, Replay};
use crate::output::Style;
use crate::output::json::{entries, id, items, number, text};
use crate::session::{Session, print_json};

/// Names of nodes by id.
type Names = BTreeMap<String, String>;

/// Explains a job, an allocation or an evaluation.
pub async fn run(args: Explain) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let (path, noun) = find(&session, &args.target).await?;
    let query = args.node.as_deref().map(|node| format!("?node={}", api::escape(node))).unwrap_or_default();
    let answer: Value = session.api.get(&format!("{path}/explain{query}")).await?.body;
    if args.read.json {
        return print_json(&answer);
    }
    let nodes: Vec<Value> = session.api.get("/v1/nodes").await?.body;
    let names = nodes.iter().map(|node| (text(node, &["ID"]).to_owned(), text(node, &["Name"]).to_owned())).collect();
    println!("{}", head(&answer, noun, args.read.verbose));
    for group in items(&answer, &["Groups"]) {
        let placed = items(&answer, &["Placed"]).filter(|alloc| text(alloc, &["TaskGroup"]) == text(group, &["Name"]));
        for line in of_group(group, placed.collect(), noun, &names, session.style) {
            println!("{line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is meant: a job by its name, else an allocation, else an evaluation.
async fn find(session: &Session, target: &str) -> Result<(String, &'static str)> {
    match session.api.get::<Value>(&format!("/v1/job/{}", api::escape(target))).await {
        Ok(_) => return Ok((format!("/v1/job/{}", api::escape(target)), "job")),
        Err(api::Error::Refused { status: 404, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for (noun, list, path) in
        [("allocation", "/v1/allocations", "/v1/allocation"), ("evaluation", "/v1/evaluations", "/v1/evaluation")]
    {
        let all: Vec<Value> = session.api.get(list).await?.body;
        let ids: Vec<&str> = all
            .iter()
            .map(|item| text(item, &["ID"]))
            .filter(|id| !target.is_empty() && id.starts_with(target))
            .collect();
        match ids.as_slice() {
            [] => {}
            [one] => return Ok((format!("{path}/{one}"), noun)),
            many => bail!("{} {noun}s start with {target:?}: {}", many.len(), many.join(", ")),
        }
    }
    bail!("there is no job {target:?}, and no allocation or evaluation has an id that starts so")
}

fn head(answer: &Value, noun: &str, verbose: bool) -> String {
    let job = text(answer, &["JobID"]);
    match noun {
        "allocation" => format!(
            "Allocation {} ({}) of job {job:?} is on {}",
            id(answer, &["AllocID"], verbose),
            text(answer, &["Name"]),
            text(answer, &["NodeName"])
        ),
        "evaluation" => format!(
            "Evaluation {} of job {job:?}: {} ({})",
            id(answer, &["EvalID"], verbose),
            text(answer, &["Status"]),
            text(answer, &["TriggeredBy"])
        ),
        _ => format!("Job {job:?}"),
    }
}

fn of_group(group: &Value, placed: Vec<&Value>, noun: &str, names: &Names, style: Style) -> Vec<String> {
    let mut out = vec![String::new(), style.bold(&format!("Group {:?}", text(group, &["Name"])))];
    if let Some(recorded) = group.get("Recorded").filter(|metric| metric.is_object()) {
        out.push(if noun == "allocation" { "  when it was placed:" } else { "  what cannot be placed:" }.to_owned());
        out.extend(of_metric(recorded, names));
    }
    for alloc in placed {
        out.push(format!("  placed {} on {}:", text(alloc, &["Name"]), text(alloc, &["NodeName"])));
        out.extend(of_metric(alloc.get("Metric").unwrap_or(&Value::Null), names));
    }
    let now = if noun == "allocation" { "  if it were placed now:" } else { "  one more copy would find now:" };
    out.push(now.to_owned());
    out.extend(of_metric(group.get("Now").unwrap_or(&Value::Null), names));
    if let Some(node) = group.get("Node").filter(|node| node.is_object()) {
        out.extend(of_node(node, style));
    }
    out
}

/// Counts and reasons, then the best nodes with each part of their scores.
fn of_metric(metric: &Value, names: &Names) -> Vec<String> {
    let mut out = reasons::of_metric(metric);
    let scores: Vec<&Value> = items(metric, &["ScoreMetaData"]).collect();
    let name = |score: &Value| {
        let id = text(score, &["NodeID"]);
        names.get(id).cloned().unwrap_or_else(|| id.chars().take(8).collect())
    };
    let width = scores.iter().map(|score| name(score).chars().count()).max().unwrap_or(0);
    for (rank, score) in scores.iter().enumerate() {
        let total = score.get("NormScore").and_then(Value::as_f64).unwrap_or_default();
        let parts = entries(score, &["Scores"]).filter_map(|(part, value)| Some((part.as_str(), value.as_f64()?)));
        let parts = counted(parts.collect(), total).join(", ");
        out.push(format!("    {}. {:width$}  {total:.3}  = mean of {parts}", rank + 1, name(score)));
    }
    out
}

/// The parts that a score is the mean of. A part of 0 does not count, but for those that are there only when they do and
/// for the affinity of a job that has some; the balance goes with the fit.
fn counted(parts: Vec<(&str, f64)>, total: f64) -> Vec<String> {
    let counts = |part: &str, value: f64| value != 0.0 || ["binpack", "devices", "preemption"].contains(&part);
    let shown: Vec<_> = parts.into_iter().filter(|(part, value)| counts(part, *value)).collect();
    let terms = shown.iter().filter(|(part, _)| *part != "balance").count().max(1);
    let mean = shown.iter().map(|(_, value)| value).sum::<f64>() / terms as f64;
    let unmatched = (mean - total).abs() > 1e-9;
    let texts = shown.iter().map(|(part, value)| format!("{part} {value:.3}"));
    texts.chain(unmatched.then(|| "node-affinity 0.000".to_owned())).collect()
}

fn of_node(node: &Value, style: Style) -> Vec<String> {
    let name = text(node, &["NodeName"]);
    let metric = node.get("Metric").unwrap_or(&Value::Null);
    let reasons = |what: &str| -> String {
        let reasons: Vec<&str> = entries(metric, &[what]).map(|(reason, _)| reason.as_str()).collect();
        reasons.join(", ")
    };
    let mut out = vec![match text(node, &["Verdict"]) {
        "fits" => {
            let (rank, of) = (number(node, &["Rank"]), number(node, &["Fitting"]));
            format!("  {} {name} would do: place {rank} of {of}", style.good("✓"))
        }
        "filtered" => format!("  {} {name} may not run it: {}", style.bad("✗"), reasons("ConstraintFiltered")),
        "exhausted" => format!("  {} {name} has no room: {}", style.bad("✗"), reasons("DimensionExhausted")),
        _ => format!("  {} {name} is not looked at: {}", style.bad("✗"), text(node, &["Reason"])),
    }];
    if text(node, &["Verdict"]) != "apart" {
        out.extend(items(metric, &["Help"]).filter_map(Value::as_str).map(|help| format!("  help: {help}")));
    }
    out
}

/// Makes a recorded decision again. Exit code 1 when it comes out differently.
pub async fn replay(args: Replay) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let stub = session.find("evaluation", "/v1/evaluations", &args.eval).await?;
    let answer: Value = session.api.get(&format!("/v1/evaluation/{}/replay", text(&stub, &["ID"]))).await?.body;
    let equal = answer.get("Equal").and_then(Value::as_bool).unwrap_or(false);
    let code = if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if args.read.json {
        print_json(&answer)?;
        return Ok(code);
    }
    let mark = if equal { session.style.good("✓") } else { session.style.bad("✗") };
    let verdict = if equal { "comes out the same, to the last bit" } else { "comes out differently" };
    println!(
        "{mark} Evaluation {} of job {:?} {verdict}",
        id(&answer, &["EvalID"], args.read.verbose),
        text(&answer, &["JobID"])
    );
    println!("  made from the state at index {}", number(&answer, &["BaseIndex"]));
    for (what, key) in [("recorded", "Recorded"), ("replayed", "Replayed")] {
        let placed: Vec<String> = items(&answer, &[key, "Placed"])
            .map(|one| format!("{} on {}", text(one, &["Name"]), text(one, &["NodeName"])))
            .collect();
        let placed = if placed.is_empty() { "nothing".to_owned() } else { placed.join(", ") };
        println!("  {what}  {}  placed {placed}", &text(&answer, &[key, "Hash"]).chars().take(16).collect::<String>());
    }
    for difference in items(&answer, &["Differences"]).filter_map(Value::as_str) {
        println!("  {difference}");
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_shown_have_the_mean_shown() {
        assert_eq!(
            counted(vec![("binpack", 0.5), ("node-affinity", 0.0)], 0.25),
            ["binpack 0.500", "node-affinity 0.000"]
        );
        assert_eq!(counted(vec![("binpack", 0.5), ("node-affinity", 0.0)], 0.5), ["binpack 0.500"]);
        let unmatched = vec![("binpack", 0.5), ("devices", 0.0), ("node-affinity", 0.0)];
        assert_eq!(counted(unmatched, 0.25), ["binpack 0.500", "devices 0.000"]);
        let balanced = vec![("balance", -0.1), ("binpack", 0.5), ("job-anti-affinity", -1.0)];
        assert_eq!(counted(balanced, -0.3), ["balance -0.100", "binpack 0.500", "job-anti-affinity -1.000"]);
    }
}
