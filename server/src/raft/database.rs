//! The SQLite database of a server: schema, what a row means, and everything that reads. [`super::writer`] writes.

use std::fs::{File, TryLockError};
use std::path::Path;

use openraft::EntryPayload;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{Batch, Entry, LogId, SnapshotMeta};

/// The layout of the database; another number is refused.
const FORMAT: i64 = 3;
/// SQLite below this can lose committed rows of a write-ahead log that is reset while another connection reads it.
const MIN_SQLITE: i32 = 3_051_003;

/// Bytes of a page: entries are larger than SQLite's own, and each page is written, summed and copied on its own. Has an
/// effect on new databases only.
const PAGE: i64 = 16_384;

/// Keys of single values.
pub const VOTE: &str = "vote";
pub const COMMITTED: &str = "committed";
pub const PURGED: &str = "purged";
pub const SNAPSHOT: &str = "snapshot";

/// Why the database cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite refused.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A value cannot be read: written by another version, or damaged.
    #[error("{what} cannot be read: {cause}; was it written by a newer drover?")]
    Decode {
        /// Which value.
        what: String,
        /// What is wrong with it.
        cause: rmp_serde::decode::Error,
    },
    /// A value cannot be written.
    #[error("cannot encode: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// An entry of a kind that is not known.
    #[error("log entry {index} is of unknown kind {kind}; was it written by a newer drover?")]
    UnknownKind {
        /// Its index.
        index: u64,
        /// Its kind.
        kind: i64,
    },
    /// The library is too old to be trusted with a log.
    #[error("SQLite {0} is too old; drover needs 3.51.3 or newer")]
    OldSqlite(&'static str),
    /// The file has another layout.
    #[error("the database has layout {found}, this drover knows {FORMAT}; use the drover version that wrote it")]
    Format {
        /// What the file says.
        found: i64,
    },
    /// A part of a snapshot is missing.
    #[error("the snapshot has {found} of {expected} bytes")]
    ShortSnapshot {
        /// Bytes found.
        found: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// The file of a snapshot cannot be written or read.
    #[error("snapshot {path}: {cause}")]
    SnapshotFile {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A row of a snapshot cannot be written.
    #[error(transparent)]
    SnapshotRows(#[from] state::SnapshotError),
    /// The writer thread has ended or failed before.
    #[error("the log is closed{0}")]
    Closed(String),
    /// The lock file cannot be made.
    #[error("cannot lock {path}: {cause}")]
    Lock {
        /// The lock file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Somebody else has the database open.
    #[error("another server uses it (lock file {0}); stop that one or choose another data directory")]
    InUse(String),
    /// A thread could not be started.
    #[error("cannot start the writer thread: {0}")]
    Thread(std::io::Error),
}

/// What is kept of the current snapshot besides its bytes.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub struct SnapshotRecord {
    /// What openraft wants to know of it.
    pub meta: SnapshotMeta,
    /// Which file is its.
    pub generation: i64,
    /// The bytes in it.
    pub size: u64,
}

/// Takes the lock that keeps a second server off the database; it is held until the file is dropped.
pub fn lock(path: &Path) -> Result<File, DatabaseError> {
    let path = path.with_extension("lock");
    let failed = |cause| DatabaseError::Lock { path: path.display().to_string(), cause };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::InUse(path.display().to_string())),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// Opens the database for writing, and makes it when it is not there.
pub fn open(path: &Path) -> Result<Connection, DatabaseError> {
    if rusqlite::version_number() < MIN_SQLITE {
        return Err(DatabaseError::OldSqlite(rusqlite::version()));
    }
    let connection = connect(path)?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS log (
             position INTEGER PRIMARY KEY, term INTEGER NOT NULL, node INTEGER NOT NULL, kind INTEGER NOT NULL,
             data BLOB NOT NULL) STRICT;
         CREATE TABLE IF NOT EXISTS single (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;",
    )?;
    match connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
        0 => connection.pragma_update(None, "user_version", FORMAT)?,
        FORMAT => {}
        found => return Err(DatabaseError::Format { found }),
    }
    Ok(connection)
}

/// Bytes of the entries from `position` on.
pub fn bytes_from(connection: &Connection, position: u64) -> Result<u64, DatabaseError> {
    let sum = "SELECT coalesce(sum(length(data)), 0) FROM log WHERE position >= ?1";
    let bytes: i64 = connection.query_row(sum, [position as i64], |row| row.get(0))?;
    Ok(bytes.unsigned_abs())
}

/// A connection with a small cache: the log is written once and hardly ever read.
pub fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -256)?;
    connection.set_prepared_statement_cache_capacity(12);
    Ok(connection)
}

