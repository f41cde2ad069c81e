//! How each field of the API's JSON is written in a job file: one table, read by whoever goes from the JSON to the file.
//!
//! `places` finds a field's position with it, `write` turns a job back into HCL. Reading a file needs more than a
//! table (defaults, shorthands, warnings), so that is done by `job`, `group`, `task` and their like.

use Form::*;

/// How a field is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// An attribute with a text.
    Text,
    /// One that must be there.
    Needed,
    /// One that has this text when nothing is written.
    TextOr(&'static str),
    /// An attribute with a whole number.
    Whole,
    /// An attribute with true or false.
    Truth,
    /// One that is so when nothing is written.
    TruthOr(bool),
    /// An attribute with a duration.
    Duration,
    /// One that lasts so many seconds when nothing is written.
    DurationOr(i64),
    /// An attribute with a list of texts.
    Texts,
    /// One that is an empty list when nothing is written.
    TextsOrNone,
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
    /// Whether an empty text, zero or false says the same as no attribute.
    pub plain: bool,
}

const fn field(json: &'static str, hcl: &'static str, form: Form) -> Field {
    Field { json, hcl, form, plain: false }
}

const fn plain(json: &'static str, hcl: &'static str, form: Form) -> Field {
    Field { json, hcl, form, plain: true }
}

