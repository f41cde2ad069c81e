//! How many nodes there are of each kind, by what a copy found on them: kept up to date node by node.

use std::collections::BTreeMap;

use crate::feasible::Rejection;
use crate::overlay::Shortage;
use crate::select::State;

/// How often each was seen; what was not seen is not in it.
pub(crate) type Counts<K> = BTreeMap<K, u64>;

/// Numbers of nodes. Those that were not looked at do not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// That may not run a copy.
    pub filtered: u64,
    /// On which it does not fit.
    pub exhausted: u64,
    /// On which it fits.
    pub fits: u64,
    pub rejections: Counts<Rejection>,
    pub dimensions: Counts<Shortage>,
    /// By class of the node; those without one do not count.
    pub classes_filtered: Counts<String>,
    pub classes_exhausted: Counts<String>,
}

impl Tally {
    /// One more node of this class.
    pub fn add(&mut self, class: &str, state: &State) {
        match state {
            State::Apart => {}
            State::Fit(_) => self.fits += 1,
            State::Rejected(rejection) => {
                self.filtered += 1;
                more(&mut self.rejections, rejection);
                count_class(&mut self.classes_filtered, class, more);
            }
            State::Short(shortage) => {
                self.exhausted += 1;
                more(&mut self.dimensions, shortage);
                count_class(&mut self.classes_exhausted, class, more);
            }
        }
    }

    /// One node less of this class.
    pub fn remove(&mut self, class: &str, state: &State) {
        match state {
            State::Apart => {}
            State::Fit(_) => self.fits -= 1,
            State::Rejected(rejection) => {
                self.filtered -= 1;
                fewer(&mut self.rejections, rejection);
                count_class(&mut self.classes_filtered, class, fewer);
            }
            State::Short(shortage) => {
                self.exhausted -= 1;
                fewer(&mut self.dimensions, shortage);
                count_class(&mut self.classes_exhausted, class, fewer);
            }
        }
    }
}

/// Counts `key` once more.
pub(crate) fn more<K: Ord + Clone>(counts: &mut Counts<K>, key: &K) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.clone(), 1)),
    }
}

fn fewer<K: Ord + Clone>(counts: &mut Counts<K>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn count_class(counts: &mut Counts<String>, class: &str, count: fn(&mut Counts<String>, &String)) {
    if !class.is_empty() {
        count(counts, &class.to_owned());
    }
}
