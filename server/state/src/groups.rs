//! An index from one thing to the rows of the allocations that belong to it.

use std::sync::Arc;

use imbl::OrdMap;
use model::id::AllocId;

use crate::alloc_row::AllocRow;

/// Rows by what they belong to, so that reading a group looks nothing up. Nothing has an empty group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Groups<K: Ord + Clone> {
    groups: OrdMap<K, OrdMap<AllocId, Arc<AllocRow>>>,
    len: usize,
}

impl<K: Ord + Clone> Default for Groups<K> {
    fn default() -> Self {
        Groups { groups: OrdMap::new(), len: 0 }
    }
}

impl<K: Ord + Clone> Groups<K> {
    pub fn insert(&mut self, key: &K, row: Arc<AllocRow>) {
        let is_new = match self.groups.get_mut(key) {
            Some(rows) => rows.insert(row.id(), row).is_none(),
            None => self.groups.insert(key.clone(), OrdMap::unit(row.id(), row)).is_none(),
        };
        self.len += usize::from(is_new);
    }

    pub fn remove(&mut self, key: &K, id: AllocId) {
        if !self.contains(key, id) {
            return;
        }
        let Some(rows) = self.groups.get_mut(key) else { return };
        self.len -= usize::from(rows.remove(&id).is_some());
        if rows.is_empty() {
            self.groups.remove(key);
        }
    }

    pub fn rows<'a>(&'a self, key: &K) -> impl Iterator<Item = &'a Arc<AllocRow>> + use<'a, K> {
        self.groups.get(key).into_iter().flat_map(OrdMap::values)
    }

    pub fn contains(&self, key: &K, id: AllocId) -> bool {
        self.groups.get(key).is_some_and(|rows| rows.contains_key(&id))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.groups.keys()
    }

    /// Number of rows in all.
    pub fn len(&self) -> usize {
        self.len
    }
}
