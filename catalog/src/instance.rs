//! Derives the service instances of one allocation.

use std::sync::Arc;

use model::allocation::{AllocatedPort, Allocation, CheckStatus, ClientStatus, DesiredStatus};
use model::compiled::{CompiledGroup, CompiledJob, CompiledService, Hook};
use model::id::{AllocId, NodeId};
use model::task_state::TaskRunState;

/// One live copy of a service: where it is and whether all its checks pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Unique and stable for as long as its allocation lives: service, task or group, port label and allocation.
    pub id: String,
    /// The service's name as the job spells it.
    pub service: String,
    /// The namespace of its job.
    pub namespace: Arc<str>,
    /// The node it runs on.
    pub node_id: NodeId,
    /// That node's name.
    pub node_name: String,
    /// That node's datacenter.
    pub datacenter: String,
    /// The allocation that it exists by.
    pub alloc_id: AllocId,
    /// The job it belongs to.
    pub job_id: Arc<str>,
    /// Its tags, in the job's order.
    pub tags: Vec<String>,
    /// An IP address, or a host name when the job gives one as `address`.
    pub address: String,
    /// The port; 0 when the service has none.
    pub port: u16,
    /// Whether the last probe of every check passed. Only healthy instances are answered.
    pub healthy: bool,
    /// Log index of the allocation's creation.
    pub create_index: u64,
    /// Log index of the allocation's last change.
    pub modify_index: u64,
}

/// Derives the instances of `alloc`, a copy of a group of `job`, on the node that announces `node_address`.
///
/// Empty unless the allocation is meant to run, does run, and the service's task (for a service of the group: every main
/// task) runs. A service that asks for an address inside the driver's network has no instance until there is one.
pub fn instances_of(alloc: &Allocation, job: &CompiledJob, node_address: &str, datacenter: &str) -> Vec<Instance> {
    let Some(group) = job.group(&alloc.task_group) else { return Vec::new() };
    if alloc.client_status != ClientStatus::Running || alloc.desired_status != DesiredStatus::Run {
        return Vec::new();
    }
    let running = group.services.iter().filter(|service| is_running(alloc, group, service));
    running
        .filter_map(|service| {
            let (address, port) = place_of(alloc, group, service, node_address)?;
            let scope = Scope { alloc, job, group, service, datacenter };
            let owner = if service.task.is_empty() { "group" } else { &service.task };
            let name = scope.fill(&service.name);
            Some(Instance {
                id: format!("_nomad-task-{}-{owner}-{name}-{}", alloc.id, service.port_label),
                service: name,
                namespace: job.key.namespace.clone(),
                node_id: alloc.node_id,
                node_name: alloc.node_name.clone(),
                datacenter: datacenter.to_owned(),
                alloc_id: alloc.id,
                job_id: job.key.id.clone(),
                tags: service.tags.iter().map(|tag| scope.fill(tag)).collect(),
                address,
                port,
                healthy: is_healthy(alloc, service),
                create_index: alloc.create_index,
                modify_index: alloc.modify_index,
            })
        })
        .collect()
}

fn is_running(alloc: &Allocation, group: &CompiledGroup, service: &CompiledService) -> bool {
    let runs = |task: &str| alloc.task_states.get(task).is_some_and(|state| state.state == TaskRunState::Running);
    if service.task.is_empty() {
        group.tasks.iter().filter(|task| task.hook == Hook::Main).all(|task| runs(&task.name))
    } else {
        runs(&service.task)
    }
}

fn is_healthy(alloc: &Allocation, service: &CompiledService) -> bool {
    service.checks.iter().all(|check| match alloc.checks.get(&check.id).map(|result| result.status) {
        Some(CheckStatus::Success) => true,
        Some(CheckStatus::Failure) => false,
        None | Some(CheckStatus::Pending) => check.initial_status == "passing",
    })
}

/// The announced address and port, by address mode. `auto` is the host's, since no driver of ours asks to be announced.
fn place_of(
    alloc: &Allocation,
    group: &CompiledGroup,
    service: &CompiledService,
    node_address: &str,
) -> Option<(String, u16)> {
    let literal = service.port_label.parse::<u16>().ok();
    let granted = port_of(&alloc.grant.ports, service);
    let (address, port) = match service.address_mode.as_str() {
        "driver" | "alloc" | "alloc_ipv6" => {
            let inside = driver_address(alloc, group, service)?;
            let mapped = inside.ports.get(&service.port_label).copied();
            (inside.ip.clone(), mapped.or(granted.map(|port| port.to)).or(literal))
        }
        _ => {
            let announced = granted.map(|port| port.host_ip.as_str()).filter(|ip| is_specific(ip));
            (announced.unwrap_or(node_address).to_owned(), granted.map(|port| port.value).or(literal))
        }
    };
    let address = if service.address.is_empty() { address } else { service.address.clone() };
    Some((address, port.unwrap_or(0)))
}

