//! A task's rotated log files as one stream.
//!
//! Drivers write `<task>.stdout.0`, `.1`, ... and delete the oldest; a reader goes from file to file.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::alloc::dir::AllocDir;

/// The largest piece in one go.
const CHUNK: usize = 64 * 1024;
/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Pieces in flight to a slow reader.
const IN_FLIGHT: usize = 4;

/// Which output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogKind {
    /// As in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            LogKind::Stdout => "stdout",
            LogKind::Stderr => "stderr",
        }
    }
}

/// What to read of a log.
#[derive(Clone, Copy, Debug)]
pub struct LogRequest {
    /// Which output.
    pub kind: LogKind,
    /// Bytes from the start, or before the end.
    pub offset: u64,
    /// Whether `offset` counts back from the end.
    pub from_end: bool,
    /// Whether to wait for more until the task has ended or the reader goes away.
    pub follow: bool,
}

/// A piece of a log, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogChunk {
    /// Bytes as the task wrote them; empty when only `event` is told.
    pub data: Vec<u8>,
    /// Offset within `file` after this piece.
    pub offset: u64,
    /// Path below the allocation's directory, as `alloc/logs/web.stdout.0`.
    pub file: String,
    /// Set when something other than data happened, such as `file deleted`.
    pub event: Option<String>,
}

/// Where a reader is: the number of the file and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    file: u64,
    offset: u64,
}

/// What one look at the files gave.
enum Look {
    Data(LogChunk, Position),
    Deleted(LogChunk, Position),
    Next(Position),
    End,
}

struct Source {
    dir: AllocDir,
    prefix: String,
}

impl Source {
    /// Numbers and sizes of the files that are there, oldest first.
    fn files(&self) -> Vec<(u64, u64)> {
        let names = self.dir.list("alloc/logs").unwrap_or_default();
        let numbers = names.iter().filter_map(|name| name.strip_prefix(&self.prefix)?.parse::<u64>().ok());
        let mut files: Vec<(u64, u64)> =
            numbers.filter_map(|number| Some((number, self.dir.size(&self.path(number))?))).collect();
        files.sort_unstable();
        files
    }

    fn path(&self, number: u64) -> String {
        format!("alloc/logs/{}{number}", self.prefix)
    }

    fn begin(&self, offset: u64, from_end: bool) -> Position {
        let files = self.files();
        let total: u64 = files.iter().map(|(_, size)| size).sum();
        let mut left = if from_end { total.saturating_sub(offset) } else { offset.min(total) };
        for (number, size) in &files {
            if left < *size {
                return Position { file: *number, offset: left };
            }
            left -= size;
        }
        match files.last() {
            Some((number, size)) => Position { file: *number, offset: *size },
            None => Position { file: 0, offset: 0 },
        }
    }

    fn look(&self, at: Position) -> std::io::Result<Look> {
        // The list is taken first: a later file seen here means that the earlier one will not grow any more.
        let files = self.files();
        let later = files.iter().map(|(number, _)| *number).find(|number| *number > at.file);
        let mut file = match self.dir.open_file(&self.path(at.file)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Some(next) = later else { return Ok(Look::End) };
                let chunk = LogChunk {
                    data: Vec::new(),
                    offset: at.offset,
                    file: self.path(at.file),
                    event: Some("file deleted".to_owned()),
                };
                return Ok(Look::Deleted(chunk, Position { file: next, offset: 0 }));
            }
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(at.offset))?;
        let mut data = Vec::with_capacity(CHUNK.min(8192));
        file.take(CHUNK as u64).read_to_end(&mut data)?;
        if data.is_empty() {
            return Ok(match later {
                Some(next) => Look::Next(Position { file: next, offset: 0 }),
                None => Look::End,
            });
        }
        let offset = at.offset + data.len() as u64;
        let chunk = LogChunk { data, offset, file: self.path(at.file), event: None };
        Ok(Look::Data(chunk, Position { offset, ..at }))
    }
}

/// Streams a log. `is_over` tells whether the task writes no more.
pub(crate) fn stream(
    dir: AllocDir,
    task: &str,
    request: LogRequest,
    is_over: impl Fn() -> bool + Send + Sync + 'static,
) -> mpsc::Receiver<LogChunk> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let source = Arc::new(Source { dir, prefix: format!("{task}.{}.", request.kind.as_str()) });
    tokio::spawn(async move {
        if let Err(error) = pump(source.clone(), request, is_over, &sender).await {
            let chunk = LogChunk {
                data: Vec::new(),
                offset: 0,
                file: source.path(0),
                event: Some(format!("cannot read the log: {error}")),
            };
            let _ = sender.send(chunk).await;
        }
    });
    receiver
}

