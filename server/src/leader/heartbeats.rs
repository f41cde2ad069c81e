//! Which nodes have been silent for too long, pure: times are passed in, on any clock that never goes back.

use std::collections::{BTreeMap, BTreeSet};

use model::id::NodeId;
use model::time::{GoDuration, Timestamp};

/// Deadlines of all nodes that are expected to speak up.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats {
    deadlines: BTreeMap<NodeId, Timestamp>,
    order: BTreeSet<(Timestamp, NodeId)>,
}

impl Heartbeats {
    /// Gives every node a fresh deadline: a new leader cannot know who was silent before.
    pub fn restart(&mut self, nodes: impl Iterator<Item = NodeId>, now: Timestamp, grace: GoDuration) {
        *self = Heartbeats::default();
        nodes.for_each(|node| self.beat(node, now, grace));
    }

    /// A node spoke up; it must do so again within `ttl`.
    pub fn beat(&mut self, node: NodeId, now: Timestamp, ttl: GoDuration) {
        let deadline = now.after(ttl);
        if let Some(old) = self.deadlines.insert(node, deadline) {
            self.order.remove(&(old, node));
        }
        self.order.insert((deadline, node));
    }

    /// Stops expecting a node.
    pub fn forget(&mut self, node: NodeId) {
        if let Some(deadline) = self.deadlines.remove(&node) {
            self.order.remove(&(deadline, node));
        }
    }

    /// The nodes whose deadline has passed, the most overdue first. They are no longer expected.
    pub fn step(&mut self, now: Timestamp) -> Vec<NodeId> {
        let mut silent = Vec::new();
        while let Some((deadline, node)) = self.order.first().copied()
            && deadline <= now
        {
            self.forget(node);
            silent.push(node);
        }
        silent
    }

    /// When the next node will have been silent for too long.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.order.first().map(|(deadline, _)| *deadline)
    }

    /// How many nodes are expected to speak up.
    pub fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether no node is expected to.
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: GoDuration = GoDuration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(0).after(GoDuration::from_secs(seconds))
    }

    #[test]
    fn the_silent_are_told_once_and_the_others_not() {
        let (quiet, loud) = (NodeId(1), NodeId(2));
        let mut heartbeats = Heartbeats::default();
        heartbeats.restart([quiet, loud].into_iter(), at(0), SECOND);
        heartbeats.beat(loud, at(1), SECOND);
        assert_eq!(heartbeats.next_deadline(), Some(at(1)));
        assert_eq!(heartbeats.step(at(1)), [quiet]);
        assert!(heartbeats.step(at(1)).is_empty());
        assert_eq!(heartbeats.next_deadline(), Some(at(2)));
        heartbeats.forget(loud);
        assert!(heartbeats.step(at(9)).is_empty() && heartbeats.is_empty());
    }
}
