//! Writing jobs: registering, stopping, validating, and parsing HCL.

use model::api::{JobRequest, JobValidateReply, ParseRequest};
use model::compiled::JobKind;
use model::document::Document;
use model::id::JobKey;
use model::job::{Job, Remarks, Violation};
use serde_json::json;
use state::Op;
use tokio::sync::Semaphore;

use super::call::{Answer, Call, unknown_region};
use super::error::{ApiError, ApiResult, multi_error};
use super::response::{Content, Reply};
use super::views::value_of;

/// How many HCL files are parsed at a time: each has a thread with a large stack.
static PARSERS: Semaphore = Semaphore::const_new(4);

/// A job that may be stored, and what deserves a look in it.
pub(super) struct Checked {
    pub request: JobRequest,
    pub job: Box<Job>,
    pub warnings: String,
}

impl Call {
    /// The body's job, canonical and valid. `wrong_id` is said when the path names another job.
    pub fn checked_job(&mut self, wrong_id: &str) -> ApiResult<Checked> {
        let mut request: JobRequest = self.json()?;
        let mut job = request.job.take().ok_or_else(|| ApiError::bad_request("Job must be specified"))?;
        let id = job.id.as_deref().unwrap_or_default();
        if id.is_empty() {
            return Err(ApiError::bad_request("Job ID hasn't been provided"));
        }
        if !self.id.is_empty() && self.id != id {
            return Err(ApiError::bad_request(format!("{wrong_id}: the path says {:?}, the body {id:?}", self.id)));
        }
        check_eval_priority(request.eval_priority)?;
        self.place(&mut job)?;
        job.canonicalise();
        job.fill_server_defaults();
        refuse_scaling_of_system_jobs(&job)?;
        let Remarks { errors, unsupported, warnings } = self.remarks(&job);
        let texts: Vec<String> = errors.iter().chain(&unsupported).map(text_of).collect();
        if !texts.is_empty() {
            return Err(ApiError::refused(multi_error(&texts)));
        }
        let warnings = warning_text(&warnings);
        Ok(Checked { request, job, warnings })
    }

    fn remarks(&self, job: &Job) -> Remarks {
        Remarks::of_canonical(job).and((self.server.config().driver_rules)(job))
    }

    /// Sets namespace and region of a job that names none. `global` stands for the region of whoever is asked.
    fn place(&self, job: &mut Job) -> ApiResult<()> {
        let own = &self.server.config().region;
        match job.region.as_deref() {
            None | Some("" | "global") => job.region = Some(own.clone()),
            Some(region) if region == own => {}
            Some(region) => return Err(unknown_region(region, &self.server)),
        }
        if job.namespace.as_deref().unwrap_or_default().is_empty() {
            job.namespace = Some(self.namespace().to_owned());
        }
        let namespace = job.namespace.as_deref().unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if namespace.len() > 128 || !namespace.bytes().all(fits) {
            let why = format!(
                "job {:?} is in nonexistent namespace {namespace:?}; a namespace has letters, digits and hyphens",
                job.id.as_deref().unwrap_or_default()
            );
            return Err(ApiError::refused(multi_error(&[why])));
        }
        Ok(())
    }
}

fn check_eval_priority(priority: i64) -> ApiResult<()> {
    if (0..=100).contains(&priority) {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("Eval priority must be between 1 and 100 inclusively, not {priority}")))
}

fn refuse_scaling_of_system_jobs(job: &Job) -> ApiResult<()> {
    let system = job.r#type.as_deref().and_then(JobKind::parse).is_some_and(JobKind::is_system);
    if system && job.task_groups.iter().flatten().any(|group| group.scaling.is_some()) {
        return Err(ApiError::bad_request("a system job runs once on every node; its groups cannot have scaling"));
    }
    Ok(())
}

fn text_of(violation: &Violation) -> String {
    let help = violation.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let path = if violation.path.is_empty() { String::new() } else { format!("{}: ", violation.path) };
    format!("{path}{}{help}", violation.message)
}

/// Warnings in the layout that clients of Nomad know.
fn warning_text(warnings: &[Violation]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let noun = if warnings.len() == 1 { "warning" } else { "warnings" };
    let lines: Vec<String> = warnings.iter().map(|warning| format!("* {}", text_of(warning))).collect();
    format!("{} {noun}:\n\n{}", warnings.len(), lines.join("\n"))
}

/// `PUT /v1/jobs` and `PUT /v1/job/:id`
pub(super) async fn register(mut call: Call) -> Answer {
    let Checked { request, mut job, warnings } = call.checked_job("Job ID does not match name")?;
    if request.preserve_counts || request.preserve_resources {
        let key = JobKey::new(job.namespace.as_deref().unwrap_or_default(), job.id.as_deref().unwrap_or_default());
        if let Some(stored) = call.server.state().job(&key) {
            stored.document.peek(|stored| preserve(&mut job, stored, &request));
        }
    }
    let document = Document::from(*job);
    if !document.head().is_template {
        // The planner asks for it next; here nobody else waits for it.
        document.compiled();
    }
    let packed = document.into_packed().map_err(|why| ApiError::refused(format!("cannot store the job: {why}")))?;
    let op = Op::RegisterJob {
        job: Box::new(packed),
        submission: request.submission,
        enforce: request.enforce_index.then_some(request.job_modify_index),
        eval_priority: request.eval_priority,
    };
    write_job(&call, op, |body| {
        body.insert("Warnings".to_owned(), json!(warnings));
    })
    .await
}

