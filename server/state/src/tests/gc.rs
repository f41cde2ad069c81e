//! What is collected and what stays.

use model::allocation::ClientStatus;
use model::id::NodeId;
use model::node::NodeStatus;
use model::time::Timestamp;

use super::fixtures::*;
use crate::{GcDone, Op, Reply};

fn collect(world: &mut World, force: bool) -> GcDone {
    match world.run(Op::Gc { before: Timestamp(0), force }).reply {
        Reply::Gc(done) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_living_job_keeps_everything() {
    let (mut world, id) = one_copy();
    collect(&mut world, true);
    assert!(world.state.alloc(id).is_some());
    assert_eq!(world.state.evals_of_job(&key("web")).count(), 1);
}

#[test]
fn a_stopped_job_goes_whole_once_it_is_old() {
    let (mut world, id) = one_copy();
    world.run(Op::DeregisterJob { key: key("web"), purge: false, eval_priority: 0 });
    let eval = world.state.evals_of_job(&key("web")).find(|eval| !eval.status.is_terminal()).unwrap().id;
    let mut plan = world.plan(eval);
    plan.stops.push(stop(id));
    world.apply(vec![plan]);
    let done = collect(&mut world, true);
    assert_eq!((done.allocs, done.jobs), (0, 0), "the copy has not ended yet");
    world.report(id, ClientStatus::Complete);
    assert_eq!(collect(&mut world, false), GcDone::default(), "too young");
    assert_eq!(collect(&mut world, true), GcDone { evals: 1, allocs: 1, jobs: 1, nodes: 0 });
    assert!(world.state.versions.is_empty());
}

#[test]
fn a_batch_job_never_loses_only_its_completed_copies() {
    let mut world = World::default();
    world.run(join(1));
    let eval = world.register(of_type("job", "batch"));
    let mut plan = world.plan(eval);
    plan.placements.push(world.copy("job", NodeId(1), 0));
    let id = plan.placements[0].id;
    world.apply(vec![plan]);
    world.report(id, ClientStatus::Complete);
    world.register(of_type("job", "batch"));
    assert_eq!(collect(&mut world, true), GcDone::default(), "it is about to be planned");
    world.settle();
    assert_eq!(collect(&mut world, true), GcDone { evals: 2, allocs: 1, jobs: 1, nodes: 0 });
}

#[test]
fn a_node_goes_when_it_is_down_and_empty() {
    let (mut world, id) = one_copy();
    world.run(join(2));
    for id in [1, 2] {
        let id = NodeId(id);
        world.run(Op::UpdateNodeStatus { id, status: NodeStatus::Down, description: String::new() });
    }
    assert_eq!(collect(&mut world, true).nodes, 1);
    assert!(world.state.node(NodeId(1)).is_some() && world.state.alloc(id).is_some());
}