const fn derived(json: &'static str) -> Field {
    Field { json, hcl: "", form: Derived, plain: false }
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

pub(crate) const UI: &[Field] = &[plain("Description", "description", Text), field("Links", "link", Blocks(UI_LINK))];

pub(crate) const UI_LINK: &[Field] = &[plain("Label", "label", Text), plain("URL", "url", Text)];

pub(crate) const CONSTRAINT: &[Field] =
    &[plain("LTarget", "attribute", Text), plain("Operand", "operator", Text), plain("RTarget", "value", Text)];

pub(crate) const AFFINITY: &[Field] = &[
    plain("LTarget", "attribute", Text),
    plain("Operand", "operator", Text),
    plain("RTarget", "value", Text),
    field("Weight", "weight", Whole),
];

pub(crate) const SPREAD: &[Field] = &[
    plain("Attribute", "attribute", Text),
    field("Weight", "weight", Whole),
    field("SpreadTarget", "target", Labelled("Value", SPREAD_TARGET)),
];

pub(crate) const SPREAD_TARGET: &[Field] = &[derived("Value"), plain("Percent", "percent", Whole)];

pub(crate) const PERIODIC: &[Field] = &[
    field("Spec", "cron", Text),
    field("Specs", "crons", Texts),
    derived("SpecType"),
    field("ProhibitOverlap", "prohibit_overlap", Truth),
    field("TimeZone", "time_zone", Text),
    field("Enabled", "enabled", Truth),
];

pub(crate) const PARAMETERIZED: &[Field] = &[
    plain("Payload", "payload", Text),
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
    plain("NodePool", "node_pool", Text),
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
    plain("Type", "type", Text),
    plain("Source", "source", Text),
    plain("ReadOnly", "read_only", Truth),
    plain("Sticky", "sticky", Truth),
    plain("AccessMode", "access_mode", Text),
    plain("AttachmentMode", "attachment_mode", Text),
    plain("PerAlloc", "per_alloc", Truth),
    field("MountOptions", "mount_options", Block(MOUNT_OPTIONS)),
];

pub(crate) const MOUNT_OPTIONS: &[Field] =
    &[plain("FSType", "fs_type", Text), field("MountFlags", "mount_flags", Texts)];

pub(crate) const CONSUL: &[Field] =
    &[plain("Namespace", "namespace", Text), plain("Cluster", "cluster", Text), plain("Partition", "partition", Text)];

/// A network. Ports are `port` blocks whether the host's port is fixed or not.
pub(crate) const NETWORK: &[Field] = &[
    plain("Mode", "mode", Text),
    plain("Hostname", "hostname", Text),
    plain("Device", "device", Text),
    plain("CIDR", "cidr", Text),
    plain("IP", "ip", Text),
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
    plain("Value", "static", Whole),
    plain("To", "to", Whole),
    plain("HostNetwork", "host_network", Text),
    plain("IgnoreCollision", "ignore_collision", Truth),
];

/// A service.
pub(crate) const SERVICE: &[Field] = &[
    plain("Name", "name", Text),
    plain("PortLabel", "port", Text),
    plain("Provider", "provider", Text),
    field("Tags", "tags", Texts),
    field("CanaryTags", "canary_tags", Texts),
    plain("EnableTagOverride", "enable_tag_override", Truth),
    plain("AddressMode", "address_mode", Text),
    plain("Address", "address", Text),
    plain("TaskName", "task", Text),
    plain("OnUpdate", "on_update", Text),
    plain("Cluster", "cluster", Text),
    plain("Kind", "kind", Text),
    field("Meta", "meta", TextBlock),
    field("CanaryMeta", "canary_meta", TextBlock),
    field("TaggedAddresses", "tagged_addresses", TextBlock),
    field("Weights", "weights", Block(WEIGHTS)),
    field("Identity", "identity", Block(IDENTITY)),
    field("CheckRestart", "check_restart", Block(CHECK_RESTART)),
    field("Checks", "check", Blocks(CHECK)),
    field("Connect", "connect", Block(CONNECT)),
];

pub(crate) const WEIGHTS: &[Field] = &[plain("Passing", "passing", Whole), plain("Warning", "warning", Whole)];

pub(crate) const CHECK_RESTART: &[Field] = &[
    plain("Limit", "limit", Whole),
    field("Grace", "grace", Duration),
    plain("IgnoreWarnings", "ignore_warnings", Truth),
];

pub(crate) const CHECK: &[Field] = &[
    plain("Name", "name", Text),
    plain("Type", "type", Text),
    plain("PortLabel", "port", Text),
    plain("Interval", "interval", Duration),
    plain("Timeout", "timeout", Duration),
    plain("Protocol", "protocol", Text),
    plain("Method", "method", Text),
    plain("Path", "path", Text),
    field("Header", "header", ListBlock),
    plain("Body", "body", Text),
    plain("TLSServerName", "tls_server_name", Text),
    plain("TLSSkipVerify", "tls_skip_verify", Truth),
    plain("Command", "command", Text),
    field("Args", "args", Texts),
    plain("TaskName", "task", Text),
    plain("Expose", "expose", Truth),
    plain("AddressMode", "address_mode", Text),
    plain("Advertise", "advertise", Text),
    plain("InitialStatus", "initial_status", Text),
    plain("Notes", "notes", Text),
    plain("GRPCService", "grpc_service", Text),
    plain("GRPCUseTLS", "grpc_use_tls", Truth),
    plain("SuccessBeforePassing", "success_before_passing", Whole),
    plain("FailuresBeforeCritical", "failures_before_critical", Whole),
    plain("FailuresBeforeWarning", "failures_before_warning", Whole),
    plain("OnUpdate", "on_update", Text),
    field("CheckRestart", "check_restart", Block(CHECK_RESTART)),
];

/// A task.
pub(crate) const TASK: &[Field] = &[
    derived("Name"),
    plain("Driver", "driver", Text),
    plain("User", "user", Text),
    plain("Leader", "leader", Truth),
    plain("Kind", "kind", Text),
    field("KillTimeout", "kill_timeout", Duration),
    plain("KillSignal", "kill_signal", Text),
    plain("ShutdownDelay", "shutdown_delay", Duration),
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

pub(crate) const LIFECYCLE: &[Field] = &[field("Hook", "hook", Needed), plain("Sidecar", "sidecar", Truth)];

pub(crate) const LOGS: &[Field] = &[
    field("MaxFiles", "max_files", Whole),
    field("MaxFileSizeMB", "max_file_size", Whole),
    field("Disabled", "disabled", Truth),
    field("Enabled", "enabled", Truth),
];

pub(crate) const DISPATCH_PAYLOAD: &[Field] = &[plain("File", "file", Text)];

pub(crate) const ARTIFACT: &[Field] = &[
    field("GetterSource", "source", Text),
    field("RelativeDest", "destination", Text),
    field("GetterMode", "mode", Text),
    field("GetterInsecure", "insecure", Truth),
    plain("Chown", "chown", Truth),
    field("GetterOptions", "options", TextBlock),
    field("GetterHeaders", "headers", TextBlock),
];

pub(crate) const TEMPLATE: &[Field] = &[
    field("SourcePath", "source", Text),
    field("DestPath", "destination", Text),
    field("Envvars", "env", Truth),
    field("ChangeMode", "change_mode", TextOr("restart")),
    field("ChangeSignal", "change_signal", Text),
    field("ChangeScript", "change_script", Block(CHANGE_SCRIPT)),
    field("Once", "once", Truth),
    field("Splay", "splay", DurationOr(5)),
    field("Perms", "perms", TextOr("0644")),
    field("Uid", "uid", Whole),
    field("Gid", "gid", Whole),
    field("LeftDelim", "left_delimiter", Text),
    field("RightDelim", "right_delimiter", Text),
    field("VaultGrace", "vault_grace", Duration),
    field("Wait", "wait", Block(WAIT)),
    field("ErrMissingKey", "error_on_missing_key", TruthOr(false)),
    field("EmbeddedTmpl", "data", Text),
];

pub(crate) const CHANGE_SCRIPT: &[Field] = &[
    field("Command", "command", Text),
    field("Args", "args", TextsOrNone),
    field("Timeout", "timeout", DurationOr(5)),
    field("FailOnError", "fail_on_error", TruthOr(false)),
    field("RunOnFirstRender", "run_on_first_render", TruthOr(false)),
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
    plain("ID", "id", Text),
    plain("Type", "type", Text),
    plain("MountDir", "mount_dir", Text),
    plain("StagePublishBaseDir", "stage_publish_base_dir", Text),
    plain("HealthTimeout", "health_timeout", Duration),
];

pub(crate) const VAULT: &[Field] = &[
    plain("Role", "role", Text),
    field("Policies", "policies", Texts),
    field("Namespace", "namespace", Text),
    plain("Cluster", "cluster", Text),
    field("Env", "env", TruthOr(true)),
    field("DisableFile", "disable_file", TruthOr(false)),
    field("ChangeMode", "change_mode", TextOr("restart")),
    field("ChangeSignal", "change_signal", Text),
    field("AllowTokenExpiration", "allow_token_expiration", Truth),
];

pub(crate) const SECRET: &[Field] = &[
    derived("Name"),
    plain("Provider", "provider", Text),
    plain("Path", "path", Text),
    field("Config", "config", Free),
    field("Env", "env", TextBlock),
];

pub(crate) const IDENTITY: &[Field] = &[
    plain("Name", "name", Text),
    field("Audience", "aud", Texts),
    plain("Env", "env", Truth),
    plain("File", "file", Truth),
    plain("Filepath", "filepath", Text),
    plain("TTL", "ttl", Duration),
    plain("ChangeMode", "change_mode", Text),
    plain("ChangeSignal", "change_signal", Text),
    plain("ServiceName", "service_name", Text),
    field("ExtraClaims", "extra_claims", Texts),
];

pub(crate) const ACTION: &[Field] =
    &[derived("Name"), field("Command", "command", Needed), field("Args", "args", Texts)];

pub(crate) const SCHEDULE: &[Field] = &[field("Cron", "cron", Block(SCHEDULE_CRON))];

pub(crate) const SCHEDULE_CRON: &[Field] =
    &[plain("Start", "start", Text), plain("End", "end", Text), plain("Timezone", "timezone", Text)];

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

pub(crate) const NUMA: &[Field] = &[plain("Affinity", "affinity", Text), field("Devices", "devices", Texts)];

pub(crate) const DEVICE: &[Field] = &[
    derived("Name"),
    field("Count", "count", Whole),
    field("Constraints", "constraint", Blocks(CONSTRAINT)),
    field("Affinities", "affinity", Blocks(AFFINITY)),
];

/// The service mesh.
pub(crate) const CONNECT: &[Field] = &[
    plain("Native", "native", Truth),
    field("Gateway", "gateway", Block(GATEWAY)),
    field("SidecarService", "sidecar_service", Block(SIDECAR_SERVICE)),
    field("SidecarTask", "sidecar_task", Block(SIDECAR_TASK)),
];

pub(crate) const SIDECAR_SERVICE: &[Field] = &[
    field("Tags", "tags", Texts),
    plain("Port", "port", Text),
    plain("DisableDefaultTCPCheck", "disable_default_tcp_check", Truth),
    field("Meta", "meta", TextBlock),
    field("Proxy", "proxy", Block(PROXY)),
];

pub(crate) const SIDECAR_TASK: &[Field] = &[
    plain("Name", "name", Text),
    plain("Driver", "driver", Text),
    plain("User", "user", Text),
    field("Config", "config", Free),
    field("Env", "env", MapOrBlock),
    field("Resources", "resources", Block(RESOURCES)),
    field("Meta", "meta", MapOrBlock),
    field("KillTimeout", "kill_timeout", Duration),
    field("LogConfig", "logs", Block(LOGS)),
    field("ShutdownDelay", "shutdown_delay", Duration),
    plain("KillSignal", "kill_signal", Text),
    field("VolumeMounts", "volume_mount", Blocks(VOLUME_MOUNT)),
    field("Identities", "identity", Blocks(IDENTITY)),
];

pub(crate) const PROXY: &[Field] = &[
    plain("LocalServiceAddress", "local_service_address", Text),
    plain("LocalServicePort", "local_service_port", Whole),
    field("Expose", "expose", Block(EXPOSE)),
    derived("ExposeConfig"),
    field("Upstreams", "upstreams", Blocks(UPSTREAM)),
    field("TransparentProxy", "transparent_proxy", Block(TRANSPARENT_PROXY)),
    field("Config", "config", Free),
];

pub(crate) const EXPOSE: &[Field] = &[field("Paths", "path", Blocks(EXPOSE_PATH)), derived("Path")];

pub(crate) const EXPOSE_PATH: &[Field] = &[
    plain("Path", "path", Text),
    plain("Protocol", "protocol", Text),
    plain("LocalPathPort", "local_path_port", Whole),
    plain("ListenerPort", "listener_port", Text),
];

pub(crate) const UPSTREAM: &[Field] = &[
    plain("DestinationName", "destination_name", Text),
    plain("DestinationNamespace", "destination_namespace", Text),
    plain("DestinationPeer", "destination_peer", Text),
    plain("DestinationPartition", "destination_partition", Text),
    plain("DestinationType", "destination_type", Text),
    plain("LocalBindPort", "local_bind_port", Whole),
    plain("LocalBindAddress", "local_bind_address", Text),
    plain("LocalBindSocketPath", "local_bind_socket_path", Text),
    plain("LocalBindSocketMode", "local_bind_socket_mode", Text),
    plain("Datacenter", "datacenter", Text),
    field("MeshGateway", "mesh_gateway", Block(MESH_GATEWAY)),
    field("Config", "config", Free),
];

pub(crate) const MESH_GATEWAY: &[Field] = &[plain("Mode", "mode", Text)];

pub(crate) const TRANSPARENT_PROXY: &[Field] = &[
    plain("UID", "uid", Text),
    plain("OutboundPort", "outbound_port", Whole),
    field("ExcludeInboundPorts", "exclude_inbound_ports", Texts),
    field("ExcludeOutboundPorts", "exclude_outbound_ports", Numbers),
    field("ExcludeOutboundCIDRs", "exclude_outbound_cidrs", Texts),
    field("ExcludeUIDs", "exclude_uids", Texts),
    plain("NoDNS", "no_dns", Truth),
];

pub(crate) const GATEWAY: &[Field] = &[
    field("Proxy", "proxy", Block(GATEWAY_PROXY)),
    field("Ingress", "ingress", Block(INGRESS)),
    field("Terminating", "terminating", Block(TERMINATING)),
    field("Mesh", "mesh", Block(&[])),
];

pub(crate) const GATEWAY_PROXY: &[Field] = &[
    field("ConnectTimeout", "connect_timeout", Duration),
    plain("EnvoyGatewayBindTaggedAddresses", "envoy_gateway_bind_tagged_addresses", Truth),
    field("EnvoyGatewayBindAddresses", "envoy_gateway_bind_addresses", Keyed("Name", BIND_ADDRESS)),
    plain("EnvoyGatewayNoDefaultBind", "envoy_gateway_no_default_bind", Truth),
    plain("EnvoyDNSDiscoveryType", "envoy_dns_discovery_type", Text),
    field("Config", "config", Free),
];

pub(crate) const BIND_ADDRESS: &[Field] =
    &[derived("Name"), plain("Address", "address", Text), plain("Port", "port", Whole)];

pub(crate) const INGRESS: &[Field] =
    &[field("TLS", "tls", Block(GATEWAY_TLS)), field("Listeners", "listener", Blocks(INGRESS_LISTENER))];

pub(crate) const GATEWAY_TLS: &[Field] = &[
    plain("Enabled", "enabled", Truth),
    plain("TLSMinVersion", "tls_min_version", Text),
    plain("TLSMaxVersion", "tls_max_version", Text),
    field("CipherSuites", "cipher_suites", Texts),
    field("SDS", "sds", Block(GATEWAY_TLS_SDS)),
];

pub(crate) const GATEWAY_TLS_SDS: &[Field] =
    &[plain("ClusterName", "cluster_name", Text), plain("CertResource", "cert_resource", Text)];

pub(crate) const INGRESS_LISTENER: &[Field] = &[
    plain("Port", "port", Whole),
    plain("Protocol", "protocol", Text),
    field("Services", "service", Blocks(INGRESS_SERVICE)),
];

pub(crate) const INGRESS_SERVICE: &[Field] = &[
    plain("Name", "name", Text),
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
    plain("Name", "name", Text),
    plain("CAFile", "ca_file", Text),
    plain("CertFile", "cert_file", Text),
    plain("KeyFile", "key_file", Text),
    plain("SNI", "sni", Text),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::job::*;

    use super::*;

    struct Row {
        fields: &'static [&'static str],
        defaults: serde_json::Value,
        table: &'static [Field],
    }

    fn row<T: Default + serde::Serialize>(fields: &'static [&'static str], table: &'static [Field]) -> Row {
        Row { fields, defaults: serde_json::to_value(T::default()).unwrap(), table }
    }

    #[test]
    fn the_table_has_every_field_of_the_model() {
        let rows = [
            row::<Job>(Job::FIELDS, JOB),
            row::<JobUi>(JobUi::FIELDS, UI),
            row::<JobUiLink>(JobUiLink::FIELDS, UI_LINK),
            row::<Constraint>(Constraint::FIELDS, CONSTRAINT),
            row::<Affinity>(Affinity::FIELDS, AFFINITY),
            row::<Spread>(Spread::FIELDS, SPREAD),
            row::<SpreadTarget>(SpreadTarget::FIELDS, SPREAD_TARGET),
            row::<PeriodicConfig>(PeriodicConfig::FIELDS, PERIODIC),
            row::<ParameterizedJobConfig>(ParameterizedJobConfig::FIELDS, PARAMETERIZED),
            row::<Multiregion>(Multiregion::FIELDS, MULTIREGION),
            row::<MultiregionStrategy>(MultiregionStrategy::FIELDS, MULTIREGION_STRATEGY),
            row::<MultiregionRegion>(MultiregionRegion::FIELDS, MULTIREGION_REGION),
            row::<UpdateStrategy>(UpdateStrategy::FIELDS, UPDATE),
            row::<RestartPolicy>(RestartPolicy::FIELDS, RESTART),
            row::<ReschedulePolicy>(ReschedulePolicy::FIELDS, RESCHEDULE),
            row::<MigrateStrategy>(MigrateStrategy::FIELDS, MIGRATE),
            row::<DisconnectStrategy>(DisconnectStrategy::FIELDS, DISCONNECT),
            row::<TaskGroup>(TaskGroup::FIELDS, GROUP),
            row::<EphemeralDisk>(EphemeralDisk::FIELDS, EPHEMERAL_DISK),
            row::<ScalingPolicy>(ScalingPolicy::FIELDS, SCALING),
            row::<VolumeRequest>(VolumeRequest::FIELDS, VOLUME),
            row::<CsiMountOptions>(CsiMountOptions::FIELDS, MOUNT_OPTIONS),
            row::<Consul>(Consul::FIELDS, CONSUL),
            row::<NetworkResource>(NetworkResource::FIELDS, NETWORK),
            row::<DnsConfig>(DnsConfig::FIELDS, DNS),
            row::<CniConfig>(CniConfig::FIELDS, CNI),
            row::<Port>(Port::FIELDS, PORT),
            row::<Service>(Service::FIELDS, SERVICE),
            row::<ServiceWeights>(ServiceWeights::FIELDS, WEIGHTS),
            row::<CheckRestart>(CheckRestart::FIELDS, CHECK_RESTART),
            row::<ServiceCheck>(ServiceCheck::FIELDS, CHECK),
            row::<Task>(Task::FIELDS, TASK),
            row::<TaskLifecycle>(TaskLifecycle::FIELDS, LIFECYCLE),
            row::<LogConfig>(LogConfig::FIELDS, LOGS),
            row::<DispatchPayload>(DispatchPayload::FIELDS, DISPATCH_PAYLOAD),
            row::<TaskArtifact>(TaskArtifact::FIELDS, ARTIFACT),
            row::<Template>(Template::FIELDS, TEMPLATE),
            row::<ChangeScript>(ChangeScript::FIELDS, CHANGE_SCRIPT),
            row::<WaitConfig>(WaitConfig::FIELDS, WAIT),
            row::<VolumeMount>(VolumeMount::FIELDS, VOLUME_MOUNT),
            row::<CsiPluginConfig>(CsiPluginConfig::FIELDS, CSI_PLUGIN),
            row::<Vault>(Vault::FIELDS, VAULT),
            row::<Secret>(Secret::FIELDS, SECRET),
            row::<WorkloadIdentity>(WorkloadIdentity::FIELDS, IDENTITY),
            row::<Action>(Action::FIELDS, ACTION),
            row::<TaskSchedule>(TaskSchedule::FIELDS, SCHEDULE),
            row::<TaskScheduleCron>(TaskScheduleCron::FIELDS, SCHEDULE_CRON),
            row::<Resources>(Resources::FIELDS, RESOURCES),
            row::<NumaResource>(NumaResource::FIELDS, NUMA),
            row::<RequestedDevice>(RequestedDevice::FIELDS, DEVICE),
            row::<Connect>(Connect::FIELDS, CONNECT),
            row::<SidecarService>(SidecarService::FIELDS, SIDECAR_SERVICE),
            row::<SidecarTask>(SidecarTask::FIELDS, SIDECAR_TASK),
            row::<Proxy>(Proxy::FIELDS, PROXY),
            row::<ExposeConfig>(ExposeConfig::FIELDS, EXPOSE),
            row::<ExposePath>(ExposePath::FIELDS, EXPOSE_PATH),
            row::<Upstream>(Upstream::FIELDS, UPSTREAM),
            row::<MeshGateway>(MeshGateway::FIELDS, MESH_GATEWAY),
            row::<TransparentProxy>(TransparentProxy::FIELDS, TRANSPARENT_PROXY),
            row::<Gateway>(Gateway::FIELDS, GATEWAY),
            row::<GatewayProxy>(GatewayProxy::FIELDS, GATEWAY_PROXY),
            row::<GatewayBindAddress>(GatewayBindAddress::FIELDS, BIND_ADDRESS),
            row::<IngressConfig>(IngressConfig::FIELDS, INGRESS),
            row::<GatewayTls>(GatewayTls::FIELDS, GATEWAY_TLS),
            row::<GatewayTlsSds>(GatewayTlsSds::FIELDS, GATEWAY_TLS_SDS),
            row::<IngressListener>(IngressListener::FIELDS, INGRESS_LISTENER),
            row::<IngressService>(IngressService::FIELDS, INGRESS_SERVICE),
            row::<HttpHeaderModifiers>(HttpHeaderModifiers::FIELDS, HEADERS),
            row::<TerminatingConfig>(TerminatingConfig::FIELDS, TERMINATING),
            row::<LinkedService>(LinkedService::FIELDS, LINKED_SERVICE),
        ];
        for Row { fields, defaults, table } in rows {
            let fields: BTreeSet<&str> = fields.iter().copied().collect();
            let listed: BTreeSet<&str> = table.iter().map(|field| field.json).collect();
            assert_eq!(fields, listed);
            for field in table.iter().filter(|field| !matches!(field.form, Derived | Needed)) {
                let optional = defaults.get(field.json).is_none_or(serde_json::Value::is_null);
                assert_eq!(field.plain, !optional, "{}", field.json);
            }
        }
    }
}
