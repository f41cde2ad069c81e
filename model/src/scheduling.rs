//! How the planner behaves in the whole cluster: the scheduler configuration that operators set.

use serde::{Deserialize, Serialize};

use crate::compiled::JobKind;
use crate::go_json::go_json;

/// What makes a node good for a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// The fuller the better: leaves whole nodes empty.
    #[default]
    Binpack,
    /// The emptier the better: needs more nodes.
    Spread,
    /// As binpack, less the imbalance between free CPU and free memory; drover's own.
    Balanced,
}

impl Algorithm {
    /// Reads the name that the API uses; empty is the default.
    pub fn parse(text: &str) -> Option<Algorithm> {
        Some(match text {
            "" | "binpack" => Algorithm::Binpack,
            "spread" => Algorithm::Spread,
            "balanced" => Algorithm::Balanced,
            _ => return None,
        })
    }
}

go_json! {
    /// The scheduler configuration, in Nomad's shape.
    pub struct SchedulerConfiguration {
        scheduler_algorithm: Algorithm = "SchedulerAlgorithm",
        preemption_config: PreemptionConfig = "PreemptionConfig",
        /// Whether `memory_max` is granted; else it is dropped.
        memory_oversubscription_enabled: bool = "MemoryOversubscriptionEnabled",
        /// Whether registering jobs is refused.
        reject_job_registration: bool = "RejectJobRegistration",
        /// Whether the planner rests.
        pause_eval_broker: bool = "PauseEvalBroker",
        /// Kept for compatibility: drover looks at every node.
        node_limit_for_feasibility_checks: i64 = "NodeLimitForFeasibilityChecks",
        create_index: u64 = "CreateIndex",
        modify_index: u64 = "ModifyIndex",
    }
}

go_json! {
    /// Which types of jobs may take room from less important ones.
    pub struct PreemptionConfig {
        system_scheduler_enabled: bool = "SystemSchedulerEnabled",
        sys_batch_scheduler_enabled: bool = "SysBatchSchedulerEnabled",
        batch_scheduler_enabled: bool = "BatchSchedulerEnabled",
        service_scheduler_enabled: bool = "ServiceSchedulerEnabled",
    }
}

impl SchedulerConfiguration {
    /// What holds until an operator sets something: best fit, and only system jobs preempt.
    pub fn initial() -> SchedulerConfiguration {
        SchedulerConfiguration {
            preemption_config: PreemptionConfig { system_scheduler_enabled: true, ..PreemptionConfig::default() },
            ..SchedulerConfiguration::default()
        }
    }

    /// Whether jobs of this type may preempt.
    pub fn preempts(&self, kind: JobKind) -> bool {
        match kind {
            JobKind::Service => self.preemption_config.service_scheduler_enabled,
            JobKind::Batch => self.preemption_config.batch_scheduler_enabled,
            JobKind::System => self.preemption_config.system_scheduler_enabled,
            JobKind::SysBatch => self.preemption_config.sys_batch_scheduler_enabled,
        }
    }
}
