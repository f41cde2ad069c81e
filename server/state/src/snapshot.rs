//! Snapshots: the whole state as a stream of values (see [`crate::framed`]), and its hash.
//!
//! A header names the format and its version; then comes one value per row, tables in a fixed order and rows in key
//! order, so equal states give equal bytes. Derived tables are not written; they are built again while reading.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use model::allocation::Allocation;
use model::api::JobSubmission;
use model::document::Document;
use model::evaluation::Evaluation;
use model::id::{EvalId, JobKey, Seed};
use model::node::Node;
use model::scheduling::SchedulerConfiguration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::alloc_row::Pool;
use crate::framed::{read, read_all, write};
use crate::reply::Reply;
use crate::row::StoredJob;
use crate::state::State;

const FORMAT: &str = "drover-state";
const VERSION: u32 = 2;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The sink failed.
    #[error("cannot write the snapshot: {0}")]
    Sink(String),
    /// The source failed, or ended too early.
    #[error("cannot read the snapshot: {0}; if it is cut off or damaged, use an older one")]
    Source(String),
    /// A row cannot be encoded.
    #[error("cannot encode the snapshot: {0}")]
    Write(#[from] rmp_serde::encode::Error),
    /// The bytes are cut off or damaged.
    #[error("cannot read the snapshot: {0}; it is cut off or damaged, use an older one")]
    Read(#[from] rmp_serde::decode::Error),
    /// The bytes are something else, or of a newer release.
    #[error(
        "this is {format:?} version {version}, not {FORMAT:?} version {VERSION}; a newer drover may have written it"
    )]
    Format {
        /// The format's name as found.
        format: String,
        /// The version as found.
        version: u32,
    },
    /// A row refers to another that is not there.
    #[error("the snapshot is inconsistent: {0}; use an older one")]
    Inconsistent(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    index: u64,
    table_indexes: Vec<u64>,
}

/// One row. New kinds of rows are added at the end, new fields with a default.
#[derive(Deserialize)]
enum Row {
    /// A version of a job, and whether it is the current one.
    Job {
        current: bool,
        document: Box<Document>,
        submission: Option<JobSubmission>,
    },
    Node(Box<Node>),
    Alloc(Box<Allocation>),
    Eval(Box<Evaluation>),
    Seen {
        seed: Seed,
        reply: Reply,
    },
    /// The last value; without it the stream was cut off.
    End,
    Scheduling(SchedulerConfiguration),
}

