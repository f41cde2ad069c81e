//! Copies a container's output from the Engine into the task's log files.

use std::io;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use driver::{LogKind, TaskConfig};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::engine::{Engine, is_conflict, is_missing};
use crate::position::{Output, PositionFile, Sink};

/// Pause before the Engine is asked again after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// Pause before the lock of a reader that is just going is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(5);
/// Entries written before the position is saved.
const BATCH: usize = 256;
/// Time without anything new after which the rest of an ended container's output is given up.
const DRAIN_IDLE: Duration = Duration::from_secs(5);
/// Time that the rest of an ended container's output may take in all.
const DRAIN: Duration = Duration::from_secs(60);
/// Time without anything new after which an Engine has forgotten to end what it follows of an ended container.
const FOLLOW_IDLE: Duration = Duration::from_millis(250);

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many batches are in the files.
    Copying(u64),
    /// Everything is.
    Finished,
}

/// A running copy of one container's output; it ends with the container or when this is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    ended: watch::Sender<bool>,
    state: watch::Receiver<State>,
    task: AbortHandle,
}

impl Collector {
    /// Starts copying, on a tokio runtime.
    pub(crate) fn start(engine: Engine, task: &TaskConfig, container: &str) -> Collector {
        let output = Output {
            container: container.to_owned(),
            task: task.id.task.clone(),
            dir: task.dirs.task.clone(),
            logs: task.dirs.logs.clone(),
            settings: task.logs,
        };
        let (ended, end) = watch::channel(false);
        let (tell, state) = watch::channel(State::Copying(0));
        let task = tokio::spawn(async move {
            collect(&engine, &output, end, &tell).await;
            tell.send_replace(State::Finished);
        });
        Collector { ended, state, task: task.abort_handle() }
    }

    /// A way to wait, for a bounded time, until all output of the ended container is in its files.
    pub(crate) fn drain(&self) -> impl Future<Output = ()> + use<> {
        self.ended.send_replace(true);
        let mut state = self.state.clone();
        async move {
            let all = async {
                while *state.borrow_and_update() != State::Finished {
                    // Nothing new, or the collector is gone: then there is nothing to wait for.
                    if !matches!(tokio::time::timeout(DRAIN_IDLE, state.changed()).await, Ok(Ok(()))) {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(DRAIN, all).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn collect(engine: &Engine, output: &Output, mut end: watch::Receiver<bool>, tell: &watch::Sender<State>) {
    let mut complained = false;
    let mut complain = |error: &dyn std::fmt::Display| {
        if !complained {
            tracing::warn!(task = output.task, container = output.container, %error, "cannot copy the task's output yet");
        }
        complained = true;
    };
    let mut file = loop {
        match PositionFile::open(&output.dir) {
            Ok(Some(file)) => break file,
            Ok(None) => tokio::time::sleep(LOCK_RETRY).await,
            Err(error) => {
                complain(&error);
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    loop {
        match copy(engine, output, &mut file, &mut end, tell).await {
            Ok(Progress::Complete) => return,
            Ok(Progress::More) => {}
            Err(error) => {
                complain(&error);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

enum Progress {
    /// The container has ended and all its output is in the files.
    Complete,
    /// The Engine stopped telling.
    More,
}

/// Reads once. What an ended container printed is all there, so a reading that began after the end is the last.
async fn copy(
    engine: &Engine,
    output: &Output,
    file: &mut PositionFile,
    end: &mut watch::Receiver<bool>,
    tell: &watch::Sender<State>,
) -> io::Result<Progress> {
    let docker = engine.docker().await.map_err(io::Error::other)?;
    let has_ended = match docker.inspect_container(&output.container, None).await {
        Ok(found) => found.state.and_then(|state| state.running) != Some(true),
        Err(error) if is_missing(&error) => return Ok(Progress::Complete),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut sink = Sink::open(file, output)?;
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail("all");
    let options = options.follow(!has_ended).since(sink.since()).build();
    let mut batches = docker.logs(&output.container, Some(options)).ready_chunks(BATCH);
    loop {
        let forgotten = async {
            // An error means that nobody waits for the end any more: then this ends with the driver.
            if end.wait_for(|ended| *ended).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(FOLLOW_IDLE).await;
        };
        let batch = tokio::select! {
            biased;
            batch = batches.next() => batch,
            () = forgotten, if !has_ended => return Ok(Progress::More),
        };
        let Some(batch) = batch else { break };
        // Without a pause in between, so that an agent that is told to go finishes what it has begun; these are small
        // writes into the page cache.
        for entry in batch {
            match entry {
                Ok(entry) => write(&mut sink, &entry)?,
                // Removed, or just being removed: there is no more to come.
                Err(error) if is_missing(&error) || is_conflict(&error) => return Ok(Progress::Complete),
                Err(Error::DockerResponseServerError { message, .. })
                    if message.contains("does not support reading") =>
                {
                    tracing::warn!(
                        task = output.task,
                        message,
                        "the Engine's log driver keeps the task's output from us"
                    );
                    return Ok(Progress::Complete);
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        sink.save()?;
        tell.send_modify(|state| {
            if let State::Copying(batches) = state {
                *batches += 1;
            }
        });
    }
    Ok(if has_ended { Progress::Complete } else { Progress::More })
}

fn write(sink: &mut Sink<'_>, entry: &LogOutput) -> io::Result<()> {
    match entry {
        LogOutput::StdErr { message } => sink.take(LogKind::Stderr, message),
        // With a terminal there is only one stream.
        LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
            sink.take(LogKind::Stdout, message)
        }
    }
}
