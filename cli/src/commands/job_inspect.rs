//! `job inspect`: a job as the server has it, as JSON or as HCL.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use api::escape;
use model::api::JobSubmission;
use model::job::Job;
use serde_json::Value;

use crate::args::JobInspect;
use crate::session::{Session, print_json};

/// Prints `{"Job": ...}`, which `job run -json` reads back, or with `-hcl` a job file that says the same.
pub async fn run(args: JobInspect) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let path = format!("/v1/job/{}", escape(&args.job));
    let job: Value = match session.api.get(&path).await {
        Ok(answer) => answer.body,
        Err(error) if error.is_not_found() => {
            return Err(anyhow!("no job is called {:?}; `drover job status` lists them", args.job));
        }
        Err(error) => return Err(error.into()),
    };
    if !args.hcl {
        return print_json(&serde_json::json!({ "Job": job }));
    }
    let version = job.get("Version").and_then(Value::as_u64).unwrap_or(0);
    let stored: Job = serde_json::from_value(job)?;
    let submission = session.api.get::<JobSubmission>(&format!("{path}/submission?version={version}")).await;
    let written = submission.ok().map(|answer| answer.body).filter(|written| says(written, &stored));
    match written {
        Some(written) => print!("{}", written.source),
        None => print!("{}", jobspec::write(&stored).map_err(|why| anyhow!("job {:?}: {why}", args.job))?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the text that was submitted makes the job on its own: it is HCL, and no variable came from outside.
fn says(written: &JobSubmission, stored: &Job) -> bool {
    let alone = written.variables.is_empty() && written.variable_flags.as_ref().is_none_or(|flags| flags.is_empty());
    let parsed = jobspec::parse(&written.source, "", &jobspec::ParseOptions::default());
    alone && written.format == "hcl2" && parsed.is_ok_and(|parsed| parsed.job.id == stored.id)
}
