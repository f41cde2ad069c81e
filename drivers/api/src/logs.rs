//! Log files of a task that rotate by size: `<task>.stdout.0`, `<task>.stdout.1` and so on.
//!
//! Synchronous, for the node supervisor and for drivers that copy an engine's stream. Tasks may write to the directory
//! too, so nothing found in it is trusted: files are opened relative to a held directory, links are never followed.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, unlinkat};

use crate::LogSettings;

/// How far back from the size limit a line's end is looked for, in bytes.
const NEWLINE_SEARCH: usize = 32 * 1024;

/// A number above this in a file's name is not ours; keeps a planted name from using up the numbers.
const LARGEST_INDEX: u64 = 1_000_000_000;

/// How many planted obstacles are stepped over before a rotation fails.
const MAX_OBSTACLES: u64 = 64;

/// Which of a task's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogKind {
    /// As in file names and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogKind::Stdout => "stdout",
            LogKind::Stderr => "stderr",
        }
    }
}

/// One output of one task, written to numbered files of bounded size; only the newest files are kept.
///
/// A file never exceeds the size limit; it ends with a whole line when a line's end lies near the limit. Reopening goes
/// on where the last file ends.
#[derive(Debug)]
pub struct RotatingLog {
    dir: OwnedFd,
    /// `<task>.<kind>`.
    name: String,
    max_bytes: u64,
    max_files: u64,
    index: u64,
    file: File,
    size: u64,
    /// Whether what is written so far ends with a whole line.
    at_line_start: bool,
}

impl RotatingLog {
    /// Opens or goes on with the files of `task` in `dir`, which must exist. [`LogSettings::disabled`] is the caller's
    /// to look at; limits of 0 count as 1.
    ///
    /// # Errors
    /// When the directory or the newest file cannot be opened.
    pub fn open(dir: &Path, task: &str, kind: LogKind, settings: LogSettings) -> io::Result<RotatingLog> {
        let max_bytes = u64::from(settings.max_file_mb.max(1)) * 1024 * 1024;
        RotatingLog::with_limits(dir, &format!("{task}.{}", kind.as_str()), max_bytes, settings.max_files)
    }

    /// As [`RotatingLog::open`], with a size limit in bytes and the whole name before the number.
    ///
    /// # Errors
    /// When the directory or the newest file cannot be opened, or the name is not a plain file name.
    pub fn with_limits(dir: &Path, name: &str, max_bytes: u64, max_files: u32) -> io::Result<RotatingLog> {
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no file name for a log")));
        }
        let dir =
            openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let newest = indexes(&dir, name)?.into_iter().max().unwrap_or(0);
        let (index, file) = open_from(&dir, name, newest)?;
        let size = file.metadata()?.len();
        let at_line_start = size == 0 || ends_with_newline(&dir, name, index, size);
        let mut log = RotatingLog {
            dir,
            name: name.to_owned(),
            max_bytes: max_bytes.max(1),
            max_files: u64::from(max_files.max(1)),
            index,
            file,
            size,
            at_line_start,
        };
        log.remove_old()?;
        Ok(log)
    }

    /// Appends `bytes`, rotating as needed. They are with the operating system when this returns.
    ///
    /// # Errors
    /// When a file cannot be written or opened (disk full, directory gone); part of `bytes` may be written then.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let fitting = self.fitting(bytes);
            if fitting == 0 {
                self.rotate()?;
                continue;
            }
            let (now, later) = bytes.split_at(fitting);
            self.file.write_all(now)?;
            self.size += now.len() as u64;
            self.at_line_start = now.ends_with(b"\n");
            bytes = later;
            if !later.is_empty() {
                self.rotate()?;
            }
        }
        Ok(())
    }

    /// The number of the file that is written now.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many of `bytes` go into the present file; 0 when none should.
    fn fitting(&self, bytes: &[u8]) -> usize {
        let room = usize::try_from(self.max_bytes.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if bytes.len() <= room {
            return bytes.len();
        }
        let searched = room.saturating_sub(NEWLINE_SEARCH);
        if let Some(newline) = bytes[searched..room].iter().rposition(|byte| *byte == b'\n') {
            return searched + newline + 1;
        }
        // A line that starts here is better off whole in the next file, when it is short enough for that to matter.
        if self.size > 0 && self.at_line_start && room <= NEWLINE_SEARCH { 0 } else { room }
    }

    /// Goes on in the next file and deletes those that are too old.
    fn rotate(&mut self) -> io::Result<()> {
        let (index, file) = open_from(&self.dir, &self.name, self.index.saturating_add(1))?;
        self.index = index;
        self.size = file.metadata()?.len();
        self.file = file;
        self.at_line_start = true;
        self.remove_old()
    }

    fn remove_old(&mut self) -> io::Result<()> {
        for index in indexes(&self.dir, &self.name)? {
            if index + self.max_files <= self.index {
                match unlinkat(&self.dir, format!("{}.{index}", self.name), AtFlags::empty()) {
                    // A directory planted under such a name is left alone: it holds none of our bytes.
                    Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::ISDIR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }
}

/// Opens file `index` for appending, or the first one after it that is not blocked by something planted.
fn open_from(dir: &OwnedFd, name: &str, index: u64) -> io::Result<(u64, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for candidate in index..index.saturating_add(MAX_OBSTACLES) {
        match openat(dir, format!("{name}.{candidate}"), flags, Mode::from_raw_mode(0o644)) {
            Ok(fd) if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::RegularFile => {
                return Ok((candidate, File::from(fd)));
            }
            // A link, a pipe without reader, a directory, a socket or a device: not ours.
            Ok(_) | Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::Error::other(format!("{name}.{index} and the {MAX_OBSTACLES} names after it are not regular files")))
}

/// The numbers of the files that exist.
fn indexes(dir: &OwnedFd, name: &str) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let Ok(text) = entry.file_name().to_str() else { continue };
        let number = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        let Some(index) = number.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
        // Only the way we print it: not `007`, not `+7`.
        if index <= LARGEST_INDEX && number == Some(index.to_string().as_str()) {
            found.push(index);
        }
    }
    Ok(found)
}

/// Whether the last byte is a line's end; `true` when that cannot be told, for it only decides where to cut.
fn ends_with_newline(dir: &OwnedFd, name: &str, index: u64, size: u64) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(fd) = openat(dir, format!("{name}.{index}"), flags, Mode::empty()) else { return true };
    let mut last = [0u8; 1];
    let read = std::os::unix::fs::FileExt::read_at(&File::from(fd), &mut last, size.saturating_sub(1));
    !matches!(read, Ok(1)) || last[0] == b'\n'
}
