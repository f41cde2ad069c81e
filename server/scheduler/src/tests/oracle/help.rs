//! A user who does what the help says until the copy has a place.

use model::node::{ClientHostVolume, Node};
use proptest::test_runner::TestCaseError;
use serde_json::json;

use super::shape::{self, JobShape, VolumeUse};
use crate::tests::build::World;

/// Sentences that are followed at most.
const PATIENCE: usize = 16;

/// Registers one copy and follows the first sentence of help each time that it finds no place. What is said to be enough
/// is enough.
pub fn follow(world: &mut World, mut shape: JobShape) -> Result<(), TestCaseError> {
    let mut said = Vec::new();
    let mut promised = false;
    for _ in 0..PATIENCE {
        let key = world.register(shape::document(1, &shape));
        let plan = world.plan(&key);
        let Some(metric) = plan.eval.failed_tg_allocs.get("g") else { return Ok(()) };
        let sentence = metric.help.first().cloned().unwrap_or_default();
        if promised {
            return Err(TestCaseError::fail(format!("not placed by {:?}, but {sentence:?}", said.last())));
        }
        // Whole cores have a fixed number of MHz each.
        promised = sentence.contains("ask for at most ") && shape.cores == 0;
        obey(world, &mut shape, &sentence)?;
        said.push(sentence);
    }
    Err(TestCaseError::fail(format!("still not placed after {said:#?}")))
}

fn obey(world: &mut World, shape: &mut JobShape, sentence: &str) -> Result<(), TestCaseError> {
    let has = |text: &str| sentence.contains(text);
    if let Some(names) = between(sentence, "Not enough ", " on ") {
        let amounts =
            ["ask for at most ", "even empty it has only "].into_iter().find_map(|text| between(sentence, text, ", "));
        let Some(amounts) = amounts else {
            add_node(world, shape);
            return Ok(());
        };
        for (name, amount) in names.split(" and ").zip(amounts.split(" and ")) {
            let most: i64 = amount.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            match name {
                _ if most < 1 => add_node(world, shape),
                "CPU" if shape.cores > 0 => shape.cores -= 1,
                "CPU" => shape.cpu = shape.cpu.min(most),
                _ => (shape.memory, shape.before) = (shape.memory.min(most), shape.before.min(most)),
            }
        }
    } else if has("leaving out `static`") {
        (shape.fixed_port, shape.public, shape.dynamic_ports) = (None, false, shape.dynamic_ports + 1);
    } else if has("widen the node's dynamic port range") {
        change_nodes(world, |node| node.node_resources.max_dynamic_port += 10);
    } else if has("Ask for fewer `cores`") {
        shape.cores -= 1;
    } else if has("Devices") || has("Healthy devices") {
        shape.gpus -= 1;
    } else if has("leave out `host_network`") {
        shape.public = false;
    } else if has("use another access_mode") {
        shape.volume = Some(VolumeUse::Write);
    } else if has("name it in client { host_volume }") {
        let volume: ClientHostVolume = serde_json::from_value(json!({"Name": "v", "Path": "/v"})).unwrap();
        change_nodes(world, |node| drop(node.host_volumes.insert("v".to_owned(), volume.clone())));
    } else if has("change `datacenters` of the job") {
        shape.only_first_datacenter = false;
    } else if has("change or remove the constraint") {
        shape.class = None;
    } else if has("`distinct_property` is missing") {
        change_nodes(world, |node| {
            node.meta.entry("rack".to_owned()).or_insert_with(|| "r0".to_owned());
        });
    } else if has("allow more copies of each value") {
        shape.per_rack = shape.per_rack.map(|limit| limit + 1);
    } else if has("raise the bound on the node") {
        change_nodes(world, |node| node.node_max_allocs += 1);
    } else if has("add a node") || has("add nodes") {
        add_node(world, shape);
    } else {
        return Err(TestCaseError::fail(format!("nothing to do in {sentence:?}")));
    }
    Ok(())
}

fn between<'s>(sentence: &'s str, start: &str, end: &str) -> Option<&'s str> {
    sentence.split_once(start)?.1.split(end).next()
}

/// On every node: a sentence is of those that it counts, and what it asks for does no harm elsewhere.
fn change_nodes(world: &mut World, change: impl Fn(&mut Node)) {
    for mut node in world.nodes.values().cloned().collect::<Vec<_>>() {
        change(&mut node);
        world.put_node(node);
    }
}

fn add_node(world: &mut World, shape: &JobShape) {
    let number = world.nodes.len() as u128 + 1;
    let node = shape::NodeShape {
        cpu: 100_000,
        memory: 100_000,
        reserved_cpu: 0,
        class: shape.class.unwrap_or(true),
        rack: Some(2),
        second_datacenter: false,
        gpus: 2,
        volume: Some(false),
        max_allocs: None,
        public: true,
    };
    world.put_node(shape::node(number, &node));
}
