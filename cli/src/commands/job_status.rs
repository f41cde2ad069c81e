//! `job status`: all jobs, or one with its groups and allocations.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use api::escape;
use serde_json::Value;

use super::reasons;
use crate::args::JobStatus;
use crate::output::json::{ago, entries, id, number, text};
use crate::output::{fields, table};
use crate::session::{Session, print_json};

/// Lists jobs, or shows one.
pub async fn run(args: JobStatus) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    match &args.job {
        None => list(&session, args.read.json).await,
        Some(job) => show(&session, job, args.read.json, args.read.verbose).await,
    }
}

async fn list(session: &Session, json: bool) -> Result<ExitCode> {
    let jobs: Value = session.api.get("/v1/jobs").await?.body;
    if json {
        return print_json(&jobs);
    }
    let row = |job: &Value| {
        let submitted = ago(number(job, &["SubmitTime"]));
        [
            text(job, &["ID"]),
            text(job, &["Type"]),
            &number(job, &["Priority"]).to_string(),
            text(job, &["Status"]),
            &submitted,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let rows: Vec<Vec<String>> = jobs.as_array().into_iter().flatten().map(row).collect();
    match rows.is_empty() {
        true => println!("No jobs.  Start with:  drover job init && drover job run web.nomad.hcl"),
        false => println!("{}", table(&["ID", "Type", "Priority", "Status", "Submitted"], &rows)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(session: &Session, name: &str, json: bool, verbose: bool) -> Result<ExitCode> {
    let path = format!("/v1/job/{}", escape(name));
    let job: Value = match session.api.get(&path).await {
        Ok(answer) => answer.body,
        Err(error) if error.is_not_found() => {
            return Err(anyhow!("no job is called {name:?}; `drover job status` lists them"));
        }
        Err(error) => return Err(error.into()),
    };
    let allocs: Value = session.api.get(&format!("{path}/allocations")).await?.body;
    if json {
        return print_json(&serde_json::json!({ "Job": job, "Allocations": allocs }));
    }
    let summary: Value = session.api.get(&format!("{path}/summary")).await?.body;
    println!(
        "{}",
        fields(&[
            ("ID", text(&job, &["ID"]).to_owned()),
            ("Name", text(&job, &["Name"]).to_owned()),
            ("Type", text(&job, &["Type"]).to_owned()),
            ("Priority", number(&job, &["Priority"]).to_string()),
            ("Status", text(&job, &["Status"]).to_owned()),
            ("Version", number(&job, &["Version"]).to_string()),
            ("Submitted", ago(number(&job, &["SubmitTime"]))),
        ])
    );
    println!("\n{}\n{}", session.style.bold("Summary"), summary_table(&summary));
    show_unplaced(session, &path).await?;
    println!("\n{}\n{}", session.style.bold("Allocations"), alloc_table(&allocs, verbose));
    Ok(ExitCode::SUCCESS)
}

/// The reasons of the newest evaluation that still waits for room.
async fn show_unplaced(session: &Session, path: &str) -> Result<()> {
    let evals: Vec<Value> = session.api.get(&format!("{path}/evaluations")).await?.body;
    let blocked = evals.iter().filter(|eval| text(eval, &["Status"]) == "blocked");
    if let Some(eval) = blocked.max_by_key(|eval| number(eval, &["CreateIndex"])) {
        println!("\n{}", session.style.bold("Waiting"));
        for line in reasons::lines(eval.get("FailedTGAllocs").unwrap_or(&Value::Null), session.style) {
            println!("{line}");
        }
    }
    Ok(())
}

fn summary_table(summary: &Value) -> String {
    const COUNTS: [&str; 6] = ["Queued", "Starting", "Running", "Complete", "Failed", "Lost"];
    let row = |(group, counts): (&String, &Value)| {
        let numbers = COUNTS.iter().map(|name| number(counts, &[name]).to_string());
        std::iter::once(group.clone()).chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = entries(summary, &["Summary"]).map(row).collect();
    table(&["Task Group", "Queued", "Starting", "Running", "Complete", "Failed", "Lost"], &rows)
}

/// A table of allocation stubs, the newest first.
pub fn alloc_table(allocs: &Value, verbose: bool) -> String {
    let mut sorted: Vec<&Value> = allocs.as_array().into_iter().flatten().collect();
    sorted.sort_by_key(|alloc| std::cmp::Reverse(number(alloc, &["CreateIndex"])));
    let row = |alloc: &&Value| {
        vec![
            id(alloc, &["ID"], verbose),
            id(alloc, &["NodeID"], verbose),
            text(alloc, &["TaskGroup"]).to_owned(),
            number(alloc, &["JobVersion"]).to_string(),
            text(alloc, &["DesiredStatus"]).to_owned(),
            text(alloc, &["ClientStatus"]).to_owned(),
            ago(number(alloc, &["CreateTime"])),
            ago(number(alloc, &["ModifyTime"])),
        ]
    };
    let rows: Vec<Vec<String>> = sorted.iter().map(row).collect();
    table(&["ID", "Node ID", "Task Group", "Version", "Desired", "Status", "Created", "Modified"], &rows)
}
