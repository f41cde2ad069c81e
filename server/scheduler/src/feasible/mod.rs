//! Which nodes may run a copy at all. A filter that rejects a node also says why, in the same small type.
//!
//! All of [`Rules`] but [`Rules::check_copy`] is static: what it says of a node is kept by [`crate::memo::Admission`] until
//! the node becomes another one. `distinct` depends on where the other copies are.

pub mod constraint;
mod datacenter;
pub(crate) mod device;
pub(crate) mod distinct;
mod pattern;
mod version;

use std::collections::BTreeSet;

use model::compiled::{CompiledGroup, CompiledJob};
use model::job::VolumeRequest;

use crate::table::{HostVolume, NodeInfo};
use constraint::Check;
use device::DeviceAsk;

/// Why a node may not run a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rejection {
    /// The constraint at this place of the group's list does not hold.
    Constraint(usize),
    /// A driver is missing or unhealthy.
    Driver,
    /// A host volume is missing, or read-only where it must not be.
    Volume,
    /// It has not enough devices of the kind.
    Device,
    /// It does not know the signal at this place.
    Signal(usize),
    /// It lacks the CNI network.
    Network,
    /// It lacks the host network of the port at this place.
    HostNetwork(usize),
    /// Another copy runs there.
    DistinctHosts,
    /// The property at this place has its value used up, or the node lacks it.
    DistinctProperty(usize),
}

/// A compiled constraint, or what is wrong with it: then no node satisfies it.
pub(crate) struct Rule {
    pub text: String,
    pub check: Option<Check>,
}

/// All filters of a group that look at nothing but the node.
pub(crate) struct Rules<'a> {
    pub rules: Vec<Rule>,
    pub drivers: BTreeSet<&'a str>,
    pub devices: Vec<DeviceAsk<'a>>,
    pub signals: Vec<&'a str>,
    job: &'a CompiledJob,
    group: &'a CompiledGroup,
}

impl<'a> Rules<'a> {
    /// Compiles the filters of `group`.
    pub fn of(job: &'a CompiledJob, group: &'a CompiledGroup) -> Rules<'a> {
        let plain = group.constraints.iter().filter(|constraint| !distinct::is_distinct(&constraint.operand));
        let rules = plain.map(|constraint| match Check::compile(constraint) {
            Ok(check) => Rule { text: check.text().to_owned(), check: Some(check) },
            Err(reason) => Rule { text: reason, check: None },
        });
        Rules {
            rules: rules.collect(),
            drivers: group.tasks.iter().map(|task| task.driver.as_str()).collect(),
            devices: group.tasks.iter().flat_map(|task| task.devices.iter().map(DeviceAsk::of)).collect(),
            signals: signals_of(group),
            job,
            group,
        }
    }

    /// Whether the node is one that the job looks at: its pool and one of its datacenters.
    pub fn concerns(&self, node: &NodeInfo) -> bool {
        self.is_in_pool(node) && datacenter::matches_any(&self.job.datacenters, &node.datacenter)
    }

    /// Whether the node is of the job's pool.
    pub fn is_in_pool(&self, node: &NodeInfo) -> bool {
        self.job.node_pool == "all" || self.job.node_pool == node.pool
    }

    /// Whether the job looks at the node and the node may run a copy.
    pub fn admit(&self, node: &NodeInfo) -> bool {
        self.concerns(node) && self.check(node).is_ok()
    }

    /// Whether the node itself may run a copy; the first reason why not.
    pub fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        let fails = |rule: &Rule| !rule.check.as_ref().is_some_and(|check| check.holds(node));
        if self.drivers.iter().any(|driver| !matches!(node.drivers.get(*driver), Some(Ok(())))) {
            return Err(Rejection::Driver);
        }
        if let Some(position) = self.rules.iter().position(fails) {
            return Err(Rejection::Constraint(position));
        }
        // A node that does not say which signals it knows is taken at its word that it knows them all.
        let known = node.attributes.get("os.signals");
        let unknown = |signal: &&str| known.is_some_and(|known| !constraint::elements(known).any(|one| one == *signal));
        if let Some(position) = self.signals.iter().position(unknown) {
            return Err(Rejection::Signal(position));
        }
        if !device::suffice(&self.devices, &node.devices) {
            return Err(Rejection::Device);
        }
        let mode = &self.group.network_mode;
        if mode.starts_with("cni/") && !node.network_modes.contains(mode) {
            return Err(Rejection::Network);
        }
        if let Some(position) = self.group.ports.iter().position(|port| node.network(&port.host_network).is_none()) {
            return Err(Rejection::HostNetwork(position));
        }
        let wanted = self.group.volumes.values().filter(|request| !request.per_alloc);
        match wanted.map(|request| (request, request.source.as_str())).all(|(r, source)| has_volume(node, r, source)) {
            true => Ok(()),
            false => Err(Rejection::Volume),
        }
    }

    /// Whether some volume's name depends on the copy: then [`Rules::check_copy`] must be asked for each.
    pub fn depends_on_copy(&self) -> bool {
        self.group.volumes.values().any(|request| request.per_alloc)
    }

    /// What depends on the node and the copy's index alone: volumes of their own.
    pub fn check_copy(&self, node: &NodeInfo, index: u32) -> Result<(), Rejection> {
        let mut wanted = self.group.volumes.values().filter(|request| request.per_alloc);
        match wanted.all(|request| has_volume(node, request, &request.source_for(index))) {
            true => Ok(()),
            false => Err(Rejection::Volume),
        }
    }
}

/// Signals that tasks are stopped with, or told of changed templates with.
fn signals_of(group: &CompiledGroup) -> Vec<&str> {
    let kills = group.tasks.iter().map(|task| task.kill_signal.as_str());
    let templates = group.tasks.iter().flat_map(|task| &task.templates);
    let signalled = templates.filter(|template| template.change_mode.as_deref() == Some("signal"));
    let changes = signalled.filter_map(|template| template.change_signal.as_deref());
    kills.chain(changes).filter(|signal| !signal.is_empty()).collect()
}

fn has_volume(node: &NodeInfo, request: &VolumeRequest, source: &str) -> bool {
    let serves = |volume: &HostVolume| (!volume.read_only || request.read_only) && (volume.dynamic || !request.sticky);
    request.r#type == "csi" || node.volumes.get(source).is_some_and(serves)
}

/// The host volumes that the copy with this index wants to itself.
pub(crate) fn exclusive_volumes(group: &CompiledGroup, index: u32) -> Vec<String> {
    let alone =
        |request: &&VolumeRequest| request.r#type != "csi" && request.access_mode == "single-node-single-writer";
    group.volumes.values().filter(alone).map(|request| request.source_for(index)).collect()
}
