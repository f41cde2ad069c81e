//! Nodes: the full object without its secret, and the stub of lists.

use model::node::{Node, NodeResources};
use serde_json::{Value, json};

use super::{omit_empty, value_of};

/// The full object. The secret is blanked; what drover does not have yet is there and empty.
pub(in crate::http) fn full(node: &Node) -> Value {
    let mut object = value_of(node);
    if let Some(fields) = object.as_object_mut() {
        let mut put = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
        put("SecretID", json!(""));
        put("NodeResources", resources(&node.node_resources));
        put("Drain", json!(false));
        put("DrainStrategy", Value::Null);
        put("LastDrain", Value::Null);
        put("HostNetworks", Value::Null);
        put("CSIControllerPlugins", json!({}));
        put("CSINodePlugins", json!({}));
        put("GCVolumesOnNodeGC", json!(false));
        put("IdentitySigningKeyID", json!(""));
        put("NodeMaxAllocs", json!(0));
    }
    object
}

/// The stub of lists; the flags add what `os=true` and `resources=true` ask for.
pub(in crate::http) fn stub(node: &Node, with_os: bool, with_resources: bool) -> Value {
    let version = node.attributes.get("nomad.version").map(String::as_str).unwrap_or_default();
    let mut stub = json!({
        "Address": node.address(),
        "ID": node.id,
        "Datacenter": node.datacenter,
        "Name": node.name,
        "NodePool": node.node_pool,
        "NodeClass": node.node_class,
        "Version": version,
        "Drain": false,
        "SchedulingEligibility": value_of(&node.scheduling_eligibility),
        "Status": value_of(&node.status),
        "StatusDescription": node.status_description,
        "Drivers": value_of(&node.drivers),
        "HostVolumes": value_of(&node.host_volumes),
        "LastDrain": null,
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    });
    if let Some(fields) = stub.as_object_mut() {
        if with_os && let Some(name) = node.attributes.get("os.name") {
            fields.insert("Attributes".to_owned(), json!({"os.name": name}));
        }
        if with_resources {
            fields.insert("NodeResources".to_owned(), resources(&node.node_resources));
            fields.insert("ReservedResources".to_owned(), value_of(&node.reserved_resources));
        }
    }
    stub
}

/// What a node has, with the lists that Nomad derives from its networks and processors.
fn resources(resources: &NodeResources) -> Value {
    let mut object = value_of(resources);
    let Some(fields) = object.as_object_mut() else { return object };
    let networks = resources.networks.iter().map(|network| {
        let address = json!({
            "Address": network.ip, "Alias": "default", "Gateway": "", "ReservedPorts": "",
            "Family": if network.ip.contains(':') { "ipv6" } else { "ipv4" },
        });
        json!({
            "Mode": network.mode, "Device": network.device, "MacAddress": "", "Speed": network.mbits,
            "Addresses": if network.ip.is_empty() { Value::Null } else { json!([address]) },
        })
    });
    fields.insert("NodeNetworks".to_owned(), networks.collect());
    let plain = resources.networks.iter().map(|network| match value_of(network) {
        Value::Object(fields) => omit_empty(fields),
        other => other,
    });
    fields.insert("Networks".to_owned(), plain.collect());
    fields.entry("Devices").or_insert(Value::Null);
    fields.insert("Processors".to_owned(), processors(resources));
    object
}

fn processors(resources: &NodeResources) -> Value {
    let count = resources.cpu.total_cpu_cores.max(1);
    let speed = u64::try_from(resources.cpu.cpu_shares).unwrap_or(0) / count;
    // One core after the other: drover does not know sockets and NUMA nodes yet.
    let cores = (0..resources.cpu.total_cpu_cores.min(4096)).map(|id| {
        json!({
            "ID": id, "NodeID": 0, "SocketID": 0, "Grade": true, "Disable": false,
            "BaseSpeed": speed, "MaxSpeed": 0, "GuessSpeed": 0,
        })
    });
    json!({"Topology": {
        "Nodes": [0], "Distances": null, "Cores": cores.collect::<Vec<_>>(),
        "OverrideTotalCompute": 0, "OverrideWitholdCompute": 0,
    }})
}
