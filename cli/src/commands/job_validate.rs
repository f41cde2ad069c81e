//! `job validate`: checks a job file, with a server when one answers, otherwise offline.

use std::process::ExitCode;

use anyhow::Result;
use model::api::{JobRequest, JobValidateReply};
use model::job::validate;

use super::job_file;
use crate::args::JobValidate;
use crate::session::Session;

/// Exit code 0 when the file is right, 1 when it is not.
pub async fn run(args: JobValidate) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let loaded = job_file::load(&args.file, session.style)?;
    let mut canonical = loaded.job.clone();
    canonical.canonicalise();
    canonical.fill_server_defaults();
    let violations = validate(&canonical);
    for violation in &violations {
        eprintln!("{} {}: {}", session.style.bad("✗"), violation.path, violation.message);
        if let Some(help) = &violation.help {
            eprintln!("  help: {help}");
        }
    }
    if !violations.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let request = JobRequest { job: Some(loaded.job), ..JobRequest::default() };
    match session.api.put::<JobValidateReply>("/v1/validate/job", &request).await {
        Ok(answer) if answer.body.error.is_empty() => println!("{} the job is valid", session.style.good("✓")),
        Ok(answer) => {
            eprintln!("{} {}", session.style.bad("✗"), answer.body.error.trim_end());
            return Ok(ExitCode::FAILURE);
        }
        Err(error) if error.is_unreachable() => {
            println!("{} the job is valid (no server was asked: {error})", session.style.good("✓"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
