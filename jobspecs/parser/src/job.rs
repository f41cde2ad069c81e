//! The `job` block.

use model::job::{
    Job, JobUi, JobUiLink, Multiregion, MultiregionRegion, MultiregionStrategy, ParameterizedJobConfig, PeriodicConfig,
    Secret, Task, TaskGroup, Vault,
};

use crate::block::Block;
use crate::{group, placement, policy, task};

pub(crate) fn job(block: &Block<'_>) -> Job {
    let label = block.label(0);
    let mut job = Job {
        id: Some(block.get::<Option<String>>("id").unwrap_or_else(|| label.clone())),
        name: Some(block.get::<Option<String>>("name").unwrap_or(label)),
        region: block.get("region"),
        namespace: block.get("namespace"),
        r#type: block.get("type"),
        priority: block.get("priority"),
        all_at_once: block.get("all_at_once"),
        datacenters: block.get("datacenters"),
        node_pool: block.get("node_pool"),
        meta: block.either("meta"),
        constraints: block.many("constraint", &[], placement::constraint),
        affinities: block.many("affinity", &[], placement::affinity),
        spreads: block.many("spread", &[], placement::spread),
        update: block.one("update", policy::update),
        reschedule: block.one("reschedule", policy::reschedule),
        migrate: block.one("migrate", policy::migrate),
        periodic: block.one("periodic", periodic),
        parameterized_job: block.one("parameterized", parameterized),
        multiregion: block.one("multiregion", multiregion),
        ui: block.one("ui", ui),
        ..Job::default()
    };
    let vault = block.one("vault", task::vault);
    let secrets = block.many("secret", &["name"], task::secret);
    let mut groups: Vec<TaskGroup> =
        block.many("task", &["name"], task::task).unwrap_or_default().into_iter().map(group_of).collect();
    groups.extend(block.many("group", &["name"], group::group).unwrap_or_default());
    for group in &mut groups {
        inherit(group, vault.as_ref(), secrets.as_deref());
    }
    job.task_groups = if groups.is_empty() { None } else { Some(groups) };
    job
}

/// A task written in the job itself is a group of its own.
fn group_of(task: Task) -> TaskGroup {
    TaskGroup { name: Some(task.name.clone()), tasks: Some(vec![task]), ..TaskGroup::default() }
}

/// Tasks take the job's vault when they have none, and the job's secrets behind their own.
fn inherit(group: &mut TaskGroup, vault: Option<&Vault>, secrets: Option<&[Secret]>) {
    for task in group.tasks.iter_mut().flatten() {
        if task.vault.is_none() {
            task.vault = vault.cloned();
        }
        if let Some(secrets) = secrets {
            task.secrets.get_or_insert_default().extend(secrets.iter().cloned());
        }
    }
}

fn periodic(block: &Block<'_>) -> PeriodicConfig {
    let spec: Option<String> = block.get("cron");
    let specs: Option<Vec<String>> = block.get("crons");
    PeriodicConfig {
        enabled: block.get("enabled"),
        spec_type: (spec.is_some() || specs.is_some()).then(|| "cron".to_owned()),
        spec,
        specs,
        prohibit_overlap: block.get("prohibit_overlap"),
        time_zone: block.get("time_zone"),
    }
}

fn parameterized(block: &Block<'_>) -> ParameterizedJobConfig {
    ParameterizedJobConfig {
        payload: block.get("payload"),
        meta_required: block.get("meta_required"),
        meta_optional: block.get("meta_optional"),
    }
}

fn multiregion(block: &Block<'_>) -> Multiregion {
    Multiregion {
        strategy: block.one("strategy", |block| MultiregionStrategy {
            max_parallel: block.get("max_parallel"),
            on_failure: block.get("on_failure"),
        }),
        regions: block.many("region", &["name"], |block| MultiregionRegion {
            name: block.label(0),
            count: block.get("count"),
            datacenters: block.get("datacenters"),
            node_pool: block.get("node_pool"),
            meta: block.free::<String>("meta"),
        }),
    }
}

fn ui(block: &Block<'_>) -> JobUi {
    JobUi {
        description: block.get("description"),
        links: block.many("link", &[], |block| JobUiLink { label: block.get("label"), url: block.get("url") }),
    }
}