async fn pump(
    source: Arc<Source>,
    request: LogRequest,
    is_over: impl Fn() -> bool + Send + Sync + 'static,
    sender: &mpsc::Sender<LogChunk>,
) -> std::io::Result<()> {
    let first = source.clone();
    let mut at = blocking(move || Ok(first.begin(request.offset, request.from_end))).await?;
    loop {
        // Asked before looking: what a task wrote before its end is read after it.
        let over = !request.follow || is_over();
        let looking = source.clone();
        match blocking(move || looking.look(at)).await? {
            Look::Data(chunk, next) | Look::Deleted(chunk, next) => {
                at = next;
                if sender.send(chunk).await.is_err() {
                    return Ok(());
                }
            }
            Look::Next(next) => at = next,
            Look::End if over => return Ok(()),
            Look::End => tokio::select! {
                () = sender.closed() => return Ok(()),
                () = tokio::time::sleep(POLL) => {}
            },
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::AllocId;
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Fixture {
        base: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Fixture {
            let base = tempfile::tempdir().unwrap();
            AllocDir::create(base.path(), AllocId(1)).unwrap();
            Fixture { base }
        }

        fn path(&self, number: u64) -> std::path::PathBuf {
            self.base.path().join(AllocId(1).to_string()).join(format!("alloc/logs/web.stdout.{number}"))
        }

        fn write(&self, number: u64, text: &str) {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.path(number)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn stream(&self, offset: u64, from_end: bool, over: Option<Arc<AtomicBool>>) -> mpsc::Receiver<LogChunk> {
            let dir = AllocDir::open(self.base.path(), AllocId(1)).unwrap();
            let request = LogRequest { kind: LogKind::Stdout, offset, from_end, follow: over.is_some() };
            stream(dir, "web", request, move || over.as_ref().is_none_or(|over| over.load(Ordering::SeqCst)))
        }
    }

    async fn all(mut receiver: mpsc::Receiver<LogChunk>) -> String {
        let mut text = String::new();
        while let Some(chunk) = receiver.recv().await {
            text.push_str(&String::from_utf8(chunk.data).unwrap());
        }
        text
    }

    #[tokio::test]
    async fn files_are_one_stream() {
        let fixture = Fixture::new();
        assert_eq!(all(fixture.stream(0, false, None)).await, "", "no file yet");
        fixture.write(9, "nine ");
        fixture.write(10, "ten ");
        fixture.write(11, "eleven");
        assert_eq!(all(fixture.stream(0, false, None)).await, "nine ten eleven");
        assert_eq!(all(fixture.stream(6, false, None)).await, "en eleven");
        assert_eq!(all(fixture.stream(8, true, None)).await, "n eleven");
        assert_eq!(all(fixture.stream(999, true, None)).await, "nine ten eleven");
        assert_eq!(all(fixture.stream(999, false, None)).await, "");
    }

    #[tokio::test]
    async fn following_crosses_rotation_and_ends_with_the_task() {
        let fixture = Fixture::new();
        let over = Arc::new(AtomicBool::new(false));
        fixture.write(0, "a");
        let mut receiver = fixture.stream(0, false, Some(over.clone()));
        assert_eq!(receiver.recv().await.unwrap().data, b"a");
        fixture.write(0, "b");
        fixture.write(1, "c");
        assert_eq!(receiver.recv().await.unwrap().data, b"b");
        assert_eq!(receiver.recv().await.unwrap().data, b"c");
        // In this order: with a later file there while the read one still is, the reader goes on in silence.
        std::fs::remove_file(fixture.path(1)).unwrap();
        fixture.write(3, "d");
        let next = receiver.recv().await.unwrap();
        assert_eq!((next.event.as_deref(), next.file.as_str()), (Some("file deleted"), "alloc/logs/web.stdout.1"));
        assert_eq!(receiver.recv().await.unwrap().data, b"d");
        fixture.write(3, "e");
        over.store(true, Ordering::SeqCst);
        assert_eq!(receiver.recv().await.unwrap().data, b"e");
        assert_eq!(receiver.recv().await, None);
    }
}
