//! The SQLite database of a server: schema, what a row means, and everything that reads. [`super::writer`] writes.

use std::fs::{File, TryLockError};
use std::ops::RangeInclusive;
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

/// What the data of a row of the log is. Only this version's kinds are read; a new one needs a number of its own.
mod kind {
    /// Nothing.
    pub const BLANK: i64 = 0;
    /// Commands.
    pub const COMMANDS: i64 = 1;
    /// Who votes.
    pub const MEMBERSHIP: i64 = 2;
    /// Commands as a block of LZ4, behind the number of their bytes (32 bits, the lowest first).
    pub const COMPRESSED: i64 = 3;
}

/// The bytes of commands that are compressed. Fewer take a page as they are; more are not believed of a damaged row, and so
/// not written either.
const COMPRESSIBLE: RangeInclusive<usize> = 2048..=256 << 20;

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
    /// A compressed entry of the log is damaged.
    #[error(
        "log entry {index} cannot be decompressed: {cause}; the file is damaged: start from a copy of the data directory"
    )]
    Decompress {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        cause: String,
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

/// Bytes of the entries from `position` on, once they are decompressed.
pub fn bytes_from(connection: &Connection, position: u64) -> Result<u64, DatabaseError> {
    let mut rows = connection.prepare("SELECT kind, length(data), substr(data, 1, 4) FROM log WHERE position >= ?1")?;
    let sizes = rows.query_map([position as i64], |row| {
        let size = match row.get(0)? {
            kind::COMPRESSED => u64::from(row.get::<_, [u8; 4]>(2).map_or(0, u32::from_le_bytes)),
            _ => row.get::<_, i64>(1)?.unsigned_abs(),
        };
        Ok(size)
    })?;
    Ok(sizes.sum::<Result<u64, _>>()?)
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
        let entry = decode_entry(raw)?;
        bytes += match &entry.payload {
            EntryPayload::Normal(batch) => batch.encoded.len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 0,
        };
        entries.push(entry);
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
        kind::BLANK => EntryPayload::Blank,
        kind::COMMANDS => EntryPayload::Normal(Batch::decode(raw.data).map_err(failed)?),
        kind::COMPRESSED => {
            let commands =
                decompress(&raw.data).map_err(|cause| DatabaseError::Decompress { index: raw.index, cause })?;
            EntryPayload::Normal(Batch::decode(commands).map_err(failed)?)
        }
        kind::MEMBERSHIP => EntryPayload::Membership(rmp_serde::from_slice(&raw.data).map_err(failed)?),
        kind => return Err(DatabaseError::UnknownKind { index: raw.index, kind }),
    };
    Ok(Entry { log_id: log_id(raw.index, raw.term, raw.node), payload })
}

/// Writes one entry; an older one of the same index is replaced.
pub fn write_entry(connection: &Connection, entry: &Entry) -> Result<(), DatabaseError> {
    let made;
    let (kind, data): (i64, &[u8]) = match &entry.payload {
        EntryPayload::Blank => (kind::BLANK, &[]),
        EntryPayload::Normal(batch) if COMPRESSIBLE.contains(&batch.encoded.len()) => {
            // Commands of one batch are much alike: a fraction is left to be written, summed and copied.
            made = lz4_flex::block::compress_prepend_size(&batch.encoded);
            (kind::COMPRESSED, &made)
        }
        EntryPayload::Normal(batch) => (kind::COMMANDS, &batch.encoded),
        EntryPayload::Membership(value) => {
            made = rmp_serde::to_vec_named(value)?;
            (kind::MEMBERSHIP, &made)
        }
    };
    let id = entry.log_id;
    connection
        .prepare_cached("INSERT OR REPLACE INTO log (position, term, node, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![id.index as i64, id.leader_id.term as i64, id.leader_id.node_id as i64, kind, data])?;
    Ok(())
}

/// Reads what [`kind::COMPRESSED`] is; says in words what is wrong with it.
fn decompress(data: &[u8]) -> Result<Vec<u8>, String> {
    let (size, block) = data.split_first_chunk().ok_or("it has no length")?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > *COMPRESSIBLE.end() {
        return Err(format!("it says that it has {size} bytes"));
    }
    lz4_flex::block::decompress(block, size).map_err(|cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, commands: usize) -> Entry {
        let op = state::Op::Gc { before: model::time::Timestamp(0), force: false };
        let parts = (0..commands).map(|_| {
            let command = crate::server::command(op.clone());
            let encoded = command.to_bytes().unwrap();
            (command, encoded)
        });
        Entry { log_id: log_id(index, 1, 1), payload: EntryPayload::Normal(Batch::join(parts.collect())) }
    }

    fn encoded(entry: &Entry) -> &[u8] {
        match &entry.payload {
            EntryPayload::Normal(batch) => &batch.encoded,
            EntryPayload::Blank | EntryPayload::Membership(_) => &[],
        }
    }

    #[test]
    fn commands_are_read_as_they_were_written_compressed_or_not_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let connection = open(&directory.path().join("server.db")).unwrap();
        let written = [entry(1, 1), entry(2, 500)];
        for entry in &written {
            write_entry(&connection, entry).unwrap();
        }
        // As an older build wrote it.
        let plain = entry(3, 500);
        let row = "INSERT INTO log (position, term, node, kind, data) VALUES (3, 1, 1, 1, ?1)";
        connection.execute(row, [encoded(&plain)]).unwrap();

        let (read, complete) = read_log(&connection, 0, 9, usize::MAX).unwrap();
        assert!(complete);
        let bytes: Vec<&[u8]> = written.iter().chain([&plain]).map(encoded).collect();
        assert_eq!(read.iter().map(encoded).collect::<Vec<_>>(), bytes);
        let total: usize = bytes.iter().map(|bytes| bytes.len()).sum();
        assert_eq!(bytes_from(&connection, 0).unwrap(), total as u64);
        assert!(!read_log(&connection, 0, 9, bytes[1].len()).unwrap().1, "what is decompressed counts");
        let stored = |position: i64| {
            let sql = "SELECT kind, length(data) FROM log WHERE position = ?1";
            connection.query_row(sql, [position], |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize))).unwrap()
        };
        assert_eq!(stored(1), (kind::COMMANDS, bytes[0].len()));
        assert!(stored(2).0 == kind::COMPRESSED && stored(2).1 < bytes[1].len() / 2, "{:?}", stored(2));

        for (data, why) in
            [(&b"\x01"[..], "no length"), (b"\xff\xff\xff\xff\x00", "4294967295"), (b"\x09\0\0\0\xf0", "")]
        {
            connection.execute("UPDATE log SET data = ?1 WHERE position = 2", [data]).unwrap();
            let told = read_log(&connection, 2, 3, usize::MAX).err().unwrap().to_string();
            assert!(told.contains("log entry 2 cannot be decompressed") && told.contains(why), "{told}");
        }
    }
}
