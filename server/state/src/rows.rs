//! Rows by id, kept so that who holds on to an old state makes writing to the new one no dearer.
//!
//! Rows lie in slots, in the order in which they came; indexes hold the numbers of slots. So a snapshot that is kept by
//! somebody costs the next writer a copy of a few numbers, and a row that changes is written in one place. Ids are drawn
//! at random: with the rows themselves behind them, each change would copy, and count up, what happens to lie beside it.

use std::ops::RangeBounds;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

/// Where a row lies.
pub(crate) type Slot = u32;

/// Rows with an id each. Two are equal when their rows are, whatever the slots.
#[derive(Clone, Debug)]
pub(crate) struct Rows<I: Ord, T> {
    slots: Vector<Option<Arc<T>>>,
    free: Vector<Slot>,
    by_id: OrdMap<I, Slot>,
}

impl<I: Ord, T> Default for Rows<I, T> {
    fn default() -> Rows<I, T> {
        Rows { slots: Vector::new(), free: Vector::new(), by_id: OrdMap::new() }
    }
}

impl<I: Ord + Copy, T: PartialEq> PartialEq for Rows<I, T> {
    fn eq(&self, other: &Rows<I, T>) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<I: Ord + Copy, T> Rows<I, T> {
    /// Adds a row, or replaces the one with its id.
    pub fn put(&mut self, id: I, row: Arc<T>) {
        match self.slot_of(id) {
            Some(slot) => drop(self.replace(slot, row)),
            None => drop(self.add(id, row)),
        }
    }

    /// Adds a row whose id is not there yet. Answers where it lies.
    pub fn add(&mut self, id: I, row: Arc<T>) -> Slot {
        let slot = self.free_slot();
        self.by_id.insert(id, slot);
        self.replace(slot, row);
        slot
    }

    /// Lays a row of the same id into a slot. Answers what lay there.
    pub fn replace(&mut self, slot: Slot, row: Arc<T>) -> Option<Arc<T>> {
        self.slots.get_mut(slot as usize)?.replace(row)
    }

    /// Where the row with this id lies.
    pub fn slot_of(&self, id: I) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    fn free_slot(&mut self) -> Slot {
        self.free.pop_back().unwrap_or_else(|| {
            self.slots.push_back(None);
            // Four thousand million rows do not fit into memory.
            (self.slots.len() - 1) as Slot
        })
    }

    /// Removes a row.
    pub fn remove(&mut self, id: I) -> Option<Arc<T>> {
        let slot = self.by_id.remove(&id)?;
        self.free.push_back(slot);
        self.slots.get_mut(slot as usize)?.take()
    }

    /// What lies in a slot.
    pub fn at(&self, slot: Slot) -> Option<&Arc<T>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// One row.
    pub fn get(&self, id: I) -> Option<&Arc<T>> {
        self.at(self.slot_of(id)?)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All rows with their ids, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&I, &Arc<T>)> {
        self.by_id.iter().filter_map(|(id, slot)| Some((id, self.at(*slot)?)))
    }

    /// All rows, by id.
    pub fn values(&self) -> impl Iterator<Item = &Arc<T>> {
        self.iter().map(|(_, row)| row)
    }

    /// The rows with these ids, by id.
    pub fn range(&self, ids: impl RangeBounds<I>) -> impl Iterator<Item = &Arc<T>> {
        self.by_id.range(ids).filter_map(|(_, slot)| self.at(*slot))
    }

    /// All rows with their slots, in the order of the slots.
    pub fn in_slots(&self) -> impl Iterator<Item = (Slot, &Arc<T>)> {
        self.slots.iter().enumerate().filter_map(|(slot, row)| Some((slot as Slot, row.as_ref()?)))
    }

    /// What is wrong with the index, in words; `id_of` tells the id of a row.
    pub fn damage(&self, what: &str, id_of: impl Fn(&T) -> I) -> Vec<String>
    where
        I: std::fmt::Display,
    {
        let mut found = Vec::new();
        for (id, slot) in &self.by_id {
            if self.at(*slot).is_none_or(|row| id_of(row) != *id) {
                found.push(format!("{what} {id} is not where its index says"));
            }
        }
        if self.in_slots().count() != self.by_id.len() {
            found.push(format!("the index of {what}s by id differs from the {what}s"));
        }
        if self.slots.len() != self.by_id.len() + self.free.len() {
            found.push(format!("a slot of {what}s is neither used nor free"));
        }
        found
    }
}
