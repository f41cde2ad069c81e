//! `logs JOB`: the output of all copies of a job, each line with the copy it comes from.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use api::{LogFrame, LogQuery, escape};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::Value;

use crate::args::Logs;
use crate::output::json::{entries, id, text};
use crate::session::Session;

/// A line longer than this is printed in pieces.
const LONGEST_LINE: usize = 64 << 10;

/// Prints or follows; with `-f` until interrupted.
pub async fn run(args: Logs) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let path = format!("/v1/job/{}/allocations", escape(&args.job));
    let allocs: Vec<Value> = session.api.get(&path).await?.body;
    let kinds: &[&'static str] = if args.stderr { &["stderr"] } else { &["stdout", "stderr"] };
    let mut streams = Vec::new();
    for alloc in allocs.iter().filter(|alloc| text(alloc, &["DesiredStatus"]) == "run") {
        let tasks = entries(alloc, &["TaskStates"]).map(|(task, _)| task);
        for task in tasks.filter(|task| args.task.as_ref().is_none_or(|wanted| wanted == *task)) {
            for kind in kinds {
                let query = LogQuery {
                    alloc: text(alloc, &["ID"]).to_owned(),
                    task: task.clone(),
                    kind,
                    follow: args.follow,
                    from_end: None,
                };
                let prefix = session.style.dim(&format!("{} {task} | ", id(alloc, &["ID"], false)));
                match session.api.logs(&query).await {
                    Ok(frames) => streams.push((frames, prefix)),
                    Err(error) => eprintln!("{} {task} {kind}: {error}", id(alloc, &["ID"], false)),
                }
            }
        }
    }
    if streams.is_empty() {
        eprintln!("no copy of job {:?} has output; `drover job status {}` says how it is", args.job, args.job);
        return Ok(ExitCode::FAILURE);
    }
    let all = streams.into_iter().map(|(frames, prefix)| async move { print_stream(frames, &prefix).await });
    for outcome in futures_util::future::join_all(all).await {
        outcome?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a log as it comes; with a prefix, line by line.
pub async fn print_stream(mut frames: BoxStream<'static, Result<LogFrame, api::Error>>, prefix: &str) -> Result<()> {
    let mut line: Vec<u8> = Vec::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        if prefix.is_empty() {
            write_out(&[&frame.data])?;
            continue;
        }
        for piece in frame.data.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() > LONGEST_LINE {
                write_out(&[prefix.as_bytes(), &line])?;
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        write_out(&[prefix.as_bytes(), &line, b"\n"])?;
    }
    Ok(())
}

/// Writes pieces to standard output at once; a reader that went away ends the program quietly.
fn write_out(pieces: &[&[u8]]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for piece in pieces {
        match out.write_all(piece) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            outcome => outcome?,
        }
    }
    Ok(out.flush()?)
}
