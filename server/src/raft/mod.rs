//! The log: propose a command, learn of committed ones, know who leads. openraft is named in this folder only.
//!
//! One server is Raft with one voter. [`proposals`] batches commands into entries, [`log_store`] keeps them in SQLite
//! through the [`writer`] thread, [`state_machine`] applies what is committed and publishes the new state; what that is was
//! worked out [`ahead`], while the disk was busy.

mod ahead;
mod database;
mod history;
mod log_store;
mod network;
mod proposals;
mod snapshot_files;
mod state_machine;
#[cfg(test)]
mod tests;
mod types;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use openraft::{BasicNode, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use state::{Command, State};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use database::DatabaseError;
pub use history::{HistoryError, Recorded};
pub use state_machine::Listener;

use crate::metrics::Metrics;
use crate::server::{Committed, ProposeError};
use log_store::LogStore;
use proposals::{Proposals, SnapshotRule};
use state_machine::StateMachine;
use types::Raft;

/// How long the end waits for a snapshot.
const LAST_SNAPSHOT: Duration = Duration::from_secs(5);

/// The id of the only voter.
const THIS_SERVER: u64 = 1;

/// What the log is told at start.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The database file.
    pub path: PathBuf,
    /// A snapshot is taken whenever this many entries were applied since the last one.
    pub snapshot_every: u64,
    /// Where other servers reach this one.
    pub advertise_rpc: String,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The database, or the snapshot beside it, cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The consensus module refused; its own words.
    #[error("consensus: {0}")]
    Consensus(String),
}

/// Who leads, as far as this server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Whether this server leads and has applied everything that was committed before it did.
    pub leads: bool,
    /// The leader's RPC address.
    pub leader: Option<String>,
}

/// A handle on the log; clones are the same log.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    raft: Raft,
    store: LogStore,
    published: Arc<ArcSwap<State>>,
    proposals: Proposals,
    leadership: watch::Receiver<Leadership>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log, applies what it holds, and returns when this server leads.
    ///
    /// # Errors
    /// When the database, the snapshot or an entry cannot be read.
    pub async fn open(
        options: LogOptions,
        listener: Arc<dyn Listener>,
        metrics: Arc<Metrics>,
    ) -> Result<Log, LogError> {
        let store = open_store(&options.path).await?;
        let published = Arc::new(ArcSwap::from_pointee(State::default()));
        let machine = StateMachine::restore(store.clone(), published.clone(), listener)?;
        let before = store.last();
        let config = Arc::new(settings(options.snapshot_every).validate().map_err(consensus)?);
        let raft = Raft::new(THIS_SERVER, config, network::NoPeers, store.clone(), machine).await.map_err(consensus)?;
        if !raft.is_initialized().await.map_err(consensus)? {
            let voter = BasicNode::new(options.advertise_rpc.clone());
            raft.initialize(std::collections::BTreeMap::from([(THIS_SERVER, voter)])).await.map_err(consensus)?;
        } else if raft.metrics().borrow().state != ServerState::Leader {
            // The only voter need not wait whether another one speaks up.
            raft.trigger().elect().await.map_err(consensus)?;
        }
        let (leadership, watcher) = watch_leadership(&raft, before, options.advertise_rpc).await?;
        let snapshots = SnapshotRule { store: store.clone(), every: options.snapshot_every.max(1) };
        let (proposals, batcher) = Proposals::start(raft.clone(), published.clone(), snapshots, metrics);
        let tasks = Mutex::new(vec![watcher, batcher]);
        Ok(Log { inner: Arc::new(Inner { raft, store, published, proposals, leadership, tasks }) })
    }

    /// The state as of the last applied entries.
    pub fn state(&self) -> Arc<State> {
        self.inner.published.load_full()
    }

    /// Appends a command and waits until it is durable and applied.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        self.inner.proposals.propose(command).await
    }

    /// Whether this server leads.
    pub fn is_leader(&self) -> bool {
        self.inner.leadership.borrow().leads
    }

    /// Where the leader answers, when there is one.
    pub fn leader_addr(&self) -> Option<String> {
        self.inner.leadership.borrow().leader.clone()
    }

    /// Changes of leadership.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// Finds the latest decision on an evaluation in the log, with the state that it was made from. Reads the disk, so it
    /// is not for a thread that serves.
    ///
    /// # Errors
    /// When the log does not reach back so far, or cannot be read.
    pub fn recorded(&self, eval: model::id::EvalId) -> Result<Recorded, HistoryError> {
        history::recorded(&self.inner.store, eval)
    }

    /// Leaves the next start little to replay, if that takes no time. What fails is only not faster.
    async fn take_last_snapshot(&self) {
        let Inner { raft, store, .. } = &*self.inner;
        let applied = raft.metrics().borrow().last_applied;
        if !store.wants_last_snapshot() || raft.trigger().snapshot().await.is_err() {
            return;
        }
        let is_taken = |metrics: &openraft::RaftMetrics<_, _>| metrics.snapshot >= applied;
        if let Err(cause) = raft.wait(Some(LAST_SNAPSHOT)).metrics(is_taken, "the last snapshot").await {
            tracing::info!(%cause, "no snapshot before the end");
        }
    }

    /// Ends the log: nothing is accepted any more, what is queued is written.
    pub async fn shutdown(&self) {
        self.take_last_snapshot().await;
        if let Err(cause) = self.inner.raft.shutdown().await {
            tracing::warn!(%cause, "the consensus task did not end well");
        }
        self.inner.store.close().await;
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        for task in tasks {
            task.abort();
        }
    }
}

