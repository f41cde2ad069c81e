//! Tasks: one program or container each.

use std::collections::BTreeMap;

use super::{Affinity, Constraint, Consul, NetworkResource, RestartPolicy, ScalingPolicy, Service};
use crate::go_json::go_json;
use crate::time::GoDuration;

go_json! {
    /// One program or container, run by a driver.
    pub struct Task {
        name: String = "Name",
        driver: String = "Driver",
        user: String = "User",
        lifecycle: Option<TaskLifecycle> = "Lifecycle",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
        constraints: Option<Vec<Constraint>> = "Constraints",
        affinities: Option<Vec<Affinity>> = "Affinities",
        env: Option<BTreeMap<String, String>> = "Env",
        services: Option<Vec<Service>> = "Services",
        resources: Option<Resources> = "Resources",
        restart_policy: Option<RestartPolicy> = "RestartPolicy",
        meta: Option<BTreeMap<String, String>> = "Meta",
        kill_timeout: Option<GoDuration> = "KillTimeout",
        log_config: Option<LogConfig> = "LogConfig",
        artifacts: Option<Vec<TaskArtifact>> = "Artifacts",
        vault: Option<Vault> = "Vault",
        consul: Option<Consul> = "Consul",
        templates: Option<Vec<Template>> = "Templates",
        dispatch_payload: Option<DispatchPayload> = "DispatchPayload",
        volume_mounts: Option<Vec<VolumeMount>> = "VolumeMounts",
        omit csi_plugin_config: Option<CsiPluginConfig> = "CSIPluginConfig",
        leader: bool = "Leader",
        shutdown_delay: GoDuration = "ShutdownDelay",
        kill_signal: String = "KillSignal",
        kind: String = "Kind",
        scaling_policies: Option<Vec<ScalingPolicy>> = "ScalingPolicies",
        identity: Option<WorkloadIdentity> = "Identity",
        identities: Option<Vec<WorkloadIdentity>> = "Identities",
        actions: Option<Vec<Action>> = "Actions",
        schedule: Option<TaskSchedule> = "Schedule",
        secrets: Option<Vec<Secret>> = "Secrets",
    }
}

go_json! {
    /// When in an allocation's life a task runs.
    pub struct TaskLifecycle {
        hook: String = "Hook",
        sidecar: bool = "Sidecar",
    }
}

go_json! {
    /// Rotation of a task's log files. Sizes are in MB.
    pub struct LogConfig {
        max_files: Option<i64> = "MaxFiles",
        max_file_size_mb: Option<i64> = "MaxFileSizeMB",
        enabled: Option<bool> = "Enabled",
        disabled: Option<bool> = "Disabled",
    }
}

go_json! {
    /// What a task needs. CPU in MHz, memory and disk in MB.
    pub struct Resources {
        cpu: Option<i64> = "CPU",
        cores: Option<i64> = "Cores",
        memory_mb: Option<i64> = "MemoryMB",
        memory_max_mb: Option<i64> = "MemoryMaxMB",
        disk_mb: Option<i64> = "DiskMB",
        networks: Option<Vec<NetworkResource>> = "Networks",
        devices: Option<Vec<RequestedDevice>> = "Devices",
        numa: Option<NumaResource> = "NUMA",
        secrets_mb: Option<i64> = "SecretsMB",
        iops: Option<i64> = "IOPS",
    }
}

go_json! {
    /// A device such as a GPU that a task asks for.
    pub struct RequestedDevice {
        name: String = "Name",
        count: Option<u64> = "Count",
        constraints: Option<Vec<Constraint>> = "Constraints",
        affinities: Option<Vec<Affinity>> = "Affinities",
    }
}

go_json! {
    /// How a task's cores relate to NUMA nodes.
    pub struct NumaResource {
        affinity: String = "Affinity",
        devices: Option<Vec<String>> = "Devices",
    }
}

go_json! {
    /// A file or archive fetched before the task starts.
    pub struct TaskArtifact {
        getter_source: Option<String> = "GetterSource",
        getter_options: Option<BTreeMap<String, String>> = "GetterOptions",
        getter_headers: Option<BTreeMap<String, String>> = "GetterHeaders",
        getter_mode: Option<String> = "GetterMode",
        getter_insecure: Option<bool> = "GetterInsecure",
        relative_dest: Option<String> = "RelativeDest",
        chown: bool = "Chown",
    }
}