/// Keeps counts or resources of the stored job's groups and tasks of the same name.
fn preserve(job: &mut Job, stored: &Job, request: &JobRequest) {
    for group in job.task_groups.iter_mut().flatten() {
        let Some(before) = stored.task_groups.iter().flatten().find(|before| before.name == group.name) else {
            continue;
        };
        if request.preserve_counts {
            group.count = before.count;
        }
        if request.preserve_resources {
            for task in group.tasks.iter_mut().flatten() {
                if let Some(old) = before.tasks.iter().flatten().find(|old| old.name == task.name) {
                    task.resources.clone_from(&old.resources);
                }
            }
        }
    }
}

/// `DELETE /v1/job/:id`
pub(super) async fn deregister(call: Call) -> Answer {
    let purge = call.query.strict_bool("purge")?;
    let eval_priority = match call.query.non_empty("eval_priority") {
        None => 0,
        Some(text) => {
            let priority =
                text.parse().map_err(|_| ApiError::bad_request(format!("eval_priority {text:?} is no number")))?;
            check_eval_priority(priority)?;
            priority
        }
    };
    let op = Op::DeregisterJob { key: call.job_key(), purge, eval_priority };
    write_job(&call, op, |body| {
        body.insert("VolumeEvalID".to_owned(), json!(""));
        body.insert("VolumeEvalIndex".to_owned(), json!(0));
    })
    .await
}

async fn write_job(call: &Call, op: Op, add: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Answer {
    let committed = call.propose(op).await?;
    let state::Reply::Job(written) = &committed.reply else {
        return Err(ApiError::refused("the write was answered with something else").into());
    };
    let mut body = json!({
        "EvalID": written.eval_id.map(|id| id.to_string()).unwrap_or_default(),
        "EvalCreateIndex": if written.eval_id.is_some() { written.index } else { 0 },
        "JobModifyIndex": written.job_modify_index,
        "Index": written.index, "LastContact": 0, "KnownLeader": false, "NextToken": "",
    });
    if let Some(fields) = body.as_object_mut() {
        add(fields);
    }
    Ok(Reply::of(Content::Json(body)).written(written.index))
}

/// `PUT /v1/validate/job`: 200 whether it is valid or not.
pub(super) async fn validate(mut call: Call) -> Answer {
    let request: JobRequest = call.json()?;
    let mut job = request.job.ok_or_else(|| ApiError::bad_request("Job must be specified"))?;
    call.place(&mut job)?;
    job.canonicalise();
    job.fill_server_defaults();
    let Remarks { errors, unsupported, warnings } = call.remarks(&job);
    let errors: Vec<String> = errors.iter().map(text_of).collect();
    // A valid job that cannot run here is a valid job: that is said, and refused when it is registered.
    let noted: Vec<Violation> = unsupported.into_iter().chain(warnings).collect();
    let reply = JobValidateReply {
        driver_config_validated: true,
        error: if errors.is_empty() { String::new() } else { multi_error(&errors) },
        validation_errors: (!errors.is_empty()).then_some(errors),
        warnings: warning_text(&noted),
    };
    Ok(Reply::json(&reply)?)
}

/// `PUT /v1/jobs/parse`
pub(super) async fn parse(mut call: Call) -> Answer {
    let request: ParseRequest = call.json()?;
    if request.job_hcl.is_empty() {
        return Err(ApiError::bad_request("Job spec is empty").into());
    }
    // The semaphore is never closed; without a permit there is only less of a bound.
    let permit = PARSERS.acquire().await.ok();
    let parsed = tokio::task::spawn_blocking(move || parse_job(&request)).await;
    drop(permit);
    let job = parsed.map_err(|why| ApiError::refused(format!("the parser stopped: {why}")))??;
    Ok(Reply::json(&value_of(&job))?)
}

fn parse_job(request: &ParseRequest) -> ApiResult<Job> {
    let mut options = jobspec::ParseOptions::default();
    if !request.variables.is_empty() {
        options.var_files.push(("variables.hcl".to_owned(), request.variables.clone()));
    }
    let parsed = jobspec::parse(&request.job_hcl, "input.hcl", &options).map_err(|found| {
        let texts: Vec<String> = found.iter().map(|one| one.render("input.hcl", &request.job_hcl, false)).collect();
        ApiError::bad_request(format!("Failed to parse job: {}", texts.join("\n")))
    })?;
    let mut job = parsed.job;
    if request.canonicalize {
        job.canonicalise();
    }
    Ok(job)
}
