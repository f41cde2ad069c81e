//! Spread: copies over the values of an attribute, by wanted shares or evenly.

use std::collections::BTreeMap;

use model::compiled::CompiledGroup;

use crate::feasible::constraint::Target;
use crate::table::NodeTable;
use crate::usage::Usage;

/// The value that stands for all that have no target of their own.
const OTHERS: &str = "*";

struct Block {
    target: Target,
    /// Share of all spread weights.
    weight: f64,
    /// Copies wanted by value; empty for an even spread.
    wanted: BTreeMap<String, f64>,
    /// Copies there are by value.
    used: BTreeMap<String, u32>,
}

/// The spread blocks of a group with the copies there are.
pub(crate) struct Spreads {
    blocks: Vec<Block>,
}

impl Spreads {
    /// Reads the blocks of `group`; none when it has none.
    pub fn of(group: &CompiledGroup) -> Option<Spreads> {
        let weight = |spread: &model::job::Spread| spread.weight.unwrap_or(50) as f64;
        let total: f64 = group.spreads.iter().map(weight).sum();
        let block = |spread: &model::job::Spread| {
            let count = f64::from(group.count);
            let mut wanted: BTreeMap<String, f64> = BTreeMap::new();
            for target in spread.spread_target.iter().flatten() {
                wanted.insert(target.value.clone(), target.percent as f64 / 100.0 * count);
            }
            let sum: f64 = wanted.values().sum();
            if sum > 0.0 && sum < count {
                wanted.entry(OTHERS.to_owned()).or_insert(count - sum);
            }
            let weight = if total > 0.0 { weight(spread) / total } else { 0.0 };
            Block { target: Target::parse(&spread.attribute), weight, wanted, used: BTreeMap::new() }
        };
        (!group.spreads.is_empty()).then(|| Spreads { blocks: group.spreads.iter().map(block).collect() })
    }

    /// Counts the copies of `group` anew.
    pub fn recount(&mut self, table: &NodeTable, usage: &Usage, group: &str) {
        for block in &mut self.blocks {
            block.used.clear();
            for (slot, copies) in usage.by_node(Some(group)) {
                if let Some(value) = block.target.resolve(table.info(slot)) {
                    let value = block.fold(&value).to_owned();
                    *block.used.entry(value).or_insert(0) += copies;
                }
            }
        }
    }

    /// One more copy on the node.
    pub fn add(&mut self, table: &NodeTable, slot: usize) {
        for block in &mut self.blocks {
            if let Some(value) = block.target.resolve(table.info(slot)) {
                let value = block.fold(&value).to_owned();
                *block.used.entry(value).or_insert(0) += 1;
            }
        }
    }

    /// The sum over all blocks; may leave -1 to 1.
    pub fn score(&self, table: &NodeTable, slot: usize) -> f64 {
        let score = |block: &Block| match block.target.resolve(table.info(slot)) {
            None => -1.0,
            Some(value) => block.score(&value),
        };
        self.blocks.iter().map(score).sum()
    }
}

impl Block {
    fn fold<'a>(&self, value: &'a str) -> &'a str {
        if self.wanted.is_empty() || self.wanted.contains_key(value) { value } else { OTHERS }
    }

    fn score(&self, value: &str) -> f64 {
        let value = self.fold(value);
        let used = self.used.get(value).copied().unwrap_or(0);
        if self.wanted.is_empty() {
            return self.even(used);
        }
        match self.wanted.get(value) {
            Some(wanted) if *wanted > 0.0 => (wanted - f64::from(used + 1)) / wanted * self.weight,
            _ => -1.0,
        }
    }

    /// Below the fullest value is good, above the emptiest is bad. A value without copies counts only once used.
    fn even(&self, used: u32) -> f64 {
        let low = self.used.values().copied().filter(|count| *count > 0).min().unwrap_or(0);
        let high = self.used.values().copied().max().unwrap_or(0);
        let (low_f, high_f) = (f64::from(low), f64::from(high));
        match (low, used) {
            (0, _) => 0.0,
            _ if used != low => (low_f - f64::from(used)) / low_f,
            _ if low == high => -1.0,
            _ => (high_f - low_f) / low_f,
        }
    }
}
