//! Services and checks as a job declares them.

use std::collections::BTreeMap;

use super::{Connect, WorkloadIdentity};
use crate::go_json::go_json;
use crate::time::GoDuration;

go_json! {
    /// A name under which an allocation is found.
    pub struct Service {
        name: String = "Name",
        tags: Option<Vec<String>> = "Tags",
        canary_tags: Option<Vec<String>> = "CanaryTags",
        enable_tag_override: bool = "EnableTagOverride",
        port_label: String = "PortLabel",
        address_mode: String = "AddressMode",
        address: String = "Address",
        checks: Option<Vec<ServiceCheck>> = "Checks",
        check_restart: Option<CheckRestart> = "CheckRestart",
        connect: Option<Connect> = "Connect",
        meta: Option<BTreeMap<String, String>> = "Meta",
        canary_meta: Option<BTreeMap<String, String>> = "CanaryMeta",
        tagged_addresses: Option<BTreeMap<String, String>> = "TaggedAddresses",
        task_name: String = "TaskName",
        on_update: String = "OnUpdate",
        identity: Option<WorkloadIdentity> = "Identity",
        weights: Option<ServiceWeights> = "Weights",
        provider: String = "Provider",
        cluster: String = "Cluster",
        kind: String = "Kind",
    }
}

go_json! {
    /// A probe that tells whether a service instance is healthy.
    pub struct ServiceCheck {
        name: String = "Name",
        r#type: String = "Type",
        command: String = "Command",
        args: Option<Vec<String>> = "Args",
        path: String = "Path",
        protocol: String = "Protocol",
        port_label: String = "PortLabel",
        expose: bool = "Expose",
        address_mode: String = "AddressMode",
        advertise: String = "Advertise",
        interval: GoDuration = "Interval",
        timeout: GoDuration = "Timeout",
        initial_status: String = "InitialStatus",
        notes: String = "Notes",
        tls_server_name: String = "TLSServerName",
        tls_skip_verify: bool = "TLSSkipVerify",
        header: Option<BTreeMap<String, Vec<String>>> = "Header",
        method: String = "Method",
        check_restart: Option<CheckRestart> = "CheckRestart",
        grpc_service: String = "GRPCService",
        grpc_use_tls: bool = "GRPCUseTLS",
        task_name: String = "TaskName",
        success_before_passing: i64 = "SuccessBeforePassing",
        failures_before_critical: i64 = "FailuresBeforeCritical",
        failures_before_warning: i64 = "FailuresBeforeWarning",
        body: String = "Body",
        on_update: String = "OnUpdate",
    }
}

go_json! {
    /// When a failing check restarts its task. Limit 0 means never.
    pub struct CheckRestart {
        limit: i64 = "Limit",
        grace: Option<GoDuration> = "Grace",
        ignore_warnings: bool = "IgnoreWarnings",
    }
}

go_json! {
    /// DNS weights of an instance by status.
    pub struct ServiceWeights {
        passing: i64 = "Passing",
        warning: i64 = "Warning",
    }
}
