//! Rules for services and checks.

use super::Findings;
use crate::job::{FieldPath, Service, ServiceCheck, TaskGroup};
use crate::suggest::choices;
use crate::time::GoDuration;

/// Shorter intervals and timeouts would load more than they tell.
const MIN_TIME: GoDuration = GoDuration::from_secs(1);

pub(super) fn check(service: &Service, group: &TaskGroup, path: &FieldPath<'_>, findings: &mut Findings) {
    // Names with `${...}` are known on the node only.
    let plain = service.name.replace("${", "");
    if plain == service.name && !host_name(&service.name) {
        findings.advise(
            format!("{path}.Name"),
            format!("{:?} is no host name of at most 63 characters", service.name),
            "use letters, digits and dashes",
        );
    }
    findings.one_of(path.field("Provider"), &service.provider, &["nomad", "consul"]);
    let modes = ["auto", "host", "driver", "alloc", "alloc_ipv6"];
    findings.one_of(path.field("AddressMode"), &service.address_mode, &modes);
    let updates = ["require_healthy", "ignore_warnings", "ignore"];
    findings.one_of(path.field("OnUpdate"), &service.on_update, &updates);
    if let Some(connect) = &service.connect
        && connect.sidecar_service.is_some()
    {
        let mode = group.networks.iter().flatten().next().map_or("host", |network| network.mode.as_str());
        if mode.is_empty() || mode == "host" || mode == "none" {
            findings.add(format!("{path}.Connect"), "a sidecar needs a group network in bridge mode");
        }
    }
    for (at, item) in service.checks.iter().flatten().enumerate() {
        check_check(item, service, &path.item("Checks", at), findings);
    }
}

/// RFC 1123: letters, digits and dashes, not at the ends.
fn host_name(name: &str) -> bool {
    let inner = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (1..=63).contains(&name.len()) && inner && !name.starts_with('-') && !name.ends_with('-')
}

fn check_check(check: &ServiceCheck, service: &Service, path: &FieldPath<'_>, findings: &mut Findings) {
    let consul = service.provider == "consul";
    let kinds: &[&str] = if consul { &["http", "tcp", "script", "grpc"] } else { &["http", "tcp"] };
    if !kinds.contains(&check.r#type.as_str()) {
        let message = match check.r#type.as_str() {
            "script" | "grpc" => format!("{} checks need the provider consul", check.r#type),
            other => format!("there is no check type {other:?}"),
        };
        findings.advise(format!("{path}.Type"), message, choices(&check.r#type, kinds));
        return;
    }
    if check.r#type == "http" {
        if check.path.is_empty() {
            findings.advise(format!("{path}.Path"), "an http check needs a path", "for example path = \"/\"");
        } else if check.path.contains("://") || check.path.starts_with("//") {
            findings.add(format!("{path}.Path"), "only the path is wanted, the address is the service's");
        }
        findings.one_of(path.field("Protocol"), &check.protocol, &["http", "https"]);
    }
    if check.interval.0 == 0 {
        findings.advise(format!("{path}.Interval"), "a check needs an interval", "for example interval = \"10s\"");
    } else if check.interval < MIN_TIME {
        findings.add(format!("{path}.Interval"), format!("{} is shorter than {MIN_TIME}", check.interval));
    }
    if check.timeout.0 == 0 {
        findings.advise(format!("{path}.Timeout"), "a check needs a timeout", "for example timeout = \"2s\"");
    } else if check.timeout < MIN_TIME {
        findings.add(format!("{path}.Timeout"), format!("{} is shorter than {MIN_TIME}", check.timeout));
    }
    if check.r#type == "script" && check.command.is_empty() {
        findings.add(format!("{path}.Command"), "a script check needs a command");
    }
    let states = ["passing", "warning", "critical"];
    findings.one_of(path.field("InitialStatus"), &check.initial_status, &states);
    if check.check_restart.as_ref().is_some_and(|restart| restart.limit < 0) {
        findings.add(format!("{path}.CheckRestart.Limit"), "limit cannot be negative");
    }
    if check.notes.chars().count() > 255 {
        findings.add(format!("{path}.Notes"), "notes are longer than 255 characters");
    }
}
