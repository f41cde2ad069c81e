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

use crate::engine::{Engine, is_missing};
use crate::position::{Output, PositionFile, Sink};

/// Pause before the Engine is asked again after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// Pause before the lock of a reader that is just going is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(5);
/// Entries written before the position is saved.
const BATCH: usize = 256;
/// Time that the rest of the output may take to arrive after the end of the container.
const DRAIN: Duration = Duration::from_secs(5);

/// A running copy of one container's output; it ends with the container or when this is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    ended: watch::Sender<bool>,
    finished: watch::Receiver<bool>,
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
        let (finish, finished) = watch::channel(false);
        let task = tokio::spawn(async move {
            collect(&engine, &output, end).await;
            finish.send_replace(true);
        });
        Collector { ended, finished, task: task.abort_handle() }
    }

    /// A way to wait, for a bounded time, until all output of the ended container is in its files.
    pub(crate) fn drain(&self) -> impl Future<Output = ()> + use<> {
        self.ended.send_replace(true);
        let mut finished = self.finished.clone();
        async move {
            // An error means that the collector is gone: then there is nothing to wait for.
            let _ = tokio::time::timeout(DRAIN, finished.wait_for(|finished| *finished)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn collect(engine: &Engine, output: &Output, mut end: watch::Receiver<bool>) {
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
        match copy(engine, output, &mut file, &mut end).await {
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
        let batch = tokio::select! {
            biased;
            batch = batches.next() => batch,
            // Some Engines forget to end what they follow.
            Ok(_) = end.wait_for(|ended| *ended), if !has_ended => return Ok(Progress::More),
        };
        let Some(batch) = batch else { break };
        // Without a pause in between, so that an agent that is told to go finishes what it has begun; these are small
        // writes into the page cache.
        for entry in batch {
            match entry {
                Ok(entry) => write(&mut sink, &entry)?,
                Err(error) if is_missing(&error) => return Ok(Progress::Complete),
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
