//! What is on one node: where the rows of its allocations lie, and sums over them, so that most questions need no row.

use imbl::OrdMap;
use model::id::AllocId;
use model::rpc::IdDigest;

use crate::alloc_row::AllocRow;
use crate::amounts::Amounts;
use crate::rows::Slot;

/// Allocations by the last index at which the leader's side changed.
type Changes = OrdMap<(u64, AllocId), Slot>;

/// The allocations of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OnNode {
    /// Those that have not ended at the client: they hold room.
    live: Changes,
    /// The others.
    ended: Changes,
    held: Held,
    digest: IdDigest,
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
    fn of(row: &AllocRow) -> Held {
        let claim = row.claim();
        if !claim.live {
            return Held::default();
        }
        Held {
            amounts: Amounts::of(claim.grant),
            followers: usize::from(!claim.starts_after.is_empty()),
            staying: usize::from(!claim.ending),
        }
    }

    fn plus(self, other: Held) -> Held {
        Held {
            amounts: self.amounts.plus(other.amounts),
            followers: self.followers + other.followers,
            staying: self.staying + other.staying,
        }
    }

    fn minus(self, other: Held) -> Held {
        Held {
            amounts: self.amounts.minus(other.amounts),
            followers: self.followers - other.followers,
            staying: self.staying - other.staying,
        }
    }
}

impl OnNode {
    /// Whether two rows of one allocation are the same to its node.
    pub fn sees_no_difference(left: &AllocRow, right: &AllocRow) -> bool {
        let seen = |row: &AllocRow| (row.alloc_modify_index(), row.is_live(), Held::of(row));
        seen(left) == seen(right)
    }

    /// Adds a row that is not here.
    pub fn add(&mut self, row: &AllocRow, slot: Slot) {
        let id = row.id();
        let to = if row.is_live() { &mut self.live } else { &mut self.ended };
        to.insert((row.alloc_modify_index(), id), slot);
        self.held = self.held.plus(Held::of(row));
        self.digest.add(id);
    }

    /// Forgets a row that is here.
    pub fn remove(&mut self, row: &AllocRow) {
        let id = row.id();
        let from = if row.is_live() { &mut self.live } else { &mut self.ended };
        from.remove(&(row.alloc_modify_index(), id));
        self.held = self.held.minus(Held::of(row));
        self.digest.remove(id);
    }

    /// Where all rows lie, the live ones first.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.live.values().chain(self.ended.values())
    }

    /// Where the rows lie of those that have not ended at the client.
    pub fn live_slots(&self) -> impl Iterator<Item = &Slot> {
        self.live.values()
    }

    /// Where the rows lie of which the leader's side changed after `index`.
    pub fn changed_after(&self, index: u64) -> impl Iterator<Item = &Slot> {
        let first = (index.saturating_add(1), AllocId(0));
        self.live.range(first..).chain(self.ended.range(first..)).map(|(_, slot)| slot)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.live.len() + self.ended.len()
    }

    /// What the live ones hold.
    pub fn held(&self) -> Held {
        self.held
    }

    /// The ids of all of them, in short.
    pub fn digest(&self) -> IdDigest {
        self.digest
    }

    /// The last index at which the leader's side of one of them changed; 0 without any.
    pub fn newest(&self) -> u64 {
        let newest = |changes: &Changes| changes.get_max().map_or(0, |((index, _), _)| *index);
        newest(&self.live).max(newest(&self.ended))
    }
}
