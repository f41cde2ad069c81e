//! The best of many nodes without looking at each: maxima of blocks of nodes, kept up to date node by node.
//!
//! Nodes are divided into cells: those of one cell have the same spread score at all times. Within a cell they are
//! divided again by how many parts their score averages. Inside such a division the order of nodes does not change with
//! the spread score, so the best of all nodes is among the bests of the divisions, and finding it is exact.

use std::sync::Arc;

/// Nodes per block.
const BLOCK: usize = 64;

/// What a node is compared by, apart from the spread score: the sum of its parts, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Key {
    pub sum: f64,
    pub terms: u8,
}

impl Key {
    /// The mean with a spread score; 0 does not count.
    pub fn mean(self, spread: f64) -> f64 {
        let more = f64::from(u8::from(spread != 0.0));
        (self.sum + spread) / (f64::from(self.terms) + more)
    }
}

/// The keys of one division by number of parts, by position; negative infinity where a node has another or none.
#[derive(Clone, Debug)]
struct Division {
    terms: u8,
    keys: Vec<f64>,
    maxima: Vec<f64>,
}

/// Where each node stands.
#[derive(Debug)]
struct Field {
    /// Node by position; none where a cell's last block is not full.
    slots: Vec<Option<u32>>,
    /// Position by node.
    positions: Vec<u32>,
    /// First block of each cell, and the end of the last.
    cells: Vec<usize>,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Tournament {
    field: Arc<Field>,
    divisions: Vec<Division>,
    /// The number of parts of each node, by position; 0 for none.
    terms: Vec<u8>,
}

impl Tournament {
    /// Of `count` nodes; `cell_of` names the cell of each, below `cells`.
    pub fn new(count: usize, cells: usize, cell_of: impl Fn(usize) -> usize) -> Tournament {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); cells.max(1)];
        for slot in 0..count {
            members[cell_of(slot)].push(slot as u32);
        }
        let (mut slots, mut positions, mut starts) = (Vec::new(), vec![0; count], vec![0]);
        for cell in members {
            for slot in cell {
                positions[slot as usize] = slots.len() as u32;
                slots.push(Some(slot));
            }
            slots.resize(slots.len().next_multiple_of(BLOCK), None);
            starts.push(slots.len() / BLOCK);
        }
        let terms = vec![0; slots.len()];
        let field = Arc::new(Field { slots, positions, cells: starts });
        Tournament { field, divisions: Vec::new(), terms }
    }

    /// Gives every node its key at once.
    pub fn fill(&mut self, key_of: impl Fn(usize) -> Option<Key>) {
        self.divisions.clear();
        for position in 0..self.field.slots.len() {
            let key = self.field.slots[position].and_then(|slot| key_of(slot as usize));
            self.terms[position] = key.map_or(0, |key| key.terms);
            if let Some(key) = key {
                let division = self.division(key.terms);
                self.divisions[division].keys[position] = key.sum;
            }
        }
        for division in &mut self.divisions {
            for (block, keys) in division.keys.chunks(BLOCK).enumerate() {
                division.maxima[block] = highest(keys);
            }
        }
    }

    /// Gives one node another key; without one it cannot be chosen.
    pub fn set(&mut self, slot: usize, key: Option<Key>) {
        let position = self.field.positions[slot] as usize;
        let (before, after) = (self.terms[position], key.map_or(0, |key| key.terms));
        if before != after && before != 0 {
            let division = self.division(before);
            self.divisions[division].put(position, f64::NEG_INFINITY);
        }
        self.terms[position] = after;
        if let Some(key) = key {
            let division = self.division(after);
            self.divisions[division].put(position, key.sum);
        }
    }

    fn division(&mut self, terms: u8) -> usize {
        if let Some(known) = self.divisions.iter().position(|division| division.terms == terms) {
            return known;
        }
        let keys = vec![f64::NEG_INFINITY; self.field.slots.len()];
        let maxima = vec![f64::NEG_INFINITY; self.field.slots.len() / BLOCK];
        // In order of their terms, so that nothing depends on which came first.
        let place = self.divisions.iter().filter(|division| division.terms < terms).count();
        self.divisions.insert(place, Division { terms, keys, maxima });
        place
    }

    /// The node with the best score, where `spread_of` tells the spread score of a cell (0 does not count). Of equal ones
    /// the first from `start` on, then from the beginning.
    pub fn best(&self, start: usize, spread_of: impl Fn(usize) -> f64) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        let rank = |slot: usize| if slot >= start { slot - start } else { slot + self.field.positions.len() - start };
        for (cell, blocks) in self.field.cells.windows(2).enumerate() {
            let blocks = blocks[0]..blocks[1];
            let spread = spread_of(cell);
            for division in &self.divisions {
                let top = highest(&division.maxima[blocks.clone()]);
                if top == f64::NEG_INFINITY {
                    continue;
                }
                let score = Key { sum: top, terms: division.terms }.mean(spread);
                if best.is_some_and(|(known, _)| score < known) {
                    continue;
                }
                let Some(slot) = self.first_with(division, blocks.clone(), top, start) else { continue };
                if best.is_none_or(|(known, other)| score > known || rank(slot) < rank(other)) {
                    best = Some((score, slot));
                }
            }
        }
        best.map(|(_, slot)| slot)
    }

    /// The `most` best nodes, the best first, of equal ones the first.
    pub fn best_few(&self, most: usize, spread_of: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut few: Vec<(f64, usize)> = Vec::with_capacity(most + 1);
        let is_before =
            |left: (f64, usize), right: (f64, usize)| left.0 > right.0 || (left.0 == right.0 && left.1 < right.1);
        for (cell, blocks) in self.field.cells.windows(2).enumerate() {
            let spread = spread_of(cell);
            for division in &self.divisions {
                let score = |sum: f64| Key { sum, terms: division.terms }.mean(spread);
                for block in blocks[0]..blocks[1] {
                    let top = division.maxima[block];
                    let hopeless = few.len() == most && few.last().is_some_and(|last| score(top) < last.0);
                    if top == f64::NEG_INFINITY || hopeless {
                        continue;
                    }
                    for position in block * BLOCK..(block + 1) * BLOCK {
                        let sum = division.keys[position];
                        let Some(slot) = self.field.slots[position].filter(|_| sum != f64::NEG_INFINITY) else {
                            continue;
                        };
                        let one = (score(sum), slot as usize);
                        let place = few.partition_point(|other| is_before(*other, one));
                        if place < most {
                            few.insert(place, one);
                            few.truncate(most);
                        }
                    }
                }
            }
        }
        few.into_iter().map(|(_, slot)| slot).collect()
    }

    /// The first node from `start` on whose key is `top`, else the first of all.
    fn first_with(&self, division: &Division, blocks: std::ops::Range<usize>, top: f64, start: usize) -> Option<usize> {
        let mut first = None;
        for block in blocks.filter(|block| division.maxima[*block] == top) {
            let positions = block * BLOCK..(block + 1) * BLOCK;
            let slots = positions.filter(|position| division.keys[*position] == top);
            for slot in slots.filter_map(|position| self.field.slots[position]) {
                if slot as usize >= start {
                    return Some(slot as usize);
                }
                first = first.or(Some(slot as usize));
            }
        }
        first
    }
}

