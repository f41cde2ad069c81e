//! The simple-minded planner: looks at nodes, allocations and shapes as they are, with loops and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use model::allocation::{Allocation, DesiredStatus};
use model::node::Node;
use model::scheduling::Algorithm;

use super::shape::{DYNAMIC, JobShape, VolumeUse};
use crate::tests::build::World;

/// What is true of one node for one more copy of a job.
pub struct Look<'w> {
    pub world: &'w World,
    pub shape: &'w JobShape,
    pub job: String,
    /// Allocations that the plan stops.
    pub stopped: BTreeSet<u128>,
}

impl<'w> Look<'w> {
    /// Whether the job looks at the node at all.
    pub fn concerns(&self, node: &Node) -> bool {
        node.is_schedulable() && (!self.shape.only_first_datacenter || node.datacenter == "dc1")
    }

    pub fn staying(&self, node: &Node) -> Vec<&'w Allocation> {
        let here = self.world.allocs.values().filter(|alloc| alloc.node_id == node.id && !alloc.is_terminal());
        here.filter(|alloc| !self.stopped.contains(&{ alloc.id.0 })).collect()
    }

    /// Whether something on the node is on its way out: then who waits for whom decides, which is not looked at here.
    pub fn is_in_motion(&self, node: &Node) -> bool {
        self.world.allocs.values().any(|alloc| {
            alloc.node_id == node.id
                && alloc.is_live()
                && (alloc.desired_status != DesiredStatus::Run || self.stopped.contains(&{ alloc.id.0 }))
        })
    }

    fn mates(&self) -> impl Iterator<Item = &'w Allocation> {
        let all =
            self.world.allocs.values().filter(|alloc| !alloc.is_terminal() && &*alloc.job.id == self.job.as_str());
        all.filter(|alloc| !self.stopped.contains(&{ alloc.id.0 }))
    }

    fn rack_of(&self, alloc: &Allocation) -> Option<&'w String> {
        self.world.nodes[&alloc.node_id].meta.get("rack")
    }

    /// Every reason why no copy may or can go to the node, in the words of the counters.
    pub fn reasons(&self, node: &Node) -> BTreeSet<String> {
        let mut reasons = BTreeSet::new();
        let shape = self.shape;
        if shape.class.is_some_and(|class| (node.node_class == "x") != class) {
            reasons.insert(format!("${{node.class}} {} x", if shape.class == Some(true) { "=" } else { "!=" }));
        }
        let gpus = node.node_resources.devices.iter().map(|device| device.instances.len() as i64).sum::<i64>();
        if gpus < shape.gpus {
            reasons.insert("missing devices".to_owned());
        }
        if shape.public && !node.host_networks.contains_key("pub") {
            reasons.insert("missing host network \"pub\" for port \"s\"".to_owned());
        }
        if let Some(usage) = shape.volume
            && node.host_volumes.get("v").is_none_or(|volume| volume.read_only && usage != VolumeUse::Read)
        {
            reasons.insert("missing compatible host volumes".to_owned());
        }
        if shape.distinct_hosts && self.mates().any(|mate| mate.node_id == node.id) {
            reasons.insert("distinct_hosts".to_owned());
        }
        if let Some(limit) = shape.per_rack {
            let rack = node.meta.get("rack");
            let used = self.mates().filter(|mate| rack.is_some() && self.rack_of(mate) == rack).count();
            match rack {
                None => drop(reasons.insert("missing property \"${meta.rack}\"".to_owned())),
                Some(rack) if used >= usize::from(limit) => {
                    reasons.insert(format!("distinct_property: ${{meta.rack}}={rack} used by {used} allocs"));
                }
                Some(_) => {}
            }
        }
        self.shortages(node, &self.staying(node), &mut reasons);
        reasons
    }

    /// What a copy needs: CPU, memory, disk.
    fn ask(&self, node: &Node) -> (i64, i64, i64) {
        let before = i64::from(self.shape.before > 0);
        let per_core = node.node_resources.cpu.cpu_shares / 4;
        let cpu = if self.shape.cores > 0 { before + self.shape.cores * per_core } else { self.shape.cpu.max(before) };
        (cpu, self.shape.memory.max(self.shape.before), 10)
    }

    pub fn shortages(&self, node: &Node, staying: &[&Allocation], reasons: &mut BTreeSet<String>) {
        let shape = self.shape;
        let mut short = |is: bool, what: &str| {
            if is {
                reasons.insert(what.to_owned());
            }
        };
        let (cpu, memory, disk) = self.ask(node);
        let used = held(staying);
        short(used.0 + cpu > node.node_resources.cpu.cpu_shares - node.reserved_resources.cpu.cpu_shares, "cpu");
        short(used.1 + memory > node.node_resources.memory.memory_mb, "memory");
        short(used.2 + disk > node.node_resources.disk.disk_mb, "disk");
        let taken = |network: &str| -> BTreeSet<u16> {
            let ports = staying.iter().flat_map(|alloc| &alloc.grant.ports);
            ports.filter(|port| port.host_network == network).map(|port| port.value).collect()
        };
        let network = if shape.public { "pub" } else { "" };
        let fixed = shape.fixed_port.map(|port| port as u16);
        if let Some(port) = fixed {
            let clash = format!("network: reserved port collision s={port}");
            short(taken(network).contains(&port), &clash);
        }
        let own = taken("");
        let free = DYNAMIC.filter(|port| !own.contains(port) && (shape.public || Some(*port) != fixed)).count();
        short(free < shape.dynamic_ports, "network: dynamic port selection failed");
        let tasks = || staying.iter().flat_map(|alloc| alloc.grant.tasks.values());
        let cores = tasks().map(|task| task.cores.len() as i64).sum::<i64>();
        short(shape.cores > 4 - cores, "cores");
        let gpus = tasks().flat_map(|task| &task.devices).map(|group| group.ids.len() as i64).sum::<i64>();
        let all = node.node_resources.devices.iter().map(|device| device.instances.len() as i64).sum::<i64>();
        short(shape.gpus > all - gpus, "devices: no devices match request");
        let alone = staying.iter().any(|alloc| !alloc.grant.volumes.is_empty());
        let wants_alone = shape.volume == Some(VolumeUse::Alone);
        short(wants_alone && alone, "conflicting claims for host volume with single-writer");
        let most = node.node_max_allocs;
        short(most > 0 && staying.len() as i64 >= most, "max allocation exceeded");
    }

    /// The mean of the parts that count, for a node on which a copy fits.
    pub fn score(&self, node: &Node) -> f64 {
        let (cpu, memory, _) = self.ask(node);
        let used = held(&self.staying(node));
        let free = |used: i64, all: i64| 1.0 - used as f64 / all as f64;
        let all_cpu = node.node_resources.cpu.cpu_shares - node.reserved_resources.cpu.cpu_shares;
        let (f_cpu, f_memory) =
            (free(used.0 + cpu, all_cpu), free(used.1 + memory, node.node_resources.memory.memory_mb));
        let sum = 10f64.powf(f_cpu) + 10f64.powf(f_memory);
        let packed = ((20.0 - sum) / 18.0).clamp(0.0, 1.0);
        let mut parts = vec![match self.world.config.scheduler_algorithm {
            Algorithm::Binpack => packed,
            Algorithm::Spread => ((sum - 2.0) / 18.0).clamp(0.0, 1.0),
            Algorithm::Balanced => (packed - (f_cpu - f_memory).abs()).clamp(0.0, 1.0),
        }];
        if !self.shape.system {
            let same = self.mates().filter(|mate| mate.node_id == node.id).count() as f64;
            if same > 0.0 {
                parts.push(-(same + 1.0) / self.shape.count as f64);
            }
            let rack = node.meta.get("rack").map(String::as_str);
            if let Some(weight) = self.shape.affinity {
                parts.push(if rack == Some("r0") { weight.signum() as f64 } else { 0.0 });
            }
            parts.extend(self.shape.spread.map(|percent| self.spread(rack, percent)).filter(|part| *part != 0.0));
        }
        parts.iter().sum::<f64>() / parts.len() as f64
    }

    fn spread(&self, rack: Option<&str>, percent: i64) -> f64 {
        let Some(rack) = rack else { return -1.0 };
        let mut used: BTreeMap<&str, f64> = BTreeMap::new();
        for mate in self.mates() {
            if let Some(rack) = self.rack_of(mate) {
                *used.entry(rack).or_insert(0.0) += 1.0;
            }
        }
        let mine = used.get(rack).copied().unwrap_or(0.0);
        if percent > 0 {
            let wanted = self.shape.count as f64 * percent as f64 / 100.0;
            let (mine, wanted) = match rack {
                "r0" => (mine, wanted),
                _ => (
                    used.iter().filter(|(rack, _)| **rack != "r0").map(|(_, n)| n).sum(),
                    self.shape.count as f64 - wanted,
                ),
            };
            return if wanted > 0.0 { (wanted - (mine + 1.0)) / wanted } else { -1.0 };
        }
        let low = used.values().copied().fold(f64::INFINITY, f64::min);
        let high = used.values().copied().fold(0.0, f64::max);
        match used.is_empty() {
            true => 0.0,
            false if mine != low => (low - mine) / low,
            false if low == high => -1.0,
            false => (high - low) / low,
        }
    }
}

