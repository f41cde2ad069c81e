//! The only writer of the database: a thread that turns whatever has queued up into one transaction, and so one fsync.
//!
//! One thread and one queue keep votes and entries in the order in which the log gave them, as Raft demands.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use openraft::storage::LogFlushed;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::database::{self, COMMITTED, DatabaseError, PURGED, SNAPSHOT, SnapshotRecord, VOTE};
use super::types::{Entry, LogId, TypeConfig, Vote};

/// What the thread is given before others, on the system's scale down to -20: all who write wait for it, and it does little
/// but wait for the disk.
const PRECEDENCE: i32 = -10;
/// The most requests in one transaction.
const MAX_REQUESTS: usize = 256;
/// Entries that are removed at once, so that nobody waits long for it.
const PURGED_AT_ONCE: usize = 64;
const PURGE: &str =
    "DELETE FROM log WHERE position IN (SELECT position FROM log WHERE position <= ?1 ORDER BY position LIMIT ?2)";
/// Pages in the write-ahead log after which they are copied into the database. Everybody waits for that, so it is done
/// often and is short.
const LONGEST_WAL: i64 = 256;

/// Tells the asker that its request is on disk, or why not.
pub type Done = oneshot::Sender<Result<(), String>>;

/// What the writer is asked to do.
pub enum Request {
    /// Write entries; the callback is told when they are durable. Then older ones are dropped, for nobody waits here.
    Append { entries: Vec<Entry>, callback: LogFlushed<TypeConfig>, old: Vec<Entry> },
    /// Write the vote.
    Vote(Vote, Done),
    /// Remember how far the log is committed at least; nobody waits for it.
    Committed(LogId),
    /// Remove entries from this index on.
    Truncate(u64, Done),
    /// Remove entries up to this one.
    Purge(LogId, Done),
    /// Make a written snapshot the current one.
    SnapshotReady(Box<SnapshotRecord>, Done),
    /// Write what is queued before this and end.
    Stop(Done),
}

/// The asking side of the writer.
#[derive(Clone)]
pub struct Writer {
    queue: Sender<Request>,
    durable: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on an open database; it holds `lock` until it ends.
    ///
    /// Entries up to `purged` are to be removed if any are left.
    pub fn start(connection: Connection, purged: Option<LogId>, lock: File) -> Result<Writer, DatabaseError> {
        connection.pragma_update(None, "wal_autocheckpoint", LONGEST_WAL)?;
        let (queue, requests) = channel();
        let durable = Arc::new(AtomicU64::new(u64::MAX));
        let thread = Thread {
            connection,
            lock: Some(lock),
            failed: None,
            durable: durable.clone(),
            purge_to: purged.map(|id| id.index),
        };
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || thread.run(&requests))
            .map_err(DatabaseError::Thread)?;
        Ok(Writer { queue, durable })
    }

    /// Queues a request. When the thread has ended, the answer's channel closes.
    pub fn send(&self, request: Request) {
        // A refused request drops its answer, and whoever waits for that learns of it.
        drop(self.queue.send(request));
    }

    /// Queues a request and waits for its answer.
    pub async fn ask(&self, make: impl FnOnce(Done) -> Request) -> Result<(), DatabaseError> {
        let (done, answer) = oneshot::channel();
        self.send(make(done));
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => Err(DatabaseError::Closed(format!(": {cause}"))),
            Err(_) => Err(DatabaseError::Closed(String::new())),
        }
    }

    /// The last entry that this process has made durable, once there is one.
    pub fn durable(&self) -> Option<u64> {
        Some(self.durable.load(Ordering::Acquire)).filter(|index| *index != u64::MAX)
    }
}

struct Thread {
    connection: Connection,
    lock: Option<File>,
    /// The first failure; after it nothing is written any more, for a hole in the log would be worse.
    failed: Option<String>,
    durable: Arc<AtomicU64>,
    /// Entries up to this one are to be removed.
    purge_to: Option<u64>,
}