/// [`Row`] with borrowed contents, for writing.
#[derive(Serialize)]
#[serde(rename = "Row")]
enum RowRef<'a> {
    Job { current: bool, document: &'a Document, submission: Option<&'a JobSubmission> },
    Node(&'a Node),
    Alloc(&'a Allocation),
    Eval(&'a Evaluation),
    Seen { seed: Seed, reply: &'a Reply },
    End,
    Scheduling(&'a SchedulerConfiguration),
}

/// The SHA-256 of a state's snapshot: equal on every replica at the same index, and after a restore.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateHash(pub [u8; 32]);

impl fmt::Display for StateHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for StateHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StateHash({self})")
    }
}

struct HashSink(Sha256);

impl Write for HashSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Writes the snapshot row by row; `sink` should be buffered.
    ///
    /// # Errors
    /// What `sink` answers.
    pub fn write_to(&self, sink: &mut impl Write) -> Result<(), SnapshotError> {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            index: self.index,
            table_indexes: self.table_indexes.to_vec(),
        };
        write(sink, &header)?;
        for ((key, create, version), job) in &self.versions {
            let current = self
                .jobs
                .get(key)
                .is_some_and(|now| (now.head().create_index, now.head().version) == (*create, *version));
            write(sink, &RowRef::Job { current, document: &job.document, submission: job.submission.as_deref() })?;
        }
        self.nodes.values().try_for_each(|node| write(sink, &RowRef::Node(node)))?;
        self.allocs.rows().try_for_each(|alloc| write(sink, &RowRef::Alloc(&alloc.unpack())))?;
        self.evals.values().try_for_each(|eval| write(sink, &RowRef::Eval(eval)))?;
        if let Some(config) = &self.scheduling {
            write(sink, &RowRef::Scheduling(config))?;
        }
        for seed in &self.seen_order {
            if let Some(reply) = self.seen.get(seed) {
                write(sink, &RowRef::Seen { seed: *seed, reply })?;
            }
        }
        write(sink, &RowRef::End)
    }

    /// The snapshot in memory.
    ///
    /// # Errors
    /// When a row cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads what [`State::write_to`] wrote.
    ///
    /// # Errors
    /// When the bytes are cut off, damaged, inconsistent, or of a newer release.
    pub fn from_bytes(bytes: &[u8]) -> Result<State, SnapshotError> {
        State::read_from(&mut &*bytes)
    }

    /// Reads what [`State::write_to`] wrote, row by row; `source` should be buffered.
    ///
    /// # Errors
    /// As [`State::from_bytes`], and what `source` answers.
    pub fn read_from(source: &mut impl Read) -> Result<State, SnapshotError> {
        let header: Header = read(source)?;
        if header.format != FORMAT || header.version != VERSION {
            return Err(SnapshotError::Format { format: header.format, version: header.version });
        }
        let state = State { index: header.index, ..State::default() };
        let mut restore = Restore { state, pools: BTreeMap::new(), is_whole: false };
        for (slot, index) in restore.state.table_indexes.iter_mut().zip(header.table_indexes) {
            *slot = index;
        }
        read_all(source, |row| restore.take(row))?;
        match restore.is_whole {
            true => Ok(restore.state),
            false => Err(SnapshotError::Source("its last row is missing".to_owned())),
        }
    }

    /// The hash of the state.
    ///
    /// # Errors
    /// When a row cannot be encoded.
    pub fn hash(&self) -> Result<StateHash, SnapshotError> {
        let mut sink = HashSink(Sha256::new());
        self.write_to(&mut sink)?;
        Ok(StateHash(sink.0.finalize().into()))
    }
}

/// A state while it is read.
struct Restore {
    state: State,
    /// What rows shared, by evaluation: allocations of one plan share it again.
    pools: BTreeMap<EvalId, Pool>,
    /// Whether the last row has come.
    is_whole: bool,
}

impl Restore {
    fn take(&mut self, row: Row) -> Result<(), SnapshotError> {
        if self.is_whole {
            return Err(SnapshotError::Source("there is more behind its last row".to_owned()));
        }
        let state = &mut self.state;
        match row {
            Row::Job { current, document, submission } => {
                let job = Arc::new(StoredJob { document: Arc::from(document), submission: submission.map(Arc::new) });
                let key: JobKey = job.head().key.clone();
                let version = (key.clone(), job.head().create_index, job.head().version);
                state.versions.insert(version, job.clone());
                if current {
                    state.jobs.insert(key, job);
                }
            }
            Row::Node(node) => {
                state.store_node(Arc::from(node));
            }
            Row::Alloc(alloc) => self.take_alloc(*alloc)?,
            Row::Eval(eval) => {
                state.evals_by_job.insert((eval.job.clone(), eval.id));
                state.evals.put(eval.id, Arc::from(eval));
            }
            Row::Scheduling(config) => state.scheduling = Some(Arc::new(config)),
            Row::Seen { seed, reply } => {
                state.seen.insert(seed, Arc::new(reply));
                state.seen_order.push_back(seed);
            }
            Row::End => self.is_whole = true,
        }
        Ok(())
    }

    fn take_alloc(&mut self, alloc: Allocation) -> Result<(), SnapshotError> {
        let state = &mut self.state;
        if state.job_of_alloc(&alloc).is_none() {
            let text = format!(
                "allocation {} runs version {} of {}, which is missing",
                alloc.id, alloc.job_version, alloc.job
            );
            return Err(SnapshotError::Inconsistent(text));
        }
        let pool = self.pools.entry(alloc.eval_id).or_default();
        state.store_alloc(alloc, pool);
        Ok(())
    }
}
