//! `eval status`: what the planner made of an evaluation, and why something was not placed.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::reasons;
use crate::args::EvalStatus;
use crate::output::json::{ago, id, number, text};
use crate::output::{fields, table};
use crate::session::{Session, print_json};

/// Shows one evaluation, or lists all.
pub async fn status(args: EvalStatus) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let verbose = args.read.verbose;
    let Some(prefix) = &args.eval else {
        let evals: Value = session.api.get("/v1/evaluations").await?.body;
        if args.read.json {
            return print_json(&evals);
        }
        let row = |eval: &Value| {
            let priority = number(eval, &["Priority"]).to_string();
            let cells = ["TriggeredBy", "JobID", "Status"].map(|name| text(eval, &[name]).to_owned());
            [id(eval, &["ID"], verbose), priority].into_iter().chain(cells).collect()
        };
        let rows: Vec<Vec<String>> = evals.as_array().into_iter().flatten().map(row).collect();
        println!("{}", table(&["ID", "Priority", "Triggered By", "Job ID", "Status"], &rows));
        return Ok(ExitCode::SUCCESS);
    };
    let stub = session.find("evaluation", "/v1/evaluations", prefix).await?;
    let eval: Value = session.api.get(&format!("/v1/evaluation/{}", text(&stub, &["ID"]))).await?.body;
    if args.read.json {
        return print_json(&eval);
    }
    println!(
        "{}",
        fields(&[
            ("ID", id(&eval, &["ID"], verbose)),
            ("Created", ago(number(&eval, &["CreateTime"]))),
            ("Status", text(&eval, &["Status"]).to_owned()),
            ("Status Description", text(&eval, &["StatusDescription"]).to_owned()),
            ("Type", text(&eval, &["Type"]).to_owned()),
            ("Triggered By", text(&eval, &["TriggeredBy"]).to_owned()),
            ("Job ID", text(&eval, &["JobID"]).to_owned()),
            ("Priority", number(&eval, &["Priority"]).to_string()),
            ("Blocked Eval", id(&eval, &["BlockedEval"], verbose)),
        ])
    );
    let failed = eval.get("FailedTGAllocs").unwrap_or(&Value::Null);
    let lines = reasons::lines(failed, session.style);
    if !lines.is_empty() {
        println!("\n{}\n{}", session.style.bold("Not placed"), lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}