/// Opens the store; one that is just being closed by somebody else is waited for.
async fn open_store(path: &Path) -> Result<LogStore, DatabaseError> {
    const TRIES: u32 = 40;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 1..TRIES {
        match LogStore::open(path) {
            Err(DatabaseError::InUse(_)) => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
    LogStore::open(path)
}

/// openraft's timers, relaxed: one voter hears nobody, and an idle machine should sleep.
fn settings(snapshot_every: u64) -> openraft::Config {
    openraft::Config {
        cluster_name: "drover".to_owned(),
        heartbeat_interval: 1_000,
        election_timeout_min: 3_000,
        election_timeout_max: 5_000,
        install_snapshot_timeout: 60_000,
        // See `SnapshotRule`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: (snapshot_every / 4).min(256),
        purge_batch_size: 64,
        max_payload_entries: 64,
        enable_heartbeat: false,
        enable_tick: true,
        ..openraft::Config::default()
    }
}

fn consensus(cause: impl std::fmt::Display) -> LogError {
    LogError::Consensus(cause.to_string())
}

/// Waits until this server leads and has applied everything up to `before`, then follows leadership in a task.
async fn watch_leadership(
    raft: &Raft,
    before: Option<types::LogId>,
    own_address: String,
) -> Result<(watch::Receiver<Leadership>, JoinHandle<()>), LogError> {
    let mut metrics = raft.metrics();
    loop {
        {
            let now = metrics.borrow_and_update();
            if let Err(fatal) = &now.running_state {
                return Err(consensus(fatal));
            }
            if now.state == ServerState::Leader && now.last_applied >= before {
                break;
            }
        }
        metrics.changed().await.map_err(consensus)?;
    }
    let leads = Leadership { leads: true, leader: Some(own_address.clone()) };
    let (sender, receiver) = watch::channel(leads);
    let watcher = tokio::spawn(async move {
        while metrics.changed().await.is_ok() {
            let next = {
                let now = metrics.borrow_and_update();
                let leads = now.state == ServerState::Leader && now.running_state.is_ok();
                Leadership { leads, leader: leads.then(|| own_address.clone()) }
            };
            sender.send_if_modified(|current| {
                let changed = *current != next;
                *current = next;
                changed
            });
        }
        sender.send_replace(Leadership::default());
    });
    Ok((receiver, watcher))
}
