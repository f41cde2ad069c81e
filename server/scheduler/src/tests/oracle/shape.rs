//! Random nodes and jobs as plain numbers, and the documents made of them.

use model::job::Job;
use model::node::Node;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tests::build;

/// One node.
#[derive(Clone, Debug)]
pub struct NodeShape {
    pub cpu: i64,
    pub memory: i64,
    pub reserved_cpu: i64,
    pub class: bool,
    pub rack: Option<u8>,
    pub second_datacenter: bool,
    pub gpus: u8,
    /// None: no volume; else whether it is read-only.
    pub volume: Option<bool>,
    pub max_allocs: Option<u8>,
    /// Whether it has the host network `pub`.
    pub public: bool,
}

pub fn node_shape() -> impl Strategy<Value = NodeShape> {
    let room = (500..3000i64, 500..3000i64, prop_oneof![Just(0i64), 0..300i64]);
    let place = (any::<bool>(), proptest::option::weighted(0.8, 0..3u8), any::<bool>());
    let things = (0..3u8, proptest::option::of(any::<bool>()), proptest::option::weighted(0.1, 1..4u8), any::<bool>());
    (room, place, things).prop_map(|((cpu, memory, reserved_cpu), (class, rack, dc), (gpus, volume, most, public))| {
        NodeShape {
            cpu,
            memory,
            reserved_cpu,
            class,
            rack,
            second_datacenter: dc,
            gpus,
            volume,
            max_allocs: most,
            public,
        }
    })
}

pub const DYNAMIC: std::ops::RangeInclusive<u16> = 20_000..=20_007;

pub fn node(number: u128, shape: &NodeShape) -> Node {
    let mut node = build::node(number, shape.cpu, shape.memory);
    node.node_class = if shape.class { "x" } else { "" }.to_owned();
    node.datacenter = if shape.second_datacenter { "dc2" } else { "dc1" }.to_owned();
    node.reserved_resources.cpu.cpu_shares = shape.reserved_cpu;
    node.node_resources.min_dynamic_port = i64::from(*DYNAMIC.start());
    node.node_resources.max_dynamic_port = i64::from(*DYNAMIC.end());
    if let Some(rack) = shape.rack {
        node.meta.insert("rack".to_owned(), format!("r{rack}"));
    }
    if shape.gpus > 0 {
        let instances: Vec<Value> = (0..shape.gpus).map(|n| json!({"ID": format!("g{n}"), "Healthy": true})).collect();
        let gpus = json!([{"Vendor": "acme", "Type": "gpu", "Name": "one", "Instances": instances}]);
        node.node_resources.devices = serde_json::from_value(gpus).unwrap();
    }
    if let Some(read_only) = shape.volume {
        let volume = serde_json::from_value(json!({"Name": "v", "Path": "/v", "ReadOnly": read_only})).unwrap();
        node.host_volumes.insert("v".to_owned(), volume);
    }
    if shape.public {
        let network = serde_json::from_value(json!({"Name": "pub", "IP": format!("10.0.0.{number}")})).unwrap();
        node.host_networks.insert("pub".to_owned(), network);
    }
    node.node_max_allocs = shape.max_allocs.map_or(0, i64::from);
    node
}

/// How a group wants its volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VolumeUse {
    Read,
    Write,
    Alone,
}

/// One job of one group.
#[derive(Clone, Debug)]
pub struct JobShape {
    pub system: bool,
    pub count: i64,
    pub priority: i64,
    pub cpu: i64,
    pub memory: i64,
    /// Memory of a task that is over before the main one starts.
    pub before: i64,
    pub fixed_port: Option<i64>,
    pub public: bool,
    pub dynamic_ports: usize,
    pub class: Option<bool>,
    pub only_first_datacenter: bool,
    pub distinct_hosts: bool,
    pub per_rack: Option<u8>,
    pub affinity: Option<i64>,
    /// None: no spread; else the percentage wanted in rack r0, or 0 for an even one.
    pub spread: Option<i64>,
    pub cores: i64,
    pub gpus: i64,
    pub volume: Option<VolumeUse>,
}

