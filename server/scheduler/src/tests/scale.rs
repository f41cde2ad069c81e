//! Large inputs: not a benchmark, only a guard against work that grows with the square.

use super::build::{World, job, node};

#[test]
fn a_large_group_on_many_nodes_is_planned() {
    let mut world = World::with((1..=500).map(|number| node(number, 100_000, 100_000)));
    let key = world.register(job(2000, 100, 100, |value| {
        value["TaskGroups"][0]["Networks"] = serde_json::json!([{"DynamicPorts": [{"Label": "x"}]}]);
    }));
    let plan = world.settle(&key);
    assert_eq!(plan.placements.len(), 2000);
    world.current.remove(&key);
    assert_eq!(world.settle(&key).stops.len(), 2000);
}
