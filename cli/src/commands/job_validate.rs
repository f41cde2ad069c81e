//! `job validate`: checks a job file, with a server when one answers, otherwise offline.
//!
//! Everything is checked here first, so that findings have places; a server is asked for what only it knows. Output is
//! for people, for editors and CI (`-json`), or one line per finding as compilers print it (`-o short`).

use std::process::ExitCode;

use anyhow::Result;
use jobspec::{Diagnostic, Severity};
use model::api::{JobRequest, JobValidateReply};
use model::job::Job;
use serde_json::{Value, json};

use super::job_file::{self, Checked, Purpose};
use crate::args::{JobValidate, ValidateOutput};
use crate::output::Style;
use crate::session::Session;

/// What a server said.
enum Server {
    /// Nobody was asked: the file has mistakes, or nothing answers at the default address.
    NotAsked(String),
    /// This one found nothing to refuse.
    Agrees(String),
    /// This one refuses, with these sentences.
    Refuses(String, Vec<String>),
}

/// Exit code 0 when the file is right, 1 when it is not.
pub async fn run(args: JobValidate) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let checked = job_file::check(&args.file, Purpose::Look)?;
    let server = match &checked.job {
        Some(loaded) if !args.offline => ask(&session, loaded.job.clone()).await?,
        Some(_) => Server::NotAsked("-offline was given".to_owned()),
        None => Server::NotAsked("the file has mistakes".to_owned()),
    };
    let good = checked.job.is_some() && !matches!(server, Server::Refuses(..));
    let output = if args.file.json { ValidateOutput::Json } else { args.output };
    match output {
        ValidateOutput::Json => println!("{}", serde_json::to_string_pretty(&as_json(&checked, &server, good))?),
        ValidateOutput::Short => short(&checked, &server),
        ValidateOutput::Full => full(&checked, &server, session.style),
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nobody at the default address is no mistake; nobody at an address that was named is one.
async fn ask(session: &Session, job: Job) -> Result<Server> {
    let request = JobRequest { job: Some(Box::new(job)), ..JobRequest::default() };
    let address = session.api.address().to_owned();
    match session.api.put::<JobValidateReply>("/v1/validate/job", &request).await {
        Ok(answer) if answer.body.error.is_empty() => Ok(Server::Agrees(address)),
        Ok(answer) => Ok(Server::Refuses(address, answer.body.validation_errors.unwrap_or_default())),
        Err(error) if error.is_unreachable() && !session.address_was_named => {
            Ok(Server::NotAsked(format!("nothing answers at {address}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn full(checked: &Checked, server: &Server, style: Style) {
    checked.show(style);
    let name = &checked.name;
    if checked.job.is_none() {
        eprintln!("{} {name}: {}", style.of_errors().bad("✗"), count(checked.errors(), "mistake"));
        return;
    }
    let noted = match checked.found.len() {
        0 => String::new(),
        warnings => format!(", with {}", count(warnings, "warning")),
    };
    match server {
        Server::Agrees(address) => println!("{} {name} is valid{noted} (checked with {address})", style.good("✓")),
        Server::NotAsked(why) => println!("{} {name} is valid{noted} (checked offline: {why})", style.good("✓")),
        Server::Refuses(address, errors) => {
            errors.iter().for_each(|error| eprintln!("{} {error}", style.of_errors().bad("✗")));
            eprintln!("{} {name} is refused by {address}", style.of_errors().bad("✗"));
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `file:line:column: error: message; help`, for editors that read compilers' output.
fn short(checked: &Checked, server: &Server) {
    for one in &checked.found {
        let (file, _) = one.origin(&checked.name, &checked.source);
        let help = one.help.as_deref().map(|help| format!("; {}", help.replace('\n', " "))).unwrap_or_default();
        println!("{file}:{}:{}: {}: {}{help}", one.line, one.column, word(one.severity), one.message);
    }
    if let Server::Refuses(_, errors) = server {
        errors.iter().for_each(|error| println!("{}:1:1: error: {error}", checked.name));
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn as_json(checked: &Checked, server: &Server, good: bool) -> Value {
    let one = |one: &Diagnostic| {
        let (file, source) = one.origin(&checked.name, &checked.source);
        let (end_line, end_column) = one.end(source);
        json!({
            "severity": word(one.severity), "message": one.message, "help": one.help, "file": file,
            "line": one.line, "column": one.column, "end_line": end_line, "end_column": end_column,
        })
    };
    let mut found: Vec<Value> = checked.found.iter().map(one).collect();
    let (address, refused) = match server {
        Server::NotAsked(_) => (Value::Null, &[][..]),
        Server::Agrees(address) => (json!(address), &[][..]),
        Server::Refuses(address, errors) => (json!(address), &errors[..]),
    };
    found.extend(refused.iter().map(|error| {
        json!({ "severity": "error", "message": error, "help": null, "file": checked.name, "line": 1, "column": 1,
            "end_line": 1, "end_column": 1 })
    }));
    json!({ "valid": good, "server": address, "diagnostics": found })
}
