//! Where the copies of one job are, as the plan leaves them.

use std::collections::BTreeMap;

use crate::table::NodeTable;
use crate::view::JobView;

/// Copies by node and group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    copies: BTreeMap<(usize, String), u32>,
}

impl Usage {
    /// Where the job's copies are now.
    pub fn of(table: &NodeTable, view: &JobView<'_>) -> Usage {
        let mut usage = Usage::default();
        for alloc in view.allocs.iter().filter(|alloc| !alloc.is_terminal()) {
            if let Some(slot) = table.slot(alloc.node_id) {
                usage.add(slot, &alloc.task_group);
            }
        }
        usage
    }

    /// One more copy of `group` on the node.
    pub fn add(&mut self, slot: usize, group: &str) {
        *self.copies.entry((slot, group.to_owned())).or_insert(0) += 1;
    }

    /// One copy less.
    pub fn remove(&mut self, slot: usize, group: &str) {
        let key = (slot, group.to_owned());
        if let Some(count) = self.copies.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.copies.remove(&key);
            }
        }
    }

    /// Copies on the node: of one group, or of the whole job.
    pub fn on_node(&self, slot: usize, group: Option<&str>) -> u32 {
        let of_node = self.copies.range((slot, String::new())..(slot + 1, String::new()));
        of_node.filter(|((_, name), _)| group.is_none_or(|group| group == name)).map(|(_, count)| count).sum()
    }

    /// Nodes that have copies, of one group or of the whole job; a node may come more than once.
    pub fn by_node<'a>(&'a self, group: Option<&'a str>) -> impl Iterator<Item = (usize, u32)> {
        let wanted = self.copies.iter().filter(move |((_, name), _)| group.is_none_or(|group| group == name));
        wanted.map(|((slot, _), count)| (*slot, *count))
    }
}
