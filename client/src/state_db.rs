//! What the client remembers: one small file per allocation, replaced atomically, and the node's identity.
//!
//! It need not survive a power loss: then the tasks are gone as well, and the servers know the allocations.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use driver::TaskHandle;
use model::id::{AllocId, NodeId, Seed};
use model::rpc::AllocWithJob;
use serde::{Deserialize, Serialize};

use crate::ClientError;
use crate::alloc::lifecycle::AllocRecord;

/// Version of the files.
const FORMAT: u32 = 2;

/// Everything stored of one allocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredAlloc {
    pub format: u32,
    pub source: AllocWithJob,
    pub record: AllocRecord,
    pub handles: BTreeMap<String, TaskHandle>,
}

impl StoredAlloc {
    pub(crate) fn new(source: AllocWithJob, record: AllocRecord, handles: BTreeMap<String, TaskHandle>) -> Self {
        StoredAlloc { format: FORMAT, source, record, handles }
    }
}

/// The client's memory in one directory.
#[derive(Clone, Debug)]
pub(crate) struct StateDb {
    dir: PathBuf,
}

impl StateDb {
    /// Opens or makes the directory.
    pub(crate) fn open(dir: PathBuf) -> Result<StateDb, ClientError> {
        let allocs = dir.join("allocs");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&allocs)
            .map_err(|source| io_error("cannot make", &allocs, source))?;
        Ok(StateDb { dir })
    }

    /// The node's id and secret: made once, then kept.
    pub(crate) fn identity(&self) -> Result<(NodeId, String), ClientError> {
        let id = self.keep("client-id", || NodeId::derive(Seed(rand::random()), 0).to_string())?;
        let secret = self.keep("secret-id", || NodeId::derive(Seed(rand::random()), 0).to_string())?;
        let id = id.parse().map_err(|_| ClientError::State {
            path: self.dir.join("client-id").display().to_string(),
            why: format!("{id:?} is not a node id"),
        })?;
        Ok((id, secret))
    }

    fn keep(&self, name: &str, make: impl FnOnce() -> String) -> Result<String, ClientError> {
        let path = self.dir.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io_error("cannot read", &path, error));
            }
            _ => {}
        }
        let text = make();
        write_atomically(&path, text.as_bytes(), true).map_err(|error| io_error("cannot write", &path, error))?;
        Ok(text)
    }

    /// Counts one more start of this node's agent; answers with its number, from 1.
    pub(crate) fn count_start(&self) -> Result<u64, ClientError> {
        let path = self.dir.join("starts");
        let before = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| ClientError::State {
                path: path.display().to_string(),
                why: format!("{text:?} is not a number of starts"),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0u64,
            Err(error) => return Err(io_error("cannot read", &path, error)),
        };
        let start = before + 1;
        // On disk before it is used: were it given twice, the servers would take new reports for old ones.
        write_atomically(&path, start.to_string().as_bytes(), true)
            .map_err(|error| io_error("cannot write", &path, error))?;
        Ok(start)
    }

    /// Stores an allocation.
    pub(crate) fn put(&self, id: AllocId, stored: &StoredAlloc) -> Result<(), ClientError> {
        let path = self.path(id);
        let bytes = rmp_serde::to_vec_named(stored)
            .map_err(|error| ClientError::State { path: path.display().to_string(), why: error.to_string() })?;
        write_atomically(&path, &bytes, false).map_err(|error| io_error("cannot write", &path, error))
    }

    /// Forgets an allocation.
    pub(crate) fn remove(&self, id: AllocId) {
        let path = self.path(id);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove the record of an allocation");
        }
    }

    /// All stored allocations. One that cannot be read is left out and told of: the servers still know it.
    pub(crate) fn load(&self) -> Result<Vec<(AllocId, StoredAlloc)>, ClientError> {
        let dir = self.dir.join("allocs");
        let entries = std::fs::read_dir(&dir).map_err(|error| io_error("cannot list", &dir, error))?;
        let mut all = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Ok(id) = name.parse::<AllocId>() else { continue };
            match read_stored(&entry.path()) {
                Ok(stored) => all.push((id, stored)),
                Err(why) => tracing::warn!(path = %entry.path().display(), why, "unreadable record of an allocation"),
            }
        }
        all.sort_by_key(|(id, _)| *id);
        Ok(all)
    }

    fn path(&self, id: AllocId) -> PathBuf {
        self.dir.join("allocs").join(id.to_string())
    }
}

fn read_stored(path: &Path) -> Result<StoredAlloc, String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    let stored: StoredAlloc = rmp_serde::from_slice(&bytes).map_err(|error| error.to_string())?;
    if stored.format == FORMAT { Ok(stored) } else { Err(format!("format {} is not known", stored.format)) }
}

fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(dir) if durable => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

fn io_error(what: &'static str, path: &Path, source: std::io::Error) -> ClientError {
    ClientError::Io { what, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_identity_is_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let db = StateDb::open(dir.path().join("client")).unwrap();
        let first = db.identity().unwrap();
        assert_eq!(StateDb::open(dir.path().join("client")).unwrap().identity().unwrap(), first);
        let mode = std::fs::metadata(dir.path().join("client/secret-id")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.path().join("client/client-id"), "nonsense").unwrap();
        assert!(matches!(db.identity(), Err(ClientError::State { .. })));
    }

    #[test]
    fn starts_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let db = StateDb::open(dir.path().to_owned()).unwrap();
        assert_eq!((db.count_start().unwrap(), db.count_start().unwrap()), (1, 2));
        assert_eq!(StateDb::open(dir.path().to_owned()).unwrap().count_start().unwrap(), 3);
        std::fs::write(dir.path().join("starts"), "many").unwrap();
        assert!(matches!(db.count_start(), Err(ClientError::State { .. })));
    }

    #[test]
    fn a_broken_record_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let db = StateDb::open(dir.path().to_owned()).unwrap();
        std::fs::write(dir.path().join("allocs").join(AllocId(5).to_string()), b"\xc1garbage").unwrap();
        std::fs::write(dir.path().join("allocs/readme"), b"").unwrap();
        assert!(db.load().unwrap().is_empty());
    }
}
