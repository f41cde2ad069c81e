//! The `service` block and its checks.

use model::job::{CheckRestart, Service, ServiceCheck, ServiceWeights};

use crate::block::Block;
use crate::{connect, task};

pub(crate) fn service(block: &Block<'_>) -> Service {
    Service {
        name: block.get("name"),
        tags: block.get("tags"),
        canary_tags: block.get("canary_tags"),
        enable_tag_override: block.get("enable_tag_override"),
        port_label: block.get("port"),
        address_mode: block.get("address_mode"),
        address: block.get("address"),
        task_name: block.get("task"),
        on_update: block.get("on_update"),
        provider: block.get("provider"),
        cluster: block.get("cluster"),
        kind: block.get("kind"),
        meta: block.free::<String>("meta"),
        canary_meta: block.free::<String>("canary_meta"),
        tagged_addresses: block.free::<String>("tagged_addresses"),
        checks: block.many("check", &[], check),
        check_restart: block.one("check_restart", check_restart),
        weights: block
            .one("weights", |block| ServiceWeights { passing: block.get("passing"), warning: block.get("warning") }),
        identity: block.one("identity", task::identity),
        connect: block.one("connect", connect::connect),
    }
}

fn check_restart(block: &Block<'_>) -> CheckRestart {
    CheckRestart { limit: block.get("limit"), grace: block.get("grace"), ignore_warnings: block.get("ignore_warnings") }
}

fn check(block: &Block<'_>) -> ServiceCheck {
    ServiceCheck {
        name: block.get("name"),
        r#type: block.get("type"),
        command: block.get("command"),
        args: block.get("args"),
        path: block.get("path"),
        protocol: block.get("protocol"),
        port_label: block.get("port"),
        expose: block.get("expose"),
        address_mode: block.get("address_mode"),
        advertise: block.get("advertise"),
        interval: block.get("interval"),
        timeout: block.get("timeout"),
        initial_status: block.get("initial_status"),
        notes: block.get("notes"),
        tls_server_name: block.get("tls_server_name"),
        tls_skip_verify: block.get("tls_skip_verify"),
        header: block.free::<Vec<String>>("header"),
        method: block.get("method"),
        check_restart: block.one("check_restart", check_restart),
        grpc_service: block.get("grpc_service"),
        grpc_use_tls: block.get("grpc_use_tls"),
        task_name: block.get("task"),
        success_before_passing: block.get("success_before_passing"),
        failures_before_critical: block.get("failures_before_critical"),
        failures_before_warning: block.get("failures_before_warning"),
        body: block.get("body"),
        on_update: block.get("on_update"),
    }
}