impl Division {
    fn put(&mut self, position: usize, key: f64) {
        let block = position / BLOCK;
        let old = std::mem::replace(&mut self.keys[position], key);
        if key >= self.maxima[block] {
            self.maxima[block] = key;
        } else if old == self.maxima[block] {
            self.maxima[block] = highest(&self.keys[block * BLOCK..(block + 1) * BLOCK]);
        }
    }
}

/// The highest of keys; four lanes at a time, so that they can be compared side by side.
fn highest(keys: &[f64]) -> f64 {
    let mut lanes = [f64::NEG_INFINITY; 4];
    let chunks = keys.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, key) in lanes.iter_mut().zip(chunk) {
            *lane = if key > lane { *key } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f64::NEG_INFINITY, |highest, key| if *key > highest { *key } else { highest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Looks at every node.
    fn by_hand(keys: &[Option<Key>], cells: &[usize], spread: &[f64], start: usize) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for slot in (start..keys.len()).chain(0..start) {
            let Some(key) = keys[slot] else { continue };
            let boost = spread[cells[slot]];
            let score = (key.sum + boost) / (f64::from(key.terms) + f64::from(u8::from(boost != 0.0)));
            if best.is_none_or(|(known, _)| score > known) {
                best = Some((score, slot));
            }
        }
        best.map(|(_, slot)| slot)
    }

    /// Sorts every node.
    fn best_by_hand(most: usize, keys: &[Option<Key>], cells: &[usize], spread: &[f64]) -> Vec<usize> {
        let score = |slot: usize| {
            let (key, boost) = (keys[slot]?, spread[cells[slot]]);
            Some((key.sum + boost) / (f64::from(key.terms) + f64::from(u8::from(boost != 0.0))))
        };
        let mut all: Vec<(f64, usize)> = (0..keys.len()).filter_map(|slot| Some((score(slot)?, slot))).collect();
        all.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        all.into_iter().map(|(_, slot)| slot).take(most).collect()
    }

    proptest! {
        #[test]
        fn the_best_is_found_after_any_changes(
            nodes in proptest::collection::vec((0..4usize, 0..4u8, -3..4i32), 1..300),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..4u8, -3..4i32), 0..60),
            spread in proptest::collection::vec(-2..3i32, 4),
            start in any::<proptest::sample::Index>(),
        ) {
            // Whole numbers over 1, 2, 3: equal scores are frequent and exact.
            let key = |terms: u8, sum: i32| (terms > 0).then(|| Key { sum: f64::from(sum * 12), terms });
            let cells: Vec<usize> = nodes.iter().map(|(cell, _, _)| *cell).collect();
            let spread: Vec<f64> = spread.iter().map(|boost| f64::from(boost * 12)).collect();
            let mut keys: Vec<Option<Key>> = nodes.iter().map(|(_, terms, sum)| key(*terms, *sum)).collect();
            let start = start.index(keys.len());
            let mut tournament = Tournament::new(keys.len(), 4, |slot| cells[slot]);
            tournament.fill(|slot| keys[slot]);
            for (slot, terms, sum) in changes {
                let slot = slot.index(keys.len());
                keys[slot] = key(terms, sum);
                tournament.set(slot, keys[slot]);
                let found = tournament.best(start, |cell| spread[cell]);
                prop_assert_eq!(found, by_hand(&keys, &cells, &spread, start));
                let few = tournament.best_few(5, |cell| spread[cell]);
                prop_assert_eq!(few, best_by_hand(5, &keys, &cells, &spread));
            }
        }
    }
}
