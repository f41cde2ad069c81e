//! Committed entries go through `state::apply`; once per round of entries the new state is published and listeners told.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::storage::{RaftStateMachine, Snapshot};
use openraft::{AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use state::{State, Touched};

use super::ahead::Applied;
use super::database::DatabaseError;
use super::log_store::LogStore;
use super::snapshot_files::read_state;
use super::types::{Entry, LogId, Replies, SnapshotMeta, StorageError, StoredMembership, TypeConfig};

/// Told of every round of applied commands, after the new state has been published. Must be quick: the log waits.
pub trait Listener: Send + Sync + 'static {
    /// `state` is the new state, `touched` all that the round changed, `commands` how many were applied.
    fn applied(&self, state: &Arc<State>, touched: Touched, commands: u64);

    /// The whole state was replaced by a snapshot.
    fn replaced(&self, state: &Arc<State>);

    /// A snapshot was taken.
    fn snapshot_taken(&self) {}
}

/// How much a snapshot gives way to other threads, on the system's scale up to 19.
const NICENESS: i32 = 19;

/// The state with the place in the log that it reflects.
pub struct StateMachine {
    state: State,
    published: Arc<ArcSwap<State>>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    log: LogStore,
    listener: Arc<dyn Listener>,
}

impl StateMachine {
    /// The state of the newest snapshot in `log`, or an empty one. Entries after it are applied by openraft.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn restore(
        log: LogStore,
        published: Arc<ArcSwap<State>>,
        listener: Arc<dyn Listener>,
    ) -> Result<StateMachine, DatabaseError> {
        let mut machine = StateMachine {
            state: State::default(),
            published,
            last_applied: None,
            membership: StoredMembership::default(),
            log,
            listener,
        };
        if let Some((record, state)) = machine.log.read_snapshot()? {
            machine.replace(state, &record.meta);
        }
        Ok(machine)
    }

    fn replace(&mut self, state: State, meta: &SnapshotMeta) {
        self.state = state;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        let published = self.publish();
        self.listener.replaced(&published);
    }

    fn publish(&self) -> Arc<State> {
        let state = Arc::new(self.state.clone());
        self.published.store(state.clone());
        state
    }

    /// Applies one entry, or takes over what that was found to do.
    async fn apply_entry(&mut self, entry: Entry, touched: &mut Touched) -> Replies {
        self.last_applied = Some(entry.log_id);
        let mut replies = Replies::default();
        match entry.payload {
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            EntryPayload::Normal(batch) => {
                let ahead = batch.ahead.take(self.state.index()).await;
                let outcome = ahead.unwrap_or_else(|| Applied::of(std::mem::take(&mut self.state), &batch.commands));
                self.state = outcome.state;
                touched.merge(outcome.touched);
                replies.replies = outcome.replies;
            }
        }
        replies
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Replies>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut touched = Touched::default();
        let mut answers: Vec<Replies> = Vec::new();
        for entry in entries {
            answers.push(self.apply_entry(entry, &mut touched).await);
        }
        let commands: usize = answers.iter().map(|answer| answer.replies.len()).sum();
        if commands > 0 {
            let published = self.publish();
            self.listener.applied(&published, touched, commands as u64);
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            state: self.state.clone(),
            last_applied: self.last_applied,
            membership: self.membership.clone(),
            log: self.log.clone(),
            listener: self.listener.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<tokio::fs::File>, StorageError> {
        let file = self.log.incoming_snapshot().map_err(|cause| StorageIOError::write_snapshot(None, &cause))?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<tokio::fs::File>,
    ) -> Result<(), StorageError> {
        let unreadable = |cause| StorageIOError::read_snapshot(Some(meta.signature()), cause);
        let mut file = snapshot.into_std().await;
        file.seek(SeekFrom::Start(0)).map_err(|cause| unreadable(AnyError::new(&cause)))?;
        let state = read_state(file).map_err(|cause| unreadable(AnyError::new(&cause)))?;
        save(&self.log, meta.clone(), state.clone()).await?;
        self.replace(state, meta);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let found = self.log.open_snapshot().map_err(|cause| StorageIOError::read_snapshot(None, &cause))?;
        Ok(found.map(|(record, file)| snapshot(record.meta, file)))
    }
}

fn snapshot(meta: SnapshotMeta, file: std::fs::File) -> Snapshot<TypeConfig> {
    Snapshot { meta, snapshot: Box::new(tokio::fs::File::from_std(file)) }
}

/// Writes a state as the current snapshot, on a thread that gives way to all others.
async fn save(log: &LogStore, meta: SnapshotMeta, state: State) -> Result<(), StorageError> {
    let at = Some(meta.signature());
    let failed = |cause: &DatabaseError| StorageIOError::write_snapshot(at.clone(), cause);
    let (done, saved) = tokio::sync::oneshot::channel();
    let store = log.clone();
    let work = move || {
        // Where it is not allowed, the snapshot competes with everything else.
        let _ = rustix::process::nice(NICENESS);
        // Nobody waits when the server ends.
        let _ = done.send(store.save_snapshot(meta, |sink| state.write_to(sink)));
    };
    std::thread::Builder::new()
        .name("snapshot".to_owned())
        .spawn(work)
        .map_err(|cause| failed(&DatabaseError::Thread(cause)))?;
    let ended = DatabaseError::Closed(": the thread of the snapshot ended".to_owned());
    let record = saved.await.unwrap_or(Err(ended)).map_err(|cause| failed(&cause))?;
    log.adopt_snapshot(record).await.map_err(|cause| failed(&cause))?;
    Ok(())
}

/// A state as it was when the snapshot was asked for.
pub struct SnapshotBuilder {
    state: State,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    log: LogStore,
    listener: Arc<dyn Listener>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let at = self.last_applied.map_or_else(|| "0".to_owned(), |id| format!("{}-{}", id.leader_id.term, id.index));
        let meta = SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{at}-{}", self.state.index()),
        };
        save(&self.log, meta.clone(), self.state.clone()).await?;
        self.listener.snapshot_taken();
        let found = self.log.open_snapshot().map_err(|cause| StorageIOError::read_snapshot(None, &cause))?;
        let (_, file) = found.ok_or_else(|| {
            let gone = DatabaseError::Closed(": the snapshot is gone".to_owned());
            StorageIOError::read_snapshot(None, &gone)
        })?;
        Ok(snapshot(meta, file))
    }
}
