//! How good a node is for a copy: named parts, averaged over those that count.

pub(crate) mod affinity;
pub(crate) mod fit;
pub(crate) mod spread;

use std::collections::BTreeMap;

use crate::tournament::Key;

/// The parts of one node's score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    /// How well the copy fits by the cluster's algorithm: 0 to 1.
    pub fit: f64,
    /// What the imbalance of free CPU and memory takes off that; only where the algorithm looks at it.
    pub balance: Option<f64>,
    /// Matching over all weights of device affinities; counts whenever there are any.
    pub devices: Option<f64>,
    /// When others have to go for it: the fewer and less important the better.
    pub preemption: Option<f64>,
    /// Negative when copies of the same group are there; 0 does not count.
    pub anti_affinity: f64,
    /// -1 where the replaced copy failed; 0 does not count.
    pub reschedule_penalty: f64,
    /// Counts whenever the job has affinities.
    pub affinity: Option<f64>,
    /// 0 does not count.
    pub spread: f64,
}

impl Parts {
    /// The sum and the number of the parts that count, but for the spread.
    pub fn key(&self) -> Key {
        let mut key = Key { sum: self.fit + self.balance.unwrap_or(0.0), terms: 1 };
        let optional = [self.devices, self.affinity, self.preemption].into_iter().flatten();
        for part in
            optional.chain([self.anti_affinity, self.reschedule_penalty].into_iter().filter(|part| *part != 0.0))
        {
            key.sum += part;
            key.terms += 1;
        }
        key
    }

    /// The mean of the parts that count.
    pub fn norm(&self) -> f64 {
        self.key().mean(self.spread)
    }

    /// The parts by Nomad's names; system jobs know only the first.
    pub fn named(&self, system: bool) -> BTreeMap<String, f64> {
        let mut named = BTreeMap::from([("binpack".to_owned(), self.fit)]);
        let optional = [("balance", self.balance), ("devices", self.devices), ("preemption", self.preemption)];
        named.extend(optional.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
        if system {
            return named;
        }
        named.insert("job-anti-affinity".to_owned(), self.anti_affinity);
        named.insert("node-reschedule-penalty".to_owned(), self.reschedule_penalty);
        named.insert("node-affinity".to_owned(), self.affinity.unwrap_or(0.0));
        if self.spread != 0.0 {
            named.insert("allocation-spread".to_owned(), self.spread);
        }
        named
    }
}

/// With `others` copies of the same group on the node: the more, the worse. 0 when there is none.
pub(crate) fn anti_affinity(others: u32, wanted: u32) -> f64 {
    if others == 0 { 0.0 } else { -f64::from(others + 1) / f64::from(wanted.max(1)) }
}
