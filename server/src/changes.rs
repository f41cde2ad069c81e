//! Waiting for changes of the state: one wake-up per topic, so that thousands of waiters sleep while others change.
//!
//! A waiter first registers, then looks at the state, then sleeps; the log publishes the state first and wakes second.
//! So no change falls between looking and sleeping.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::id::{EvalId, JobKey, NodeId};
use parking_lot::Mutex;
use state::{State, Table, Touched};
use tokio::sync::Notify;

/// What a waiter waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Anything in one table.
    Table(Table),
    /// What the leader wants of one node's allocations (not what the node itself reported).
    Node(NodeId),
    /// One job, its allocations or evaluations.
    Job(JobKey),
    /// One evaluation.
    Eval(EvalId),
}

/// A wake-up with the number of those who wait for it.
#[derive(Default)]
struct Bell {
    notify: Arc<Notify>,
    waiters: usize,
}

/// All sleeping waiters, by topic. A topic without waiters costs nothing.
#[derive(Default)]
pub struct Changes {
    bells: Mutex<HashMap<Topic, Bell>>,
}

/// Keeps a topic's bell while its owner waits.
struct Registration<'a> {
    changes: &'a Changes,
    topic: &'a Topic,
    notify: Arc<Notify>,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut bells = self.changes.bells.lock();
        if let Some(bell) = bells.get_mut(self.topic) {
            bell.waiters -= 1;
            if bell.waiters == 0 {
                bells.remove(self.topic);
            }
        }
    }
}

impl Changes {
    /// Waits until `topic` has changed after index `newer_than`, at most for `timeout`; answers with the state then.
    ///
    /// May answer early without a change; a caller that minds compares again.
    pub async fn wait_for(
        &self,
        load: impl Fn() -> Arc<State>,
        topic: Topic,
        newer_than: u64,
        timeout: Duration,
    ) -> Arc<State> {
        let first = load();
        let before = version(&first, &topic);
        if before.index > newer_than {
            return first;
        }
        // The old state's tables must not be kept alive by somebody who sleeps for minutes.
        drop(first);
        let deadline = tokio::time::Instant::now() + timeout;
        let registration = self.register(&topic);
        loop {
            let notified = registration.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let state = load();
            if version(&state, &topic) != before {
                return state;
            }
            drop(state);
            if tokio::time::timeout_at(deadline, notified).await.is_err() {
                return load();
            }
        }
    }

    /// Wakes the waiters of everything that a batch touched. The new state must be published before.
    pub(crate) fn wake(&self, touched: &Touched) {
        let bells = self.bells.lock();
        if bells.is_empty() {
            return;
        }
        let ring = |topic: &Topic| {
            if let Some(bell) = bells.get(topic) {
                bell.notify.notify_waiters();
            }
        };
        touched.tables.iter().for_each(|table| ring(&Topic::Table(*table)));
        touched.nodes.iter().for_each(|id| ring(&Topic::Node(*id)));
        touched.jobs.iter().for_each(|key| ring(&Topic::Job(key.clone())));
        touched.evals.iter().for_each(|id| ring(&Topic::Eval(*id)));
    }

    /// Wakes everybody: the whole state was replaced.
    pub(crate) fn wake_all(&self) {
        self.bells.lock().values().for_each(|bell| bell.notify.notify_waiters());
    }

    /// How many topics somebody waits for.
    pub fn topics(&self) -> usize {
        self.bells.lock().len()
    }

    fn register<'a>(&'a self, topic: &'a Topic) -> Registration<'a> {
        let mut bells = self.bells.lock();
        let bell = bells.entry(topic.clone()).or_default();
        bell.waiters += 1;
        Registration { changes: self, topic, notify: bell.notify.clone() }
    }
}

/// When a topic last changed, and how many rows it has (a removed row leaves no index behind).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Index of the last change of a row that is still there.
    pub index: u64,
    /// Number of rows.
    pub rows: usize,
}

/// When `topic` last changed; a waiter that saw another version looks again.
pub fn version(state: &State, topic: &Topic) -> Version {
    match topic {
        Topic::Table(table) => Version { index: state.table_index(*table), rows: 0 },
        Topic::Node(id) => Version { index: state.newest_on_node(*id), rows: state.alloc_count_of_node(*id) },
        Topic::Job(key) => job_version(state, key),
        Topic::Eval(id) => match state.eval(*id) {
            Some(eval) => Version { index: eval.modify_index, rows: 1 },
            None => Version { index: state.table_index(Table::Evals), rows: 0 },
        },
    }
}

fn job_version(state: &State, key: &JobKey) -> Version {
    let mut version = Version { index: 0, rows: 0 };
    match state.job(key) {
        Some(stored) => version.index = stored.head().modify_index,
        None => version.index = state.table_index(Table::Jobs),
    }
    for row in state.alloc_rows_of_job(key) {
        version.index = version.index.max(row.modify_index());
        version.rows += 1;
    }
    for eval in state.evals_of_job(key) {
        version.index = version.index.max(eval.modify_index);
        version.rows += 1;
    }
    version
}
