//! The `task` block and what belongs to one task.

use model::job::{
    Action, ChangeScript, CsiPluginConfig, DispatchPayload, LogConfig, ScalingPolicy, Secret, Task, TaskArtifact,
    TaskLifecycle, TaskSchedule, TaskScheduleCron, Template, Vault, VolumeMount, WaitConfig, WorkloadIdentity,
};
use model::time::GoDuration;
use serde_json::Value as Json;

use crate::block::Block;
use crate::diagnostics::Problem;
use crate::{group, placement, policy, resources, service};

pub(crate) fn task(block: &Block<'_>) -> Task {
    let (identity, identities) = identities(block);
    Task {
        name: block.label(0),
        driver: block.get("driver"),
        user: block.get("user"),
        leader: block.get("leader"),
        kill_timeout: block.get("kill_timeout"),
        kill_signal: block.get("kill_signal"),
        shutdown_delay: block.get("shutdown_delay"),
        kind: block.get("kind"),
        config: block.config("config"),
        env: block.either("env"),
        meta: block.either("meta"),
        constraints: block.many("constraint", &[], placement::constraint),
        affinities: block.many("affinity", &[], placement::affinity),
        services: block.many("service", &[], service::service),
        resources: block.one("resources", resources::resources),
        restart_policy: block.one("restart", policy::restart),
        lifecycle: block
            .one("lifecycle", |block| TaskLifecycle { hook: block.required("hook"), sidecar: block.get("sidecar") }),
        log_config: block.one("logs", logs),
        artifacts: block.many("artifact", &[], artifact),
        templates: block.many("template", &[], template),
        vault: block.one("vault", vault),
        consul: block.one("consul", group::consul),
        dispatch_payload: block.one("dispatch_payload", |block| DispatchPayload { file: block.get("file") }),
        volume_mounts: block.many("volume_mount", &[], volume_mount),
        csi_plugin_config: block.one("csi_plugin", |block| CsiPluginConfig {
            id: block.get("id"),
            r#type: block.get("type"),
            mount_dir: block.get("mount_dir"),
            stage_publish_base_dir: block.get("stage_publish_base_dir"),
            health_timeout: block.get("health_timeout"),
        }),
        scaling_policies: scaling(block),
        identity,
        identities,
        actions: block.many("action", &["name"], |block| Action {
            name: block.label(0),
            command: block.required("command"),
            args: block.get("args"),
        }),
        schedule: block.one("schedule", |block| TaskSchedule {
            cron: block.one("cron", |block| TaskScheduleCron {
                start: block.get("start"),
                end: block.get("end"),
                timezone: block.get("timezone"),
            }),
        }),
        secrets: block.many("secret", &["name"], secret),
    }
}

fn logs(block: &Block<'_>) -> LogConfig {
    LogConfig {
        max_files: block.get("max_files"),
        max_file_size_mb: block.get("max_file_size"),
        enabled: block.get("enabled"),
        disabled: block.get("disabled"),
    }
}

fn artifact(block: &Block<'_>) -> TaskArtifact {
    TaskArtifact {
        getter_source: block.get("source"),
        getter_options: block.free::<String>("options"),
        getter_headers: block.free::<String>("headers"),
        getter_mode: block.get("mode"),
        getter_insecure: block.get("insecure"),
        relative_dest: block.get("destination"),
        chown: block.get("chown"),
    }
}

/// The language itself gives templates some defaults.
fn template(block: &Block<'_>) -> Template {
    Template {
        source_path: block.get("source"),
        dest_path: block.get("destination"),
        embedded_tmpl: block.get("data"),
        change_mode: block.get_or("change_mode", "restart".to_owned()),
        change_signal: block.get("change_signal"),
        change_script: block.one("change_script", |block| ChangeScript {
            command: block.get("command"),
            args: block.get_or("args", Vec::new()),
            timeout: block.get_or("timeout", GoDuration::from_secs(5)),
            fail_on_error: block.get_or("fail_on_error", false),
            run_on_first_render: block.get_or("run_on_first_render", false),
        }),
        once: block.get("once"),
        splay: block.get_or("splay", GoDuration::from_secs(5)),
        perms: block.get_or("perms", "0644".to_owned()),
        uid: block.get("uid"),
        gid: block.get("gid"),
        left_delim: block.get("left_delimiter"),
        right_delim: block.get("right_delimiter"),
        envvars: block.get("env"),
        vault_grace: block.get("vault_grace"),
        wait: block.one("wait", |block| WaitConfig { min: block.get("min"), max: block.get("max") }),
        err_missing_key: block.get_or("error_on_missing_key", false),
    }
}

