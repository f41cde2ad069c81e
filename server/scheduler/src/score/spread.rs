//! Spread: copies over the values of an attribute, by wanted shares or evenly.

use std::collections::BTreeMap;

use model::compiled::CompiledGroup;

use crate::feasible::constraint::Target;
use crate::table::NodeTable;
use crate::usage::Usage;

/// The value that stands for all that have no target of their own.
const OTHERS: &str = "*";

/// One value that nodes have: copies there are, copies wanted, and the score of one more copy.
#[derive(Clone, Copy, Debug, Default)]
struct Value {
    used: u32,
    /// None: no target names it. Unused in an even spread.
    wanted: Option<f64>,
    score: f64,
}

struct Block {
    /// Share of all spread weights.
    weight: f64,
    /// Whether no target is given.
    even: bool,
    values: Vec<Value>,
    /// Place in `values` by node; none where the attribute is missing.
    of_node: Vec<Option<usize>>,
}

/// The spread blocks of a group with the copies there are.
pub(crate) struct Spreads {
    blocks: Vec<Block>,
}

impl Spreads {
    /// Reads the blocks of `group` and the values of the nodes; none when the group has no block.
    pub fn of(group: &CompiledGroup, table: &NodeTable) -> Option<Spreads> {
        let weight = |spread: &model::job::Spread| spread.weight.unwrap_or(50) as f64;
        let total: f64 = group.spreads.iter().map(weight).sum();
        let block = |spread: &model::job::Spread| {
            let weight = if total > 0.0 { weight(spread) / total } else { 0.0 };
            Block::of(spread, weight, f64::from(group.count), table)
        };
        (!group.spreads.is_empty()).then(|| Spreads { blocks: group.spreads.iter().map(block).collect() })
    }

    /// Counts the copies of `group` anew.
    pub fn recount(&mut self, usage: &Usage, group: &str) {
        for block in &mut self.blocks {
            block.values.iter_mut().for_each(|value| value.used = 0);
            for (slot, copies) in usage.by_node(Some(group)) {
                if let Some(value) = block.of_node[slot] {
                    block.values[value].used += copies;
                }
            }
            block.rescore();
        }
    }

    /// One copy more, or one less, on the node.
    pub fn moved(&mut self, slot: usize, more: bool) {
        for block in &mut self.blocks {
            if let Some(value) = block.of_node[slot] {
                let used = &mut block.values[value].used;
                *used = if more { *used + 1 } else { used.saturating_sub(1) };
                block.rescore();
            }
        }
    }

    /// The sum over all blocks; may leave -1 to 1.
    pub fn score(&self, slot: usize) -> f64 {
        self.score_of(&self.values_of(slot))
    }

    /// As [`Spreads::score`], of all nodes with these values.
    pub fn score_of(&self, values: &[Option<usize>]) -> f64 {
        let score = |(block, value): (&Block, &Option<usize>)| value.map_or(-1.0, |value| block.values[value].score);
        self.blocks.iter().zip(values).map(score).sum()
    }

    /// The node's value in each block.
    pub fn values_of(&self, slot: usize) -> Vec<Option<usize>> {
        self.blocks.iter().map(|block| block.of_node[slot]).collect()
    }
}

impl Block {
    fn of(spread: &model::job::Spread, weight: f64, count: f64, table: &NodeTable) -> Block {
        let mut wanted: BTreeMap<String, f64> = BTreeMap::new();
        for target in spread.spread_target.iter().flatten() {
            wanted.insert(target.value.clone(), target.percent as f64 / 100.0 * count);
        }
        let sum: f64 = wanted.values().sum();
        if sum > 0.0 && sum < count {
            wanted.entry(OTHERS.to_owned()).or_insert(count - sum);
        }
        let target = Target::parse(&spread.attribute);
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let of_node = table.infos().iter().map(|node| {
            let value = target.resolve(node)?;
            let folded = if wanted.is_empty() || wanted.contains_key(value.as_ref()) { &value } else { OTHERS };
            let next = known.len();
            Some(*known.entry(folded.to_owned()).or_insert(next))
        });
        let of_node = of_node.collect();
        let mut values = vec![Value::default(); known.len()];
        for (value, place) in known {
            values[place].wanted = wanted.get(&value).copied();
        }
        Block { weight, even: wanted.is_empty(), values, of_node }
    }

    fn rescore(&mut self) {
        let used = self.values.iter().map(|value| value.used).filter(|used| *used > 0);
        let (low, high) = (used.clone().min().unwrap_or(0), used.max().unwrap_or(0));
        for value in &mut self.values {
            value.score = match value.wanted {
                _ if self.even => even(value.used, low, high),
                Some(wanted) if wanted > 0.0 => (wanted - f64::from(value.used + 1)) / wanted * self.weight,
                _ => -1.0,
            };
        }
    }
}

/// Below the fullest value is good, above the emptiest is bad; `low` and `high` are over the values in use.
fn even(used: u32, low: u32, high: u32) -> f64 {
    let (low_share, high_share) = (f64::from(low), f64::from(high));
    match low {
        0 => 0.0,
        _ if used != low => (low_share - f64::from(used)) / low_share,
        _ if low == high => -1.0,
        _ => (high_share - low_share) / low_share,
    }
}
