//! The proposal batcher: whatever waits while one entry is being written becomes the next entry.
//!
//! openraft 0.9 syncs the disk once per write it is given, so the number of commands in an entry is what makes writes
//! fast. One entry is in flight at a time; commands are applied in the order in which they were sent here. What an entry
//! does is worked out here while it is being written (see [`super::ahead`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::error::{ClientWriteError, RaftError};
use state::{Command, Reply, State};
use tokio::sync::{mpsc, oneshot};

use super::log_store::LogStore;
use super::types::{Batch, Raft};
use crate::metrics::Metrics;
use crate::server::{Committed, ProposeError};

/// The most commands in one entry.
const MAX_COMMANDS: usize = 1024;
/// The most bytes in one entry, unless one command alone is larger.
const MAX_BYTES: usize = 1 << 20;
/// The most looks for more before a batch goes.
const LOOKS: usize = 16;
/// Commands that wait before senders have to.
const QUEUE: usize = 4096;

/// A command on its way into the log.
struct Proposal {
    command: Command,
    encoded: Vec<u8>,
    answer: oneshot::Sender<Result<Committed, ProposeError>>,
}

/// When a snapshot is taken: see [`LogStore::wants_snapshot`]. Looked at after each write, for only those make it due.
pub struct SnapshotRule {
    /// The log.
    pub store: LogStore,
    /// Entries after which one is taken at the earliest.
    pub every: u64,
}

impl SnapshotRule {
    async fn follow(&self, raft: &Raft) {
        if self.store.wants_snapshot(self.every)
            && let Err(cause) = raft.trigger().snapshot().await
        {
            tracing::warn!(%cause, "no snapshot was taken");
        }
    }
}

/// The sending side; clones share one queue.
#[derive(Clone)]
pub struct Proposals {
    queue: mpsc::Sender<Proposal>,
}

impl Proposals {
    /// Starts the batcher; it ends when the last clone is dropped or the log ends.
    pub fn start(
        raft: Raft,
        state: Arc<ArcSwap<State>>,
        snapshots: SnapshotRule,
        metrics: Arc<Metrics>,
    ) -> (Proposals, tokio::task::JoinHandle<()>) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (Proposals { queue }, tokio::spawn(run(raft, state, snapshots, receiver, metrics)))
    }

    /// Sends a command and waits until it is durable and applied.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        let encoded = command.to_bytes().map_err(|cause| ProposeError::Log(cause.to_string()))?;
        let (answer, committed) = oneshot::channel();
        self.queue.send(Proposal { command, encoded, answer }).await.map_err(|_| ProposeError::ShuttingDown)?;
        committed.await.unwrap_or(Err(ProposeError::ShuttingDown))
    }
}

async fn run(
    raft: Raft,
    state: Arc<ArcSwap<State>>,
    snapshots: SnapshotRule,
    mut queue: mpsc::Receiver<Proposal>,
    metrics: Arc<Metrics>,
) {
    let mut waiting: std::collections::VecDeque<Proposal> = std::collections::VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = queue.recv().await else { return };
            waiting.push_back(first);
        }
        gather(&mut queue, &mut waiting).await;
        write(&raft, take_batch(&mut waiting), &state, &metrics).await;
        snapshots.follow(&raft).await;
    }
}

/// Takes what else has come. Who was answered together asks again together: as long as each look finds more, those who are
/// about to ask are let run, for a batch that goes at once would leave most of them to the next.
async fn gather(queue: &mut mpsc::Receiver<Proposal>, waiting: &mut std::collections::VecDeque<Proposal>) {
    for _ in 0..LOOKS {
        let before = waiting.len();
        while waiting.len() < MAX_COMMANDS
            && let Ok(proposal) = queue.try_recv()
        {
            waiting.push_back(proposal);
        }
        tokio::task::yield_now().await;
        if waiting.len() == before && queue.is_empty() {
            return;
        }
    }
}

/// The next entry's worth from the front.
fn take_batch(waiting: &mut std::collections::VecDeque<Proposal>) -> Vec<Proposal> {
    let mut bytes = 0;
    let count = waiting
        .iter()
        .take(MAX_COMMANDS)
        .take_while(|proposal| {
            bytes += proposal.encoded.len();
            bytes <= MAX_BYTES
        })
        .count();
    waiting.drain(..count.max(1).min(waiting.len())).collect()
}

async fn write(raft: &Raft, batch: Vec<Proposal>, state: &ArcSwap<State>, metrics: &Metrics) {
    let mut parts = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for proposal in batch {
        parts.push((proposal.command, proposal.encoded));
        answers.push(proposal.answer);
    }
    metrics.batches_proposed.incr();
    let batch = Batch::join(parts);
    let (commands, ahead) = (batch.commands.clone(), batch.ahead.clone());
    // Nothing else is in flight, so what is published is what the batch will be applied to.
    let work = async {
        // The log first: the disk is what takes long.
        tokio::task::yield_now().await;
        ahead.work(&state.load_full(), &commands).await;
    };
    let (written, ()) = futures_util::future::join(raft.client_write(batch), work).await;
    match written {
        Ok(response) => answer_all(answers, response.data.replies),
        Err(cause) => {
            let error = explain(cause);
            // A sender that has gone away does not want its answer.
            answers.into_iter().for_each(|answer| drop(answer.send(Err(error.clone()))));
        }
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Result<Committed, ProposeError>>>, replies: Vec<(u64, Reply)>) {
    for (answer, (index, reply)) in answers.into_iter().zip(replies) {
        drop(answer.send(Ok(Committed { index, reply })));
    }
}

fn explain(cause: RaftError<u64, ClientWriteError<u64, openraft::BasicNode>>) -> ProposeError {
    match cause {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            ProposeError::NotLeader { leader: forward.leader_node.map(|node| node.addr) }
        }
        RaftError::APIError(other) => ProposeError::Log(other.to_string()),
        RaftError::Fatal(openraft::error::Fatal::Stopped) => ProposeError::ShuttingDown,
        RaftError::Fatal(other) => ProposeError::Log(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(size: usize) -> Proposal {
        let op = state::Op::Gc { before: model::time::Timestamp(0), force: false };
        Proposal { command: crate::server::command(op), encoded: vec![0; size], answer: oneshot::channel().0 }
    }

    #[test]
    fn batches_are_bounded_by_number_and_bytes_and_never_empty() {
        let mut waiting: std::collections::VecDeque<_> = (0..MAX_COMMANDS + 5).map(|_| proposal(10)).collect();
        assert_eq!(take_batch(&mut waiting).len(), MAX_COMMANDS);
        assert_eq!(take_batch(&mut waiting).len(), 5);
        let mut waiting: std::collections::VecDeque<_> =
            [2 * MAX_BYTES, MAX_BYTES / 2, MAX_BYTES / 2, 1].into_iter().map(proposal).collect();
        assert_eq!(take_batch(&mut waiting).len(), 1);
        assert_eq!(take_batch(&mut waiting).len(), 2);
        assert_eq!(take_batch(&mut waiting).len(), 1);
        assert!(take_batch(&mut waiting).is_empty());
    }
}
