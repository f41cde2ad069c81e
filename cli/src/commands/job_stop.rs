//! `job stop`: deregisters a job and waits until all its allocations have ended.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use api::escape;
use serde_json::Value;

use crate::args::JobStop;
use crate::output::json::text;
use crate::session::Session;

/// Exit code 0 when everything has ended (or with `-detach`), 1 otherwise.
pub async fn run(args: JobStop) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let path = format!("/v1/job/{}", escape(&args.job));
    let job = session.api.get::<Value>(&path).await;
    if job.as_ref().is_err_and(api::Error::is_not_found) {
        return Err(anyhow!("no job is called {:?}; `drover job status` lists them", args.job));
    }
    job?;
    let answer = session.api.delete::<Value>(&format!("{path}?purge={}", args.purge)).await?;
    if args.detach {
        println!("job {:?} is stopping, evaluation {}", args.job, text(&answer.body, &["EvalID"]));
        return Ok(ExitCode::SUCCESS);
    }
    let mut index = 0;
    loop {
        let allocs = session
            .api
            .get_newer::<Vec<Value>>(&format!("{path}/allocations?all=true"), index, Duration::from_secs(60))
            .await?;
        index = allocs.index.max(1);
        let live = |alloc: &&Value| matches!(text(alloc, &["ClientStatus"]), "running" | "pending" | "unknown");
        if allocs.body.iter().filter(live).count() == 0 {
            println!("{} job {:?} stopped", session.style.good("✓"), args.job);
            return Ok(ExitCode::SUCCESS);
        }
    }
}
