//! `restart`, `reschedule`, `update`, `migrate`, `disconnect`.

use model::job::{DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy};

use crate::block::Block;

pub(crate) fn restart(block: &Block<'_>) -> RestartPolicy {
    RestartPolicy {
        attempts: block.get("attempts"),
        interval: block.get("interval"),
        delay: block.get("delay"),
        mode: block.get("mode"),
        render_templates: block.get("render_templates"),
    }
}

pub(crate) fn reschedule(block: &Block<'_>) -> ReschedulePolicy {
    ReschedulePolicy {
        attempts: block.get("attempts"),
        interval: block.get("interval"),
        delay: block.get("delay"),
        delay_function: block.get("delay_function"),
        max_delay: block.get("max_delay"),
        unlimited: block.get("unlimited"),
    }
}

pub(crate) fn update(block: &Block<'_>) -> UpdateStrategy {
    UpdateStrategy {
        stagger: block.get("stagger"),
        max_parallel: block.get("max_parallel"),
        health_check: block.get("health_check"),
        min_healthy_time: block.get("min_healthy_time"),
        healthy_deadline: block.get("healthy_deadline"),
        progress_deadline: block.get("progress_deadline"),
        canary: block.get("canary"),
        auto_revert: block.get("auto_revert"),
        auto_promote: block.get("auto_promote"),
    }
}

pub(crate) fn migrate(block: &Block<'_>) -> MigrateStrategy {
    MigrateStrategy {
        max_parallel: block.get("max_parallel"),
        health_check: block.get("health_check"),
        min_healthy_time: block.get("min_healthy_time"),
        healthy_deadline: block.get("healthy_deadline"),
    }
}

pub(crate) fn disconnect(block: &Block<'_>) -> DisconnectStrategy {
    DisconnectStrategy {
        lost_after: block.get("lost_after"),
        stop_on_client_after: block.get("stop_on_client_after"),
        replace: block.get("replace"),
        reconcile: block.get("reconcile"),
    }
}
