//! What is said of decisions.

use serde_json::json;

use super::build::{World, job, node};
use crate::inspect::Verdict;

fn with_meta(number: u128, cpu: i64, key: &str, value: &str) -> model::node::Node {
    let mut node = node(number, cpu, 8192);
    node.meta.insert(key.to_owned(), value.to_owned());
    node
}

#[test]
fn what_is_said_of_one_node_is_true_of_that_node() {
    let mut world = World::with([with_meta(1, 4000, "disk", "hdd"), with_meta(2, 4000, "disk", "tape")]);
    let key = world.register(job(1, 100, 100, |job| {
        job["Constraints"] = json!([{"LTarget": "${meta.disk}", "RTarget": "ssd", "Operand": "="}]);
    }));
    for (number, value, other) in [(1, "hdd", "tape"), (2, "tape", "hdd")] {
        let node = world.inspect(&key, number).node.unwrap();
        assert_eq!(node.verdict, Verdict::Filtered);
        let [help] = &node.metric.help[..] else { panic!("{:?}", node.metric.help) };
        assert!(help.contains(value) && !help.contains(other) && help.contains("on 1 node"), "{help}");
    }
}

#[test]
fn the_place_of_a_node_is_that_among_the_best() {
    let rack = |number: u128, rack: &str| with_meta(number, 4000 * number as i64, "rack", rack);
    let mut world = World::with([rack(1, "a"), rack(2, "a"), rack(3, "b")]);
    let key = world.register(job(1, 100, 100, |job| {
        job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100}]);
    }));
    world.settle(&key);
    assert_eq!({ world.running(&key)[0].node_id.0 }, 1, "the smallest node is the best one for the first copy");
    for (number, rank) in [(3, 1), (2, 2), (1, 3)] {
        let found = world.inspect(&key, number);
        let listed = found.metric.score_meta_data.unwrap();
        assert_eq!({ listed[rank - 1].node_id.0 }, number, "{listed:?}");
        assert_eq!(found.node.unwrap().verdict, Verdict::Fits { rank, of: 3 });
    }
}

#[test]
fn a_copy_that_carries_the_explanation_of_another_one_says_so() {
    let mut world = World::with((1..=3).map(|number| node(number, 40_000, 80_000)));
    let key = world.register(job(40, 100, 100, |_| {}));
    let plan = world.plan(&key);
    let metric = |place: usize| plan.placements[place].metrics.as_ref().unwrap();
    assert!((0..10).all(|place| metric(place).help.is_empty()));
    assert_eq!(metric(39).score_meta_data, metric(9).score_meta_data);
    let command = format!("`drover replay {}`", plan.eval.id.short());
    assert!(metric(39).help[0].contains(&command), "{:?}", metric(39).help);
    assert!((10..40).all(|place| std::sync::Arc::ptr_eq(metric(place), metric(39))), "one for all of them");
}

fn help_of(nodes: impl IntoIterator<Item = model::node::Node>, cpu: i64, memory: i64) -> String {
    let mut world = World::with(nodes);
    let key = world.register(job(1, cpu, memory, |_| {}));
    world.plan(&key).eval.failed_tg_allocs["g"].help[0].clone()
}

#[test]
fn the_closest_node_is_one_that_the_advice_is_enough_for() {
    let reserved = |number: u128, cpu: i64, memory: i64| {
        let mut node = node(number, 1000, 1000);
        node.reserved_resources.cpu.cpu_shares = 1000 - cpu;
        node.reserved_resources.memory.memory_mb = 1000 - memory;
        node
    };
    let help = help_of([reserved(1, 400, 50), reserved(2, 300, 1000)], 500, 100);
    assert!(
        help.starts_with("Not enough CPU on 2 nodes: ") && help.contains("n2 is closest with 300 MHz free"),
        "{help}"
    );
    let help = help_of([reserved(1, 400, 50), reserved(2, 300, 50)], 500, 100);
    assert!(help.starts_with("Not enough CPU and memory on 2 nodes: a copy needs 500 MHz and 100 MB; n1 "), "{help}");
    assert!(help.contains("400 MHz and 50 MB free, 100 MHz and 50 MB short: "), "{help}");
}

#[test]
fn of_a_full_node_nobody_is_told_to_ask_for_nothing() {
    let mut world = World::with([node(1, 1000, 1000)]);
    let first = world.register(job(1, 100, 1000, |job| job["ID"] = json!("first")));
    world.settle(&first);
    let key = world.register(job(1, 100, 100, |_| {}));
    let help = world.plan(&key).eval.failed_tg_allocs["g"].help[0].clone();
    assert!(help.ends_with("n1 is closest with 0 MB free, 100 MB short: free some or add a node."), "{help}");
}

#[test]
fn what_is_missing_on_a_node_is_said_with_what_to_do() {
    let help = |key: &str, value: serde_json::Value| {
        let mut machine = with_meta(1, 4000, "disk", "hdd");
        machine.attributes.insert("os.signals".to_owned(), "SIGTERM".to_owned());
        let mut world = World::with([machine]);
        let key = world.register(job(1, 100, 100, |job| job["TaskGroups"][0]["Tasks"][0][key] = value));
        world.plan(&key).eval.failed_tg_allocs["g"].help.join("\n")
    };
    let constraint = json!([{"LTarget": "${meta.disk}", "RTarget": "ssd", "Operand": "="}]);
    assert_eq!(
        help("Driver", json!("podman")),
        "A driver is missing on 1 node (n1 does not know podman): install it there, name another one, or add a node \
         that has it."
    );
    assert_eq!(
        help("Constraints", constraint),
        "Constraint `${meta.disk} = ssd` does not hold on 1 node, where the value is \"hdd\": change or remove the \
         constraint, or add a node where it holds."
    );
    assert_eq!(
        help("KillSignal", json!("SIGUSR1")),
        "Signal \"SIGUSR1\" is not known on 1 node: name another one, or add a node that knows it."
    );
}
