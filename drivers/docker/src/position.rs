//! How far a container's output has been copied, kept so that nothing is lost or doubled when the agent dies at any
//! point: the Engine's timestamps say where to go on reading, and the log files themselves say how much of what follows
//! was written before the position could be saved.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use driver::{LogKind, LogSettings, RotatingLog};
use serde::{Deserialize, Serialize};

use crate::time;

/// Within a task's directory, where the task itself cannot reach it.
const FILE_NAME: &str = ".docker-log-position";
/// Saved records have one length, so that one write replaces the one before.
const RECORD: usize = 1024;

/// What identifies the output of one container.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The container's id.
    pub(crate) container: String,
    /// The task's name.
    pub(crate) task: String,
    /// The task's directory, for the position.
    pub(crate) dir: PathBuf,
    /// Where the log files are.
    pub(crate) logs: PathBuf,
    /// How they rotate.
    pub(crate) settings: LogSettings,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Saved {
    container: String,
    stdout: Mark,
    stderr: Mark,
}

/// How far one stream has been copied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mark {
    /// Timestamp of the last entry.
    at: String,
    /// Entries with this timestamp.
    count: u64,
    /// The log file that was written then, and its size.
    file: u64,
    size: u64,
}

/// The position file, locked against a second reader of the same output.
#[derive(Debug)]
pub(crate) struct PositionFile {
    file: File,
}

impl PositionFile {
    /// `None` while somebody else (an agent that is just going) holds it.
    pub(crate) fn open(dir: &Path) -> io::Result<Option<PositionFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(dir.join(FILE_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(PositionFile { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn load(&mut self) -> io::Result<Saved> {
        let mut text = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut self.file).take(RECORD as u64).read_to_end(&mut text)?;
        // A record that cannot be read is an empty file, or one of another version: then the output is copied anew.
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    fn save(&mut self, saved: &Saved) -> io::Result<()> {
        let mut text = serde_json::to_vec(saved)?;
        text.resize(RECORD, b' ');
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)
    }
}

/// Copies entries into the log files, each once.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    file: &'a mut PositionFile,
    output: &'a Output,
    stdout: Stream,
    stderr: Stream,
}

/// One stream on its way into its log files.
#[derive(Debug)]
struct Stream {
    log: RotatingLog,
    mark: Mark,
    /// Where the last reader stopped: entries up to here are passed over until the first new one.
    resume: Option<(String, u64)>,
    /// Bytes that the last reader wrote beyond its saved mark.
    already: u64,
}

impl<'a> Sink<'a> {
    /// Goes on where the position and the log files say, or begins with a new container.
    pub(crate) fn open(file: &'a mut PositionFile, output: &'a Output) -> io::Result<Sink<'a>> {
        let mut saved = file.load()?;
        let is_new = saved.container != output.container;
        if is_new {
            saved = Saved { container: output.container.clone(), ..Saved::default() };
        }
        let mut stdout = Stream::open(output, LogKind::Stdout, saved.stdout, is_new)?;
        let mut stderr = Stream::open(output, LogKind::Stderr, saved.stderr, is_new)?;
        if is_new {
            stdout.measure(output, LogKind::Stdout)?;
            stderr.measure(output, LogKind::Stderr)?;
        }
        let mut sink = Sink { file, output, stdout, stderr };
        if is_new {
            // Before anything is written: from here on the files tell what was.
            sink.save()?;
        }
        Ok(sink)
    }

    /// The second from which the Engine has to tell the output again; 0 for the beginning.
    pub(crate) fn since(&self) -> i32 {
        let second = |mark: &Mark| time::parse(&mark.at).map_or(0, |at| at.0.div_euclid(1_000_000_000));
        let earliest = second(&self.stdout.mark).min(second(&self.stderr.mark));
        // The Engine's client has 32 bits for it; the beginning is always right, only slower.
        i32::try_from(earliest).unwrap_or(0)
    }

    /// Takes one entry as the Engine prints it: a timestamp, a blank, and the bytes.
    pub(crate) fn take(&mut self, kind: LogKind, entry: &[u8]) -> io::Result<()> {
        let (at, bytes) = split(entry);
        match kind {
            LogKind::Stdout => self.stdout.take(at, bytes),
            LogKind::Stderr => self.stderr.take(at, bytes),
        }
    }

    /// Makes what was taken so far count.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        self.stdout.measure(self.output, LogKind::Stdout)?;
        self.stderr.measure(self.output, LogKind::Stderr)?;
        let saved = Saved {
            container: self.output.container.clone(),
            stdout: self.stdout.mark.clone(),
            stderr: self.stderr.mark.clone(),
        };
        self.file.save(&saved)
    }
}

fn split(entry: &[u8]) -> (&str, &[u8]) {
    let blank = entry.iter().take(40).position(|byte| *byte == b' ');
    let parts = blank.and_then(|blank| Some((std::str::from_utf8(&entry[..blank]).ok()?, &entry[blank + 1..])));
    parts.filter(|(at, _)| time::parse(at).is_some()).unwrap_or(("", entry))
}

impl Stream {
    fn open(output: &Output, kind: LogKind, mark: Mark, is_new: bool) -> io::Result<Stream> {
        let log = RotatingLog::open(&output.logs, &output.task, kind, output.settings)?;
        let mut already = 0;
        if !is_new && size_of(output, kind, mark.file).is_some() {
            let written: u64 = (mark.file..=log.index()).filter_map(|index| size_of(output, kind, index)).sum();
            already = written.saturating_sub(mark.size);
        }
        let resume = Some((mark.at.clone(), mark.count)).filter(|(at, _)| !at.is_empty());
        Ok(Stream { log, mark, resume, already })
    }

    fn take(&mut self, at: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some((resume, left)) = &mut self.resume {
            if !at.is_empty() && at < resume.as_str() {
                return Ok(());
            }
            if at == resume && *left > 0 {
                *left -= 1;
                return Ok(());
            }
            // Timestamps decide nothing from here on: the machine's clock may be set back.
            self.resume = None;
        }
        let written = bytes.len().min(usize::try_from(self.already).unwrap_or(usize::MAX));
        self.already -= written as u64;
        self.log.write_all(&bytes[written..])?;
        if self.mark.at == at {
            self.mark.count += 1;
        } else {
            self.mark.at = at.to_owned();
            self.mark.count = 1;
        }
        Ok(())
    }

    fn measure(&mut self, output: &Output, kind: LogKind) -> io::Result<()> {
        let size = size_of(output, kind, self.log.index());
        // What is yet to be passed over belongs behind the mark.
        self.mark.size = size.unwrap_or(0).saturating_sub(self.already);
        self.mark.file = self.log.index();
        Ok(())
    }
}

fn size_of(output: &Output, kind: LogKind, index: u64) -> Option<u64> {
    let name = format!("{}.{}.{index}", output.task, kind.as_str());
    std::fs::symlink_metadata(output.logs.join(name)).ok().map(|found| found.len())
}

#[cfg(test)]
#[path = "position_tests.rs"]
mod tests;
