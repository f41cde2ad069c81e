//! Affinities: conditions that make a node better or worse.

use model::job::Affinity;

use crate::feasible::constraint::Check;
use crate::table::NodeInfo;

/// Compiled affinities of a group.
pub(crate) struct Affinities {
    checks: Vec<(Check, f64)>,
    total: f64,
}

impl Affinities {
    /// None when there is nothing to weigh. One that cannot be compiled weighs but never matches.
    pub fn of(affinities: &[Affinity]) -> Option<Affinities> {
        let weight = |affinity: &Affinity| affinity.weight.unwrap_or(50) as f64;
        let total: f64 = affinities.iter().map(|affinity| weight(affinity).abs()).sum();
        let compiled = affinities.iter().filter_map(|a| Some((Check::of_affinity(a).ok()?, weight(a))));
        (total > 0.0).then(|| Affinities { checks: compiled.collect(), total })
    }

    /// The weights that match over all weights: -1 to 1.
    pub fn score(&self, node: &NodeInfo) -> f64 {
        let matching = self.checks.iter().filter(|(check, _)| check.holds(node));
        // A sum of nothing would be -0.
        matching.fold(0.0, |sum, (_, weight)| sum + weight) / self.total
    }
}