impl Thread {
    fn run(mut self, requests: &Receiver<Request>) {
        // Whoever may not do so waits a little longer.
        let _ = rustix::process::nice(PRECEDENCE);
        loop {
            let first = match self.purge_to {
                // There is always something better to do than to tidy up.
                Some(_) => requests.try_recv(),
                None => requests.recv().map_err(|_| TryRecvError::Disconnected),
            };
            let mut batch = match first {
                Ok(first) => vec![first],
                Err(TryRecvError::Empty) => {
                    self.purge_some();
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
            };
            while batch.len() < MAX_REQUESTS
                && let Ok(request) = requests.try_recv()
            {
                batch.push(request);
            }
            let stop = batch.iter().any(|request| matches!(request, Request::Stop(_)));
            self.write(batch, stop);
            if stop {
                return;
            }
        }
    }

    /// Removes a few of the entries that a snapshot has made superfluous. What fails is tried again after the next
    /// start: rows below the mark are never read.
    fn purge_some(&mut self) {
        let Some(to) = self.purge_to else { return };
        let removed = self.connection.prepare_cached(PURGE);
        let removed = removed.and_then(|mut purge| purge.execute([to as i64, PURGED_AT_ONCE as i64]));
        match removed {
            Ok(PURGED_AT_ONCE) => {}
            Ok(_) => self.purge_to = None,
            Err(cause) => {
                tracing::warn!(%cause, "old entries of the log stay until the next start");
                self.purge_to = None;
            }
        }
    }

    /// Writes a batch in one transaction and answers everybody in it.
    fn write(&mut self, batch: Vec<Request>, stop: bool) {
        let result = match &self.failed {
            Some(failed) => Err(failed.clone()),
            None => self.transaction(&batch).map_err(|cause| cause.to_string()),
        };
        match &result {
            Ok(Some(index)) => self.durable.store(*index, Ordering::Release),
            Err(cause) if self.failed.is_none() => {
                tracing::error!(%cause, "the log cannot be written; this server stops accepting writes");
                self.purge_to = None;
                self.failed = Some(cause.clone());
            }
            Ok(None) | Err(_) => {}
        }
        if stop {
            // Only saves the next start the replay of the write-ahead log.
            let _ = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            // Before the answer, so that whoever waits for the end can open the database again.
            self.lock = None;
        }
        let result = result.map(drop);
        let done: Vec<Vec<Entry>> = batch.into_iter().map(|request| answer(request, &result)).collect();
        drop(done);
    }

    /// Answers with the last entry that was written, if there is one.
    fn transaction(&mut self, batch: &[Request]) -> Result<Option<u64>, DatabaseError> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut last = None;
        match batch.iter().try_for_each(|request| self.execute(request, &mut last)) {
            Ok(()) => {
                self.connection.execute_batch("COMMIT")?;
                Ok(last)
            }
            Err(cause) => {
                // The first error is the one to tell.
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(cause)
            }
        }
    }

    fn execute(&mut self, request: &Request, last: &mut Option<u64>) -> Result<(), DatabaseError> {
        let connection = &self.connection;
        match request {
            Request::Append { entries, .. } => {
                for entry in entries {
                    database::write_entry(connection, entry)?;
                    *last = Some(entry.log_id.index);
                }
            }
            Request::Vote(vote, _) => database::write_single(connection, VOTE, vote)?,
            Request::Committed(log_id) => database::write_single(connection, COMMITTED, log_id)?,
            Request::Truncate(from, _) => {
                connection.execute("DELETE FROM log WHERE position >= ?1", [*from as i64])?;
                *last = None;
                let below = from.checked_sub(1).unwrap_or(u64::MAX);
                // Entries that take the place of the removed ones are not durable yet.
                let _ = self.durable.fetch_update(Ordering::AcqRel, Ordering::Acquire, |durable| {
                    (durable != u64::MAX && durable >= *from).then_some(below)
                });
            }
            Request::Purge(log_id, _) => {
                database::write_single(connection, PURGED, log_id)?;
                self.purge_to = self.purge_to.max(Some(log_id.index));
            }
            Request::SnapshotReady(record, _) => database::write_single(connection, SNAPSHOT, record.as_ref())?,
            Request::Stop(_) => {}
        }
        Ok(())
    }
}

/// Tells the asker, and leaves what can be dropped when everybody was told.
fn answer(request: Request, result: &Result<(), String>) -> Vec<Entry> {
    match request {
        Request::Append { callback, old, .. } => {
            callback.log_io_completed(result.clone().map_err(std::io::Error::other));
            return old;
        }
        Request::Committed(_) => {}
        Request::Vote(_, done)
        | Request::Truncate(_, done)
        | Request::Purge(_, done)
        | Request::SnapshotReady(_, done)
        | Request::Stop(done) => drop(done.send(result.clone())),
    }
    Vec::new()
}
