//! `job plan`: what running a job file would do, with reasons for what could not be placed.

use std::process::ExitCode;

use anyhow::Result;
use api::escape;
use model::api::JobRequest;
use serde_json::Value;

use super::job_file::{self, Purpose};
use super::reasons;
use crate::args::JobPlan;
use crate::output::json::{entries, items, number, text};
use crate::session::{Session, print_json};

/// Exit code 0 when nothing would change, 1 when something would, 255 on errors, as Nomad's.
pub async fn run(args: JobPlan) -> Result<ExitCode> {
    let planned = plan(args).await;
    Ok(planned.unwrap_or_else(|error| {
        crate::complain(&error);
        ExitCode::from(255)
    }))
}

async fn plan(args: JobPlan) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let loaded = job_file::load(&args.file, Purpose::Run, session.style)?;
    let id = loaded.job.id.clone().unwrap_or_default();
    let request = JobRequest { job: Some(Box::new(loaded.job)), diff: true, ..JobRequest::default() };
    let plan: Value = session.api.put(&format!("/v1/job/{}/plan?placements=true", escape(&id)), &request).await?.body;
    if args.json_output {
        return print_json(&plan);
    }
    let mut changes = 0;
    match text(&plan, &["Diff", "Type"]) {
        "Added" => println!("+ job {id:?} is new"),
        _ => show_diff(plan.get("Diff").unwrap_or(&Value::Null), 0),
    }
    for (group, updates) in entries(&plan, &["Annotations", "DesiredTGUpdates"]) {
        let counts: Vec<String> = updates
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, count)| count.as_i64().unwrap_or(0) > 0)
            .map(|(kind, count)| format!("{count} {}", words(kind)))
            .collect();
        changes += entries(&plan, &["Annotations", "DesiredTGUpdates", group])
            .filter(|(kind, count)| *kind != "Ignore" && count.as_i64().unwrap_or(0) > 0)
            .count();
        println!("group {group:?}: {}", if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") });
    }
    for copy in items(&plan, &["Placements"]) {
        println!("    {} → {}", text(copy, &["Name"]), text(copy, &["NodeName"]));
    }
    for victim in items(&plan, &["Annotations", "PreemptedAllocs"]) {
        println!("    {} on {} makes way", text(victim, &["Name"]), text(victim, &["NodeName"]));
    }
    let failed = plan.get("FailedTGAllocs").unwrap_or(&Value::Null);
    for line in reasons::lines(failed, session.style) {
        println!("{line}");
    }
    println!(
        "Run exactly this:  drover job run -check-index {} {}",
        number(&plan, &["JobModifyIndex"]),
        args.file.path
    );
    Ok(ExitCode::from(u8::from(changes > 0)))
}

fn words(kind: &str) -> &str {
    match kind {
        "Ignore" => "unchanged",
        "Place" => "to place",
        "Stop" => "to stop",
        "Migrate" => "to migrate",
        "InPlaceUpdate" => "to update in place",
        "DestructiveUpdate" => "to replace",
        other => other,
    }
}

/// Prints fields and objects of a diff that are not `None`, indented.
fn show_diff(diff: &Value, depth: usize) {
    let sign = |kind: &str| match kind {
        "Added" => "+",
        "Deleted" => "-",
        _ => "~",
    };
    let indent = "  ".repeat(depth);
    for field in items(diff, &["Fields"]).filter(|field| text(field, &["Type"]) != "None") {
        let (old, new) = (text(field, &["Old"]), text(field, &["New"]));
        println!("{indent}{} {}: {old:?} → {new:?}", sign(text(field, &["Type"])), text(field, &["Name"]));
    }
    for list in ["Objects", "TaskGroups", "Tasks"] {
        for object in items(diff, &[list]).filter(|object| text(object, &["Type"]) != "None") {
            println!("{indent}{} {}", sign(text(object, &["Type"])), text(object, &["Name"]));
            show_diff(object, depth + 1);
        }
    }
}
