//! The planner against a simple-minded one: small clusters, everything by brute force, no code in common.

use std::collections::BTreeSet;

use model::allocation::{Allocation, ClientStatus};
use model::id::NodeId;
use proptest::prelude::*;
use serde_json::json;

use super::build::{World, job, node};

#[derive(Clone, Debug)]
struct JobShape {
    count: i64,
    cpu: i64,
    memory: i64,
    fixed_port: Option<i64>,
    dynamic_ports: usize,
    class: Option<bool>,
}

fn job_shape() -> impl Strategy<Value = JobShape> {
    let port = proptest::option::weighted(0.3, 20_000..20_004i64);
    let class = proptest::option::of(any::<bool>());
    (1..5i64, 1..900i64, 1..900i64, port, 0..3usize, class).prop_map(
        |(count, cpu, memory, fixed_port, dynamic_ports, class)| JobShape {
            count,
            cpu,
            memory,
            fixed_port,
            dynamic_ports,
            class,
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Register(usize, JobShape),
    End(usize),
    Fail(usize),
    Remove(usize),
    Toggle(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, job_shape()).prop_map(|(name, shape)| Step::Register(name, shape)),
        2 => (0..50usize).prop_map(Step::End),
        1 => (0..50usize).prop_map(Step::Fail),
        1 => (0..3usize).prop_map(Step::Remove),
        1 => (0..6usize).prop_map(Step::Toggle),
    ]
}

/// The best score any node could give the first new copy, from plain numbers.
fn best_by_hand(world: &World, new: &Allocation, shape: &JobShape, stopped: &BTreeSet<u128>) -> Option<f64> {
    let mut best: Option<f64> = None;
    for node in world.nodes.values() {
        let right_class = shape.class.is_none_or(|class| (node.node_class == "x") == class);
        if !node.is_schedulable() || !right_class {
            continue;
        }
        let here = world.allocs.values().filter(|a| a.node_id == node.id && a.is_live());
        let staying: Vec<&Allocation> = here.filter(|a| !stopped.contains(&a.id.0) && !a.is_terminal()).collect();
        // What is on its way out may be waited for, unless it was given on already.
        let waits: i64 = world
            .allocs
            .values()
            .filter(|a| a.node_id == node.id && a.is_live() && !staying.iter().any(|s| s.id == a.id))
            .count() as i64;
        if waits > 0 {
            return None;
        }
        let cpu: i64 = staying.iter().map(|a| a.grant.cpu()).sum::<i64>() + shape.cpu;
        let memory: i64 = staying.iter().map(|a| a.grant.memory_mb()).sum::<i64>() + shape.memory;
        let (all_cpu, all_memory) = (node.node_resources.cpu.cpu_shares, node.node_resources.memory.memory_mb);
        let taken: BTreeSet<u16> = staying.iter().flat_map(|a| a.grant.ports.iter().map(|p| p.value)).collect();
        let fixed = shape.fixed_port.map(|port| port as u16);
        let clash = fixed.is_some_and(|port| taken.contains(&port));
        let free = (20_000..=20_007u16).filter(|port| !taken.contains(port) && Some(*port) != fixed).count();
        if cpu > all_cpu || memory > all_memory || clash || free < shape.dynamic_ports {
            continue;
        }
        let share = |used: i64, all: i64| 10f64.powf(1.0 - used as f64 / all as f64);
        let pack = ((20.0 - share(cpu, all_cpu) - share(memory, all_memory)) / 18.0).clamp(0.0, 1.0);
        let same = staying.iter().filter(|a| a.job == new.job).count() as f64;
        let mean = if same > 0.0 { (pack - (same + 1.0) / shape.count as f64) / 2.0 } else { pack };
        best = Some(best.map_or(mean, |known: f64| known.max(mean)));
    }
    best
}

/// Nothing that may run at the same time holds more than there is, or the same port.
fn nothing_is_given_twice(world: &World) {
    for node in world.nodes.values() {
        let here: Vec<&Allocation> = world.allocs.values().filter(|a| a.node_id == node.id && a.is_live()).collect();
        let wanted: Vec<&&Allocation> = here.iter().filter(|a| !a.is_terminal()).collect();
        let waits_for: BTreeSet<_> = wanted.iter().flat_map(|a| a.starts_after.iter().copied()).collect();
        for (room, capacity) in [
            (wanted.iter().map(|a| a.grant.cpu()).sum::<i64>(), node.node_resources.cpu.cpu_shares),
            (wanted.iter().map(|a| a.grant.memory_mb()).sum(), node.node_resources.memory.memory_mb),
        ] {
            assert!(room <= capacity, "{room} of {capacity} on {}", node.name);
        }
        for (left, right) in here.iter().enumerate().flat_map(|(i, l)| here[..i].iter().map(move |r| (l, r))) {
            let apart = left.starts_after.contains(&right.id) || right.starts_after.contains(&left.id);
            let shared = left.grant.ports.iter().any(|l| right.grant.ports.iter().any(|r| l.value == r.value));
            assert!(!shared || apart, "{} and {} share a port", left.id, right.id);
        }
        // Everything that may run before any wait is over fits too.
        let now = here.iter().filter(|a| a.starts_after.iter().all(|id| !world.allocs[id].is_live()));
        let cpu: i64 = now.map(|a| a.grant.cpu()).sum();
        assert!(cpu <= node.node_resources.cpu.cpu_shares, "{cpu} at once on {}, waits {waits_for:?}", node.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_best_and_never_give_anything_twice(
        sizes in proptest::collection::vec((500..3000i64, 500..3000i64, any::<bool>()), 1..6),
        steps in proptest::collection::vec(step(), 1..15),
    ) {
        let mut world = World::with(sizes.iter().enumerate().map(|(number, (cpu, memory, class))| {
            let mut node = node(number as u128 + 1, *cpu, *memory);
            node.node_class = if *class { "x" } else { "" }.to_owned();
            node.node_resources.min_dynamic_port = 20_000;
            node.node_resources.max_dynamic_port = 20_007;
            node
        }));
        for step in steps {
            match step {
                Step::Register(name, shape) => {
                    let document = job(shape.count, shape.cpu, shape.memory, |value| {
                        value["ID"] = json!(format!("job{name}"));
                        let labels = (0..shape.dynamic_ports).map(|n| json!({"Label": format!("d{n}")}));
                        let dynamic: Vec<_> = labels.collect();
                        let fixed: Vec<_> =
                            shape.fixed_port.iter().map(|port| json!({"Label": "s", "Value": port})).collect();
                        value["TaskGroups"][0]["Networks"] = json!([{"DynamicPorts": dynamic, "ReservedPorts": fixed}]);
                        value["TaskGroups"][0]["Update"] = json!({"MaxParallel": 0});
                        if let Some(class) = shape.class {
                            let operand = if class { "=" } else { "!=" };
                            let rule = json!({"LTarget": "${node.class}", "RTarget": "x", "Operand": operand});
                            value["Constraints"] = json!([rule]);
                        }
                    });
                    let key = world.register(document);
                    let plan = world.plan(&key);
                    let stopped = plan.stops.iter().map(|stop| stop.id.0).collect();
                    if let Some(first) = plan.placements.first().filter(|first| first.previous_allocation.is_none())
                        && let Some(best) = best_by_hand(&world, first, &shape, &stopped)
                    {
                        let metrics = first.metrics.as_ref().unwrap();
                        let chosen = metrics.score_meta_data.as_ref().unwrap().iter();
                        let score = chosen.clone().find(|meta| meta.node_id == first.node_id);
                        let score = score.map(|meta| meta.norm_score).unwrap_or(f64::NAN);
                        prop_assert!((score - best).abs() < 1e-6, "{} is chosen, {} is best", score, best);
                    }
                    world.apply(&plan);
                    if plan.eval.failed_tg_allocs.is_empty() {
                        let again = world.plan(&key);
                        let changes = again.placements.len() + again.stops.len() + again.in_place.len();
                        prop_assert_eq!(changes, 0);
                    }
                }
                Step::End(pick) | Step::Fail(pick) => {
                    let live: Vec<_> = world.allocs.values().filter(|a| a.is_live()).map(|a| a.id).collect();
                    if !live.is_empty() {
                        let id = live[pick % live.len()];
                        let failed = matches!(step, Step::Fail(_));
                        world.set_client(id, if failed { ClientStatus::Failed } else { ClientStatus::Complete });
                    }
                }
                Step::Remove(name) => {
                    let key = model::id::JobKey::new("default", &format!("job{name}"));
                    world.current.remove(&key);
                    world.settle(&key);
                    prop_assert!(world.running(&key).is_empty());
                }
                Step::Toggle(number) => {
                    if let Some(node) = world.nodes.get(&NodeId(number as u128 + 1)).cloned() {
                        let mut node = node;
                        node.scheduling_eligibility = match node.is_schedulable() {
                            true => model::node::Eligibility::Ineligible,
                            false => model::node::Eligibility::Eligible,
                        };
                        world.put_node(node);
                    }
                }
            }
            nothing_is_given_twice(&world);
        }
    }
}