pub fn job_shape() -> impl Strategy<Value = JobShape> {
    let size = (
        1..5i64,
        prop_oneof![Just(20i64), Just(50), Just(80)],
        1..900i64,
        1..900i64,
        prop_oneof![Just(0i64), 1..1200i64],
    );
    let ports = (proptest::option::weighted(0.3, 20_000..20_004i64), any::<bool>(), 0..3usize);
    let rules = (
        proptest::option::weighted(0.4, any::<bool>()),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.15),
        proptest::option::weighted(0.15, 1..3u8),
        proptest::option::weighted(0.3, prop_oneof![Just(-70i64), Just(40i64)]),
        proptest::option::weighted(0.3, prop_oneof![Just(0i64), Just(50), Just(100)]),
    );
    let volume = prop_oneof![Just(VolumeUse::Read), Just(VolumeUse::Write), Just(VolumeUse::Alone)];
    let things = (
        prop_oneof![4 => Just(0i64), 1 => 1..3i64],
        prop_oneof![4 => Just(0i64), 1 => 1..3i64],
        proptest::option::weighted(0.2, volume),
        proptest::bool::weighted(0.2),
    );
    (size, ports, rules, things).prop_map(|(size, ports, rules, things)| {
        let system = things.3;
        JobShape {
            system,
            count: if system { 1 } else { size.0 },
            priority: size.1,
            cpu: if things.0 > 0 { 0 } else { size.2 },
            memory: size.3,
            before: size.4,
            fixed_port: ports.0,
            public: ports.1 && ports.0.is_some(),
            dynamic_ports: ports.2,
            class: rules.0,
            only_first_datacenter: rules.1,
            distinct_hosts: rules.2 && !system,
            per_rack: rules.3.filter(|_| !system),
            affinity: rules.4.filter(|_| !system),
            spread: rules.5.filter(|_| !system),
            cores: things.0,
            gpus: things.1,
            volume: things.2,
        }
    })
}

pub fn document(name: usize, shape: &JobShape) -> Job {
    build::job(shape.count, shape.cpu, shape.memory, |job| {
        job["ID"] = json!(format!("job{name}"));
        job["Type"] = json!(if shape.system { "system" } else { "service" });
        job["Priority"] = json!(shape.priority);
        job["Datacenters"] = json!([if shape.only_first_datacenter { "dc1" } else { "*" }]);
        job["Constraints"] = constraints(shape).into();
        let group = &mut job["TaskGroups"][0];
        let host_network = if shape.public { "pub" } else { "" };
        let fixed = shape.fixed_port.iter();
        let fixed: Vec<_> =
            fixed.map(|port| json!({"Label": "s", "Value": port, "HostNetwork": host_network})).collect();
        let dynamic: Vec<_> = (0..shape.dynamic_ports).map(|n| json!({"Label": format!("d{n}")})).collect();
        group["Networks"] = json!([{"DynamicPorts": dynamic, "ReservedPorts": fixed}]);
        group["Update"] = json!({"MaxParallel": 0});
        group["Migrate"] = json!({"MaxParallel": 1});
        group["Tasks"][0]["Resources"]["Cores"] = json!(shape.cores);
        if shape.gpus > 0 {
            group["Tasks"][0]["Resources"]["Devices"] = json!([{"Name": "acme/gpu", "Count": shape.gpus}]);
        }
        if shape.before > 0 {
            let resources = json!({"CPU": 1, "MemoryMB": shape.before});
            let task =
                json!({"Name": "before", "Driver": "exec", "Lifecycle": {"Hook": "prestart"}, "Resources": resources});
            group["Tasks"].as_array_mut().unwrap().push(task);
        }
        if let Some(usage) = shape.volume {
            let mode = if usage == VolumeUse::Alone { "single-node-single-writer" } else { "" };
            let read_only = usage == VolumeUse::Read;
            group["Volumes"] =
                json!({"v": {"Name": "v", "Type": "host", "Source": "v", "ReadOnly": read_only, "AccessMode": mode}});
        }
        if let Some(weight) = shape.affinity {
            group["Affinities"] =
                json!([{"LTarget": "${meta.rack}", "RTarget": "r0", "Operand": "=", "Weight": weight}]);
        }
        if let Some(percent) = shape.spread {
            let targets = if percent > 0 { json!([{"Value": "r0", "Percent": percent}]) } else { json!([]) };
            group["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100, "SpreadTarget": targets}]);
        }
    })
}

fn constraints(shape: &JobShape) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(class) = shape.class {
        let operand = if class { "=" } else { "!=" };
        all.push(json!({"LTarget": "${node.class}", "RTarget": "x", "Operand": operand}));
    }
    if shape.distinct_hosts {
        all.push(json!({"Operand": "distinct_hosts"}));
    }
    if let Some(limit) = shape.per_rack {
        all.push(json!({"LTarget": "${meta.rack}", "RTarget": limit.to_string(), "Operand": "distinct_property"}));
    }
    all
}
