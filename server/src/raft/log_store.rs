//! The log as openraft wants it: votes and entries go to the writer thread, a short tail stays in memory to be applied.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::io::BufWriter;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader, StorageIOError};
use parking_lot::Mutex;
use state::State;

use super::database::{self, COMMITTED, DatabaseError, PURGED, SNAPSHOT, SnapshotRecord, VOTE};
use super::snapshot_files::{Paced, SnapshotFiles};
use super::types::{Entry, LogId, StorageError, TypeConfig, Vote};
use super::writer::{Request, Writer};

/// Durable entries kept in memory: those that were just written and are about to be applied.
const TAIL_ENTRIES: usize = 8;
/// Bytes of commands whose replay is felt at a start.
const MUCH_TO_REPLAY: u64 = 1 << 20;
/// Bytes that are written at an end without anybody losing patience.
const LITTLE_TO_WRITE: u64 = 64 << 20;
/// Entries whose being committed is not remembered. What is remembered is applied piece by piece at a start, and the rest
/// at once; a mark is a page that is written and synced.
const UNMARKED: u64 = 64;
/// The most bytes that one read brings into memory.
const READ_BYTES: usize = 8 << 20;

/// A handle on the log; clones are the same log.
#[derive(Clone)]
pub struct LogStore {
    files: SnapshotFiles,
    writer: Writer,
    shared: Arc<Mutex<Shared>>,
}

/// What is known without reading the disk.
struct Shared {
    tail: BTreeMap<u64, Entry>,
    last: Option<LogId>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// What of that the writer was told.
    marked: Option<LogId>,
    snapshot: Option<SnapshotRecord>,
    /// Of the last snapshot that was begun.
    generation: i64,
    /// Bytes of commands that were appended since then.
    fresh: u64,
    /// Whether a snapshot was asked for that is not there yet.
    asked: bool,
    reader: rusqlite::Connection,
}

impl LogStore {
    /// Opens or makes the database.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(path: &Path) -> Result<LogStore, DatabaseError> {
        let lock = database::lock(path)?;
        let connection = database::open(path)?;
        let purged: Option<LogId> = database::read_single(&connection, PURGED)?;
        let snapshot: Option<SnapshotRecord> = database::read_single(&connection, SNAPSHOT)?;
        let committed: Option<LogId> = database::read_single(&connection, COMMITTED)?;
        let covered = snapshot.as_ref().and_then(|record| record.meta.last_log_id);
        let behind = covered.map_or(0, |id| id.index + 1);
        let shared = Shared {
            tail: BTreeMap::new(),
            last: database::last_log_id(&connection)?.or(purged),
            purged,
            vote: database::read_single(&connection, VOTE)?,
            committed,
            marked: committed,
            generation: snapshot.as_ref().map_or(0, |record| record.generation),
            fresh: database::bytes_from(&connection, behind)?,
            snapshot,
            asked: false,
            reader: database::connect(path)?,
        };
        let files = SnapshotFiles::beside(path);
        files.keep_only(shared.snapshot.as_ref().map(|record| record.generation));
        let writer = Writer::start(connection, purged, lock)?;
        Ok(LogStore { files, writer, shared: Arc::new(Mutex::new(shared)) })
    }

    /// The last entry, if there was ever any.
    pub fn last(&self) -> Option<LogId> {
        self.shared.lock().last
    }

    /// The current snapshot with its state, if there is one.
    pub fn read_snapshot(&self) -> Result<Option<(SnapshotRecord, State)>, DatabaseError> {
        let record = self.shared.lock().snapshot.clone();
        let Some(record) = record else { return Ok(None) };
        let state = self.files.read(&record)?;
        Ok(Some((record, state)))
    }

    /// Whether it is time for a snapshot, said once for each: `every` entries came after the last one, and as many bytes
    /// as it has, so that what is written grows only in proportion to what is stored.
    pub fn wants_snapshot(&self, every: u64) -> bool {
        let mut shared = self.shared.lock();
        let (index, size) = match &shared.snapshot {
            Some(record) => (record.meta.last_log_id.map_or(0, |id| id.index), record.size),
            None => (0, 0),
        };
        let entries = shared.last.map_or(0, |id| id.index.saturating_sub(index));
        let wants = !shared.asked && entries >= every && shared.fresh >= size;
        shared.asked |= wants;
        wants
    }

    /// Whether a snapshot before the end makes the next start faster than it makes this end slower: there is much to
    /// replay, and little to write.
    pub fn wants_last_snapshot(&self) -> bool {
        let mut shared = self.shared.lock();
        let size = shared.snapshot.as_ref().map_or(0, |record| record.size);
        let wants = !shared.asked && shared.fresh >= MUCH_TO_REPLAY && size + shared.fresh <= LITTLE_TO_WRITE;
        shared.asked |= wants;
        wants
    }

    /// Writes a snapshot into its file. It is current only after [`LogStore::adopt_snapshot`]. Blocks.
    ///
    /// # Errors
    /// When the file or a row of `content` cannot be written.
    pub fn save_snapshot(
        &self,
        meta: super::types::SnapshotMeta,
        content: impl FnOnce(&mut BufWriter<Paced>) -> Result<(), state::SnapshotError>,
    ) -> Result<SnapshotRecord, DatabaseError> {
        let generation = {
            let mut shared = self.shared.lock();
            shared.fresh = 0;
            shared.generation += 1;
            shared.generation
        };
        let size = self.files.write(generation, content).inspect_err(|_| self.shared.lock().asked = false)?;
        Ok(SnapshotRecord { meta, generation, size })
    }

    /// Makes a saved snapshot the current one and removes all others.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn adopt_snapshot(&self, record: SnapshotRecord) -> Result<(), DatabaseError> {
        let adopted = self.writer.ask(|done| Request::SnapshotReady(Box::new(record.clone()), done)).await;
        adopted.inspect_err(|_| self.shared.lock().asked = false)?;
        let mut shared = self.shared.lock();
        shared.asked = false;
        let old = shared.snapshot.replace(record);
        drop(shared);
        if let Some(old) = old {
            self.files.remove(old.generation);
        }
        Ok(())
    }

    /// The file of the current snapshot, if there is one.
    pub fn open_snapshot(&self) -> Result<Option<(SnapshotRecord, File)>, DatabaseError> {
        let record = self.shared.lock().snapshot.clone();
        let Some(record) = record else { return Ok(None) };
        let file = self.files.open(record.generation)?;
        Ok(Some((record, file)))
    }

    /// A file for a snapshot that is on its way here.
    pub fn incoming_snapshot(&self) -> Result<File, DatabaseError> {
        self.files.incoming()
    }

    /// Writes what is queued and ends the writer.
    pub async fn close(&self) {
        if let Some(log_id) = self.shared.lock().committed {
            self.writer.send(Request::Committed(log_id));
        }
        // A writer that has ended already has nothing left to write.
        let _ = self.writer.ask(Request::Stop).await;
    }

    /// Entries from `from` on, as many as one read brings; none when there are no more.
    pub fn entries(&self, from: u64, to: u64) -> Result<Vec<Entry>, DatabaseError> {
        let shared = self.shared.lock();
        let in_memory = shared.tail.first_key_value().map_or(u64::MAX, |(index, _)| *index);
        let mut entries = Vec::new();
        if from < in_memory.min(to) {
            let (on_disk, complete) = database::read_log(&shared.reader, from, to.min(in_memory), READ_BYTES)?;
            entries = on_disk;
            if !complete {
                return Ok(entries);
            }
        }
        if from.max(in_memory) < to {
            entries.extend(shared.tail.range(from.max(in_memory)..to).map(|(_, entry)| entry.clone()));
        }
        Ok(entries)
    }
}