/// Defaults of the language: token in the environment, restart when it changes.
pub(crate) fn vault(block: &Block<'_>) -> Vault {
    Vault {
        policies: block.get("policies"),
        role: block.get("role"),
        namespace: block.get("namespace"),
        cluster: block.get("cluster"),
        env: block.get_or("env", true),
        disable_file: block.get_or("disable_file", false),
        change_mode: block.get_or("change_mode", "restart".to_owned()),
        change_signal: block.get("change_signal"),
        allow_token_expiration: block.get("allow_token_expiration"),
    }
}

fn volume_mount(block: &Block<'_>) -> VolumeMount {
    VolumeMount {
        volume: block.get("volume"),
        destination: block.get("destination"),
        read_only: block.get("read_only"),
        propagation_mode: block.get("propagation_mode"),
        selinux_label: block.get("selinux_label"),
    }
}

pub(crate) fn identity(block: &Block<'_>) -> WorkloadIdentity {
    WorkloadIdentity {
        name: block.get("name"),
        audience: block.get("aud"),
        change_mode: block.get("change_mode"),
        change_signal: block.get("change_signal"),
        env: block.get("env"),
        file: block.get("file"),
        filepath: block.get("filepath"),
        service_name: block.get("service_name"),
        ttl: block.get("ttl"),
        extra_claims: block
            .get::<Option<Vec<String>>>("extra_claims")
            .map(|claims| claims.into_iter().map(Json::String).collect()),
    }
}

/// The first identity without a name, or named `default`, is the task's own; all others are a list.
fn identities(block: &Block<'_>) -> (Option<WorkloadIdentity>, Option<Vec<WorkloadIdentity>>) {
    let Some(mut all) = block.many("identity", &[], identity) else { return (None, None) };
    let own = all.iter().position(|identity| identity.name.is_empty() || identity.name == "default");
    let own = own.map(|at| all.remove(at));
    (own, Some(all))
}

pub(crate) fn secret(block: &Block<'_>) -> Secret {
    Secret {
        name: block.label(0),
        provider: block.get("provider"),
        path: block.get("path"),
        config: block.config("config"),
        env: block.free::<String>("env"),
    }
}

fn scaling(block: &Block<'_>) -> Option<Vec<ScalingPolicy>> {
    let seen = std::cell::RefCell::new(Vec::new());
    block.many("scaling", &["cpu or mem"], |block| {
        let label = block.label(0).to_lowercase();
        let kind = match label.as_str() {
            "cpu" => "vertical_cpu",
            "mem" => "vertical_mem",
            _ => {
                let message = "scaling of a task is for \"cpu\" or \"mem\"".to_owned();
                block.session.report(Problem { message, span: block.span.clone(), help: None });
                ""
            }
        };
        if !kind.is_empty() && seen.borrow().contains(&kind) {
            let message = "two scaling blocks of one task are for the same resource".to_owned();
            let help = Some("keep one of the two".to_owned());
            block.session.report(Problem { message, span: block.span.clone(), help });
        }
        seen.borrow_mut().push(kind);
        let written: String = block.get("type");
        if !written.is_empty() && written != kind {
            let message = format!("this scaling is {kind:?}, not {written:?}");
            let help = Some("leave type out".to_owned());
            block.session.report(Problem { message, span: block.span.clone(), help });
        }
        ScalingPolicy {
            r#type: kind.to_owned(),
            enabled: block.get("enabled"),
            min: block.get("min"),
            max: block.get("max"),
            policy: block.config("policy"),
            ..ScalingPolicy::default()
        }
    })
}
