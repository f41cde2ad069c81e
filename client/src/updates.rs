//! Observed status on its way to the servers: the newest of each allocation, in batches.

use std::collections::BTreeMap;
use std::time::Duration;

use model::allocation::{AllocUpdate, ReportOrder};
use model::id::AllocId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Updates in one push.
const BATCH: usize = 512;
/// How long an update that only tells of events may wait for others.
const LEISURE: Duration = Duration::from_millis(200);

/// A queue that keeps one update per allocation.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    updates: BTreeMap<AllocId, AllocUpdate>,
    urgent: bool,
    /// Of the last report.
    order: ReportOrder,
}

impl Updates {
    /// Nothing queued. `start` tells how often this node's agent has started.
    pub(crate) fn new(start: u64) -> Updates {
        let order = ReportOrder { start, number: 0 };
        Updates { pending: Mutex::new(Pending { order, ..Pending::default() }), changed: Notify::new() }
    }

    /// Queues an update in place of an older one.
    pub(crate) fn put(&self, mut update: AllocUpdate, urgent: bool) {
        let mut pending = self.pending.lock();
        pending.order.number += 1;
        update.report = pending.order;
        pending.updates.insert(update.id, update);
        pending.urgent |= urgent;
        drop(pending);
        self.changed.notify_one();
    }

    /// Forgets what is queued of an allocation that the servers have forgotten.
    pub(crate) fn forget(&self, id: AllocId) {
        self.pending.lock().updates.remove(&id);
    }

    /// Puts a batch back that could not be pushed; newer updates win.
    pub(crate) fn put_back(&self, batch: Vec<AllocUpdate>) {
        let mut pending = self.pending.lock();
        for update in batch {
            pending.updates.entry(update.id).or_insert(update);
        }
        pending.urgent = true;
        drop(pending);
        self.changed.notify_one();
    }

    /// Waits for the next batch. Urgent updates leave at once and take the others along.
    pub(crate) async fn next(&self) -> Vec<AllocUpdate> {
        loop {
            self.wait_for_any().await;
            let urgent = self.wait_for_urgent();
            if tokio::time::timeout(LEISURE, urgent).await.is_err() {
                self.pending.lock().urgent = true;
            }
            let batch = self.take();
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    /// What is queued now, up to one batch.
    pub(crate) fn take(&self) -> Vec<AllocUpdate> {
        let mut pending = self.pending.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some((_, update)) = pending.updates.pop_first()
        {
            batch.push(update);
        }
        pending.urgent &= !pending.updates.is_empty();
        batch
    }

    async fn wait_for_any(&self) {
        while self.pending.lock().updates.is_empty() {
            self.changed.notified().await;
        }
    }

    async fn wait_for_urgent(&self) {
        while !self.pending.lock().urgent {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::allocation::ClientStatus;

    fn update(id: u128, client_status: ClientStatus) -> AllocUpdate {
        AllocUpdate { id: AllocId(id), client_status, ..AllocUpdate::default() }
    }

    #[tokio::test]
    async fn the_newest_wins_and_batches_are_bounded() {
        let updates = Updates::default();
        updates.put(update(1, ClientStatus::Pending), false);
        updates.put(update(1, ClientStatus::Running), true);
        updates.put(update(2, ClientStatus::Pending), false);
        let batch = updates.next().await;
        assert_eq!(batch.len(), 2);
        assert_eq!(batch[0].client_status, ClientStatus::Running);
        updates.put(update(1, ClientStatus::Complete), true);
        updates.put_back(batch);
        assert_eq!(updates.next().await[0].client_status, ClientStatus::Complete);
        for id in 0..BATCH as u128 + 1 {
            updates.put(update(id, ClientStatus::Pending), false);
        }
        assert_eq!(updates.next().await.len(), BATCH);
        assert_eq!(updates.next().await.len(), 1);
    }
}
