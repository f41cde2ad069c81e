//! Amounts of what is counted on a node.

use model::allocation::Grant;
use model::node::Node;

/// CPU in MHz, memory and disk in MB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts(pub [i64; 3]);

impl Amounts {
    /// What an allocation was granted.
    pub fn of(grant: &Grant) -> Amounts {
        Amounts([grant.cpu(), grant.memory_mb(), grant.disk_mb])
    }

    /// What a node has beyond what it keeps for itself.
    pub fn capacity(node: &Node) -> Amounts {
        let (has, keeps) = (&node.node_resources, &node.reserved_resources);
        Amounts([
            has.cpu.cpu_shares - keeps.cpu.cpu_shares,
            has.memory.memory_mb - keeps.memory.memory_mb,
            has.disk.disk_mb - keeps.disk.disk_mb,
        ])
    }

    fn zip(self, other: Amounts, with: impl Fn(i64, i64) -> i64) -> Amounts {
        Amounts(std::array::from_fn(|i| with(self.0[i], other.0[i])))
    }

    /// The sum; saturates.
    pub fn plus(self, other: Amounts) -> Amounts {
        self.zip(other, i64::saturating_add)
    }

    /// The difference; saturates.
    pub fn minus(self, other: Amounts) -> Amounts {
        self.zip(other, i64::saturating_sub)
    }
}