/// Whether `ip` says more than "every address of this machine".
fn is_specific(ip: &str) -> bool {
    !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_unspecified())
}

/// The port with the service's label: its own task's before the group's before any other task's.
fn port_of<'a>(ports: &'a [AllocatedPort], service: &CompiledService) -> Option<&'a AllocatedPort> {
    let labelled = || ports.iter().filter(|port| port.label == service.port_label);
    labelled()
        .find(|port| port.task == service.task)
        .or_else(|| labelled().find(|port| port.task.is_empty()))
        .or_else(|| labelled().next())
}

/// The address inside the driver's network: of the service's task, or for a service of the group of the first main task
/// that has one.
fn driver_address<'a>(
    alloc: &'a Allocation,
    group: &CompiledGroup,
    service: &CompiledService,
) -> Option<&'a model::allocation::DriverAddress> {
    let found = if service.task.is_empty() {
        let main = group.tasks.iter().filter(|task| task.hook == Hook::Main);
        main.filter_map(|task| alloc.driver_addresses.get(&task.name)).find(|address| !address.ip.is_empty())
    } else {
        alloc.driver_addresses.get(&service.task)
    };
    found.filter(|address| !address.ip.is_empty())
}

/// What `${...}` in a service's name or tags may mean.
struct Scope<'a> {
    alloc: &'a Allocation,
    job: &'a CompiledJob,
    group: &'a CompiledGroup,
    service: &'a CompiledService,
    datacenter: &'a str,
}

impl Scope<'_> {
    /// Replaces every known `${...}`; an unknown one stays as it is written.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let Some((variable, tail)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                break;
            };
            match self.value(variable.trim()) {
                Some(value) => filled.push_str(&value),
                None => filled.push_str(&rest[before.len()..rest.len() - tail.len()]),
            }
            rest = tail;
        }
        filled.push_str(rest);
        filled
    }

    fn value(&self, variable: &str) -> Option<String> {
        let task = &self.service.task;
        Some(match variable {
            "JOB" | "NOMAD_JOB_NAME" => self.job.name.clone(),
            "NOMAD_JOB_ID" => self.job.key.id.to_string(),
            "TASKGROUP" | "NOMAD_GROUP_NAME" => self.group.name.clone(),
            "TASK" | "NOMAD_TASK_NAME" => task.clone(),
            "BASE" if task.is_empty() => format!("{}-{}", self.job.name, self.group.name),
            "BASE" => format!("{}-{}-{task}", self.job.name, self.group.name),
            "NOMAD_NAMESPACE" => self.job.key.namespace.to_string(),
            "NOMAD_REGION" => self.job.region.clone(),
            "NOMAD_DC" | "node.datacenter" => self.datacenter.to_owned(),
            "NOMAD_ALLOC_ID" => self.alloc.id.to_string(),
            "NOMAD_SHORT_ALLOC_ID" => self.alloc.id.short(),
            "NOMAD_ALLOC_NAME" => self.alloc.name.clone(),
            "NOMAD_ALLOC_INDEX" => self.alloc.index()?.to_string(),
            "node.unique.name" => self.alloc.node_name.clone(),
            "node.unique.id" => self.alloc.node_id.to_string(),
            _ => return self.value_by_prefix(variable),
        })
    }

    fn value_by_prefix(&self, variable: &str) -> Option<String> {
        if let Some(key) = variable.strip_prefix("NOMAD_META_") {
            let metas = self.group.tasks.iter().filter(|t| self.service.task.is_empty() || t.name == self.service.task);
            return metas.filter_map(|task| task.meta.get(key)).next().cloned();
        }
        let by_label = |label: &str| self.alloc.grant.ports.iter().find(|port| port.label == label);
        if let Some(label) = variable.strip_prefix("NOMAD_HOST_PORT_") {
            return Some(by_label(label)?.value.to_string());
        }
        Some(by_label(variable.strip_prefix("NOMAD_PORT_")?)?.to.to_string())
    }
}

#[cfg(test)]
#[path = "instance_tests.rs"]
mod tests;
