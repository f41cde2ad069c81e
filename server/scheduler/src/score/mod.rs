//! How good a node is for a copy: named parts, averaged over those that count.

pub(crate) mod affinity;
pub(crate) mod binpack;
pub(crate) mod spread;

use std::collections::BTreeMap;

/// The parts of one node's score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    /// How full the node is with the copy on it: 0 to 1.
    pub binpack: f64,
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
    /// The mean of the parts that count.
    pub fn norm(&self) -> f64 {
        let mut sum = self.binpack + self.affinity.unwrap_or(0.0);
        let mut terms = 1.0 + f64::from(u8::from(self.affinity.is_some()));
        for part in [self.anti_affinity, self.reschedule_penalty, self.spread] {
            if part != 0.0 {
                sum += part;
                terms += 1.0;
            }
        }
        sum / terms
    }

    /// The parts by Nomad's names; system jobs know only the first.
    pub fn named(&self, system: bool) -> BTreeMap<String, f64> {
        let mut named = BTreeMap::from([("binpack".to_owned(), self.binpack)]);
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
