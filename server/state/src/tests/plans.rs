//! Plans that fit, plans that no longer do.

use model::allocation::{Allocation, ClientStatus, DesiredStatus};
use model::evaluation::{EvalStatus, Evaluation, PlannedStop, trigger};
use model::id::{EvalId, NodeId};
use model::node::{Eligibility, NodeStatus};
use model::time::Timestamp;

use super::fixtures::*;
use crate::{Op, PlanDrop, Reply};

fn drops(reply: Reply) -> Vec<PlanDrop> {
    match reply {
        Reply::Plans(drops) => drops,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_placement_is_stored_whole() {
    let (world, id) = one_copy();
    let alloc = world.state.alloc(id).unwrap();
    assert_eq!((alloc.create_index, alloc.alloc_modify_index, alloc.modify_index), (3, 3, 3));
    assert_eq!((alloc.create_time, alloc.node_name.as_str()), (Timestamp(3_000_000_000), "node-1"));
    let eval = world.state.eval(alloc.eval_id).unwrap();
    assert_eq!((eval.status, eval.create_index, eval.modify_index), (EvalStatus::Complete, 2, 3));
    assert!(world.pending("web").is_empty());
}

#[test]
fn a_port_taken_meanwhile_drops_the_placement_and_tries_again() {
    let (mut world, _) = one_copy();
    let eval = world.register(service("api", 2));
    let mut plan = world.plan(eval);
    plan.placements = vec![world.copy("api", NodeId(1), 80), world.copy("api", NodeId(1), 81)];
    let dropped = drops(world.apply(vec![plan.clone()]));
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].dropped, [plan.placements[0].id]);
    assert!(world.state.alloc(plan.placements[1].id).is_some());
    assert_eq!(world.pending("api"), [trigger::MAX_PLAN_ATTEMPTS]);
    let again = world.state.eval(dropped[0].requeued.unwrap()).unwrap();
    assert_eq!((again.wait_until, again.previous_eval), (None, Some(eval)));

    let mut second = world.plan(again.id);
    second.placements = vec![world.copy("api", NodeId(1), 80)];
    let dropped = drops(world.apply(vec![second]));
    let third = world.state.eval(dropped[0].requeued.unwrap()).unwrap();
    assert!(third.wait_until.is_some(), "never a busy loop");
}

#[test]
fn closed_lost_and_unknown_nodes_take_nothing() {
    for closing in [
        Op::UpdateNodeEligibility { id: NodeId(1), eligibility: Eligibility::Ineligible },
        Op::UpdateNodeStatus { id: NodeId(1), status: NodeStatus::Down, description: String::new() },
    ] {
        let mut world = World::default();
        world.run(join(1));
        let eval = world.register(service("web", 1));
        let mut plan = world.plan(eval);
        plan.placements = vec![world.copy("web", NodeId(1), 80), world.copy("web", NodeId(2), 80)];
        world.run(closing);
        assert_eq!(drops(world.apply(vec![plan]))[0].dropped.len(), 2);
        assert_eq!(world.state.allocs().count(), 0);
    }
}

#[test]
fn room_is_shared_by_the_plans_of_one_command() {
    let mut world = World::default();
    world.run(join(1));
    let mut plans = Vec::new();
    for (job, port) in [("a", 80), ("b", 81), ("c", 80)] {
        let eval = world.register(service(job, 1));
        let placement = Allocation { grant: grant(500, port), ..world.copy(job, NodeId(1), port) };
        plans.push((eval, placement));
    }
    let plans = plans.into_iter().map(|(eval, placement)| {
        let mut plan = world.plan(eval);
        plan.placements.push(placement);
        plan
    });
    let plans: Vec<_> = plans.collect();
    let dropped = drops(world.apply(plans.clone()));
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].eval_id, plans[2].eval.id);
}