/// A single value, if it was ever written.
pub fn read_single<T: DeserializeOwned>(connection: &Connection, name: &str) -> Result<Option<T>, DatabaseError> {
    let data: Option<Vec<u8>> =
        connection.query_row("SELECT data FROM single WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    data.map(|bytes| rmp_serde::from_slice(&bytes))
        .transpose()
        .map_err(|cause| DatabaseError::Decode { what: format!("value {name:?}"), cause })
}

/// Writes a single value.
pub fn write_single<T: Serialize>(connection: &Connection, name: &str, value: &T) -> Result<(), DatabaseError> {
    let data = rmp_serde::to_vec_named(value)?;
    connection
        .prepare_cached(
            "INSERT INTO single (name, data) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET data = excluded.data",
        )?
        .execute(params![name, data])?;
    Ok(())
}

/// A row of the log as it lies on disk.
struct RawEntry {
    index: u64,
    term: u64,
    node: u64,
    kind: i64,
    data: Vec<u8>,
}

/// Entries `from..to` that are there, and whether those are all: more than `limit` bytes are not read at once.
pub fn read_log(
    connection: &Connection,
    from: u64,
    to: u64,
    limit: usize,
) -> Result<(Vec<Entry>, bool), DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, term, node, kind, data FROM log WHERE position >= ?1 AND position < ?2 ORDER BY position",
    )?;
    let mut rows = statement.query(params![from as i64, i64::try_from(to).unwrap_or(i64::MAX)])?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let raw = RawEntry {
            index: row.get::<_, i64>(0)? as u64,
            term: row.get::<_, i64>(1)? as u64,
            node: row.get::<_, i64>(2)? as u64,
            kind: row.get(3)?,
            data: row.get(4)?,
        };
        bytes += raw.data.len();
        entries.push(decode_entry(raw)?);
        if bytes > limit {
            return Ok((entries, false));
        }
    }
    Ok((entries, true))
}

/// The id of the last entry, if there is any.
pub fn last_log_id(connection: &Connection) -> Result<Option<LogId>, DatabaseError> {
    let last = connection
        .query_row("SELECT position, term, node FROM log ORDER BY position DESC LIMIT 1", [], |row| {
            Ok(log_id(row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)? as u64))
        })
        .optional()?;
    Ok(last)
}

fn log_id(index: u64, term: u64, node: u64) -> LogId {
    LogId::new(openraft::CommittedLeaderId::new(term, node), index)
}

fn decode_entry(raw: RawEntry) -> Result<Entry, DatabaseError> {
    let failed = |cause| DatabaseError::Decode { what: format!("log entry {}", raw.index), cause };
    let payload = match raw.kind {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Normal(Batch::decode(raw.data).map_err(failed)?),
        2 => EntryPayload::Membership(rmp_serde::from_slice(&raw.data).map_err(failed)?),
        kind => return Err(DatabaseError::UnknownKind { index: raw.index, kind }),
    };
    Ok(Entry { log_id: log_id(raw.index, raw.term, raw.node), payload })
}

/// Writes one entry; an older one of the same index is replaced.
pub fn write_entry(connection: &Connection, entry: &Entry) -> Result<(), DatabaseError> {
    let membership;
    let (kind, data): (i64, &[u8]) = match &entry.payload {
        EntryPayload::Blank => (0, &[]),
        EntryPayload::Normal(batch) => (1, &batch.encoded),
        EntryPayload::Membership(value) => {
            membership = rmp_serde::to_vec_named(value)?;
            (2, &membership)
        }
    };
    let id = entry.log_id;
    connection
        .prepare_cached("INSERT OR REPLACE INTO log (position, term, node, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![id.index as i64, id.leader_id.term as i64, id.leader_id.node_id as i64, kind, data])?;
    Ok(())
}
