//! `alloc status|logs|stop|restart`: one allocation.

use std::process::ExitCode;

use anyhow::{Result, bail};
use api::LogQuery;
use serde_json::Value;

use super::job_status::alloc_table;
use super::logs::{Lines, print_stream};
use crate::args::{AllocLogs, AllocRestart, AllocStatus, AllocStop};
use crate::output::json::{ago, entries, id, items, number, text, truth};
use crate::output::{fields, table};
use crate::session::{Session, print_json};

/// Shows one allocation, or lists all.
pub async fn status(args: AllocStatus) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let Some(prefix) = &args.alloc else {
        let allocs: Value = session.api.get("/v1/allocations").await?.body;
        if args.read.json {
            return print_json(&allocs);
        }
        println!("{}", alloc_table(&allocs, args.read.verbose));
        return Ok(ExitCode::SUCCESS);
    };
    let alloc = full(&session, prefix).await?;
    if args.read.json {
        return print_json(&alloc);
    }
    println!(
        "{}",
        fields(&[
            ("ID", id(&alloc, &["ID"], args.read.verbose)),
            ("Name", text(&alloc, &["Name"]).to_owned()),
            ("Eval ID", id(&alloc, &["EvalID"], args.read.verbose)),
            ("Node", format!("{} ({})", text(&alloc, &["NodeName"]), id(&alloc, &["NodeID"], args.read.verbose))),
            ("Job ID", text(&alloc, &["JobID"]).to_owned()),
            ("Client Status", text(&alloc, &["ClientStatus"]).to_owned()),
            ("Client Description", text(&alloc, &["ClientDescription"]).to_owned()),
            ("Desired Status", text(&alloc, &["DesiredStatus"]).to_owned()),
            ("Desired Description", text(&alloc, &["DesiredDescription"]).to_owned()),
            ("Created", ago(number(&alloc, &["CreateTime"]))),
            ("Modified", ago(number(&alloc, &["ModifyTime"]))),
            ("Healthy", truth(&alloc, &["DeploymentStatus", "Healthy"]).to_string()),
        ])
    );
    show_ports(&alloc);
    for (task, state) in entries(&alloc, &["TaskStates"]) {
        show_task(&session, task, state);
    }
    Ok(ExitCode::SUCCESS)
}

fn show_ports(alloc: &Value) {
    let row = |port: &Value| {
        let address = format!("{}:{}", text(port, &["HostIP"]), number(port, &["Value"]));
        vec![text(port, &["Label"]).to_owned(), address, number(port, &["To"]).to_string()]
    };
    let rows: Vec<Vec<String>> = items(alloc, &["AllocatedResources", "Shared", "Ports"]).map(row).collect();
    if !rows.is_empty() {
        println!("\n{}", table(&["Label", "Address", "To"], &rows));
    }
}

fn show_task(session: &Session, task: &str, state: &Value) {
    let failed = if truth(state, &["Failed"]) { ", failed" } else { "" };
    let restarts = number(state, &["Restarts"]);
    let title = format!("Task {task:?} is {}{failed}, {restarts} restarts", text(state, &["State"]));
    println!("\n{}", session.style.bold(&title));
    let row = |event: &Value| {
        vec![
            ago(number(event, &["Time"])),
            text(event, &["Type"]).to_owned(),
            text(event, &["DisplayMessage"]).to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = items(state, &["Events"]).map(row).collect();
    println!("{}", table(&["Time", "Type", "Description"], &rows));
}

/// Prints or follows the output of one task.
pub async fn logs(args: AllocLogs) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let alloc = full(&session, &args.alloc).await?;
    let tasks: Vec<&String> = entries(&alloc, &["TaskStates"]).map(|(task, _)| task).collect();
    let task = match (&args.task, tasks.as_slice()) {
        (Some(task), _) => task.clone(),
        (None, [task]) => (*task).clone(),
        (None, []) => bail!("the allocation has no tasks yet"),
        (None, many) => bail!("the allocation has several tasks; name one of {many:?}"),
    };
    let query = LogQuery {
        alloc: text(&alloc, &["ID"]).to_owned(),
        task,
        kind: if args.stderr { "stderr" } else { "stdout" },
        follow: args.follow,
        from_end: None,
    };
    let lines = if args.json { Lines::Json(query.clone()) } else { Lines::AsTheyAre };
    print_stream(session.api.logs(&query).await?, &lines).await?;
    Ok(ExitCode::SUCCESS)
}

/// Stops an allocation; the planner places another.
pub async fn stop(args: AllocStop) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let alloc = full(&session, &args.alloc).await?;
    let path = format!("/v1/allocation/{}/stop", text(&alloc, &["ID"]));
    let reply: Value = session.api.put(&path, &Value::Null).await?.body;
    println!("allocation {} is stopping, evaluation {}", id(&alloc, &["ID"], false), id(&reply, &["EvalID"], false));
    Ok(ExitCode::SUCCESS)
}

/// Restarts tasks in place.
pub async fn restart(args: AllocRestart) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let alloc = full(&session, &args.alloc).await?;
    let path = format!("/v1/client/allocation/{}/restart", text(&alloc, &["ID"]));
    let body = serde_json::json!({ "TaskName": args.task.unwrap_or_default() });
    session.api.put::<Value>(&path, &body).await?;
    println!("allocation {} restarts", id(&alloc, &["ID"], false));
    Ok(ExitCode::SUCCESS)
}

async fn full(session: &Session, prefix: &str) -> Result<Value> {
    let stub = session.find("allocation", "/v1/allocations", prefix).await?;
    Ok(session.api.get(&format!("/v1/allocation/{}", text(&stub, &["ID"]))).await?.body)
}
