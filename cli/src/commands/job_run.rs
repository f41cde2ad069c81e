//! `job run`: registers a job and follows it until it is healthy, failed or cannot be placed.

use std::process::ExitCode;

use anyhow::{Result, bail};
use model::api::{JobRegisterReply, JobRequest, JobSubmission};

use super::job_file::{self, Purpose};
use super::monitor;
use crate::args::JobRun;
use crate::session::{Session, print_json};

/// Exit code 0 healthy (or done), 1 failed, 2 not placed.
pub async fn run(args: JobRun) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let purpose = if args.output { Purpose::Print } else { Purpose::Run };
    let loaded = job_file::load(&args.file, purpose, session.style)?;
    if args.output {
        return print_json(&serde_json::json!({ "Job": loaded.job }));
    }
    let id = loaded.job.id.clone().unwrap_or_default();
    let request = JobRequest {
        enforce_index: args.check_index.is_some(),
        job_modify_index: args.check_index.unwrap_or(0),
        submission: Some(JobSubmission {
            source: loaded.source.clone(),
            format: loaded.format.to_owned(),
            variable_flags: (!loaded.variable_flags.is_empty())
                .then(|| loaded.variable_flags.iter().cloned().collect()),
            variables: loaded.variables.clone(),
        }),
        job: Some(Box::new(loaded.job.clone())),
        ..JobRequest::default()
    };
    let reply: JobRegisterReply = match session.api.put("/v1/jobs", &request).await {
        Ok(answer) => answer.body,
        Err(api::Error::Refused { text, .. }) => bail!("the job was refused; nothing was changed\n{}", text.trim_end()),
        Err(error) => return Err(error.into()),
    };
    for warning in loaded.news(&reply.warnings) {
        eprintln!("{} {warning}", session.style.of_errors().wait("!"));
    }
    if reply.eval_id.is_empty() {
        println!("job {id:?} registered; it runs when it is dispatched or its time comes");
        return Ok(ExitCode::SUCCESS);
    }
    if args.detach {
        println!("job {id:?} registered, evaluation {}", reply.eval_id);
        println!("Next:  drover eval status {}", &reply.eval_id[..8.min(reply.eval_id.len())]);
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        outcome = monitor::follow(&session, &id, &reply.eval_id) => outcome,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\ndetached; the job goes on without you");
            println!("Next:  drover job status {id}");
            Ok(ExitCode::SUCCESS)
        }
    }
}
