//! `job inspect`: a job as the server has it.

use std::process::ExitCode;

use anyhow::Result;
use api::escape;
use serde_json::Value;

use crate::args::JobInspect;
use crate::session::{Session, print_json};

/// Prints `{"Job": ...}`, which `job run -json` reads back.
pub async fn run(args: JobInspect) -> Result<ExitCode> {
    let session = Session::open(&args.read.connection)?;
    let job: Value = session.api.get(&format!("/v1/job/{}", escape(&args.job))).await?.body;
    print_json(&serde_json::json!({ "Job": job }))
}
