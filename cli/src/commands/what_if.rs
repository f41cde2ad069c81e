//! `what-if`: how the cluster would settle if nodes went or came. Nothing is changed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::reasons;
use crate::args::{Read, WhatIfCommand};
use crate::output::json::{items, number, text};
use crate::output::table;
use crate::session::{Session, print_json};

/// Asks the server and prints what would move, stop and wait.
pub async fn run(question: WhatIfCommand) -> Result<ExitCode> {
    let (read, body, event) = asked(question)?;
    let session = Session::open(&read.connection)?;
    let answer: Value = session.api.put("/v1/what-if", &body).await?.body;
    if read.json {
        return print_json(&answer);
    }
    let rows = |key: &str, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        items(&answer, &[key]).map(row).collect()
    };
    let placed = rows("Placed", &|one| {
        let from = match text(one, &["From"]) {
            "" => "-",
            from => from,
        };
        [text(one, &["Name"]), from, text(one, &["To"])].map(str::to_owned).into()
    });
    let stopped =
        rows("Stopped", &|one| ["Name", "NodeName", "Description"].map(|key| text(one, &[key]).to_owned()).into());
    println!("{} {event}:", session.style.bold("If"));
    println!("  {} would be placed", copies(placed.len() as i64));
    if !placed.is_empty() {
        println!("{}", indent(&table(&["Copy", "From", "To"], &placed)));
    }
    if !stopped.is_empty() {
        println!("  {} would stop with nothing in its place", copies(stopped.len() as i64));
        println!("{}", indent(&table(&["Copy", "Node", "Why"], &stopped)));
    }
    for waiting in items(&answer, &["Waiting"]) {
        let (count, before) = (number(waiting, &["Count"]), number(waiting, &["Before"]));
        let already = if before > 0 { format!(" ({before} already do)") } else { String::new() };
        let (job, group) = (text(waiting, &["JobID"]), text(waiting, &["TaskGroup"]));
        println!(
            "  {} {} of job {job:?}, group {group:?} would wait for room{already}",
            session.style.bad("✗"),
            copies(count)
        );
        for line in reasons::of_metric(waiting.get("Metric").unwrap_or(&Value::Null)) {
            println!("{line}");
        }
    }
    println!("Nothing was changed.");
    Ok(ExitCode::SUCCESS)
}

/// The flags, the body to send, and the event in words.
fn asked(question: WhatIfCommand) -> Result<(Read, Value, String)> {
    Ok(match question {
        WhatIfCommand::NodeDown(args) => {
            let event = format!("{} were down", args.node);
            (args.read, json!({"Down": [args.node]}), event)
        }
        WhatIfCommand::Drain(args) => {
            let event = format!("{} were drained", args.node);
            (args.read, json!({"Drain": [args.node]}), event)
        }
        WhatIfCommand::AddNodes(args) => {
            let like = match args.like.as_slice() {
                [node] if node != "like" => node,
                [word, node] if word == "like" => node,
                _ => bail!("say which node they look like, as in `drover what-if add-nodes 3 like node-1`"),
            };
            let event = format!("{} {} like {like} joined", args.count, reasons::plural(args.count as i64, "node"));
            (args.read, json!({"Add": {"Count": args.count, "Like": like}}), event)
        }
    })
}

fn copies(count: i64) -> String {
    if count == 1 { "1 copy".to_owned() } else { format!("{count} copies") }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
