//! Placements that others have to make room for.

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::evaluation::{Preemption, trigger};
use model::id::NodeId;

use super::fixtures::*;
use crate::{Reply, invariant};

/// A world whose only node is full with a copy of `low`, and a plan that puts `high` in its place.
fn full_house() -> (World, model::id::AllocId, model::evaluation::Plan) {
    let mut world = World::default();
    world.run(join(1));
    let eval = world.register(service("low", 1));
    let mut plan = world.plan(eval);
    let low = Allocation { grant: grant(1000, 80), ..world.copy("low", NodeId(1), 80) };
    let victim = low.id;
    plan.placements.push(low);
    assert_eq!(world.apply(vec![plan]), Reply::Plans(vec![]));
    let eval = world.register(service("high", 1));
    let mut plan = world.plan(eval);
    let high = world.copy("high", NodeId(1), 80);
    plan.preemptions.push(Preemption { victim, by: high.id });
    let high = Allocation { grant: grant(500, 80), starts_after: vec![victim], preempted: vec![victim], ..high };
    plan.placements.push(high);
    (world, victim, plan)
}

#[test]
fn the_victim_goes_with_its_reason_and_its_job_is_looked_at_again() {
    let (mut world, victim, plan) = full_house();
    let by = plan.placements[0].id;
    assert_eq!(world.apply(vec![plan]), Reply::Plans(vec![]));
    let row = world.state.alloc(victim).unwrap();
    assert_eq!((row.desired_status, row.preempted_by), (DesiredStatus::Evict, Some(by)));
    assert_eq!(row.desired_description, format!("Preempted by alloc ID {by}"));
    assert_eq!(world.pending("low"), [trigger::PREEMPTION]);
    assert!(invariant::check(&world.state).is_empty(), "{:?}", invariant::check(&world.state));
}

#[test]
fn nobody_goes_for_a_placement_that_is_dropped() {
    let (mut world, victim, mut plan) = full_house();
    plan.placements[0].grant = grant(1001, 80);
    let Reply::Plans(drops) = world.apply(vec![plan.clone()]) else { panic!() };
    assert_eq!(drops[0].dropped, [plan.placements[0].id]);
    assert_eq!(world.state.alloc(victim).unwrap().desired_status, DesiredStatus::Run);
    assert!(world.pending("low").is_empty());
}

#[test]
fn a_victim_that_ended_meanwhile_sends_the_plan_back() {
    let (mut world, victim, plan) = full_house();
    world.report(victim, ClientStatus::Complete);
    let Reply::Plans(drops) = world.apply(vec![plan]) else { panic!() };
    assert_eq!(drops.len(), 1);
    assert!(drops[0].requeued.is_some());
}

#[test]
fn cores_devices_volumes_and_the_bound_on_allocations_are_given_once() {
    use model::allocation::{Grant, GrantedDevices, TaskGrant};
    let device = GrantedDevices { name: "t4".to_owned(), ids: vec!["0".to_owned()], ..GrantedDevices::default() };
    let cores = TaskGrant { cores: vec![0, 1], ..TaskGrant::default() };
    let devices = TaskGrant { devices: vec![device], ..TaskGrant::default() };
    let with = |task: TaskGrant| Grant { tasks: [("main".to_owned(), task)].into(), ..Grant::default() };
    let volume = Grant { volumes: vec!["data".to_owned()], ..Grant::default() };
    for grant in [with(cores), with(devices), volume] {
        let (mut world, _) = one_copy();
        let eval = world.register(service("api", 2));
        let mut plan = world.plan(eval);
        plan.placements =
            (81..83).map(|port| Allocation { grant: grant.clone(), ..world.copy("api", NodeId(1), port) }).collect();
        let Reply::Plans(drops) = world.apply(vec![plan.clone()]) else { panic!() };
        assert_eq!(drops[0].dropped, [plan.placements[1].id], "{grant:?}");
    }
    let mut world = World::default();
    let bounded = model::node::Node { node_max_allocs: 1, ..node(1) };
    world.run(crate::Op::RegisterNode { node: Box::new(bounded) });
    let eval = world.register(service("api", 2));
    let mut plan = world.plan(eval);
    plan.placements = vec![world.copy("api", NodeId(1), 81), world.copy("api", NodeId(1), 82)];
    let Reply::Plans(drops) = world.apply(vec![plan.clone()]) else { panic!() };
    assert_eq!(drops[0].dropped, [plan.placements[1].id]);
}
