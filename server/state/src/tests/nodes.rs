//! Nodes joining, vanishing, returning, closing.

use model::evaluation::trigger;
use model::id::NodeId;
use model::node::{Eligibility, Node, NodeStatus};

use super::fixtures::*;
use crate::{Op, Refusal, Reply};

fn evals(reply: &Reply) -> usize {
    match reply {
        Reply::Node(written) => written.evals.len(),
        other => panic!("{other:?}"),
    }
}

fn down(id: u128) -> Op {
    Op::UpdateNodeStatus { id: NodeId(id), status: NodeStatus::Down, description: "no heartbeat".to_owned() }
}

#[test]
fn a_registered_node_is_ready_and_wakes_system_jobs() {
    let mut world = World::default();
    world.register(of_type("everywhere", "system"));
    world.register(service("web", 1));
    world.settle();
    assert_eq!(evals(&world.run(join(1)).reply), 1);
    assert_eq!(world.pending("everywhere"), [trigger::NODE_UPDATE]);
    assert!(world.pending("web").is_empty());
    let node = world.state.node(NodeId(1)).unwrap();
    assert_eq!((node.status, node.create_index, node.events.len()), (NodeStatus::Ready, 4, 1));
    assert!(node.is_schedulable());
}

#[test]
fn an_equal_registration_changes_nothing() {
    let (mut world, _) = one_copy();
    world.settle();
    let outcome = world.run(join(1));
    assert!(outcome.touched.is_empty());
    assert_eq!(evals(&outcome.reply), 0);
}

#[test]
fn new_attributes_keep_what_others_wrote_and_wake_jobs_there() {
    let (mut world, _) = one_copy();
    world.run(Op::UpdateNodeEligibility { id: NodeId(1), eligibility: Eligibility::Ineligible });
    world.settle();
    let changed = Node { datacenter: "dc2".to_owned(), ..node(1) };
    assert_eq!(evals(&world.run(Op::RegisterNode { node: Box::new(changed) }).reply), 1);
    let node = world.state.node(NodeId(1)).unwrap();
    assert_eq!((node.scheduling_eligibility, node.create_index), (Eligibility::Ineligible, 1));
    assert_eq!(world.pending("web"), [trigger::NODE_UPDATE]);
}

#[test]
fn another_secret_is_refused() {
    let mut world = World::default();
    world.run(join(1));
    let other = Node { secret_id: "guess".to_owned(), ..node(1) };
    let reply = world.run(Op::RegisterNode { node: Box::new(other) }).reply;
    assert_eq!(reply, Reply::Refused(Refusal::NodeSecret(NodeId(1))));
    assert_eq!(world.state.node(NodeId(1)).unwrap().secret_id, "secret");
}

#[test]
fn a_lost_node_wakes_its_jobs_once_and_its_return_too() {
    let (mut world, _) = one_copy();
    assert_eq!(evals(&world.run(down(1)).reply), 1);
    assert!(world.run(down(1)).touched.is_empty());
    let lost = world.state.node(NodeId(1)).unwrap();
    assert_eq!((lost.status, lost.last_missed_heartbeat_index), (NodeStatus::Down, 4));
    assert_eq!(world.pending("web"), [trigger::NODE_UPDATE]);
    world.settle();
    assert_eq!(evals(&world.run(join(1)).reply), 1);
    assert_eq!(world.state.node(NodeId(1)).unwrap().status, NodeStatus::Ready);
}

#[test]
fn one_pending_evaluation_per_job_is_enough() {
    let mut world = World::default();
    world.run(join(1));
    world.run(join(2));
    for (job, node, port) in [("web", 1, 80), ("api", 2, 81)] {
        world.place(job, NodeId(node), port);
    }
    world.run(down(1));
    let first = world.state.evals_of_job(&key("web")).count();
    world.run(Op::UpdateNodeEligibility { id: NodeId(1), eligibility: Eligibility::Ineligible });
    assert_eq!(world.state.evals_of_job(&key("web")).count(), first);
    assert!(world.pending("api").is_empty());
}

#[test]
fn a_node_that_comes_and_goes_makes_no_heap_of_evaluations() {
    let (mut world, _) = one_copy();
    world.register(of_type("everywhere", "system"));
    world.settle();
    for _ in 0..20 {
        world.run(down(1));
        world.run(join(1));
    }
    assert_eq!(world.pending("web"), [trigger::NODE_UPDATE]);
    assert_eq!(world.pending("everywhere"), [trigger::NODE_UPDATE]);
}

#[test]
fn unknown_nodes_are_refused() {
    let mut world = World::default();
    let unknown = Reply::Refused(Refusal::UnknownNode(NodeId(9)));
    assert_eq!(world.run(down(9)).reply, unknown);
    let close = Op::UpdateNodeEligibility { id: NodeId(9), eligibility: Eligibility::Ineligible };
    assert_eq!(world.run(close).reply, unknown);
    assert_eq!(world.run(Op::UpdateAllocs { node_id: NodeId(9), updates: vec![] }).reply, unknown);
    let nameless = Op::RegisterNode { node: Box::new(Node { id: NodeId(0), ..node(1) }) };
    assert_eq!(world.run(nameless).reply, Reply::Refused(Refusal::NodeWithoutId));
}

#[test]
fn events_are_bounded() {
    let mut world = World::default();
    world.run(join(1));
    for _ in 0..12 {
        world.run(down(1));
        world.run(join(1));
    }
    assert_eq!(world.state.node(NodeId(1)).unwrap().events.len(), 10);
}
