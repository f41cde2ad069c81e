//! Things of a node that one copy has to itself: cores, devices, volumes.
//!
//! Dynamic per node. Most groups ask for none of them, and then nothing here is looked at.

use std::collections::BTreeMap;

use model::allocation::{Exclusive, GrantedDevices};
use model::compiled::CompiledGroup;
use model::id::AllocId;

use crate::feasible::device::DeviceAsk;
use crate::overlay::Shortage;
use crate::table::NodeInfo;

/// Holders of each thing of one node, in order.
pub(crate) type ExclusiveHolders = BTreeMap<Exclusive, Vec<AllocId>>;

/// What one copy of a group wants to itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExclusiveAsk<'a> {
    /// By task: how many cores.
    pub cores: Vec<(&'a str, usize)>,
    /// By task: which devices.
    pub devices: Vec<(&'a str, DeviceAsk<'a>)>,
    /// Host volumes.
    pub volumes: Vec<String>,
}

/// What one copy was given, by task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExclusiveGrant {
    pub cores: BTreeMap<String, Vec<u16>>,
    pub devices: BTreeMap<String, Vec<GrantedDevices>>,
    pub volumes: Vec<String>,
    /// Matching over all weights of device affinities, when there are any.
    pub score: Option<f64>,
    /// Those that must end before.
    pub after: Vec<AllocId>,
}

impl ExclusiveGrant {
    /// Everything in it.
    pub fn things(&self) -> impl Iterator<Item = Exclusive> {
        let cores = self.cores.values().flatten().copied().map(Exclusive::Core);
        let devices = self.devices.values().flatten().flat_map(|group| group.ids.iter().map(|id| group.exclusive(id)));
        cores.chain(devices).chain(self.volumes.iter().cloned().map(Exclusive::Volume))
    }
}

impl<'a> ExclusiveAsk<'a> {
    /// What a copy of `group` wants; `volumes` are added by who knows which copy it is.
    pub fn of(group: &'a CompiledGroup) -> ExclusiveAsk<'a> {
        let cores = group.tasks.iter().filter(|task| task.cores > 0);
        let devices = group
            .tasks
            .iter()
            .flat_map(|task| task.devices.iter().map(move |request| (task.name.as_str(), DeviceAsk::of(request))));
        ExclusiveAsk {
            cores: cores.map(|task| (task.name.as_str(), task.cores as usize)).collect(),
            devices: devices.collect(),
            volumes: Vec::new(),
        }
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.cores.is_empty() && self.devices.is_empty() && self.volumes.is_empty()
    }
}

/// The exclusive things of one node, as the plan stands.
pub(crate) struct ExclusiveView<'a, E: Fn(AllocId) -> bool> {
    pub node: &'a NodeInfo,
    pub holders: Option<&'a ExclusiveHolders>,
    /// Given in this plan.
    pub taken: &'a [Exclusive],
    /// Whether an allocation is about to end.
    pub ends: E,
}

impl<E: Fn(AllocId) -> bool> ExclusiveView<'_, E> {
    /// Who must end before it can be given: none when somebody keeps it.
    fn in_the_way(&self, thing: &Exclusive) -> Option<&[AllocId]> {
        let holders = self.holders.and_then(|held| held.get(thing)).map_or(&[][..], Vec::as_slice);
        (!self.taken.contains(thing) && holders.iter().all(|id| (self.ends)(*id))).then_some(holders)
    }

    /// Chooses everything, lowest numbers first.
    ///
    /// # Errors
    /// The first kind that is short.
    pub fn choose(&self, ask: &ExclusiveAsk<'_>) -> Result<ExclusiveGrant, Shortage> {
        let mut grant = ExclusiveGrant::default();
        for volume in &ask.volumes {
            let thing = Exclusive::Volume(volume.clone());
            let after = self.in_the_way(&thing).ok_or_else(|| Shortage::Volume(volume.clone()))?;
            grant.after.extend_from_slice(after);
            grant.volumes.push(volume.clone());
        }
        self.choose_devices(ask, &mut grant)?;
        self.choose_cores(ask, &mut grant)?;
        Ok(grant)
    }

    fn choose_cores(&self, ask: &ExclusiveAsk<'_>, grant: &mut ExclusiveGrant) -> Result<(), Shortage> {
        // Free ones first; then those of allocations that are about to end.
        let mut free: Vec<(&[AllocId], u16)> = Vec::new();
        if !ask.cores.is_empty() {
            let known = self.node.cores.iter();
            free.extend(known.filter_map(|core| Some((self.in_the_way(&Exclusive::Core(*core))?, *core))));
            free.sort_by_key(|(after, core)| (!after.is_empty(), *core));
        }
        let mut free = free.into_iter();
        for (task, count) in &ask.cores {
            let mut cores = Vec::with_capacity(*count);
            for _ in 0..*count {
                let (after, core) = free.next().ok_or(Shortage::Cores)?;
                grant.after.extend_from_slice(after);
                cores.push(core);
            }
            cores.sort_unstable();
            grant.cores.insert((*task).to_owned(), cores);
        }
        Ok(())
    }

    fn choose_devices(&self, ask: &ExclusiveAsk<'_>, grant: &mut ExclusiveGrant) -> Result<(), Shortage> {
        let (mut matching, mut total) = (0.0, 0.0);
        for (task, wanted) in &ask.devices {
            let mut best: Option<(f64, GrantedDevices, Vec<AllocId>)> = None;
            for device in self.node.devices.iter().filter(|device| wanted.admits(device)) {
                let score = wanted.affinity(device);
                if best.as_ref().is_some_and(|(known, ..)| *known >= score) {
                    continue;
                }
                if let Some((granted, after)) = self.instances(device, wanted.count(), grant) {
                    best = Some((score, granted, after));
                }
            }
            let (score, granted, after) = best.ok_or(Shortage::Devices)?;
            matching += score;
            total += wanted.total_weight();
            grant.after.extend(after);
            grant.devices.entry((*task).to_owned()).or_default().push(granted);
        }
        grant.score = (total > 0.0).then(|| matching / total);
        Ok(())
    }

    /// `count` instances of one kind, with those that must end before.
    fn instances(
        &self,
        device: &model::node::NodeDevice,
        count: usize,
        grant: &ExclusiveGrant,
    ) -> Option<(GrantedDevices, Vec<AllocId>)> {
        let mut granted = GrantedDevices {
            vendor: device.vendor.clone(),
            r#type: device.r#type.clone(),
            name: device.name.clone(),
            ids: Vec::new(),
        };
        let mut free: Vec<(&[AllocId], &str)> = Vec::new();
        for instance in device.instances.iter().filter(|instance| instance.healthy) {
            let thing = granted.exclusive(&instance.id);
            if !grant.things().any(|known| known == thing)
                && let Some(after) = self.in_the_way(&thing)
            {
                free.push((after, &instance.id));
            }
        }
        free.sort_by_key(|(after, _)| !after.is_empty());
        let chosen = free.get(..count)?;
        granted.ids = chosen.iter().map(|(_, id)| (*id).to_owned()).collect();
        Some((granted, chosen.iter().flat_map(|(after, _)| after.iter().copied()).collect()))
    }
}
