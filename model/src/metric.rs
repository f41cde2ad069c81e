//! How the planner came to a decision: counts over all nodes by reason, and the best scores.

use std::collections::BTreeMap;

use crate::go_json::go_json;
use crate::id::NodeId;

go_json! {
    /// Counts and scores of one placement, or of one that failed, in Nomad's shape.
    pub struct AllocMetric {
        nodes_evaluated: u64 = "NodesEvaluated",
        nodes_filtered: u64 = "NodesFiltered",
        /// Ready nodes of the job's pool and datacenters.
        nodes_in_pool: u64 = "NodesInPool",
        node_pool: String = "NodePool",
        nodes_available: BTreeMap<String, u64> = "NodesAvailable",
        class_filtered: Option<BTreeMap<String, u64>> = "ClassFiltered",
        constraint_filtered: Option<BTreeMap<String, u64>> = "ConstraintFiltered",
        nodes_exhausted: u64 = "NodesExhausted",
        class_exhausted: Option<BTreeMap<String, u64>> = "ClassExhausted",
        dimension_exhausted: Option<BTreeMap<String, u64>> = "DimensionExhausted",
        quota_exhausted: Option<Vec<String>> = "QuotaExhausted",
        resources_exhausted: Option<BTreeMap<String, serde_json::Value>> = "ResourcesExhausted",
        scores: Option<BTreeMap<String, f64>> = "Scores",
        score_meta_data: Option<Vec<NodeScoreMeta>> = "ScoreMetaData",
        /// Nanoseconds.
        allocation_time: i64 = "AllocationTime",
        coalesced_failures: u64 = "CoalescedFailures",
        /// Sentences on what would have to change, the cheapest first; drover's own field.
        omit help: Vec<String> = "Help",
    }
}

go_json! {
    /// The scores of one node.
    pub struct NodeScoreMeta {
        node_id: NodeId = "NodeID",
        scores: BTreeMap<String, f64> = "Scores",
        norm_score: f64 = "NormScore",
    }
}
