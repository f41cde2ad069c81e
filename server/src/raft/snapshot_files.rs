//! Snapshots as files beside the database: written row by row under another name, synced, then renamed. So they need no
//! room in memory, and entries are written meanwhile as fast as ever.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use state::{SnapshotError, State};

use super::database::{DatabaseError, SnapshotRecord};

/// Bytes that are written at a time.
const BUFFER: usize = 256 * 1024;

/// Bytes after which what was written is brought to disk: the sync of everything at once would hold up that of others.
const SYNC_BYTES: usize = 1 << 20;

/// A file that is brought to disk while it is written.
pub struct Paced {
    file: File,
    unsynced: usize,
}

impl Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The files of the snapshots of one database.
#[derive(Clone, Debug)]
pub struct SnapshotFiles {
    database: PathBuf,
}

impl SnapshotFiles {
    /// Those beside `database`.
    pub fn beside(database: &Path) -> SnapshotFiles {
        SnapshotFiles { database: database.to_owned() }
    }

    fn path(&self, generation: i64) -> PathBuf {
        self.database.with_extension(format!("snapshot-{generation}"))
    }

    /// Writes the snapshot `generation`; its size in bytes. It is on disk when this returns. Blocks.
    ///
    /// # Errors
    /// What the file system or `content` answers; then no file is left.
    pub fn write(
        &self,
        generation: i64,
        content: impl FnOnce(&mut BufWriter<Paced>) -> Result<(), SnapshotError>,
    ) -> Result<u64, DatabaseError> {
        let unfinished = self.database.with_extension(format!("snapshot-{generation}-unfinished"));
        let written = self.write_to(&unfinished, content).and_then(|size| {
            let done = std::fs::rename(&unfinished, self.path(generation)).and_then(|()| self.sync_folder());
            done.map(|()| size).map_err(|cause| failed(&unfinished, cause))
        });
        if written.is_err() {
            // Of the two errors the first is the one to tell.
            let _ = std::fs::remove_file(&unfinished);
        }
        written
    }

    fn write_to(
        &self,
        path: &Path,
        content: impl FnOnce(&mut BufWriter<Paced>) -> Result<(), SnapshotError>,
    ) -> Result<u64, DatabaseError> {
        let file = private_file(path).map_err(|cause| failed(path, cause))?;
        let mut sink = BufWriter::with_capacity(BUFFER, Paced { file, unsynced: 0 });
        content(&mut sink)?;
        sink.flush().map_err(|cause| failed(path, cause))?;
        let file = &sink.get_ref().file;
        file.sync_all().and_then(|()| file.metadata()).map(|data| data.len()).map_err(|cause| failed(path, cause))
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        match self.database.parent() {
            Some(folder) if folder != Path::new("") => File::open(folder)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }

    /// Opens the snapshot `generation` for reading.
    ///
    /// # Errors
    /// When the file is not there or cannot be read.
    pub fn open(&self, generation: i64) -> Result<File, DatabaseError> {
        let path = self.path(generation);
        File::open(&path).map_err(|cause| failed(&path, cause))
    }

    /// The state in a snapshot. Blocks.
    ///
    /// # Errors
    /// When the file is not there, cannot be read, has another size than was written, or holds no state.
    pub fn read(&self, record: &SnapshotRecord) -> Result<State, DatabaseError> {
        let file = self.open(record.generation)?;
        let metadata = file.metadata().map_err(|cause| failed(&self.path(record.generation), cause))?;
        match metadata.len() {
            found if found == record.size => Ok(read_state(file)?),
            found => Err(DatabaseError::ShortSnapshot { found, expected: record.size }),
        }
    }

    /// An empty file for a snapshot that is on its way here.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn incoming(&self) -> Result<File, DatabaseError> {
        let path = self.database.with_extension("snapshot-incoming");
        private_file(&path).map_err(|cause| failed(&path, cause))
    }

    /// Removes the snapshot `generation`.
    pub fn remove(&self, generation: i64) {
        remove(&self.path(generation));
    }

    /// Removes all but the snapshot `generation`: what a crash left. To be called before anything is written.
    pub fn keep_only(&self, generation: Option<i64>) {
        let kept = generation.map(|generation| self.path(generation));
        let stem = self.database.with_extension("snapshot-");
        let folder = self.database.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            let ours = path.as_os_str().as_encoded_bytes().starts_with(stem.as_os_str().as_encoded_bytes());
            if ours && kept.as_ref() != Some(&path) {
                remove(&path);
            }
        }
    }
}

/// The state in the file of a snapshot, from where it stands on. Blocks.
///
/// # Errors
/// When it cannot be read or holds no state.
pub fn read_state(file: File) -> Result<State, SnapshotError> {
    State::read_from(&mut BufReader::with_capacity(BUFFER, file))
}

fn remove(path: &Path) {
    if let Err(cause) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %cause, "an old snapshot stays");
    }
}

/// A new, empty file that nobody else may read.
fn private_file(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().create(true).truncate(true).read(true).write(true).mode(0o600).open(path)
}

fn failed(path: &Path, cause: std::io::Error) -> DatabaseError {
    DatabaseError::SnapshotFile { path: path.display().to_string(), cause }
}