#[test]
fn a_port_passes_on_only_to_who_waits_for_the_end() {
    for (waits, stored) in [(true, 1), (false, 0)] {
        let (mut world, first) = one_copy();
        let eval = world.register(service("web", 2));
        let mut plan = world.plan(eval);
        let mut next = Allocation { previous_allocation: Some(first), ..world.copy("web", NodeId(1), 80) };
        if waits {
            next.starts_after.push(first);
        }
        plan.stops.push(stop(first));
        plan.placements.push(next.clone());
        world.apply(vec![plan]);
        assert_eq!(world.state.alloc(next.id).iter().count(), stored);
        let old = world.state.alloc(first).unwrap();
        assert_eq!(old.desired_status, DesiredStatus::Stop);
        assert_eq!(old.next_allocation, waits.then_some(next.id));
    }
}

#[test]
fn a_stop_speaks_for_a_lost_client_or_only_marks() {
    let (mut world, id) = one_copy();
    let lose = Op::UpdateNodeStatus { id: NodeId(1), status: NodeStatus::Down, description: String::new() };
    world.run(lose);
    let eval =
        *world.state.evals_of_job(&key("web")).filter(|e| !e.status.is_terminal()).map(|e| &e.id).next().unwrap();
    let mut plan = world.plan(eval);
    let later = EvalId(4711);
    plan.stops.push(PlannedStop { followup_eval_id: Some(later), ..stop(id) });
    plan.follow_ups.push(Evaluation {
        id: later,
        job: key("web"),
        wait_until: Some(Timestamp(99)),
        ..Evaluation::default()
    });
    world.apply(vec![plan]);
    let marked = world.state.alloc(id).unwrap();
    assert_eq!((marked.followup_eval_id, marked.desired_status), (Some(later), DesiredStatus::Run));
    let mut plan = world.plan(later);
    plan.stops.push(PlannedStop { client_status: Some(ClientStatus::Lost), ..stop(id) });
    world.apply(vec![plan]);
    let lost = world.state.alloc(id).unwrap();
    assert_eq!((lost.client_status, lost.desired_status), (ClientStatus::Lost, DesiredStatus::Stop));
    assert_eq!(world.state.live_allocs_of_node(NodeId(1)).count(), 0);
}

#[test]
fn an_in_place_update_keeps_the_clients_side() {
    let (mut world, id) = one_copy();
    world.report(id, ClientStatus::Running);
    let eval = world.register(service("web", 3));
    let mut plan = world.plan(eval);
    let stored = world.state.alloc(id).unwrap();
    plan.in_place = vec![Allocation {
        job_version: 1,
        grant: grant(200, 80),
        client_status: ClientStatus::Pending,
        ..(*stored).clone()
    }];
    assert_eq!(world.apply(vec![plan]), Reply::Plans(vec![]));
    let updated = world.state.alloc(id).unwrap();
    assert_eq!((updated.job_version, updated.grant.cpu(), updated.client_status), (1, 200, ClientStatus::Running));
    assert_eq!((updated.create_index, updated.alloc_modify_index), (stored.create_index, world.state.index()));
}

#[test]
fn a_plan_for_a_job_that_changed_hands_is_dropped_whole() {
    let (mut world, id) = one_copy();
    let first = world.register(service("web", 2));
    let second = world.register(service("web", 2));
    let mut early = world.plan(first);
    early.placements.push(world.copy("web", NodeId(1), 81));
    let mut late = world.plan(second);
    late.placements.push(world.copy("web", NodeId(1), 82));
    late.stops.push(stop(id));
    assert_eq!(world.apply(vec![early]), Reply::Plans(vec![]));
    let dropped = drops(world.apply(vec![late.clone()]));
    assert_eq!(dropped[0].dropped, [late.placements[0].id]);
    assert_eq!(world.state.alloc(id).unwrap().desired_status, DesiredStatus::Run, "its stops are dropped too");
    assert_eq!(world.pending("web"), [trigger::MAX_PLAN_ATTEMPTS]);
}