/// Takes what is durable from the front of the tail, but for the last few.
fn trim(shared: &mut Shared, durable: Option<u64>) -> Vec<Entry> {
    let mut old = Vec::new();
    while shared.tail.len() > TAIL_ENTRIES
        && let Some(first) = shared.tail.first_entry()
        && durable.is_some_and(|durable| *first.key() <= durable)
    {
        old.push(first.remove());
    }
    old
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(to) => *to,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

fn write_failed(cause: DatabaseError) -> StorageError {
    StorageIOError::write_logs(&cause).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let (from, to) = bounds(&range);
        let mut entries: Vec<Entry> = Vec::new();
        // Reads are bounded; openraft wants the whole range here.
        loop {
            let next = entries.last().map_or(from, |entry| entry.log_id.index + 1);
            if next >= to {
                return Ok(entries);
            }
            let more = self.entries(next, to).map_err(|cause| StorageIOError::read_logs(&cause))?;
            if more.is_empty() {
                return Ok(entries);
            }
            entries.extend(more);
        }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        Ok(self.entries(start, end).map_err(|cause| StorageIOError::read_logs(&cause))?)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let shared = self.shared.lock();
        Ok(LogState { last_purged_log_id: shared.purged, last_log_id: shared.last })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = self.writer.ask(|done| Request::Vote(*vote, done)).await;
        saved.map_err(|cause| StorageIOError::write_vote(&cause))?;
        self.shared.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.shared.lock().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let mut shared = self.shared.lock();
        shared.committed = committed;
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        if let Some(log_id) = committed.filter(|id| id.index >= index(shared.marked) + UNMARKED) {
            shared.marked = committed;
            self.writer.send(Request::Committed(log_id));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.shared.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let old = {
            let mut shared = self.shared.lock();
            for entry in &entries {
                if let EntryPayload::Normal(batch) = &entry.payload {
                    shared.fresh += batch.encoded.len() as u64;
                }
                shared.last = Some(entry.log_id);
                shared.tail.insert(entry.log_id.index, entry.clone());
            }
            trim(&mut shared, self.writer.durable())
        };
        self.writer.send(Request::Append { entries, callback, old });
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.writer.ask(|done| Request::Truncate(log_id.index, done)).await.map_err(write_failed)?;
        let mut shared = self.shared.lock();
        shared.tail.split_off(&log_id.index);
        // What is left ends in the tail, or, when that is empty, on disk.
        let before = match shared.tail.last_key_value() {
            Some((_, entry)) => Some(entry.log_id),
            None => database::last_log_id(&shared.reader).map_err(write_failed)?,
        };
        shared.last = before.or(shared.purged);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        {
            let mut shared = self.shared.lock();
            shared.purged = Some(log_id);
            shared.last = shared.last.max(Some(log_id));
            shared.tail = shared.tail.split_off(&(log_id.index + 1));
        }
        self.writer.ask(|done| Request::Purge(log_id, done)).await.map_err(write_failed)
    }
}
