//! The `group` block.

use std::collections::BTreeMap;

use model::job::{Consul, CsiMountOptions, EphemeralDisk, ScalingPolicy, Secret, Task, TaskGroup, VolumeRequest};

use crate::block::Block;
use crate::diagnostics::Problem;
use crate::{network, placement, policy, service, task};

pub(crate) fn group(block: &Block<'_>) -> TaskGroup {
    let vault = block.one("vault", task::vault);
    let secrets = block.many("secret", &["name"], task::secret);
    let mut group = TaskGroup {
        name: Some(block.label(0)),
        count: block.get("count"),
        shutdown_delay: block.get("shutdown_delay"),
        max_run_duration: block.get("max_run_duration"),
        stop_after_client_disconnect: block.get("stop_after_client_disconnect"),
        max_client_disconnect: block.get("max_client_disconnect"),
        prevent_reschedule_on_lost: block.get("prevent_reschedule_on_lost"),
        meta: block.either("meta"),
        constraints: block.many("constraint", &[], placement::constraint),
        affinities: block.many("affinity", &[], placement::affinity),
        spreads: block.many("spread", &[], placement::spread),
        restart_policy: block.one("restart", policy::restart),
        reschedule_policy: block.one("reschedule", policy::reschedule),
        update: block.one("update", policy::update),
        migrate: block.one("migrate", policy::migrate),
        disconnect: block.one("disconnect", policy::disconnect),
        ephemeral_disk: block.one("ephemeral_disk", ephemeral_disk),
        networks: block.many("network", &[], network::network),
        services: block.many("service", &[], service::service),
        consul: block.one("consul", consul),
        volumes: volumes(block),
        scaling: block.one("scaling", scaling),
        tasks: block.many("task", &["name"], task::task),
    };
    for task in group.tasks.iter_mut().flatten() {
        if task.vault.is_none() {
            task.vault = vault.clone();
        }
        if let Some(secrets) = &secrets {
            take_secrets(block, task, secrets);
        }
    }
    group
}

/// Tasks without secrets take the group's. Those with secrets of their own get these twice and the group's not at all:
/// that is what Nomad makes of it.
fn take_secrets(block: &Block<'_>, task: &mut Task, secrets: &[Secret]) {
    let own = task.secrets.get_or_insert_default();
    if own.is_empty() {
        own.extend(secrets.iter().cloned());
        return;
    }
    own.extend(own.clone());
    block.session.warn(
        format!("the task {:?} has secrets of its own, so it does not get the group's", task.name),
        block.place_of_block("secret").unwrap_or_else(|| block.span.clone()),
        "write the secrets into each task, or into the job",
    );
}

fn ephemeral_disk(block: &Block<'_>) -> EphemeralDisk {
    EphemeralDisk { sticky: block.get("sticky"), size_mb: block.get("size"), migrate: block.get("migrate") }
}

pub(crate) fn consul(block: &Block<'_>) -> Consul {
    Consul { namespace: block.get("namespace"), cluster: block.get("cluster"), partition: block.get("partition") }
}

/// Volumes by name; of two with one name the later counts.
fn volumes(block: &Block<'_>) -> Option<BTreeMap<String, VolumeRequest>> {
    let volumes = block.many("volume", &["name"], |block| VolumeRequest {
        name: block.label(0),
        r#type: block.get("type"),
        source: block.get("source"),
        read_only: block.get("read_only"),
        sticky: block.get("sticky"),
        access_mode: block.get("access_mode"),
        attachment_mode: block.get("attachment_mode"),
        per_alloc: block.get("per_alloc"),
        mount_options: block.one("mount_options", |block| CsiMountOptions {
            fs_type: block.get("fs_type"),
            mount_flags: block.get("mount_flags"),
        }),
    })?;
    let mut by_name = BTreeMap::new();
    for volume in volumes {
        let name = volume.name.clone();
        if by_name.insert(name.clone(), volume).is_some() {
            block.session.warn(
                format!("there are two volumes {name:?}; only the later one counts"),
                block.place_of_block("volume").unwrap_or_else(|| block.span.clone()),
                "give each volume a name of its own",
            );
        }
    }
    Some(by_name)
}

fn scaling(block: &Block<'_>) -> ScalingPolicy {
    let kind: String = block.get("type");
    if kind != "horizontal" && !kind.is_empty() {
        block.session.report(Problem {
            message: format!("scaling of a group is horizontal, not {kind:?}"),
            span: block.place("type"),
            help: Some("leave type out".to_owned()),
        });
    }
    ScalingPolicy {
        r#type: "horizontal".to_owned(),
        enabled: block.get("enabled"),
        min: block.get("min"),
        max: block.required("max"),
        policy: block.config("policy"),
        ..ScalingPolicy::default()
    }
}
