//! How each field of the API's JSON is written in a job file: one table, read by whoever goes from the JSON to the file.
//!
//! `places` finds a field's position with it, `write` turns a job back into HCL. Reading a file needs more than a
//! table (defaults, shorthands, warnings), so that is done by `job`, `group`, `task` and their like.

use Form::*;

/// How a field is written.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "which field is the label matters only to the way back into HCL")]
pub(crate) enum Form {
    /// An attribute with a text.
    Text,
    /// An attribute with a whole number.
    Whole,
    /// An attribute with true or false.
    Truth,
    /// An attribute with a duration.
    Duration,
    /// An attribute with a list of texts.
    Texts,
    /// An attribute with a list of numbers.
    Numbers,
    /// An attribute with a map of texts.
    Map,
    /// A block of texts with free names, or an attribute with a map.
    MapOrBlock,
    /// A block of texts with free names.
    TextBlock,
    /// A block of lists of texts with free names.
    ListBlock,
    /// A free-form block such as `config`.
    Free,
    /// A block that may be there once.
    Block(&'static [Field]),
    /// A block that may be repeated.
    Blocks(&'static [Field]),
    /// A block that may be repeated, labelled with the field called so.
    Labelled(&'static str, &'static [Field]),
    /// Like `Labelled`, in the JSON an object under the labels.
    Keyed(&'static str, &'static [Field]),
    /// The task's own identity: the first block of its name.
    FirstOf(&'static [Field]),
    /// The blocks behind the first, which is the task's own.
    RestOf(&'static [Field]),
    /// Scaling of a task, labelled with what is scaled.
    TaskScaling(&'static [Field]),
    /// Follows from other fields or is set by the server.
    Derived,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its name in the JSON.
    pub json: &'static str,
    /// The name of its attribute or block.
    pub hcl: &'static str,
    /// How it is written.
    pub form: Form,
}

const fn field(json: &'static str, hcl: &'static str, form: Form) -> Field {
    Field { json, hcl, form }
}

const fn derived(json: &'static str) -> Field {
    Field { json, hcl: "", form: Derived }
}

/// A job.
pub(crate) const JOB: &[Field] = &[
    derived("ID"),
    field("Name", "name", Text),
    field("Type", "type", Text),
    field("Region", "region", Text),
    field("Namespace", "namespace", Text),
    field("Datacenters", "datacenters", Texts),
    field("NodePool", "node_pool", Text),
    field("Priority", "priority", Whole),
    field("AllAtOnce", "all_at_once", Truth),
    field("Meta", "meta", MapOrBlock),
    field("UI", "ui", Block(UI)),
    field("Constraints", "constraint", Blocks(CONSTRAINT)),
    field("Affinities", "affinity", Blocks(AFFINITY)),
    field("Spreads", "spread", Blocks(SPREAD)),
    field("Periodic", "periodic", Block(PERIODIC)),
    field("ParameterizedJob", "parameterized", Block(PARAMETERIZED)),
    field("Multiregion", "multiregion", Block(MULTIREGION)),
    field("Update", "update", Block(UPDATE)),
    field("Reschedule", "reschedule", Block(RESCHEDULE)),
    field("Migrate", "migrate", Block(MIGRATE)),
    field("TaskGroups", "group", Labelled("Name", GROUP)),
    derived("Stop"),
    derived("ParentID"),
    derived("Dispatched"),
    derived("DispatchIdempotencyToken"),
    derived("Payload"),
    derived("ConsulNamespace"),
    derived("VaultNamespace"),
    derived("NomadTokenID"),
    derived("Status"),
    derived("StatusDescription"),
    derived("Stable"),
    derived("Version"),
    derived("SubmitTime"),
    derived("CreateIndex"),
    derived("ModifyIndex"),
    derived("JobModifyIndex"),
    derived("VersionTag"),
];

pub(crate) const UI: &[Field] = &[field("Description", "description", Text), field("Links", "link", Blocks(UI_LINK))];

pub(crate) const UI_LINK: &[Field] = &[field("Label", "label", Text), field("URL", "url", Text)];

pub(crate) const CONSTRAINT: &[Field] =
    &[field("LTarget", "attribute", Text), field("Operand", "operator", Text), field("RTarget", "value", Text)];

pub(crate) const AFFINITY: &[Field] = &[
    field("LTarget", "attribute", Text),
    field("Operand", "operator", Text),
    field("RTarget", "value", Text),
    field("Weight", "weight", Whole),
];

pub(crate) const SPREAD: &[Field] = &[
    field("Attribute", "attribute", Text),
    field("Weight", "weight", Whole),
    field("SpreadTarget", "target", Labelled("Value", SPREAD_TARGET)),
];

pub(crate) const SPREAD_TARGET: &[Field] = &[derived("Value"), field("Percent", "percent", Whole)];

pub(crate) const PERIODIC: &[Field] = &[
    field("Spec", "cron", Text),
    field("Specs", "crons", Texts),
    derived("SpecType"),
    field("ProhibitOverlap", "prohibit_overlap", Truth),
    field("TimeZone", "time_zone", Text),
    field("Enabled", "enabled", Truth),
];

pub(crate) const PARAMETERIZED: &[Field] = &[
    field("Payload", "payload", Text),
    field("MetaRequired", "meta_required", Texts),
    field("MetaOptional", "meta_optional", Texts),
];

pub(crate) const MULTIREGION: &[Field] = &[
    field("Strategy", "strategy", Block(MULTIREGION_STRATEGY)),
    field("Regions", "region", Labelled("Name", MULTIREGION_REGION)),
];

pub(crate) const MULTIREGION_STRATEGY: &[Field] =
    &[field("MaxParallel", "max_parallel", Whole), field("OnFailure", "on_failure", Text)];

pub(crate) const MULTIREGION_REGION: &[Field] = &[
    derived("Name"),
    field("Count", "count", Whole),
    field("Datacenters", "datacenters", Texts),
    field("NodePool", "node_pool", Text),
    field("Meta", "meta", TextBlock),
];

pub(crate) const UPDATE: &[Field] = &[
    field("Stagger", "stagger", Duration),
    field("MaxParallel", "max_parallel", Whole),
    field("HealthCheck", "health_check", Text),
    field("MinHealthyTime", "min_healthy_time", Duration),
    field("HealthyDeadline", "healthy_deadline", Duration),
    field("ProgressDeadline", "progress_deadline", Duration),
    field("Canary", "canary", Whole),
    field("AutoRevert", "auto_revert", Truth),
    field("AutoPromote", "auto_promote", Truth),
];

pub(crate) const RESTART: &[Field] = &[
    field("Attempts", "attempts", Whole),
    field("Interval", "interval", Duration),
    field("Delay", "delay", Duration),
    field("Mode", "mode", Text),
    field("RenderTemplates", "render_templates", Truth),
];

pub(crate) const RESCHEDULE: &[Field] = &[
    field("Attempts", "attempts", Whole),
    field("Interval", "interval", Duration),
    field("Delay", "delay", Duration),
    field("DelayFunction", "delay_function", Text),
    field("MaxDelay", "max_delay", Duration),
    field("Unlimited", "unlimited", Truth),
];

pub(crate) const MIGRATE: &[Field] = &[
    field("MaxParallel", "max_parallel", Whole),
    field("HealthCheck", "health_check", Text),
    field("MinHealthyTime", "min_healthy_time", Duration),
    field("HealthyDeadline", "healthy_deadline", Duration),
];

pub(crate) const DISCONNECT: &[Field] = &[
    field("LostAfter", "lost_after", Duration),
    field("StopOnClientAfter", "stop_on_client_after", Duration),
    field("Replace", "replace", Truth),
    field("Reconcile", "reconcile", Text),
];

/// A group.
pub(crate) const GROUP: &[Field] = &[
    derived("Name"),
    field("Count", "count", Whole),
    field("ShutdownDelay", "shutdown_delay", Duration),
    field("MaxRunDuration", "max_run_duration", Duration),
    field("StopAfterClientDisconnect", "stop_after_client_disconnect", Duration),
    field("MaxClientDisconnect", "max_client_disconnect", Duration),
    field("PreventRescheduleOnLost", "prevent_reschedule_on_lost", Truth),
    field("Meta", "meta", MapOrBlock),
    field("Constraints", "constraint", Blocks(CONSTRAINT)),
    field("Affinities", "affinity", Blocks(AFFINITY)),
    field("Spreads", "spread", Blocks(SPREAD)),
    field("Scaling", "scaling", Block(SCALING)),
    field("Update", "update", Block(UPDATE)),
    field("Migrate", "migrate", Block(MIGRATE)),
    field("RestartPolicy", "restart", Block(RESTART)),
    field("ReschedulePolicy", "reschedule", Block(RESCHEDULE)),
    field("Disconnect", "disconnect", Block(DISCONNECT)),
    field("EphemeralDisk", "ephemeral_disk", Block(EPHEMERAL_DISK)),
    field("Networks", "network", Blocks(NETWORK)),
    field("Volumes", "volume", Keyed("Name", VOLUME)),
    field("Consul", "consul", Block(CONSUL)),
    field("Services", "service", Blocks(SERVICE)),
    field("Tasks", "task", Labelled("Name", TASK)),
];

pub(crate) const EPHEMERAL_DISK: &[Field] =
    &[field("SizeMB", "size", Whole), field("Sticky", "sticky", Truth), field("Migrate", "migrate", Truth)];

pub(crate) const SCALING: &[Field] = &[
    derived("ID"),
    derived("Namespace"),
    derived("Type"),
    derived("Target"),
    field("Enabled", "enabled", Truth),
    field("Min", "min", Whole),
    field("Max", "max", Whole),
    field("Policy", "policy", Free),
    derived("CreateIndex"),
    derived("ModifyIndex"),
];

pub(crate) const VOLUME: &[Field] = &[
    derived("Name"),
    field("Type", "type", Text),
    field("Source", "source", Text),
    field("ReadOnly", "read_only", Truth),
    field("Sticky", "sticky", Truth),
    field("AccessMode", "access_mode", Text),
    field("AttachmentMode", "attachment_mode", Text),
    field("PerAlloc", "per_alloc", Truth),
    field("MountOptions", "mount_options", Block(MOUNT_OPTIONS)),
];

pub(crate) const MOUNT_OPTIONS: &[Field] =
    &[field("FSType", "fs_type", Text), field("MountFlags", "mount_flags", Texts)];

pub(crate) const CONSUL: &[Field] =
    &[field("Namespace", "namespace", Text), field("Cluster", "cluster", Text), field("Partition", "partition", Text)];

/// A network. Ports are `port` blocks whether the host's port is fixed or not.
pub(crate) const NETWORK: &[Field] = &[
    field("Mode", "mode", Text),
    field("Hostname", "hostname", Text),
    field("Device", "device", Text),
    field("CIDR", "cidr", Text),
    field("IP", "ip", Text),
    field("MBits", "mbits", Whole),
    field("DNS", "dns", Block(DNS)),
    field("CNI", "cni", Block(CNI)),
    field("ReservedPorts", "port", Labelled("Label", PORT)),
    field("DynamicPorts", "port", Labelled("Label", PORT)),
];

pub(crate) const DNS: &[Field] =
    &[field("Servers", "servers", Texts), field("Searches", "searches", Texts), field("Options", "options", Texts)];

pub(crate) const CNI: &[Field] = &[field("Args", "args", Map)];

pub(crate) const PORT: &[Field] = &[
    derived("Label"),
    field("Value", "static", Whole),
    field("To", "to", Whole),
    field("HostNetwork", "host_network", Text),
    field("IgnoreCollision", "ignore_collision", Truth),
];

/// A service.
pub(crate) const SERVICE: &[Field] = &[
    field("Name", "name", Text),
    field("PortLabel", "port", Text),
    field("Provider", "provider", Text),
    field("Tags", "tags", Texts),
    field("CanaryTags", "canary_tags", Texts),
    field("EnableTagOverride", "enable_tag_override", Truth),
    field("AddressMode", "address_mode", Text),
    field("Address", "address", Text),
    field("TaskName", "task", Text),
    field("OnUpdate", "on_update", Text),
    field("Cluster", "cluster", Text),
    field("Kind", "kind", Text),
    field("Meta", "meta", TextBlock),
    field("CanaryMeta", "canary_meta", TextBlock),
    field("TaggedAddresses", "tagged_addresses", TextBlock),
    field("Weights", "weights", Block(WEIGHTS)),
    field("Identity", "identity", Block(IDENTITY)),
    field("CheckRestart", "check_restart", Block(CHECK_RESTART)),
    field("Checks", "check", Blocks(CHECK)),
    field("Connect", "connect", Block(CONNECT)),
];

pub(crate) const WEIGHTS: &[Field] = &[field("Passing", "passing", Whole), field("Warning", "warning", Whole)];

pub(crate) const CHECK_RESTART: &[Field] = &[
    field("Limit", "limit", Whole),
    field("Grace", "grace", Duration),
    field("IgnoreWarnings", "ignore_warnings", Truth),
];

pub(crate) const CHECK: &[Field] = &[
    field("Name", "name", Text),
    field("Type", "type", Text),
    field("PortLabel", "port", Text),
    field("Interval", "interval", Duration),
    field("Timeout", "timeout", Duration),
    field("Protocol", "protocol", Text),
    field("Method", "method", Text),
    field("Path", "path", Text),
    field("Header", "header", ListBlock),
    field("Body", "body", Text),
    field("TLSServerName", "tls_server_name", Text),
    field("TLSSkipVerify", "tls_skip_verify", Truth),
    field("Command", "command", Text),
    field("Args", "args", Texts),
    field("TaskName", "task", Text),
    field("Expose", "expose", Truth),
    field("AddressMode", "address_mode", Text),
    field("Advertise", "advertise", Text),
    field("InitialStatus", "initial_status", Text),
    field("Notes", "notes", Text),
    field("GRPCService", "grpc_service", Text),
    field("GRPCUseTLS", "grpc_use_tls", Truth),
    field("SuccessBeforePassing", "success_before_passing", Whole),
    field("FailuresBeforeCritical", "failures_before_critical", Whole),
    field("FailuresBeforeWarning", "failures_before_warning", Whole),
    field("OnUpdate", "on_update", Text),
    field("CheckRestart", "check_restart", Block(CHECK_RESTART)),
];

/// A task.
pub(crate) const TASK: &[Field] = &[
    derived("Name"),
    field("Driver", "driver", Text),
    field("User", "user", Text),
    field("Leader", "leader", Truth),
    field("Kind", "kind", Text),
    field("KillTimeout", "kill_timeout", Duration),
    field("KillSignal", "kill_signal", Text),
    field("ShutdownDelay", "shutdown_delay", Duration),
    field("Lifecycle", "lifecycle", Block(LIFECYCLE)),
    field("Config", "config", Free),
    field("Env", "env", MapOrBlock),
    field("Meta", "meta", MapOrBlock),
    field("Constraints", "constraint", Blocks(CONSTRAINT)),
    field("Affinities", "affinity", Blocks(AFFINITY)),
    field("DispatchPayload", "dispatch_payload", Block(DISPATCH_PAYLOAD)),
    field("Artifacts", "artifact", Blocks(ARTIFACT)),
    field("Templates", "template", Blocks(TEMPLATE)),
    field("VolumeMounts", "volume_mount", Blocks(VOLUME_MOUNT)),
    field("CSIPluginConfig", "csi_plugin", Block(CSI_PLUGIN)),
    field("Vault", "vault", Block(VAULT)),
    field("Consul", "consul", Block(CONSUL)),
    field("Secrets", "secret", Labelled("Name", SECRET)),
    field("Identity", "identity", FirstOf(IDENTITY)),
    field("Identities", "identity", RestOf(IDENTITY)),
    field("Services", "service", Blocks(SERVICE)),
    field("Actions", "action", Labelled("Name", ACTION)),
    field("Schedule", "schedule", Block(SCHEDULE)),
    field("ScalingPolicies", "scaling", TaskScaling(SCALING)),
    field("RestartPolicy", "restart", Block(RESTART)),
    field("LogConfig", "logs", Block(LOGS)),
    field("Resources", "resources", Block(RESOURCES)),
];

pub(crate) const LIFECYCLE: &[Field] = &[field("Hook", "hook", Text), field("Sidecar", "sidecar", Truth)];

pub(crate) const LOGS: &[Field] = &[
    field("MaxFiles", "max_files", Whole),
    field("MaxFileSizeMB", "max_file_size", Whole),
    field("Disabled", "disabled", Truth),
    field("Enabled", "enabled", Truth),
];

pub(crate) const DISPATCH_PAYLOAD: &[Field] = &[field("File", "file", Text)];

pub(crate) const ARTIFACT: &[Field] = &[
    field("GetterSource", "source", Text),
    field("RelativeDest", "destination", Text),
    field("GetterMode", "mode", Text),
    field("GetterInsecure", "insecure", Truth),
    field("Chown", "chown", Truth),
    field("GetterOptions", "options", TextBlock),
    field("GetterHeaders", "headers", TextBlock),
];

pub(crate) const TEMPLATE: &[Field] = &[
    field("SourcePath", "source", Text),
    field("DestPath", "destination", Text),
    field("Envvars", "env", Truth),
    field("ChangeMode", "change_mode", Text),
    field("ChangeSignal", "change_signal", Text),
    field("ChangeScript", "change_script", Block(CHANGE_SCRIPT)),
    field("Once", "once", Truth),
    field("Splay", "splay", Duration),
    field("Perms", "perms", Text),
    field("Uid", "uid", Whole),
    field("Gid", "gid", Whole),
    field("LeftDelim", "left_delimiter", Text),
    field("RightDelim", "right_delimiter", Text),
    field("VaultGrace", "vault_grace", Duration),
    field("Wait", "wait", Block(WAIT)),
    field("ErrMissingKey", "error_on_missing_key", Truth),
    field("EmbeddedTmpl", "data", Text),
];

pub(crate) const CHANGE_SCRIPT: &[Field] = &[
    field("Command", "command", Text),
    field("Args", "args", Texts),
    field("Timeout", "timeout", Duration),
    field("FailOnError", "fail_on_error", Truth),
    field("RunOnFirstRender", "run_on_first_render", Truth),
];

pub(crate) const WAIT: &[Field] = &[field("Min", "min", Duration), field("Max", "max", Duration)];

pub(crate) const VOLUME_MOUNT: &[Field] = &[
    field("Volume", "volume", Text),
    field("Destination", "destination", Text),
    field("ReadOnly", "read_only", Truth),
    field("PropagationMode", "propagation_mode", Text),
    field("SELinuxLabel", "selinux_label", Text),
];

pub(crate) const CSI_PLUGIN: &[Field] = &[
    field("ID", "id", Text),
    field("Type", "type", Text),
    field("MountDir", "mount_dir", Text),
    field("StagePublishBaseDir", "stage_publish_base_dir", Text),
    field("HealthTimeout", "health_timeout", Duration),
];

pub(crate) const VAULT: &[Field] = &[
    field("Role", "role", Text),
    field("Policies", "policies", Texts),
    field("Namespace", "namespace", Text),
    field("Cluster", "cluster", Text),
    field("Env", "env", Truth),
    field("DisableFile", "disable_file", Truth),
    field("ChangeMode", "change_mode", Text),
    field("ChangeSignal", "change_signal", Text),
    field("AllowTokenExpiration", "allow_token_expiration", Truth),
];

pub(crate) const SECRET: &[Field] = &[
    derived("Name"),
    field("Provider", "provider", Text),
    field("Path", "path", Text),
    field("Config", "config", Free),
    field("Env", "env", TextBlock),
];

pub(crate) const IDENTITY: &[Field] = &[
    field("Name", "name", Text),
    field("Audience", "aud", Texts),
    field("Env", "env", Truth),
    field("File", "file", Truth),
    field("Filepath", "filepath", Text),
    field("TTL", "ttl", Duration),
    field("ChangeMode", "change_mode", Text),
    field("ChangeSignal", "change_signal", Text),
    field("ServiceName", "service_name", Text),
    field("ExtraClaims", "extra_claims", Texts),
];

pub(crate) const ACTION: &[Field] = &[derived("Name"), field("Command", "command", Text), field("Args", "args", Texts)];

pub(crate) const SCHEDULE: &[Field] = &[field("Cron", "cron", Block(SCHEDULE_CRON))];

pub(crate) const SCHEDULE_CRON: &[Field] =
    &[field("Start", "start", Text), field("End", "end", Text), field("Timezone", "timezone", Text)];

pub(crate) const RESOURCES: &[Field] = &[
    field("CPU", "cpu", Whole),
    field("Cores", "cores", Whole),
    field("MemoryMB", "memory", Whole),
    field("MemoryMaxMB", "memory_max", Whole),
    field("DiskMB", "disk", Whole),
    field("SecretsMB", "secrets", Whole),
    field("IOPS", "iops", Whole),
    field("NUMA", "numa", Block(NUMA)),
    field("Networks", "network", Blocks(NETWORK)),
    field("Devices", "device", Labelled("Name", DEVICE)),
];

pub(crate) const NUMA: &[Field] = &[field("Affinity", "affinity", Text), field("Devices", "devices", Texts)];

pub(crate) const DEVICE: &[Field] = &[
    derived("Name"),
    field("Count", "count", Whole),
    field("Constraints", "constraint", Blocks(CONSTRAINT)),
    field("Affinities", "affinity", Blocks(AFFINITY)),
];

/// The service mesh.
pub(crate) const CONNECT: &[Field] = &[
    field("Native", "native", Truth),
    field("Gateway", "gateway", Block(GATEWAY)),
    field("SidecarService", "sidecar_service", Block(SIDECAR_SERVICE)),
    field("SidecarTask", "sidecar_task", Block(SIDECAR_TASK)),
];

pub(crate) const SIDECAR_SERVICE: &[Field] = &[
    field("Tags", "tags", Texts),
    field("Port", "port", Text),
    field("DisableDefaultTCPCheck", "disable_default_tcp_check", Truth),
    field("Meta", "meta", TextBlock),
    field("Proxy", "proxy", Block(PROXY)),
];

pub(crate) const SIDECAR_TASK: &[Field] = &[
    field("Name", "name", Text),
    field("Driver", "driver", Text),
    field("User", "user", Text),
    field("Config", "config", Free),
    field("Env", "env", MapOrBlock),
    field("Resources", "resources", Block(RESOURCES)),
    field("Meta", "meta", MapOrBlock),
    field("KillTimeout", "kill_timeout", Duration),
    field("LogConfig", "logs", Block(LOGS)),
    field("ShutdownDelay", "shutdown_delay", Duration),
    field("KillSignal", "kill_signal", Text),
    field("VolumeMounts", "volume_mount", Blocks(VOLUME_MOUNT)),
    field("Identities", "identity", Blocks(IDENTITY)),
];

pub(crate) const PROXY: &[Field] = &[
    field("LocalServiceAddress", "local_service_address", Text),
    field("LocalServicePort", "local_service_port", Whole),
    field("Expose", "expose", Block(EXPOSE)),
    derived("ExposeConfig"),
    field("Upstreams", "upstreams", Blocks(UPSTREAM)),
    field("TransparentProxy", "transparent_proxy", Block(TRANSPARENT_PROXY)),
    field("Config", "config", Free),
];

pub(crate) const EXPOSE: &[Field] = &[field("Paths", "path", Blocks(EXPOSE_PATH)), derived("Path")];

pub(crate) const EXPOSE_PATH: &[Field] = &[
    field("Path", "path", Text),
    field("Protocol", "protocol", Text),
    field("LocalPathPort", "local_path_port", Whole),
    field("ListenerPort", "listener_port", Text),
];

pub(crate) const UPSTREAM: &[Field] = &[
    field("DestinationName", "destination_name", Text),
    field("DestinationNamespace", "destination_namespace", Text),
    field("DestinationPeer", "destination_peer", Text),
    field("DestinationPartition", "destination_partition", Text),
    field("DestinationType", "destination_type", Text),
    field("LocalBindPort", "local_bind_port", Whole),
    field("LocalBindAddress", "local_bind_address", Text),
    field("LocalBindSocketPath", "local_bind_socket_path", Text),
    field("LocalBindSocketMode", "local_bind_socket_mode", Text),
    field("Datacenter", "datacenter", Text),
    field("MeshGateway", "mesh_gateway", Block(MESH_GATEWAY)),
    field("Config", "config", Free),
];

pub(crate) const MESH_GATEWAY: &[Field] = &[field("Mode", "mode", Text)];

pub(crate) const TRANSPARENT_PROXY: &[Field] = &[
    field("UID", "uid", Text),
    field("OutboundPort", "outbound_port", Whole),
    field("ExcludeInboundPorts", "exclude_inbound_ports", Texts),
    field("ExcludeOutboundPorts", "exclude_outbound_ports", Numbers),
    field("ExcludeOutboundCIDRs", "exclude_outbound_cidrs", Texts),
    field("ExcludeUIDs", "exclude_uids", Texts),
    field("NoDNS", "no_dns", Truth),
];

pub(crate) const GATEWAY: &[Field] = &[
    field("Proxy", "proxy", Block(GATEWAY_PROXY)),
    field("Ingress", "ingress", Block(INGRESS)),
    field("Terminating", "terminating", Block(TERMINATING)),
    field("Mesh", "mesh", Block(&[])),
];

pub(crate) const GATEWAY_PROXY: &[Field] = &[
    field("ConnectTimeout", "connect_timeout", Duration),
    field("EnvoyGatewayBindTaggedAddresses", "envoy_gateway_bind_tagged_addresses", Truth),
    field("EnvoyGatewayBindAddresses", "envoy_gateway_bind_addresses", Keyed("Name", BIND_ADDRESS)),
    field("EnvoyGatewayNoDefaultBind", "envoy_gateway_no_default_bind", Truth),
    field("EnvoyDNSDiscoveryType", "envoy_dns_discovery_type", Text),
    field("Config", "config", Free),
];

pub(crate) const BIND_ADDRESS: &[Field] =
    &[derived("Name"), field("Address", "address", Text), field("Port", "port", Whole)];

pub(crate) const INGRESS: &[Field] =
    &[field("TLS", "tls", Block(GATEWAY_TLS)), field("Listeners", "listener", Blocks(INGRESS_LISTENER))];

pub(crate) const GATEWAY_TLS: &[Field] = &[
    field("Enabled", "enabled", Truth),
    field("TLSMinVersion", "tls_min_version", Text),
    field("TLSMaxVersion", "tls_max_version", Text),
    field("CipherSuites", "cipher_suites", Texts),
    field("SDS", "sds", Block(GATEWAY_TLS_SDS)),
];

pub(crate) const GATEWAY_TLS_SDS: &[Field] =
    &[field("ClusterName", "cluster_name", Text), field("CertResource", "cert_resource", Text)];

pub(crate) const INGRESS_LISTENER: &[Field] = &[
    field("Port", "port", Whole),
    field("Protocol", "protocol", Text),
    field("Services", "service", Blocks(INGRESS_SERVICE)),
];

pub(crate) const INGRESS_SERVICE: &[Field] = &[
    field("Name", "name", Text),
    field("Hosts", "hosts", Texts),
    field("TLS", "tls", Block(GATEWAY_TLS)),
    field("RequestHeaders", "request_headers", Block(HEADERS)),
    field("ResponseHeaders", "response_headers", Block(HEADERS)),
    field("MaxConnections", "max_connections", Whole),
    field("MaxPendingRequests", "max_pending_requests", Whole),
    field("MaxConcurrentRequests", "max_concurrent_requests", Whole),
];

pub(crate) const HEADERS: &[Field] =
    &[field("Add", "add", TextBlock), field("Set", "set", TextBlock), field("Remove", "remove", Texts)];

pub(crate) const TERMINATING: &[Field] = &[field("Services", "service", Blocks(LINKED_SERVICE))];

pub(crate) const LINKED_SERVICE: &[Field] = &[
    field("Name", "name", Text),
    field("CAFile", "ca_file", Text),
    field("CertFile", "cert_file", Text),
    field("KeyFile", "key_file", Text),
    field("SNI", "sni", Text),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::job::*;

    use super::*;

    #[test]
    fn the_table_has_every_field_of_the_model() {
        let pairs: Vec<(&[&str], &[Field])> = vec![
            (Job::FIELDS, JOB),
            (JobUi::FIELDS, UI),
            (JobUiLink::FIELDS, UI_LINK),
            (Constraint::FIELDS, CONSTRAINT),
            (Affinity::FIELDS, AFFINITY),
            (Spread::FIELDS, SPREAD),
            (SpreadTarget::FIELDS, SPREAD_TARGET),
            (PeriodicConfig::FIELDS, PERIODIC),
            (ParameterizedJobConfig::FIELDS, PARAMETERIZED),
            (Multiregion::FIELDS, MULTIREGION),
            (MultiregionStrategy::FIELDS, MULTIREGION_STRATEGY),
            (MultiregionRegion::FIELDS, MULTIREGION_REGION),
            (UpdateStrategy::FIELDS, UPDATE),
            (RestartPolicy::FIELDS, RESTART),
            (ReschedulePolicy::FIELDS, RESCHEDULE),
            (MigrateStrategy::FIELDS, MIGRATE),
            (DisconnectStrategy::FIELDS, DISCONNECT),
            (TaskGroup::FIELDS, GROUP),
            (EphemeralDisk::FIELDS, EPHEMERAL_DISK),
            (ScalingPolicy::FIELDS, SCALING),
            (VolumeRequest::FIELDS, VOLUME),
            (CsiMountOptions::FIELDS, MOUNT_OPTIONS),
            (Consul::FIELDS, CONSUL),
            (NetworkResource::FIELDS, NETWORK),
            (DnsConfig::FIELDS, DNS),
            (CniConfig::FIELDS, CNI),
            (Port::FIELDS, PORT),
            (Service::FIELDS, SERVICE),
            (ServiceWeights::FIELDS, WEIGHTS),
            (CheckRestart::FIELDS, CHECK_RESTART),
            (ServiceCheck::FIELDS, CHECK),
            (Task::FIELDS, TASK),
            (TaskLifecycle::FIELDS, LIFECYCLE),
            (LogConfig::FIELDS, LOGS),
            (DispatchPayload::FIELDS, DISPATCH_PAYLOAD),
            (TaskArtifact::FIELDS, ARTIFACT),
            (Template::FIELDS, TEMPLATE),
            (ChangeScript::FIELDS, CHANGE_SCRIPT),
            (WaitConfig::FIELDS, WAIT),
            (VolumeMount::FIELDS, VOLUME_MOUNT),
            (CsiPluginConfig::FIELDS, CSI_PLUGIN),
            (Vault::FIELDS, VAULT),
            (Secret::FIELDS, SECRET),
            (WorkloadIdentity::FIELDS, IDENTITY),
            (Action::FIELDS, ACTION),
            (TaskSchedule::FIELDS, SCHEDULE),
            (TaskScheduleCron::FIELDS, SCHEDULE_CRON),
            (Resources::FIELDS, RESOURCES),
            (NumaResource::FIELDS, NUMA),
            (RequestedDevice::FIELDS, DEVICE),
            (Connect::FIELDS, CONNECT),
            (SidecarService::FIELDS, SIDECAR_SERVICE),
            (SidecarTask::FIELDS, SIDECAR_TASK),
            (Proxy::FIELDS, PROXY),
            (ExposeConfig::FIELDS, EXPOSE),
            (ExposePath::FIELDS, EXPOSE_PATH),
            (Upstream::FIELDS, UPSTREAM),
            (MeshGateway::FIELDS, MESH_GATEWAY),
            (TransparentProxy::FIELDS, TRANSPARENT_PROXY),
            (Gateway::FIELDS, GATEWAY),
            (GatewayProxy::FIELDS, GATEWAY_PROXY),
            (GatewayBindAddress::FIELDS, BIND_ADDRESS),
            (IngressConfig::FIELDS, INGRESS),
            (GatewayTls::FIELDS, GATEWAY_TLS),
            (GatewayTlsSds::FIELDS, GATEWAY_TLS_SDS),
            (IngressListener::FIELDS, INGRESS_LISTENER),
            (IngressService::FIELDS, INGRESS_SERVICE),
            (HttpHeaderModifiers::FIELDS, HEADERS),
            (TerminatingConfig::FIELDS, TERMINATING),
            (LinkedService::FIELDS, LINKED_SERVICE),
        ];
        for (model, table) in pairs {
            let model: BTreeSet<&str> = model.iter().copied().collect();
            let table: BTreeSet<&str> = table.iter().map(|field| field.json).collect();
            assert_eq!(model, table);
        }
    }
}