go_json! {
    /// A file rendered into the task's directory.
    pub struct Template {
        source_path: Option<String> = "SourcePath",
        dest_path: Option<String> = "DestPath",
        embedded_tmpl: Option<String> = "EmbeddedTmpl",
        change_mode: Option<String> = "ChangeMode",
        change_script: Option<ChangeScript> = "ChangeScript",
        change_signal: Option<String> = "ChangeSignal",
        once: Option<bool> = "Once",
        splay: Option<GoDuration> = "Splay",
        perms: Option<String> = "Perms",
        uid: Option<i64> = "Uid",
        gid: Option<i64> = "Gid",
        left_delim: Option<String> = "LeftDelim",
        right_delim: Option<String> = "RightDelim",
        envvars: Option<bool> = "Envvars",
        vault_grace: Option<GoDuration> = "VaultGrace",
        wait: Option<WaitConfig> = "Wait",
        err_missing_key: Option<bool> = "ErrMissingKey",
    }
}

go_json! {
    /// The command run when a template changes.
    pub struct ChangeScript {
        command: Option<String> = "Command",
        args: Option<Vec<String>> = "Args",
        timeout: Option<GoDuration> = "Timeout",
        fail_on_error: Option<bool> = "FailOnError",
        run_on_first_render: Option<bool> = "RunOnFirstRender",
    }
}

go_json! {
    /// Bounds on how long a template waits for its data to settle.
    pub struct WaitConfig {
        min: Option<GoDuration> = "Min",
        max: Option<GoDuration> = "Max",
    }
}

go_json! {
    /// Vault settings of a task; kept in the document.
    pub struct Vault {
        policies: Option<Vec<String>> = "Policies",
        role: String = "Role",
        namespace: Option<String> = "Namespace",
        cluster: String = "Cluster",
        env: Option<bool> = "Env",
        disable_file: Option<bool> = "DisableFile",
        change_mode: Option<String> = "ChangeMode",
        change_signal: Option<String> = "ChangeSignal",
        allow_token_expiration: Option<bool> = "AllowTokenExpiration",
    }
}

go_json! {
    /// Where the payload of a dispatched job is written.
    pub struct DispatchPayload {
        file: String = "File",
    }
}

go_json! {
    /// A group's volume mounted into a task.
    pub struct VolumeMount {
        volume: Option<String> = "Volume",
        destination: Option<String> = "Destination",
        read_only: Option<bool> = "ReadOnly",
        propagation_mode: Option<String> = "PropagationMode",
        selinux_label: Option<String> = "SELinuxLabel",
    }
}

go_json! {
    /// A task that is a CSI plugin; kept in the document.
    pub struct CsiPluginConfig {
        id: String = "ID",
        r#type: String = "Type",
        mount_dir: String = "MountDir",
        stage_publish_base_dir: String = "StagePublishBaseDir",
        health_timeout: GoDuration = "HealthTimeout",
    }
}

go_json! {
    /// A signed identity that a task or service is given.
    pub struct WorkloadIdentity {
        name: String = "Name",
        audience: Option<Vec<String>> = "Audience",
        change_mode: String = "ChangeMode",
        change_signal: String = "ChangeSignal",
        env: bool = "Env",
        file: bool = "File",
        filepath: String = "Filepath",
        service_name: String = "ServiceName",
        ttl: GoDuration = "TTL",
        extra_claims: Option<Vec<serde_json::Value>> = "ExtraClaims",
    }
}

go_json! {
    /// A named command that users may run inside a task.
    pub struct Action {
        name: String = "Name",
        command: String = "Command",
        args: Option<Vec<String>> = "Args",
    }
}

go_json! {
    /// Times at which a task may run; kept in the document.
    pub struct TaskSchedule {
        cron: Option<TaskScheduleCron> = "Cron",
    }
}

go_json! {
    /// Start and end of a task's window.
    pub struct TaskScheduleCron {
        start: String = "Start",
        end: String = "End",
        timezone: String = "Timezone",
    }
}

go_json! {
    /// A secret fetched for a task; kept in the document.
    pub struct Secret {
        name: String = "Name",
        provider: String = "Provider",
        path: String = "Path",
        config: Option<BTreeMap<String, serde_json::Value>> = "Config",
        env: Option<BTreeMap<String, String>> = "Env",
    }
}
