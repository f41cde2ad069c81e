//! What is on one node: the rows of its allocations and the sums over them, so that most questions need no row.

use std::sync::Arc;

use imbl::OrdMap;
use model::allocation::DesiredStatus;
use model::id::AllocId;

use crate::alloc_row::AllocRow;
use crate::amounts::Amounts;

/// The allocations of one node. Everything but the two maps is a sum over them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OnNode {
    /// Those that have not ended at the client: they hold room.
    live: OrdMap<AllocId, Arc<AllocRow>>,
    /// The others.
    ended: OrdMap<AllocId, Arc<AllocRow>>,
    held: Held,
    /// The last index at which the leader's side of one of them changed.
    newest: u64,
}

/// What live allocations hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub amounts: Amounts,
    /// How many start only after the end of others: while none does, the sums are enough.
    pub followers: usize,
    /// How many are meant to go on.
    pub staying: usize,
}

impl Held {
    fn count(
        &mut self,
        row: &AllocRow,
        with: impl Fn(usize, usize) -> usize,
        sum: impl Fn(Amounts, Amounts) -> Amounts,
    ) {
        self.amounts = sum(self.amounts, Amounts::of(row.grant_without_ports()));
        self.followers = with(self.followers, usize::from(!row.starts_after().is_empty()));
        self.staying = with(self.staying, usize::from(row.desired_status() == DesiredStatus::Run));
    }
}

impl OnNode {
    /// Adds a row or replaces the one that was there.
    pub fn put(&mut self, row: Arc<AllocRow>) {
        let id = row.id();
        let is_live = row.is_live();
        self.newest = self.newest.max(row.alloc_modify_index());
        if is_live {
            self.held.count(&row, |sum, one| sum + one, Amounts::plus);
        }
        let (to, from) = match is_live {
            true => (&mut self.live, &mut self.ended),
            false => (&mut self.ended, &mut self.live),
        };
        let old = match to.insert(id, row) {
            Some(old) => Some(old),
            None => from.remove(&id),
        };
        if let Some(old) = old {
            self.discount(&old);
        }
    }

    /// Forgets a row.
    pub fn remove(&mut self, id: AllocId) {
        let Some(old) = self.live.remove(&id).or_else(|| self.ended.remove(&id)) else { return };
        self.discount(&old);
        if old.alloc_modify_index() == self.newest {
            self.newest = self.rows().map(|row| row.alloc_modify_index()).max().unwrap_or(0);
        }
    }

    fn discount(&mut self, old: &AllocRow) {
        if old.is_live() {
            self.held.count(old, |sum, one| sum - one, Amounts::minus);
        }
    }

    /// All rows, the live ones first.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.live.values().chain(self.ended.values())
    }

    /// The rows of those that have not ended at the client, by id.
    pub fn live_rows(&self) -> impl Iterator<Item = &Arc<AllocRow>> {
        self.live.values()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.live.len() + self.ended.len()
    }

    /// What the live ones hold.
    pub fn held(&self) -> Held {
        self.held
    }

    /// The last index at which the leader's side of a row that is still there changed; 0 without rows.
    pub fn newest(&self) -> u64 {
        self.newest
    }
}
