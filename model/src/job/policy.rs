//! Policies of a group: restart, reschedule, update, migrate, disconnect.

use crate::go_json::go_json;
use crate::time::GoDuration;

go_json! {
    /// How often the client restarts a failed task where it is.
    pub struct RestartPolicy {
        attempts: Option<i64> = "Attempts",
        interval: Option<GoDuration> = "Interval",
        delay: Option<GoDuration> = "Delay",
        mode: Option<String> = "Mode",
        render_templates: Option<bool> = "RenderTemplates",
    }
}

go_json! {
    /// How the server replaces a failed allocation.
    pub struct ReschedulePolicy {
        attempts: Option<i64> = "Attempts",
        interval: Option<GoDuration> = "Interval",
        delay: Option<GoDuration> = "Delay",
        delay_function: Option<String> = "DelayFunction",
        max_delay: Option<GoDuration> = "MaxDelay",
        unlimited: Option<bool> = "Unlimited",
    }
}

go_json! {
    /// How a new version replaces the old one.
    pub struct UpdateStrategy {
        stagger: Option<GoDuration> = "Stagger",
        max_parallel: Option<i64> = "MaxParallel",
        health_check: Option<String> = "HealthCheck",
        min_healthy_time: Option<GoDuration> = "MinHealthyTime",
        healthy_deadline: Option<GoDuration> = "HealthyDeadline",
        progress_deadline: Option<GoDuration> = "ProgressDeadline",
        canary: Option<i64> = "Canary",
        auto_revert: Option<bool> = "AutoRevert",
        auto_promote: Option<bool> = "AutoPromote",
    }
}

go_json! {
    /// How allocations leave a draining node.
    pub struct MigrateStrategy {
        max_parallel: Option<i64> = "MaxParallel",
        health_check: Option<String> = "HealthCheck",
        min_healthy_time: Option<GoDuration> = "MinHealthyTime",
        healthy_deadline: Option<GoDuration> = "HealthyDeadline",
    }
}

go_json! {
    /// What happens to allocations whose node is out of reach.
    pub struct DisconnectStrategy {
        lost_after: Option<GoDuration> = "LostAfter",
        stop_on_client_after: Option<GoDuration> = "StopOnClientAfter",
        replace: Option<bool> = "Replace",
        reconcile: Option<String> = "Reconcile",
    }
}
