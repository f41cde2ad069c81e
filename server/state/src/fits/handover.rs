//! How much room passes from those that stop to those that start after them.
//!
//! "Starts after the end of" is a partial order, and what is held at one time is held by allocations of which none waits
//! for another. The most that can be held at once is therefore everything, less the largest flow from givers to takers
//! (Dilworth's theorem with weights).

use std::collections::VecDeque;

/// The largest amount that can pass on. `amounts` is what each allocation holds; `givers[taker]` lists from whom it may
/// take. Each gives at most what it holds and takes at most what it holds.
pub(super) fn passed_on(amounts: &[i64], givers: &[Vec<usize>]) -> i64 {
    let held: Vec<i64> = amounts.iter().map(|amount| (*amount).max(0)).collect();
    let count = held.len();
    let mut flow = Flow { givers, gives: held.clone(), passed: vec![vec![0; count]; count] };
    let mut total = 0;
    for (taker, mut wanted) in held.into_iter().enumerate() {
        while wanted > 0 {
            let pushed = flow.push(taker, wanted);
            if pushed == 0 {
                break;
            }
            wanted -= pushed;
            total += pushed;
        }
    }
    total
}

struct Flow<'a> {
    givers: &'a [Vec<usize>],
    /// What each can still give.
    gives: Vec<i64>,
    /// `passed[taker][giver]` so far.
    passed: Vec<Vec<i64>>,
}

impl Flow<'_> {
    /// Finds more for `taker`, at most `wanted`, if need be by letting other takers change their giver.
    fn push(&mut self, taker: usize, wanted: i64) -> i64 {
        let count = self.gives.len();
        // The taker through which each giver was reached, and the giver through which each taker was.
        let (mut by_taker, mut by_giver) = (vec![None; count], vec![None; count]);
        let mut queue = VecDeque::from([taker]);
        while let Some(taking) = queue.pop_front() {
            for &giver in &self.givers[taking] {
                if by_taker[giver].is_some() {
                    continue;
                }
                by_taker[giver] = Some(taking);
                if self.gives[giver] > 0 {
                    return self.augment(giver, taker, wanted, &by_taker, &by_giver);
                }
                for other in (0..count).filter(|other| *other != taker && self.passed[*other][giver] > 0) {
                    if by_giver[other].is_none() {
                        by_giver[other] = Some(giver);
                        queue.push_back(other);
                    }
                }
            }
        }
        0
    }

    /// Passes as much as the found path carries.
    fn augment(
        &mut self,
        end: usize,
        start: usize,
        wanted: i64,
        by_taker: &[Option<usize>],
        by_giver: &[Option<usize>],
    ) -> i64 {
        let mut steps = Vec::new();
        let mut amount = wanted.min(self.gives[end]);
        let mut giver = end;
        while let Some(taker) = by_taker[giver] {
            let released = if taker == start { None } else { by_giver[taker] };
            steps.push((taker, giver, released));
            let Some(previous) = released else { break };
            amount = amount.min(self.passed[taker][previous]);
            giver = previous;
        }
        for (taker, giver, released) in steps {
            self.passed[taker][giver] += amount;
            if let Some(released) = released {
                self.passed[taker][released] -= amount;
            }
        }
        self.gives[end] -= amount;
        amount
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takers_change_givers_for_each_other() {
        // 2 may take from 0 and 1, 3 only from 0.
        assert_eq!(passed_on(&[100, 100, 100, 100], &[vec![], vec![], vec![0, 1], vec![0]]), 200);
        assert_eq!(passed_on(&[100, 100, 100], &[vec![], vec![0], vec![0, 1]]), 200, "along a chain");
        assert_eq!(passed_on(&[100, 60, 60], &[vec![], vec![0], vec![0]]), 100);
    }

    /// The heaviest set of which none waits for another, by trying all.
    fn most_at_once(amounts: &[i64], givers: &[Vec<usize>]) -> i64 {
        let apart = |set: u32| {
            let inside = |i: &usize| set >> i & 1 == 1;
            (0..amounts.len()).filter(inside).all(|taker| !givers[taker].iter().any(inside))
        };
        let weight = |set: u32| (0..amounts.len()).filter(|i| set >> i & 1 == 1).map(|i| amounts[i]).sum();
        (0..1u32 << amounts.len()).filter(|set| apart(*set)).map(weight).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn the_bound_is_exact(amounts in prop::collection::vec(0i64..50, 1..9), edges in any::<u64>()) {
            let count = amounts.len();
            let mut givers: Vec<Vec<usize>> = vec![Vec::new(); count];
            for taker in 0..count {
                let direct: Vec<usize> = (0..taker).filter(|giver| edges >> (taker * 8 + giver) & 1 == 1).collect();
                let mut all: Vec<usize> = direct.iter().flat_map(|giver| givers[*giver].clone()).collect();
                all.extend(direct);
                all.sort_unstable();
                all.dedup();
                givers[taker] = all;
            }
            let total: i64 = amounts.iter().sum();
            prop_assert_eq!(total - passed_on(&amounts, &givers), most_at_once(&amounts, &givers));
        }
    }
}