#[test]
fn an_evaluation_is_planned_once() {
    let mut world = World::default();
    world.run(join(1));
    let eval = world.register(service("web", 1));
    let mut plan = world.plan(eval);
    plan.placements.push(world.copy("web", NodeId(1), 80));
    let mut twin = plan.clone();
    twin.placements[0].id = model::id::AllocId(12);
    world.apply(vec![plan]);
    let dropped = drops(world.apply(vec![twin]));
    assert_eq!((dropped[0].dropped.len(), dropped[0].requeued), (1, None));
    assert_eq!(world.state.allocs().count(), 1);
}

#[test]
fn what_happens_during_planning_is_planned_again() {
    let (mut world, id) = one_copy();
    let eval = world.register(service("web", 1));
    let plan = world.plan(eval);
    world.report(id, ClientStatus::Failed);
    assert_eq!(world.pending("web"), [trigger::JOB_REGISTER], "the waiting one will do");
    world.apply(vec![plan]);
    assert_eq!(world.pending("web"), [trigger::JOB_REGISTER]);
}

#[test]
fn a_purged_or_stopped_job_gets_no_new_copies() {
    for purge in [true, false] {
        let mut world = World::default();
        world.run(join(1));
        let eval = world.register(service("web", 1));
        let mut plan = world.plan(eval);
        plan.placements.push(world.copy("web", NodeId(1), 80));
        world.run(Op::DeregisterJob { key: key("web"), purge, eval_priority: 0 });
        assert_eq!(drops(world.apply(vec![plan]))[0].dropped.len(), 1);
        assert_eq!(world.state.allocs().count(), 0);
    }
}

#[test]
fn all_at_once_places_all_or_none() {
    let (mut world, id) = one_copy();
    let eval = world.register(service("api", 2));
    let mut plan = world.plan(eval);
    plan.all_at_once = true;
    plan.placements = vec![world.copy("api", NodeId(1), 81), world.copy("api", NodeId(1), 80)];
    assert_eq!(drops(world.apply(vec![plan]))[0].dropped.len(), 2);
    assert_eq!(world.state.allocs().map(|alloc| alloc.id).collect::<Vec<_>>(), [id]);
}

#[test]
fn one_blocked_evaluation_per_job() {
    let mut world = World::default();
    let blocked = |id: u128| Evaluation {
        id: EvalId(id),
        job: key("web"),
        status: EvalStatus::Blocked,
        triggered_by: trigger::QUEUED_ALLOCS.to_owned(),
        ..Evaluation::default()
    };
    for id in [100, 200] {
        let eval = world.register(service("web", id as i64));
        let mut plan = world.plan(eval);
        plan.follow_ups.push(blocked(id));
        world.apply(vec![plan]);
    }
    assert_eq!(world.state.eval(EvalId(100)).unwrap().status, EvalStatus::Cancelled);
    assert_eq!(world.state.eval(EvalId(200)).unwrap().status, EvalStatus::Blocked);
    assert_eq!(world.state.job_status(&key("web")), Some(crate::JobStatus::Pending));
    let eval = world.register(service("web", 0));
    world.apply(vec![world.plan(eval)]);
    assert_eq!(world.state.job_status(&key("web")), Some(crate::JobStatus::Dead));
}

#[test]
fn placements_of_a_plan_share_their_explanation() {
    let mut world = World::default();
    world.run(join(1));
    let eval = world.register(service("web", 2));
    let mut plan = world.plan(eval);
    let why = || Some(std::sync::Arc::new(model::metric::AllocMetric { nodes_evaluated: 1, ..Default::default() }));
    plan.placements = [80, 81].map(|port| Allocation { metrics: why(), ..world.copy("web", NodeId(1), port) }).to_vec();
    world.apply(vec![plan]);
    let shared: Vec<_> = world.state.allocs().map(|alloc| alloc.metrics.clone().unwrap()).collect();
    assert!(std::sync::Arc::ptr_eq(&shared[0], &shared[1]));
}
