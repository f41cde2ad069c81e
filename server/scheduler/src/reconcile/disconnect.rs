//! Copies whose node was out of reach: which goes on when the node is back and a replacement runs.

use model::allocation::Allocation;
use model::compiled::ReconcileStrategy;
use model::time::Timestamp;

/// Whether the copy that is back goes on, and its replacement stops. A newer version always wins.
pub(crate) fn original_wins(original: &Allocation, replacement: &Allocation, strategy: ReconcileStrategy) -> bool {
    if original.job_version != replacement.job_version {
        return original.job_version > replacement.job_version;
    }
    match strategy {
        ReconcileStrategy::KeepOriginal => true,
        ReconcileStrategy::KeepReplacement => false,
        ReconcileStrategy::BestScore => score(original) >= score(replacement),
        ReconcileStrategy::LongestRunning => match (started_at(original), started_at(replacement)) {
            (Some(original), Some(replacement)) => original <= replacement,
            (original, _) => original.is_some(),
        },
    }
}

/// How good its node was for it when it was placed.
fn score(alloc: &Allocation) -> f64 {
    let listed = alloc.metrics.iter().flat_map(|metrics| metrics.score_meta_data.iter().flatten());
    listed.into_iter().find(|meta| meta.node_id == alloc.node_id).map_or(0.0, |meta| meta.norm_score)
}

fn started_at(alloc: &Allocation) -> Option<Timestamp> {
    alloc.task_states.values().filter_map(|state| state.started_at).min()
}
