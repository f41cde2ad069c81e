//! One output of a task: a named pipe on the task's side, rotating files on ours.
//!
//! The pipe is opened for reading and writing by both sides. So a task never gets a broken pipe when its supervisor
//! dies, and what it wrote waits in the pipe for the next supervisor.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use driver::{LogKind, LogSettings, RotatingLog};
use nix::unistd::{Gid, Uid};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};

/// What is read at once; as large as a pipe.
const CHUNK: usize = 64 * 1024;

/// How many chunks of one output are taken before others get their turn.
const TURNS: usize = 4;

/// Our side of one output.
pub struct Output {
    pipe: File,
    log: Option<RotatingLog>,
    dir: std::path::PathBuf,
    task: String,
    kind: LogKind,
    settings: LogSettings,
    /// Whether the present trouble is in the supervisor's log already.
    has_complained: bool,
}

impl Output {
    /// Makes the pipe unless it is there, and opens our side.
    ///
    /// # Errors
    /// When the pipe cannot be made or opened.
    pub fn open(pipe: &Path, dir: &Path, task: &str, kind: LogKind, settings: LogSettings) -> io::Result<Output> {
        match mknodat(CWD, pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ours = open(pipe, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        // Opened at the first byte: so a task that prints nothing costs no file.
        Ok(Output {
            pipe: File::from(ours),
            log: None,
            dir: dir.to_owned(),
            task: task.to_owned(),
            kind,
            settings,
            has_complained: false,
        })
    }

    /// The task's side, which belongs to the task's user so that it may open `/dev/stdout`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn task_side(pipe: &Path, owner: Option<(Uid, Gid)>) -> io::Result<OwnedFd> {
        let fd = open(pipe, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::fchown(&fd, Some(uid.as_raw()), Some(gid.as_raw()))?;
        }
        Ok(fd)
    }

    /// For waiting until there is something to read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Moves what is in the pipe to the files, a bounded amount; `true` when the pipe is empty.
    pub fn pump(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.resize(CHUNK, 0);
        for _ in 0..TURNS {
            match self.pipe.read(buffer) {
                Ok(0) => return true,
                Ok(length) => self.write(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// What cannot be written is dropped: a full disk must not stop the task.
    fn write(&mut self, bytes: &[u8]) {
        let log = match self.log.take() {
            Some(log) => Ok(log),
            None => RotatingLog::open(&self.dir, &self.task, self.kind, self.settings),
        };
        let written = log.and_then(|mut log| log.write_all(bytes).map(|()| log));
        match written {
            Ok(log) => {
                self.log = Some(log);
                self.has_complained = false;
            }
            // Opened anew next time: the directory may have been replaced.
            Err(error) if !self.has_complained => {
                eprintln!("output of {} is dropped: cannot write in {}: {error}", self.task, self.dir.display());
                self.has_complained = true;
            }
            Err(_) => {}
        }
    }
}
