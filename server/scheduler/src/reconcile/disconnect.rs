//! Copies whose node was out of reach: which goes on when the node is back and a replacement runs.

use model::allocation::Allocation;
use model::compiled::ReconcileStrategy;
use model::time::Timestamp;

use crate::explain;

/// Whether the copy that is back goes on, and its replacement stops. A newer version always wins.
pub(crate) fn original_wins(original: &Allocation, replacement: &Allocation, strategy: ReconcileStrategy) -> bool {
    if original.job_version != replacement.job_version {
        return original.job_version > replacement.job_version;
    }
    match strategy {
        ReconcileStrategy::KeepOriginal => true,
        ReconcileStrategy::KeepReplacement => false,
        ReconcileStrategy::BestScore => match (score(original), score(replacement)) {
            (Some(original), Some(replacement)) => original >= replacement,
            // Nothing speaks for the replacement.
            _ => true,
        },
        ReconcileStrategy::LongestRunning => match (started_at(original), started_at(replacement)) {
            (Some(original), Some(replacement)) => original <= replacement,
            (original, _) => original.is_some(),
        },
    }
}

/// How good its node was for it when it was placed, if that is known.
fn score(alloc: &Allocation) -> Option<f64> {
    let metrics = alloc.metrics.as_deref().filter(|metrics| !explain::is_lent(metrics))?;
    let mut listed = metrics.score_meta_data.iter().flatten();
    listed.find(|meta| meta.node_id == alloc.node_id).map(|meta| meta.norm_score)
}

fn started_at(alloc: &Allocation) -> Option<Timestamp> {
    alloc.task_states.values().filter_map(|state| state.started_at).min()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::id::{EvalId, NodeId};
    use model::metric::{AllocMetric, NodeScoreMeta};

    use super::*;

    fn on_node(listed: u128, norm_score: f64) -> Allocation {
        let meta = NodeScoreMeta { node_id: NodeId(listed), norm_score, ..NodeScoreMeta::default() };
        let metrics = AllocMetric { score_meta_data: Some(vec![meta]), ..AllocMetric::default() };
        Allocation { node_id: NodeId(1), metrics: Some(Arc::new(metrics)), ..Allocation::default() }
    }

    #[test]
    fn the_better_score_wins_only_where_both_are_known() {
        let wins = |original: &Allocation, replacement: &Allocation| {
            original_wins(original, replacement, ReconcileStrategy::BestScore)
        };
        let (bad, good, unlisted) = (on_node(1, -0.5), on_node(1, 0.5), on_node(2, 0.5));
        let lent = explain::lent(good.metrics.as_deref().unwrap(), EvalId::default());
        let lent = Allocation { metrics: Some(Arc::new(lent)), ..good.clone() };
        assert!(!wins(&bad, &good) && wins(&good, &bad) && wins(&good, &good));
        for unknown in [&unlisted, &lent, &Allocation::default()] {
            assert!(wins(&bad, unknown) && wins(unknown, &good));
        }
    }
}
