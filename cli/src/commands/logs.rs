//! `logs JOB`: the output of all copies of a job, each line with the copy it comes from.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};
use api::{LogFrame, LogQuery, escape};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use serde_json::{Value, json};

use crate::args::Logs;
use crate::output::json::{entries, id, text};
use crate::output::or_end;
use crate::session::Session;

/// A line longer than this is printed in pieces.
const LONGEST_LINE: usize = 64 << 10;
/// One look for new copies waits at most this long.
const POLL: Duration = Duration::from_secs(60);

/// Prints what there is; with `-f` goes on with it, and with the copies that come, until interrupted or all is over.
pub async fn run(args: Logs) -> Result<ExitCode> {
    let session = Session::open(&args.connection)?;
    let path = format!("/v1/job/{}", escape(&args.job));
    match session.api.get::<Value>(&path).await {
        Err(error) if error.is_not_found() => {
            return Err(anyhow!("no job is called {:?}; `drover job status` lists them", args.job));
        }
        outcome => drop(outcome?),
    }
    let list = format!("{path}/allocations");
    let allocs = session.api.get::<Vec<Value>>(&list).await?;
    let mut reader = Reader { session: &session, args: &args, seen: BTreeSet::new(), open: FuturesUnordered::new() };
    reader.open_new(&allocs.body).await;
    if args.follow {
        return reader.follow(&path, &list, allocs.index).await;
    }
    if reader.open.is_empty() {
        eprintln!("no copy of job {:?} has output; `drover job status {}` says how it is", args.job, args.job);
        return Ok(ExitCode::FAILURE);
    }
    while let Some(outcome) = reader.open.next().await {
        outcome?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The logs that are being printed.
struct Reader<'a> {
    session: &'a Session,
    args: &'a Logs,
    /// Allocation and task of every log that was opened.
    seen: BTreeSet<(String, String)>,
    open: FuturesUnordered<LocalBoxFuture<'static, Result<()>>>,
}

impl Reader<'_> {
    /// Opens the logs of tasks that were not there before: of the copies that should run, or of all when none should.
    async fn open_new(&mut self, allocs: &[Value]) {
        let wanted = |alloc: &Value| text(alloc, &["DesiredStatus"]) == "run";
        let any_wanted = allocs.iter().any(wanted);
        for alloc in allocs.iter().filter(|alloc| wanted(alloc) || !any_wanted) {
            for (task, state) in entries(alloc, &["TaskStates"]) {
                let is_asked = self.args.task.as_ref().is_none_or(|asked| asked == task);
                let has_started = state.get("StartedAt").is_some_and(|at| !at.is_null());
                if is_asked && has_started && self.seen.insert((text(alloc, &["ID"]).to_owned(), task.clone())) {
                    self.open_task(alloc, task).await;
                }
            }
        }
    }

    async fn open_task(&mut self, alloc: &Value, task: &str) {
        let kinds: &[&'static str] = if self.args.stderr { &["stderr"] } else { &["stdout", "stderr"] };
        let short = id(alloc, &["ID"], false);
        for kind in kinds {
            let query = LogQuery {
                alloc: text(alloc, &["ID"]).to_owned(),
                task: task.to_owned(),
                kind,
                follow: self.args.follow,
                from_end: None,
            };
            let lines = match self.args.json {
                true => Lines::Json(query.clone()),
                false => Lines::Prefixed(self.session.style.dim(&format!("{short} {task} | "))),
            };
            match self.session.api.logs(&query).await {
                Ok(frames) => self.open.push(Box::pin(async move { print_stream(frames, &lines).await })),
                Err(error) => eprintln!("{short} {task} {kind}: {error}"),
            }
        }
    }

    /// Goes on until the job at `path` is dead and all its output is printed.
    async fn follow(&mut self, path: &str, list: &str, mut index: u64) -> Result<ExitCode> {
        loop {
            if self.open.is_empty() && self.is_over(path).await? {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::select! {
                Some(outcome) = self.open.next() => outcome?,
                news = self.session.api.get_newer::<Vec<Value>>(list, index.max(1), POLL) => {
                    let news = news?;
                    index = news.index;
                    self.open_new(&news.body).await;
                }
            }
        }
    }

    async fn is_over(&self, path: &str) -> Result<bool> {
        match self.session.api.get::<Value>(path).await {
            Ok(job) => Ok(text(&job.body, &["Status"]) == "dead"),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// How a log is printed.
pub enum Lines {
    /// Byte by byte.
    AsTheyAre,
    /// Line by line, each behind this.
    Prefixed(String),
    /// An object for each line of this log, with where it comes from.
    Json(LogQuery),
}

impl Lines {
    fn print(&self, line: &[u8]) {
        match self {
            Lines::AsTheyAre => write_out(&[line]),
            Lines::Prefixed(prefix) => write_out(&[prefix.as_bytes(), line]),
            Lines::Json(log) => {
                let text = String::from_utf8_lossy(line);
                let object = json!({"AllocID": log.alloc, "Task": log.task, "Type": log.kind,
                    "Line": text.strip_suffix('\n').unwrap_or(&text)});
                write_out(&[object.to_string().as_bytes(), b"\n"]);
            }
        }
    }
}

/// Prints a log as it comes.
pub async fn print_stream(mut frames: BoxStream<'static, Result<LogFrame, api::Error>>, lines: &Lines) -> Result<()> {
    let mut line: Vec<u8> = Vec::new();
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        if let Lines::AsTheyAre = lines {
            lines.print(&frame.data);
            continue;
        }
        for piece in frame.data.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() > LONGEST_LINE {
                lines.print(&line);
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        line.push(b'\n');
        lines.print(&line);
    }
    Ok(())
}

/// Writes pieces to standard output at once.
fn write_out(pieces: &[&[u8]]) {
    let mut out = std::io::stdout().lock();
    or_end(pieces.iter().try_for_each(|piece| out.write_all(piece)).and_then(|()| out.flush()));
}