/// CPU, memory and disk that allocations hold at the most: a task before the main ones shares their room.
pub fn held(allocs: &[&Allocation]) -> (i64, i64, i64) {
    let mut sum = (0, 0, 0);
    for alloc in allocs {
        let of = |before: bool| alloc.grant.tasks.iter().filter(move |(name, _)| (*name == "before") == before);
        let memory = |before| of(before).map(|(_, task)| task.memory_mb).sum::<i64>();
        let reserved = of(false).filter(|(_, task)| !task.cores.is_empty()).map(|(_, task)| task.cpu).sum::<i64>();
        let shared =
            |before| of(before).filter(|(_, task)| task.cores.is_empty()).map(|(_, task)| task.cpu).sum::<i64>();
        sum.0 += reserved + shared(true).max(shared(false));
        sum.1 += memory(true).max(memory(false));
        sum.2 += alloc.grant.disk_mb;
    }
    sum
}

/// Nothing that may run at the same time holds more than there is, or the same thing.
pub fn nothing_is_given_twice(world: &World) {
    for node in world.nodes.values() {
        let here: Vec<&Allocation> = world.allocs.values().filter(|a| a.node_id == node.id && a.is_live()).collect();
        let wanted: Vec<&Allocation> = here.iter().copied().filter(|a| !a.is_terminal()).collect();
        // Everything that may run before any wait is over fits too.
        let ended = |id: &model::id::AllocId| !world.allocs[id].is_live();
        let now: Vec<&Allocation> = here.iter().copied().filter(|a| a.starts_after.iter().all(ended)).collect();
        let all_cpu = node.node_resources.cpu.cpu_shares - node.reserved_resources.cpu.cpu_shares;
        for (what, set) in [("in the end", &wanted), ("at once", &now)] {
            let (cpu, memory, disk) = held(set);
            assert!(cpu <= all_cpu, "{cpu} of {all_cpu} MHz {what} on {}", node.name);
            assert!(memory <= node.node_resources.memory.memory_mb, "{memory} MB {what} on {}", node.name);
            assert!(disk <= node.node_resources.disk.disk_mb, "{disk} MB of disk {what} on {}", node.name);
        }
        assert!(node.node_max_allocs == 0 || wanted.len() as i64 <= node.node_max_allocs, "too many on {}", node.name);
        for (i, one) in here.iter().enumerate() {
            for other in &here[..i] {
                let apart = one.starts_after.contains(&other.id) || other.starts_after.contains(&one.id);
                let shared = things(one).intersection(&things(other)).cloned().collect::<Vec<_>>();
                assert!(shared.is_empty() || apart, "{} and {} share {shared:?}", one.id, other.id);
            }
        }
    }
}

/// Everything that an allocation has to itself, in words.
fn things(alloc: &Allocation) -> BTreeSet<String> {
    let ports = alloc.grant.ports.iter().map(|port| format!("port {} of {:?}", port.value, port.host_network));
    let tasks = alloc.grant.tasks.values();
    let cores = tasks.clone().flat_map(|task| task.cores.iter().map(|core| format!("core {core}")));
    let devices = tasks.flat_map(|task| &task.devices).flat_map(|group| group.ids.iter().map(|id| format!("gpu {id}")));
    let volumes = alloc.grant.volumes.iter().map(|volume| format!("volume {volume}"));
    ports.chain(cores).chain(devices).chain(volumes).collect()
}
